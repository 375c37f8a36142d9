"""How much one visitor may ask for, so that the others are not kept waiting."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from auralise.errors import AuraliseError, InvalidValueError

REMEMBERED = 10_000
"""How many visitors are told apart; beyond that the one seen longest ago is forgotten."""


class TooManyError(AuraliseError, RuntimeError):
    """A visitor asks for more than their share.

    Parameters
    ----------
    message : str
    seconds : float
        After which it is worth asking again.
    """

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one visitor may ask for.

    Attributes
    ----------
    rate : float
        Requests per second in the long run.
    burst : int
        Requests that may come at once after a pause.
    at_once : int
        Requests that may be under way at the same time.
    """

    rate: float
    burst: int
    at_once: int

    def __post_init__(self) -> None:
        if not (self.rate > 0 and self.burst >= 1 and self.at_once >= 1):
            raise InvalidValueError(f"all parts of an allowance must be positive, got {self}")


@dataclass(slots=True)
class _Visitor:
    left: float
    seen: float
    under_way: int = 0


class Limiter:
    """Keeps visitors to an allowance: a token bucket each, and a count of what is under way.

    Parameters
    ----------
    allowance : Allowance
        The same for every visitor.
    clock : callable
        Seconds that never go back.

    Examples
    --------
    >>> limiter = Limiter(Allowance(rate=1, burst=2, at_once=1), clock=lambda: 0.0)
    >>> with limiter.request("ann"):
    ...     pass
    """

    def __init__(
        self, allowance: Allowance, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.allowance = allowance
        self._clock = clock
        self._lock = threading.Lock()
        self._visitors: OrderedDict[str, _Visitor] = OrderedDict()

    def enter(self, visitor: str) -> None:
        """Count a request in; `leave` has to follow if this does not raise.

        Raises
        ------
        TooManyError
            If the visitor has used up their share.
        """
        with self._lock:
            found = self._refilled(visitor)
            if found.under_way >= self.allowance.at_once:
                raise TooManyError(
                    f"{found.under_way} requests of yours are under way already; wait for them", 1.0
                )
            if found.left < 1:
                wait = (1 - found.left) / self.allowance.rate
                raise TooManyError(f"too many requests; the next is answered in {wait:.1f} s", wait)
            found.left -= 1
            found.under_way += 1

    def leave(self, visitor: str) -> None:
        """Count a request out."""
        with self._lock:
            found = self._visitors.get(visitor)
            if found is not None and found.under_way > 0:
                found.under_way -= 1

    @contextmanager
    def request(self, visitor: str) -> Iterator[None]:
        """Count a request in, and out when the block ends."""
        self.enter(visitor)
        try:
            yield
        finally:
            self.leave(visitor)

    def _refilled(self, visitor: str) -> _Visitor:
        now = self._clock()
        found = self._visitors.setdefault(visitor, _Visitor(self.allowance.burst, now))
        found.left = min(
            self.allowance.burst, found.left + (now - found.seen) * self.allowance.rate
        )
        found.seen = now
        self._visitors.move_to_end(visitor)
        while len(self._visitors) > REMEMBERED:
            self._visitors.popitem(last=False)
        return found
