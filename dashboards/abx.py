"""Blind listening tests, in which X is the same sound as A or as B.

The server decides which sound X is, and says so only when the test is over. How many trials there
are is settled before the first, so that nobody stops when the score happens to be good.
"""

from __future__ import annotations

import math
import secrets
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Any, Literal

from auralise.errors import AuraliseError, InvalidValueError

TRIALS = (8, 10, 16, 20)
"""How many trials a test may have."""

KEPT = 500
"""How many tests are remembered; beyond that the one used longest ago is forgotten."""

Name = Literal["A", "B"]


class UnknownTestError(AuraliseError, LookupError):
    """There is no such test, or no longer."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One answer.

    Attributes
    ----------
    x : {"A", "B"}
        Which sound X was.
    answer : {"A", "B"}
        What the listener said.
    seconds : float
        From when the trial was shown to the answer.
    """

    x: Name
    answer: Name
    seconds: float


@dataclass(frozen=True, slots=True)
class AbxTest:
    """A test under way, or done.

    Attributes
    ----------
    id : str
    session : str
        Whose test it is.
    trials : int
        How many there will be.
    key : tuple of {"A", "B"}
        Which sound X is in each trial; never sent before the end.
    answers : tuple of Trial
    compared : mapping
        What A and B are, for the results.
    shown : float
        When the current trial was shown, in seconds of a clock that does not go back.
    """

    id: str
    session: str
    trials: int
    key: tuple[Name, ...]
    answers: tuple[Trial, ...]
    compared: dict[str, Any]
    shown: float

    @property
    def done(self) -> bool:
        """Whether all trials are answered."""
        return len(self.answers) == self.trials

    @property
    def x(self) -> Name:
        """Which sound X is in the current trial, or was in the last."""
        return self.key[min(len(self.answers), self.trials - 1)]

    @property
    def right(self) -> int:
        """How many answers were right."""
        return sum(trial.x == trial.answer for trial in self.answers)


class AbxBook:
    """All tests of one server, in memory only."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tests: OrderedDict[str, AbxTest] = OrderedDict()

    def start(self, session: str, trials: int, compared: dict[str, Any]) -> AbxTest:
        """Begin a test; X is drawn for every trial, by the system's randomness.

        Parameters
        ----------
        session : str
            Whose it is; nobody else can answer.
        trials : int
            One of `TRIALS`.
        compared : dict
            What A and B are.

        Raises
        ------
        InvalidValueError
            If there may be no test of so many trials.
        """
        if trials not in TRIALS:
            raise InvalidValueError(f"a test has one of {TRIALS} trials, got {trials!r}")
        names: tuple[Name, Name] = ("A", "B")
        key = tuple(names[secrets.randbelow(2)] for _ in range(trials))
        test = AbxTest(secrets.token_hex(12), session, trials, key, (), compared, time.monotonic())
        with self._lock:
            self._tests[test.id] = test
            while len(self._tests) > KEPT:
                self._tests.popitem(last=False)
        return test

    def find(self, id: str, session: str) -> AbxTest:
        """Return a test.

        Raises
        ------
        UnknownTestError
            If there is none of that id, or it is somebody else's.
        """
        with self._lock:
            return self._find(id, session)

    def answer(self, id: str, session: str, number: int, answer: str) -> AbxTest:
        """Take an answer and go on to the next trial.

        Parameters
        ----------
        id, session : str
        number : int
            Of the trial that is answered, from 0; an answer to another than the current one (sent
            twice, or from a second tab) changes nothing.
        answer : {"A", "B"}

        Raises
        ------
        UnknownTestError
            As `find`.
        InvalidValueError
            If the answer is neither.
        """
        if answer not in ("A", "B"):
            raise InvalidValueError(f"an answer is A or B, got {answer!r}")
        with self._lock:
            test = self._find(id, session)
            if test.done or number != len(test.answers):
                return test
            now = time.monotonic()
            given: Name = "A" if answer == "A" else "B"
            trial = Trial(test.x, given, round(now - test.shown, 2))
            test = replace(test, answers=(*test.answers, trial), shown=now)
            self._tests[id] = test
            return test

    def _find(self, id: str, session: str) -> AbxTest:
        test = self._tests.get(id)
        if test is None or test.session != session:
            raise UnknownTestError(
                "this listening test is not known any more, as after a restart; start another"
            )
        self._tests.move_to_end(id)
        return test


def chance(right: int, trials: int) -> float:
    r"""Return how likely so many right answers or more are for somebody who guesses.

    .. math:: p = 2^{-n} \sum_{i = k}^{n} \binom{n}{i}

    Parameters
    ----------
    right, trials : int
        :math:`k` and :math:`n`.

    Examples
    --------
    >>> chance(9, 10)
    0.0107421875
    >>> chance(0, 10)
    1.0
    """
    if not 0 <= right <= trials:
        raise InvalidValueError(f"right must be from 0 to {trials}, got {right}")
    ways = sum(math.comb(trials, i) for i in range(right, trials + 1))
    return float(ways / 2**trials)


def results(test: AbxTest) -> dict[str, Any]:
    """Return a finished test as plain values.

    Raises
    ------
    InvalidValueError
        If it is not finished: what X is would be given away.
    """
    if not test.done:
        raise InvalidValueError("a test has results when all of its trials are answered")
    return {
        "kind": "ABX listening test",
        "compared": test.compared,
        "trials": test.trials,
        "right": test.right,
        "p_value": chance(test.right, test.trials),
        "p_value_is": "one-sided binomial: chance of so many right answers or more by guessing",
        "randomisation": "X drawn by the server for every trial, number of trials fixed beforehand",
        "answers": [
            {"x": trial.x, "answer": trial.answer, "seconds": trial.seconds}
            for trial in test.answers
        ],
    }
