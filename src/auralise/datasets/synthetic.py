"""Known signals as a collection: small, the same everywhere, to try networks on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from auralise.audio import stimuli
from auralise.audio.waveform import Waveform
from auralise.audio.writing import write_audio
from auralise.datasets.base import DATASETS, Dataset, Track
from auralise.errors import InvalidValueError, OutputError

SAMPLE_RATE = 22_050
SECONDS = 1.0
GROUPS, TAKES = 8, 2
RAMP = 0.01


def _tone(low: float, high: float) -> Callable[[np.random.Generator], Waveform]:
    def make(random: np.random.Generator) -> Waveform:
        frequency = float(np.exp(random.uniform(np.log(low), np.log(high))))
        return stimuli.tone(frequency, SECONDS, SAMPLE_RATE, ramp=RAMP, phase=random.random())

    return make


def _harmonic(random: np.random.Generator) -> Waveform:
    fundamental = float(random.uniform(120, 480))
    return stimuli.harmonic_tone(fundamental, SECONDS, SAMPLE_RATE, ramp=RAMP)


def _noise(random: np.random.Generator) -> Waveform:
    seed = int(random.integers(2**31))
    return stimuli.noise_band(100, 10_000, SECONDS, SAMPLE_RATE, seed=seed, ramp=RAMP)


def _chirp(rising: bool) -> Callable[[np.random.Generator], Waveform]:
    def make(random: np.random.Generator) -> Waveform:
        low, high = float(random.uniform(150, 400)), float(random.uniform(2000, 6000))
        start, stop = (low, high) if rising else (high, low)
        return stimuli.chirp(start, stop, SECONDS, SAMPLE_RATE, ramp=RAMP)

    return make


def _clicks(random: np.random.Generator) -> Waveform:
    period = float(random.uniform(0.03, 0.12))
    times = np.arange(random.uniform(0, period), SECONDS - 0.001, period)
    return stimuli.clicks(times.tolist(), SECONDS, SAMPLE_RATE)


SIGNALS: dict[str, Callable[[np.random.Generator], Waveform]] = {
    "chirp-down": _chirp(rising=False),
    "chirp-up": _chirp(rising=True),
    "clicks": _clicks,
    "harmonic": _harmonic,
    "noise": _noise,
    "sine-high": _tone(1500, 5000),
    "sine-low": _tone(150, 600),
}
"""What each label sounds like; frequencies and times are drawn for each group."""


@DATASETS.register("synthetic")
def synthetic(folder: Path) -> Dataset:
    """Read the collection from ``folder``, or make what is missing of it there.

    A group is one signal; its takes differ in level and in noise 40 dB below the signal. 16 bits.

    Raises
    ------
    InvalidValueError
        If the folder has something else in it.
    OutputError
        If it cannot be written.
    """
    _check(folder)
    tracks = []
    for number, label in enumerate(sorted(SIGNALS)):
        for group in range(GROUPS):
            for take in range(TAKES):
                path = folder / label / f"{label}_{group}_{take}.wav"
                if not path.exists():
                    _make(path, number, group, take)
                tracks.append(Track(path, label, f"{label}_{group}"))
    return Dataset(
        "synthetic",
        tuple(tracks),
        "none: made by a formula",
        "takes of one signal that differ in level and noise",
        kind="synthetic",
    )


def _make(path: Path, number: int, group: int, take: int) -> None:
    signal = SIGNALS[path.parent.name](np.random.default_rng([number, group]))
    generator = torch.Generator().manual_seed(1000 * number + 10 * group + take)
    samples = signal.samples / signal.samples.abs().max()
    noise = torch.randn(samples.shape, generator=generator) * 10 ** (-40 / 20)
    level = 0.2 + 0.6 * float(torch.rand((), generator=generator))
    sound = ((samples + noise) * level).clamp(-1, 1)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {path.parent}: {error.strerror}") from error
    write_audio(path, Waveform(sound, SAMPLE_RATE), subtype="PCM_16")


def _check(folder: Path) -> None:
    if not folder.exists():
        return
    strange = [
        path.name
        for path in (sorted(folder.iterdir()) if folder.is_dir() else [folder])
        if path.name not in SIGNALS
    ]
    if strange:
        raise InvalidValueError(
            f"{folder} has {strange[0]!r} in it, which does not belong to the synthetic "
            "collection; name a new folder, or an earlier one of that collection"
        )
