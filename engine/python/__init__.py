"""Pipelines and vendors from Python, for scripts: the code of runs, driven one call at a time.

`load` gives a pipeline file; `Iterable`, and `vendor("name")` for any other, the actions of an account. Flagship and
Lumidatum have doors of their own, in the words of their clients: `engine.python.flagship`, `engine.python.lumidatum`.
Nothing is imported before it is asked for.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # `typing` itself would be the dearest import here
if TYPE_CHECKING:
    from typing import Any

    from engine.python.accounts import Account
    from engine.python.accounts import Account as vendor
    from engine.python.accounts import IterableAccount as Iterable
    from engine.python.jobs import Job, Plan, Report, load
    from engine.python.results import Fate, NotDelivered, Result, Stopped

__all__ = [
    "Account",
    "Fate",
    "Iterable",
    "Job",
    "NotDelivered",
    "Plan",
    "Report",
    "Result",
    "Stopped",
    "load",
    "vendor",
]

_WHERE = {
    "Account": "accounts:Account", "Iterable": "accounts:IterableAccount", "vendor": "accounts:Account",
    "Fate": "results:Fate", "NotDelivered": "results:NotDelivered", "Result": "results:Result",
    "Stopped": "results:Stopped",
    "Job": "jobs:Job", "Plan": "jobs:Plan", "Report": "jobs:Report", "load": "jobs:load",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, member = _WHERE[name].partition(":")
    return getattr(import_module(f"{__name__}.{module}"), member)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
