"""Hostile files, expressions, rows and answers, each through the command as a user would start it: see `table.py`."""
