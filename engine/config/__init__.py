"""From a pipeline file to a checked `Pipeline`: `load.load` does it all; each file here is one step of it."""
