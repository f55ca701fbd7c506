"""Iterable: people, what they do and buy, lists and subscriptions, catalogs.

Requests, limits and rates are those of the service's published API description. The actions stand beside, by subject;
settings and the key in `iterable_account`. Answers of success are read in `iterable_answers`, refusals in
`iterable_refusals`; what is asked of a payload stands in `iterable_checks`.
"""

from __future__ import annotations

from engine.vendors.iterable_catalogs import Catalogs
from engine.vendors.iterable_lists import Lists
from engine.vendors.iterable_people import People
from engine.vendors.iterable_tracking import Tracking

__all__ = ["Iterable"]


class Iterable(Catalogs, Lists, Tracking, People):
    """An Iterable project, with all that can be sent to it."""
