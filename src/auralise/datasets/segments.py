"""Where segments of a few seconds begin in a clip."""

from __future__ import annotations

from auralise.errors import InvalidValueError


def segments(n_samples: int, length: int, overlap: float = 0.5) -> list[int]:
    """Return where segments of a sound begin.

    Parameters
    ----------
    n_samples, length : int
        Of the sound and of a segment, in samples.
    overlap : float
        Share of a segment that is in the next one too; 0 <= overlap < 1.

    Returns
    -------
    list of int
        In samples, 0 first. Segments that would reach beyond the end are left out, except the one
        of a sound that is shorter than a segment.

    Raises
    ------
    InvalidValueError
        If the sound or the segment has no length, or the overlap is another.

    Examples
    --------
    >>> segments(10, 4), segments(3, 4)
    ([0, 2, 4, 6], [0])
    """
    if n_samples < 1 or length < 1:
        raise InvalidValueError(
            f"a sound and its segments have at least one sample, got {n_samples} and {length}"
        )
    if not 0 <= overlap < 1:
        raise InvalidValueError(f"overlap must be at least 0 and below 1, got {overlap}")
    step = max(1, round(length * (1 - overlap)))
    return list(range(0, max(1, n_samples - length + 1), step))
