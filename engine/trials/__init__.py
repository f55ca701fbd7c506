"""Runs in which nothing leaves the machine: given records, lookups by hand, vendors that answer as told."""
