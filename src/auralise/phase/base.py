"""What a phase method is, and the table of them."""

from __future__ import annotations

from typing import Protocol

from auralise.audio.waveform import Waveform
from auralise.registry import Registry
from auralise.spectral.spectrogram import Spectrogram


class PhaseMethod(Protocol):
    """Turns magnitudes into a waveform.

    Parameters
    ----------
    target : Spectrogram
        Magnitudes to be met; a phase in it is ignored.
    source : Spectrogram or None
        The sound the target was made from, with its phase; same shape as the target.

    Returns
    -------
    Waveform
        ``target.n_samples`` long, same channels, at ``target.spec.sample_rate``.

    Raises
    ------
    InvalidValueError
        If the method needs a source with a phase and there is none.
    """

    def __call__(self, target: Spectrogram, source: Spectrogram | None = None) -> Waveform:
        """Give ``target`` a phase."""
        ...


PHASE_METHODS: Registry[PhaseMethod] = Registry("phase method")
