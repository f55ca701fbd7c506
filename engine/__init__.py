"""Carries records from files and APIs into vendors, as YAML files say.

`engine.load("shop.yaml")` gives a pipeline to check, plan and run; `engine.Iterable(key)` and `engine.vendor(name)`
give an account to call. Importing the package imports nothing else: what is named is brought when it is asked for.
"""

from __future__ import annotations

TYPE_CHECKING = False  # `typing` itself would be the dearest import here
if TYPE_CHECKING:
    from typing import Any

    from engine.errors import EngineError, Halt, InvalidPipeline, Refused
    from engine.python import Iterable, load, vendor

__all__ = ["EngineError", "Halt", "InvalidPipeline", "Iterable", "Refused", "load", "vendor"]


def __getattr__(name: str) -> Any:
    if name in ("EngineError", "Halt", "InvalidPipeline", "Refused"):
        from engine import errors

        return getattr(errors, name)
    if name in __all__:
        from engine import python

        return getattr(python, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
