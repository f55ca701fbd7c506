"""Every fault of the list: how it is provoked, what was measured, which tests would fail without the defence."""
