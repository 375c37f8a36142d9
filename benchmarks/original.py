"""The first auralisation algorithm, in plain NumPy, against `auralise`: same maps, other time.

The algorithm (Choi, Fazekas, Sandler 2015) goes through 3x3 convolutions
without biases, rectification and 2x2 max-pooling, remembers where each maximum stood, keeps one map
of the last pooling with all its values, and goes back: every value to its place, rectify, correlate
with the turned kernels; once for each map. Here both take the same random weights and the
magnitudes of the same excerpt (4 s at 11,025 Hz, n_fft 512, hop 256: 257 x 173), in double and in
single precision, on one thread; seconds are processor time. The loop in NumPy is timed on
``--maps`` of the maps of each depth, since all take equally long, and scaled to all of them;
`auralise` is timed on all.

    AURALISE_DATA=FOLDER python benchmarks/original.py
"""

from __future__ import annotations

import argparse
import os
import time
from itertools import product
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported

import numpy as np
import torch
from scipy.signal import convolve2d
from torch import Tensor, nn

from auralise.audio.files import read_audio
from auralise.audio.resampling import resample
from auralise.audio.waveform import Waveform
from auralise.inversion import invert_layer
from auralise.spectral.spectrogram import analyse
from auralise.spectral.stft import StftSpec

RATE, SECONDS = 11025, 4


def network(depth: int, maps: int) -> nn.Sequential:
    """Return ``depth`` blocks with random weights, the same every time."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for below in (1, *[maps] * (depth - 1)):
        convolution = nn.Conv2d(below, maps, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(convolution.weight)
        layers += [convolution, nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers).double().eval()


def correlate(values: np.ndarray, kernels: np.ndarray) -> np.ndarray:
    """Return ``sum over below of kernel * values`` for each map above; (above, rows, columns)."""
    return np.stack(
        [
            sum(
                convolve2d(plane, np.flip(kernel), mode="same")
                for plane, kernel in zip(values, row, strict=True)
            )
            for row in kernels
        ]
    )


def pool(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return maxima of 2x2 windows, and switches: 1 where each first maximum stood, else 0."""
    maps, rows, columns = values.shape
    rows, columns = rows // 2, columns // 2
    cut = values[:, : 2 * rows, : 2 * columns].reshape(maps, rows, 2, columns, 2)
    windows = cut.transpose(0, 1, 3, 2, 4).reshape(maps, rows, columns, 4)
    first = np.eye(4, dtype=values.dtype)[windows.argmax(-1)]
    switches = np.zeros_like(values)
    switches[:, : 2 * rows, : 2 * columns] = (
        first.reshape(maps, rows, columns, 2, 2)
        .transpose(0, 1, 3, 2, 4)
        .reshape(maps, 2 * rows, 2 * columns)
    )
    return windows.max(-1), switches


def unpool(values: np.ndarray, switches: np.ndarray) -> np.ndarray:
    """Return each value at the place its switch remembers."""
    wide = values.repeat(2, 1).repeat(2, 2)
    padding = [(0, s - w) for s, w in zip(switches.shape, wide.shape, strict=True)]
    return np.pad(wide, padding) * switches


def forward(values: np.ndarray, weights: list[np.ndarray]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the last pooled maps and the switches of every block."""
    remembered = []
    for kernels in weights:
        values, switches = pool(np.maximum(correlate(values, kernels), 0))
        remembered.append(switches)
    return values, remembered


def backward(
    pooled: np.ndarray, channel: int, weights: list[np.ndarray], switches: list[np.ndarray]
) -> np.ndarray:
    """Return one map of the last pooling, sent back to the shape of the input."""
    values = unpool(pooled[channel : channel + 1], switches[-1][channel : channel + 1])
    kernels = weights[-1][channel : channel + 1]
    for depth in range(len(weights) - 1, -1, -1):
        turned = np.flip(kernels.transpose(1, 0, 2, 3), (2, 3))
        values = correlate(np.maximum(values, 0), turned)
        if depth:
            values = unpool(values, switches[depth - 1])
            kernels = weights[depth - 1]
    return values


def magnitudes(folder: Path) -> Tensor:
    """Return four seconds of one song as (1, 257, 173)."""
    song = resample(read_audio(folder / "open" / "vibe-ace.ogg").waveform.mono(), RATE)
    excerpt = Waveform(song.samples[:, 10 * RATE : (10 + SECONDS) * RATE], RATE)
    return analyse(excerpt, StftSpec(RATE, 512, 256)).magnitude.double()


def measure(values: Tensor, depth: int, maps: int, timed: int) -> tuple[float, float, float]:
    """Return seconds of the loop, seconds of `auralise`, and their largest relative difference."""
    module = network(depth, maps).to(values.dtype)
    weights = [m.weight.detach().numpy() for m in module if isinstance(m, nn.Conv2d)]
    start = time.process_time()
    pooled, switches = forward(values.numpy(), weights)
    before = time.process_time() - start
    start = time.process_time()
    slow = [backward(pooled, channel, weights, switches) for channel in range(timed)]
    loop = before + (time.process_time() - start) * maps / timed
    layer = str(len(module) - 1)
    list(invert_layer(module, values, layer, [0], method="deconvnet", position="whole"))  # warm
    start = time.process_time()
    fast = list(invert_layer(module, values, layer, method="deconvnet", position="whole"))
    seconds = time.process_time() - start
    worst = max(
        float(np.abs(a - b.relevance.numpy()).max() / np.abs(a).max())
        for a, b in zip(slow, fast, strict=False)
    )
    return loop, seconds, worst


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--channels", type=int, default=64, help="feature maps of each block")
    parser.add_argument("--maps", type=int, default=2, help="maps that the loop is timed on")
    arguments = parser.parse_args()
    folder = os.environ.get("AURALISE_DATA")
    if not folder:
        raise SystemExit("AURALISE_DATA must name the folder that holds open/vibe-ace.ogg")
    torch.set_num_threads(1)
    values = magnitudes(Path(folder))
    print("| precision | depth | NumPy loop (s) | auralise (s) | ratio | largest difference |")
    print("|---|---|---|---|---|---|")
    for kind, depth in product((torch.float64, torch.float32), (1, 2, 3)):
        chosen = values.to(kind)
        loop, seconds, worst = measure(chosen, depth, arguments.channels, arguments.maps)
        precision = "double" if kind == torch.float64 else "single"
        ratio = f"{loop / seconds:.1f}"
        print(f"| {precision} | {depth} | {loop:.1f} | {seconds:.2f} | {ratio} | {worst:.0e} |")


if __name__ == "__main__":
    main()
