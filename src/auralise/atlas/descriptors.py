"""What a sound is like, twenty times a second: pitch, onsets, brightness, and so on.

Everything is computed from one short-time Fourier transform of the clip, once, whatever the units
are that will be described by it. Simple forms of well-known descriptors:

- pitch: lag of the highest peak of the autocorrelation (by the power spectrum, which makes up for
  the window's own), for 50 to 2000 Hz, in octaves above 55 Hz; NaN where that peak is below 0.5.
- onset strength: rise of the mel bands in dB, averaged over bands, from the frame before, beyond
  2 dB; else 0. Bands that rise and fall by turns, as in noise, are no onset.
- centroid, flatness: of the power spectrum; in octaves above 55 Hz, and in dB.
- loudness: root mean square of the frame in dB re full scale.
- harmonic share: energy of mel bands after a median over time, relative to that plus a median over
  frequency (Fitzgerald's separation, on mel bands).
- chroma: power near each pitch class, relative to their sum; NaN for noise and clicks, whose
  flatness is above -6 dB.
- bands: power in octaves, relative to the sum.
- tempo: of the clip, in beats per minute: the lag of the onsets' autocorrelation that is highest
  after a weighting around 120; NaN for clips below 4 s.

Sources:

- A. de Cheveigne, H. Kawahara, "YIN, a fundamental frequency estimator for speech and music",
  J. Acoust. Soc. Am. 111(4), 2002 (pitch by autocorrelation and its faults).
- D. Fitzgerald, "Harmonic/percussive separation using median filtering", Proc. DAFx, 2010.
- D. P. W. Ellis, "Beat tracking by dynamic programming", J. New Music Research 36(1), 2007.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from auralise.atlas.descriptor_loops import Floats, averaged, harmonic_shares, pitch_lags
from auralise.spectral.mel import mel_bank
from auralise.spectral.stft import StftSpec

FRAMES_PER_SECOND = 20
PITCH_CLASSES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
BANDS = tuple(62.5 * 2**octave for octave in range(8))
"""Centres of the octaves in Hz; those beyond half the sample rate are empty."""

FRAME_NAMES = (
    "pitch",
    "onset strength",
    "centroid",
    "flatness",
    "loudness",
    "harmonic share",
    *(f"chroma {name}" for name in PITCH_CLASSES),
    *(f"band {round(centre)} Hz" for centre in BANDS),
)
NAMES = (*FRAME_NAMES, "tempo")

_MELS = 40
_REFERENCE = 55.0
_FLOOR = 1e-10
_NOISE = -6.0
_STEADY = 2.0


def _spec(sample_rate: int) -> StftSpec:
    """Return windows of about 90 ms, four of them or more to every 90 ms."""
    n_fft = 2 ** round(np.log2(0.09 * sample_rate))
    return StftSpec(sample_rate, int(n_fft), int(n_fft) // 4)


@dataclass(frozen=True, slots=True, eq=False)
class _Tables:
    """What is the same for all sounds at one rate.

    Attributes
    ----------
    spec : StftSpec
    window : Tensor, shape (n_fft,)
    own : ndarray, shape (n_fft // 2,)
        The window's autocorrelation, 1 at lag 0.
    sums : Tensor, shape (bins, columns)
        Mel bands, pitch classes, octaves, power, power times octaves above 55 Hz.
    """

    spec: StftSpec
    window: Tensor
    own: NDArray[np.float32]
    sums: Tensor


_CHROMA = slice(_MELS, _MELS + 12)
_OCTAVES = slice(_MELS + 12, _MELS + 12 + len(BANDS))


@lru_cache(maxsize=8)
def _tables(sample_rate: int) -> _Tables:
    spec = _spec(sample_rate)
    hertz = spec.frequencies().numpy()
    mel = mel_bank(spec, _MELS, 50.0, sample_rate / 2).weights.numpy()
    with np.errstate(divide="ignore"):
        octaves = np.log2(hertz / _REFERENCE)
    octaves[0] = octaves[1] - 1
    semitone = np.round(12 * (octaves + np.log2(_REFERENCE / 16.3516))).astype(int) % 12
    tuned = (hertz >= 100) & (hertz <= 5000)
    chroma = [(semitone == k) & tuned for k in range(12)]
    bands = [(hertz >= c / 2**0.5) & (hertz < c * 2**0.5) for c in BANDS]
    sums = np.stack([*mel, *chroma, *bands, np.ones(len(hertz)), octaves], 1).astype(np.float32)
    window = torch.hann_window(spec.n_fft)
    own = torch.fft.irfft(torch.fft.rfft(window, 2 * spec.n_fft).abs().square())
    kept = (own / own[0])[: spec.n_fft // 2].numpy()
    return _Tables(spec, window, kept, torch.from_numpy(sums))


def describe(samples: Tensor, sample_rate: int) -> tuple[NDArray[np.float16], float]:
    """Describe a sound.

    Parameters
    ----------
    samples : Tensor, float32, shape (time,)
        Any length from one sample on.
    sample_rate : int
        In Hz.

    Returns
    -------
    grid : ndarray, float16, shape (frames, len(FRAME_NAMES))
        `FRAMES_PER_SECOND` a second, one at least; NaN where there is no answer, as for the pitch
        of noise and for all but the loudness of silence.
    tempo : float
        In beats per minute; NaN if there is none.
    """
    tables = _tables(sample_rate)
    spec = tables.spec
    power = _power(samples, tables)
    summed = (power @ tables.sums).numpy()
    mels, total = summed[:, :_MELS], summed[:, -2]
    rise = _rise(mels)
    flatness = _flatness(power)
    with np.errstate(divide="ignore", invalid="ignore"):
        chroma, octaves = (summed[:, part] for part in (_CHROMA, _OCTAVES))
        chroma = chroma / chroma.sum(1, keepdims=True)
        chroma[flatness > _NOISE] = np.nan
        columns = np.column_stack(
            [
                _pitch(power, tables),
                rise,
                summed[:, -1] / total,
                flatness,
                10 * np.log10(total / 3 + _FLOOR),
                harmonic_shares(np.sqrt(mels)),
                chroma,
                octaves / octaves.sum(1, keepdims=True),
            ]
        ).astype(np.float32, copy=False)
    silent = total < _FLOOR
    columns[silent] = np.nan
    columns[silent, FRAME_NAMES.index("loudness")] = -100.0
    seconds = len(samples) / sample_rate
    return _on_grid(columns, spec, seconds), _tempo(rise, sample_rate / spec.hop, seconds)


def _power(samples: Tensor, tables: _Tables) -> Tensor:
    """Return the power spectrum, shape (frames, bins); a full-scale cosine has 1 on a bin."""
    spec, window = tables.spec, tables.window
    short = spec.n_fft // 2 + 1 - len(samples)
    padded = torch.nn.functional.pad(samples, (0, short)) if short > 0 else samples
    spectrum = torch.stft(padded, spec.n_fft, spec.hop, window=window, return_complex=True)
    parts = torch.view_as_real(spectrum.T)
    return (parts[..., 0].square() + parts[..., 1].square()) * (4 / window.sum() ** 2)


def _rise(mels: Floats) -> Floats:
    decibels = 10 * np.log10(mels + np.float32(1e-8))
    steps = np.zeros(len(mels), np.float32)
    steps[1:] = ((decibels[1:] - decibels[:-1]).mean(1) - _STEADY).clip(min=0)
    return steps


def _flatness(power: Tensor) -> Floats:
    kept = power[:, 1:] + _FLOOR**1.5
    flatness: Floats = (10 * (kept.log10().mean(1) - kept.mean(1).log10())).numpy()
    return flatness


def _pitch(power: Tensor, tables: _Tables) -> Floats:
    """Return octaves above 55 Hz, NaN where nothing repeats itself."""
    rate = tables.spec.sample_rate
    longest = min(int(rate / 50), tables.spec.n_fft // 2)
    correlation = torch.fft.irfft(power).numpy()
    lags = pitch_lags(correlation, tables.own, int(rate / 2000), longest)
    octaves: Floats = np.log2(rate / lags / _REFERENCE)
    return octaves


def _on_grid(columns: Floats, spec: StftSpec, seconds: float) -> NDArray[np.float16]:
    """Average over the frames of each twentieth of a second, without those that have no answer."""
    frames = max(1, int(np.ceil(seconds * FRAMES_PER_SECOND)))
    step = spec.hop / spec.sample_rate * FRAMES_PER_SECOND
    place = (np.arange(len(columns), dtype=np.float32) * np.float32(step)).astype(np.int64)
    return averaged(columns, place.clip(max=frames - 1), frames).astype(np.float16)


def _tempo(rise: Floats, frame_rate: float, seconds: float) -> float:
    if seconds < 4 or float(rise.max()) <= 0:
        return float("nan")
    onsets = torch.from_numpy(rise - rise.mean())
    spectrum = torch.fft.rfft(onsets, 2 * len(onsets))
    correlation = torch.fft.irfft(spectrum.abs().square()).numpy()
    lags = np.arange(int(frame_rate * 60 / 240), int(frame_rate * 60 / 40) + 1)
    lags = lags[lags < len(onsets)]
    tempi = 60 * frame_rate / lags
    weight = np.exp(-0.5 * np.log2(tempi / 120) ** 2)
    return float(tempi[(correlation[lags] * weight).argmax()])
