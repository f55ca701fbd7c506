"""Vendors from Python, for scripts: the same code as the pipeline's parts, driven one call at a time."""
