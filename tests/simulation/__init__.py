"""Whole runs of the real runtime in a world of memory: rows, faults, deaths and disks drawn from a seed."""

from tests.simulation.campaign import Row, summary

__all__ = ["Row", "summary"]
