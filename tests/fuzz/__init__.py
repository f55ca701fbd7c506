"""Whatever bytes come in, no other exception than ours goes out: see `targets.py`."""
