"""The JSON Schemas of pipelines and their parts, installed as `engine.schemas`."""
