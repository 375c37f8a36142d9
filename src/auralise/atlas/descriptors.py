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

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

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
_MEDIAN = 7
_REFERENCE = 55.0
_FLOOR = 1e-10
_NOISE = -6.0
_STEADY = 2.0


def _spec(sample_rate: int) -> StftSpec:
    """Return windows of about 90 ms, four of them or more to every 90 ms."""
    n_fft = 2 ** round(np.log2(0.09 * sample_rate))
    return StftSpec(sample_rate, int(n_fft), int(n_fft) // 4)


@lru_cache(maxsize=8)
def _tables(sample_rate: int) -> tuple[StftSpec, Tensor, Tensor, Tensor, Tensor]:
    """Return the transform, mel bank, chroma and band matrices and log frequencies for a rate."""
    spec = _spec(sample_rate)
    hertz = spec.frequencies().numpy()
    mel = mel_bank(spec, _MELS, 50.0, sample_rate / 2).weights.float()
    with np.errstate(divide="ignore"):
        octaves = np.log2(hertz / _REFERENCE)
    octaves[0] = octaves[1] - 1
    semitone = np.round(12 * (octaves + np.log2(_REFERENCE / 16.3516))).astype(int) % 12
    tuned = (hertz >= 100) & (hertz <= 5000)
    chroma = np.stack([(semitone == k) & tuned for k in range(12)])
    bands = np.stack([(hertz >= c / 2**0.5) & (hertz < c * 2**0.5) for c in BANDS])
    as_tensor = torch.from_numpy
    return (
        spec,
        mel,
        as_tensor(chroma.astype(np.float32)),
        as_tensor(bands.astype(np.float32)),
        as_tensor(octaves.astype(np.float32)),
    )


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
    spec, mel, chroma, bands, octaves = _tables(sample_rate)
    short = spec.n_fft // 2 + 1 - len(samples)
    padded = torch.nn.functional.pad(samples, (0, max(short, 0)))
    window = torch.hann_window(spec.n_fft)
    spectrum = torch.stft(padded, spec.n_fft, spec.hop, window=window, return_complex=True)
    power = spectrum.abs().square() / window.sum() ** 2 * 4
    total = power.sum(0)
    mels = mel @ power
    rise = _rise(mels)
    columns = torch.stack(
        [
            _pitch(power, spec, window),
            rise,
            (octaves[:, None] * power).sum(0) / total,
            _flatness(power),
            10 * torch.log10(total / 3 + _FLOOR),
            _harmonic_share(mels),
            *_shares(chroma @ power),
            *_shares(bands @ power),
        ]
    )
    chromas = slice(FRAME_NAMES.index("chroma C"), FRAME_NAMES.index("chroma B") + 1)
    columns[chromas, columns[FRAME_NAMES.index("flatness")] > _NOISE] = torch.nan
    silent = total < _FLOOR
    columns[:, silent] = torch.where(
        torch.arange(len(columns)) == FRAME_NAMES.index("loudness"), -100.0, torch.nan
    )[:, None]
    seconds = len(samples) / sample_rate
    return _on_grid(columns, spec, seconds), _tempo(rise, sample_rate / spec.hop, seconds)


def _rise(mels: Tensor) -> Tensor:
    decibels = 10 * torch.log10(mels + 1e-8)
    steps = (decibels[:, 1:] - decibels[:, :-1]).mean(0)
    steps = (steps - _STEADY).clamp(min=0)
    return torch.nn.functional.pad(steps, (1, 0))


def _flatness(power: Tensor) -> Tensor:
    kept = power[1:] + _FLOOR**1.5
    flatness: Tensor = 10 * (kept.log10().mean(0) - kept.mean(0).log10())
    return flatness


def _pitch(power: Tensor, spec: StftSpec, window: Tensor) -> Tensor:
    """Return octaves above 55 Hz, NaN where nothing repeats itself."""
    correlation = torch.fft.irfft(power, dim=0)
    own = torch.fft.irfft(torch.fft.rfft(window, 2 * spec.n_fft).abs().square())
    shortest = int(spec.sample_rate / 2000)
    longest = min(int(spec.sample_rate / 50), spec.n_fft // 2)
    kept = correlation[:longest] / (own[:longest, None] / own[0] * correlation[:1] + 1e-20)
    inner = kept[1:-1]
    peaks = torch.where((inner > kept[:-2]) & (inner >= kept[2:]), inner, torch.zeros(()))
    peaks[: max(shortest - 1, 0)] = 0
    # Of peaks nearly as high as the highest the one of the shortest lag: else octaves too low.
    high = peaks >= 0.9 * peaks.amax(0)
    lag = high.int().argmax(0) + 1
    strength = peaks.amax(0)
    before, at, after = (kept.gather(0, (lag + d)[None])[0] for d in (-1, 0, 1))
    bend = before - 2 * at + after
    exact = lag + torch.where(bend < 0, (before - after) / (2 * bend), torch.zeros(()))
    octave = torch.log2(spec.sample_rate / exact / _REFERENCE)
    return torch.where(strength >= 0.5, octave, torch.nan)


def _harmonic_share(mels: Tensor) -> Tensor:
    half = _MEDIAN // 2
    magnitude = mels.sqrt()
    held = _median(magnitude, half, 1)
    struck = _median(magnitude, half, 0)
    harmonic, percussive = held.square().sum(0), struck.square().sum(0)
    return harmonic / (harmonic + percussive)


def _median(values: Tensor, half: int, axis: int) -> Tensor:
    """Return running medians; time goes on as it ends, frequency ends in silence."""
    if axis == 1:
        padded = torch.nn.functional.pad(values[None], (half, half), mode="replicate")[0]
    else:
        padded = torch.nn.functional.pad(values, (0, 0, half, half))
    return padded.unfold(axis, 2 * half + 1, 1).median(-1).values


def _shares(parts: Tensor) -> Tensor:
    return parts / parts.sum(0)


def _on_grid(columns: Tensor, spec: StftSpec, seconds: float) -> NDArray[np.float16]:
    """Average over the frames of each twentieth of a second, without those that have no answer."""
    frames = max(1, int(np.ceil(seconds * FRAMES_PER_SECOND)))
    at = torch.arange(columns.shape[1]) * (spec.hop / spec.sample_rate * FRAMES_PER_SECOND)
    place = at.long().clamp(max=frames - 1)
    there = columns.isfinite()
    sums = torch.zeros(len(columns), frames).index_add_(1, place, columns.nan_to_num())
    counts = torch.zeros(len(columns), frames).index_add_(1, place, there.float())
    return (sums / counts).T.contiguous().numpy().astype(np.float16)


def _tempo(rise: Tensor, frame_rate: float, seconds: float) -> float:
    if seconds < 4 or float(rise.max()) <= 0:
        return float("nan")
    onsets = rise - rise.mean()
    spectrum = torch.fft.rfft(onsets, 2 * len(onsets))
    correlation = torch.fft.irfft(spectrum.abs().square())
    lags = torch.arange(int(frame_rate * 60 / 240), int(frame_rate * 60 / 40) + 1)
    lags = lags[lags < len(onsets)]
    tempi = 60 * frame_rate / lags
    weight = torch.exp(-0.5 * torch.log2(tempi / 120).square())
    return float(tempi[(correlation[lags] * weight).argmax()])
