"""What a network takes of a sound: one channel, its rate, its length at least."""

from __future__ import annotations

from auralise.audio.resampling import pad_to, resample
from auralise.audio.waveform import Waveform
from auralise.frontends.base import Frontend
from auralise.frontends.spectrogram import SpectrogramFrontend
from auralise.models.base import MusicNetwork


def prepare(network: MusicNetwork, waveform: Waveform) -> tuple[Waveform, tuple[str, ...]]:
    """Bring a sound to what a network takes: one channel, its rate, its length at least.

    Parameters
    ----------
    network : MusicNetwork
    waveform : Waveform
        Any rate, length and number of channels.

    Returns
    -------
    waveform : Waveform
        One channel at the network's rate; padded with silence if shorter than its input, or up to
        the next frame where the last one would not restore the end.
    notes : tuple of str
        What was done, in words; empty if nothing but resampling and mixing.
    """
    rate = network.card.frontend.sample_rate
    mono = resample(waveform.mono(), rate)
    wanted = round((network.card.seconds or 0) * rate)
    if mono.n_samples >= wanted:
        return _restorable(network.card.frontend, mono), ()
    note = (
        f"the excerpt has {mono.duration:.2f} s and the network takes {wanted / rate:.2f} s; "
        "it was padded with silence at the end"
    )
    return pad_to(mono, wanted), (note,)


def _restorable(frontend: Frontend, waveform: Waveform) -> Waveform:
    """Add silence up to the next frame where the frames there are would not restore the end."""
    if not isinstance(frontend, SpectrogramFrontend):
        return waveform
    spec, length = frontend.spec, waveform.n_samples
    spec.require_inverse()
    if spec.sound_end(length) == length:
        return waveform
    return pad_to(waveform, -(-length // spec.hop) * spec.hop)
