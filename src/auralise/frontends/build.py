"""A frontend from the plain values that describe it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from auralise.errors import InvalidValueError, UnknownNameError
from auralise.frontends.base import Frontend
from auralise.frontends.given import GivenFrontend
from auralise.frontends.raw import RawFrontend
from auralise.frontends.spectrogram import SpectrogramFrontend
from auralise.spectral.compression import Compression
from auralise.spectral.stft import StftSpec


def build(description: Mapping[str, Any]) -> Frontend:
    """Return the frontend that ``describe()`` described; the two are inverse to each other.

    Raises
    ------
    UnknownNameError
        If there is no such kind.
    InvalidValueError
        If a setting is missing or unknown.

    Examples
    --------
    >>> build({"kind": "raw", "sample_rate": 16000})
    RawFrontend(sample_rate=16000)
    """
    settings = dict(description)
    kind = str(settings.pop("kind", ""))
    try:
        if kind == "raw":
            return RawFrontend(**settings)
        if kind == "given":
            return GivenFrontend(**settings)
        if kind == "spectrogram":
            spec = StftSpec(**settings.pop("spec"))
            compression = Compression(**settings.pop("compression"))
            return SpectrogramFrontend(spec=spec, compression=compression, **settings)
    except (TypeError, KeyError) as error:
        raise InvalidValueError(f"cannot make a {kind} frontend of {settings}: {error}") from error
    raise UnknownNameError("frontend", kind, ["given", "raw", "spectrogram"])
