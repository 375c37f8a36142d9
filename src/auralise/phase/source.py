"""The phase of the sound that the magnitudes were made from."""

from __future__ import annotations

import torch

from auralise.audio.waveform import Waveform
from auralise.errors import InvalidValueError
from auralise.phase.base import PHASE_METHODS, checked_magnitude
from auralise.spectral.spectrogram import Spectrogram
from auralise.spectral.stft import istft


@PHASE_METHODS.register("source")
def source_phase(target: Spectrogram, source: Spectrogram | None = None) -> Waveform:
    """Give magnitudes the phase of the sound they were made from.

    Exact where the target is the source's own magnitude, and the better the nearer it is; the
    source shines through where it is not, because phase alone carries much of a sound.

    Parameters
    ----------
    target : Spectrogram
        Magnitudes to be met.
    source : Spectrogram
        With a phase, and of the target's shape and transform.

    Returns
    -------
    Waveform
        ``target.n_samples`` long.

    Raises
    ------
    InvalidValueError
        If there is no source, or it has no phase, another shape or another transform.
    """
    magnitude = checked_magnitude(target)
    if source is None or source.phase is None:
        missing = "there is no source" if source is None else "the source has none"
        raise InvalidValueError(
            f"phase method 'source' needs the phase of the sound the target was made from, but "
            f"{missing}; pass one made by analyse() or choose another phase method"
        )
    if source.spec != target.spec or source.phase.shape != magnitude.shape:
        raise InvalidValueError(
            f"phase method 'source' needs a source of the target's shape and transform, "
            f"{tuple(magnitude.shape)} with {target.spec}, "
            f"got {tuple(source.phase.shape)} with {source.spec}"
        )
    spectrum = torch.polar(magnitude, source.phase.detach().to(magnitude))
    return istft(spectrum, target.spec, target.n_samples)
