"""How far a method that takes its time has come, told to whoever asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Report = Callable[[int, int], None]
"""Told steps done and steps in all."""

_REPORT: ContextVar[Report | None] = ContextVar("report", default=None)


@contextmanager
def reporting(report: Report) -> Iterator[None]:
    """Have methods called in this block tell ``report`` how far they are.

    Examples
    --------
    >>> with reporting(lambda done, total: print(done, "of", total)):
    ...     tell(1, 3)
    1 of 3
    """
    token = _REPORT.set(report)
    try:
        yield
    finally:
        _REPORT.reset(token)


def tell(done: int, total: int) -> None:
    """Say how many steps are done; nobody may be listening."""
    report = _REPORT.get()
    if report is not None:
        report(done, total)
