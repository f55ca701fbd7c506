"""Acme for the engine."""
