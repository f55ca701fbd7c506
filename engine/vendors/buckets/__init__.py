"""Deciding from a Flagship bucketing file: pure functions, no network, no clock, no files.

    decider = compile_file(document)                       # once per file
    decision = decider.decide("visitor-7", visitor_context({"plan": "pro"}).values)
    decision.values, decision.assignments, decision.info

A bucketing file is hostile input: what is malformed in it is named in `decider.problems` and skipped.
"""

from engine.vendors.buckets.cache import read_entry, write_entry
from engine.vendors.buckets.context import PRESET_NAMES, PRESETS, ContextReport, accept, sendable, visitor_context
from engine.vendors.buckets.decider import RULES, Decider, compile_file
from engine.vendors.buckets.decision import Decision
from engine.vendors.buckets.document import Finding
from engine.vendors.buckets.hashing import bucket, murmur, utf8
from engine.vendors.buckets.reading import Reading, modification

__all__ = [
    "PRESETS", "PRESET_NAMES", "RULES", "ContextReport", "Decider", "Decision", "Finding", "Reading", "accept",
    "bucket", "compile_file", "modification", "murmur", "read_entry", "sendable", "utf8", "visitor_context",
    "write_entry",
]  # fmt: skip
