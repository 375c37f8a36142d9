"""Numbers and flags in words, the same in report, notebook and terminal."""

from __future__ import annotations

from collections.abc import Mapping

MINUS = "\N{MINUS SIGN}"

FLAGS: Mapping[str, str] = {
    "inactive": (
        "The unit does not respond to this sound where it was followed, so there is nothing to "
        "hear. Silence here is the answer, not a fault."
    ),
    "silent": (
        "The unit responds and has a map, but nothing of it can be heard: where the map has the "
        "part that is made sound, the recording is silent, or the map has no such part."
    ),
    "input-independent": (
        "No max-pooling lies between this unit and the input, so this method draws the same "
        "pattern for every sound: it shows the network's weights, not this recording."
    ),
    "no rule for": (
        "The method says nothing about this activation function. Its derivative was used, as "
        "asked; the map is no longer exactly what the method's paper describes."
    ),
}
"""What a flag means, by what it begins with."""


def explain(flag: str) -> str:
    """Return what a flag means in a sentence or two; empty for a flag that says all itself."""
    return next((text for start, text in FLAGS.items() if flag.startswith(start)), "")


def decibels(value: float | None) -> str:
    """Write a level or ratio.

    Examples
    --------
    >>> decibels(21.34), decibels(None)
    ('21.3 dB', 'none')
    """
    return "none" if value is None else f"{number(value, '.1f')} dB"


def number(value: float | None, form: str = ".3g") -> str:
    """Write a number with a real minus sign; ``none`` where there is none.

    Examples
    --------
    >>> number(0.25), number(None)
    ('0.25', 'none')
    """
    return "none" if value is None else format(value, form).replace("-", MINUS)
