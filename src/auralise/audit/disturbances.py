"""What happens to a sound on its way to a listener and hardly changes what is heard."""

from __future__ import annotations

from typing import Protocol

import torch

from auralise.audio.coding import mp3_round_trip
from auralise.audio.waveform import Waveform
from auralise.registry import Registry


class Disturbance(Protocol):
    """Changes a sound a little; same length, rate and channels."""

    def __call__(self, waveform: Waveform, seed: int) -> Waveform:
        """Return the changed sound."""
        ...


DISTURBANCES: Registry[Disturbance] = Registry("disturbance")


@DISTURBANCES.register("none")
def none(waveform: Waveform, seed: int) -> Waveform:
    """Return the sound as it is."""
    return waveform


@DISTURBANCES.register("shift-10ms")
def shift(waveform: Waveform, seed: int) -> Waveform:
    """Let the sound begin 10 ms later; its end is cut off."""
    late = round(0.010 * waveform.sample_rate)
    samples = torch.nn.functional.pad(waveform.samples, (late, 0))[..., : waveform.n_samples]
    return Waveform(samples, waveform.sample_rate)


@DISTURBANCES.register("noise-40db")
def noise(waveform: Waveform, seed: int) -> Waveform:
    """Add white noise 40 dB below the sound's root mean square."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(waveform.samples.shape, generator=generator).to(waveform.samples)
    level = waveform.samples.square().mean().sqrt() * 10 ** (-40 / 20)
    return Waveform(waveform.samples + level * drawn, waveform.sample_rate)


@DISTURBANCES.register("16-bit")
def sixteen_bits(waveform: Waveform, seed: int) -> Waveform:
    """Round to 16 bits, with the peak at -1 dB of full scale as in a file."""
    gain = _to_peak(waveform)
    codes = (waveform.samples * gain * 2**15).round() / 2**15
    return Waveform(codes / gain, waveform.sample_rate)


@DISTURBANCES.register("mp3")
def mp3(waveform: Waveform, seed: int) -> Waveform:
    """Code and decode as MP3 with the encoder's own choice of bit rate."""
    gain = _to_peak(waveform)
    coded = mp3_round_trip(Waveform(waveform.samples * gain, waveform.sample_rate))
    return Waveform(coded.samples / gain, waveform.sample_rate)


@DISTURBANCES.register("all")
def everything(waveform: Waveform, seed: int) -> Waveform:
    """Shift by 10 ms, add noise at -40 dB, round to 16 bits, code as MP3, in this order."""
    for change in (shift, noise, sixteen_bits, mp3):
        waveform = change(waveform, seed)
    return waveform


def _to_peak(waveform: Waveform) -> float:
    peak = float(waveform.samples.abs().max())
    return 10 ** (-1 / 20) / peak if peak > 0 else 1.0
