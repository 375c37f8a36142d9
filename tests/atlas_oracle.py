"""The atlas again, slowly: one clip and one window after another, plain NumPy, no parts."""

import hashlib
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from auralise.activations import record
from auralise.atlas.histogram import edges
from auralise.audio.files import read_audio
from auralise.audio.resampling import resample


def clips_of(folder):
    """Return one path for each content, by checksum."""
    found = {}
    for path in sorted(Path(folder).rglob("*.wav")):
        found.setdefault(hashlib.sha256(path.read_bytes()).hexdigest(), path)
    return dict(sorted(found.items()))


def windows_of(path, rate, length):
    """Return [(first sample, samples)] of the windows of a file."""
    samples = resample(read_audio(path).waveform.mono(), rate).samples[0]
    last = max(0, len(samples) - length)
    cuts = [(start, samples[start : start + length]) for start in [*range(0, last, length), last]]
    return [(start, torch.nn.functional.pad(cut, (0, length - len(cut)))) for start, cut in cuts]


def outputs_of(network, windows, layers):
    """Return {layer: array (windows, channels, places)}."""
    found = {layer: [] for layer in layers}
    with torch.no_grad():
        for _, samples in windows:
            with record(network.module, layers) as outputs:
                network.module(network.card.frontend.module(samples[None]))
                for layer in layers:
                    found[layer].append(outputs[layer][0].reshape(outputs[layer].shape[1], -1))
    return {layer: torch.stack(values).numpy() for layer, values in found.items()}


def brute_force(folder, network, seconds, layers):
    """Return {layer: {clip: (peaks, means, windows, positions, histogram)}}."""
    rate = network.card.frontend.sample_rate
    table = {layer: {} for layer in layers}
    for clip, path in clips_of(folder).items():
        windows = windows_of(path, rate, round(seconds * rate))
        for layer, values in outputs_of(network, windows, layers).items():
            flat = values.transpose(1, 0, 2).reshape(values.shape[1], -1)
            at = flat.argmax(1)
            places = values.shape[2]
            starts = np.array([start for start, _ in windows])
            table[layer][clip] = (
                flat.max(1),
                flat.mean(1),
                starts[at // places],
                at % places,
                np.stack([counts(row) for row in flat]),
            )
    return table


def counts(values):
    """Count values between the edges, bin by bin."""
    borders = edges()
    middle = len(borders) // 2 - 1
    found = []
    for number, (low, high) in enumerate(pairwise(borders)):
        if number < middle:
            inside = (values > low) & (values <= high) if number else values <= high
            inside &= values < 0
        elif number == middle:
            inside = values == 0
        else:
            inside = (values >= low) & (values < high) & (values > 0)
        found.append(inside.sum())
    return np.array(found)
