"""A GPU against the CPU: same maps, same waveforms; units per second, real-time factor of phase.

Single precision; TF32 and other reduced precision are off. For each inversion method, networks
whose ReLUs are functions, in place, and around which maps are added, and one that sends its maps to
the CPU and back: the largest difference between the maps of both devices, relative to the map. For
each phase method the same of waveforms, and how far apart the spectral convergences are. Tolerances
are in `MAPS` and `WAVES`; a row over its tolerance says so, and the exit status is then 1.

    python benchmarks/gpu.py                       # needs a GPU
    python benchmarks/gpu.py --device cpu --dry    # the same way, small, without one
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from auralise.activations import Unit
from auralise.audio.waveform import Waveform
from auralise.inversion import INVERTERS, invert_layer
from auralise.inversion.optimise import ActivationMaximisation, FeatureInversion
from auralise.phase import PHASE_METHODS
from auralise.spectral.convergence import convergence_of
from auralise.spectral.spectrogram import Spectrogram, analyse
from auralise.spectral.stft import StftSpec

MAPS = {"feature-inversion": 0.2, "activation-maximisation": 0.2}
"""Largest relative difference of maps; 1e-3 for all others. Searches add up rounding over steps."""

WAVES = {"source": 1e-4}
"""Largest relative difference of waveforms, where phases are not chaotic; see `waveforms`."""

APART_DB = 0.3
"""How far apart spectral convergences may be: iterations turn rounding into other local optima."""


class Functional(nn.Module):
    """ReLUs are functions."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.one, self.two = (
            nn.Conv2d(1, width, 3, padding=1),
            nn.Conv2d(width, width, 3, padding=1),
        )
        self.last = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return maps."""
        x = F.max_pool2d(F.relu(self.one(x)), 2)
        return F.relu(self.last(F.max_pool2d(F.relu(self.two(x)), 3, 2)))


class Residual(nn.Module):
    """Maps are added behind ReLUs that come first."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.one, self.two = (
            nn.Conv2d(1, width, 3, padding=1),
            nn.Conv2d(width, width, 3, padding=1),
        )
        self.norm, self.last = nn.BatchNorm2d(width), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Return maps."""
        x = self.one(x)
        return self.last(x + self.two(torch.relu(self.norm(x))))


class Moving(nn.Module):
    """Maps go to the CPU and back."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.one, self.last = nn.Conv2d(1, width, 3), nn.Conv2d(width, width, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Return maps."""
        return self.last(self.one(x).cpu().relu().to(x.device))


def in_place(width: int) -> nn.Sequential:
    """Return a network whose ReLUs work in place."""
    return nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(width, width, 3, padding=1),
        nn.ReLU(inplace=True),
    )


NETWORKS: dict[str, tuple[Callable[[int], nn.Module], str]] = {
    "functional": (Functional, "last"),
    "in place": (in_place, "4"),
    "residual": (Residual, "last"),
    "between devices": (Moving, "last"),
}


def method_of(name: str) -> Callable[..., object]:
    """Return a method; searches take few steps, over which rounding does not grow far."""
    short = {
        "feature-inversion": FeatureInversion(steps=10),
        "activation-maximisation": ActivationMaximisation(steps=10),
    }
    return short.get(name, INVERTERS[name])


def maps(device: torch.device, size: int, width: int) -> bool:
    """Print how far apart maps are; return whether all are within their tolerance."""
    print("| network | method | largest difference | tolerance | |\n|---|---|---|---|---|")
    fine = True
    features = torch.rand(1, size, size, generator=torch.Generator().manual_seed(1))
    for kind, (make, layer) in NETWORKS.items():
        torch.manual_seed(0)
        network = make(width).eval().requires_grad_(False)
        for name in sorted(INVERTERS):
            tolerance = MAPS.get(name, 1e-3)
            try:
                network.cpu()
                ours = method_of(name)(network, features, Unit(layer, 1))
                network.to(device)
                theirs = method_of(name)(network, features.to(device), Unit(layer, 1))
            except NotImplementedError as error:
                print(f"| {kind} | {name} | refused: {str(error).split(',')[0]} | | |")
                continue
            relevance = theirs.relevance.cpu()
            apart = (relevance - ours.relevance).abs().max() / ours.relevance.abs().max()
            good = bool(apart <= tolerance) and theirs.relevance.device.type == device.type
            fine &= good
            print(f"| {kind} | {name} | {apart:.0e} | {tolerance:g} | {'' if good else 'OVER'} |")
    return fine


def clips(count: int, seconds: float, device: torch.device) -> Spectrogram:
    """Return spectrograms of tones with noise, one for each channel."""
    rate = 22050
    generator = torch.Generator().manual_seed(2)
    time_axis = torch.arange(round(seconds * rate)) / rate
    hertz = 100 + 1000 * torch.rand(count, 5, 1, generator=generator)
    tones = torch.sin(2 * torch.pi * hertz * time_axis).sum(1)
    noise = 0.1 * torch.randn(tones.shape, generator=generator)
    return analyse(Waveform((tones + noise).to(device), rate), StftSpec(rate))


def waveforms(device: torch.device, seconds: float) -> bool:
    """Print how far apart waveforms are; return whether all are within their tolerance."""
    print("\n| phase method | largest difference | SC apart in dB | |\n|---|---|---|---|")
    fine = True
    here, there = (clips(2, seconds, place) for place in (torch.device("cpu"), device))
    for name, method in PHASE_METHODS.items():
        ours, theirs = method(here, here), method(there, there)
        samples = theirs.samples.cpu()
        apart = float((samples - ours.samples).abs().max() / ours.samples.abs().max())
        levels = [convergence_of(w, here) for w in (ours, Waveform(samples, ours.sample_rate))]
        both_exact = max(levels) < -100
        decibels = 0.0 if both_exact else abs(levels[0] - levels[1])
        good = decibels <= APART_DB and apart <= WAVES.get(name, float("inf"))
        good &= theirs.samples.device.type == device.type
        fine &= good
        print(f"| {name} | {apart:.0e} | {decibels:.2f} | {'' if good else 'OVER'} |")
    return fine


def timed(call: Callable[[], object], device: torch.device, repeat: int) -> float:
    """Return the median seconds of a call, after one that does not count."""
    taken = []
    for _ in range(repeat + 1):
        if device.type == "cuda":
            torch.cuda.synchronize()
        begun = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - begun)
    return median(taken[1:])


def speed(device: torch.device, units: int, batch: int, seconds: float, repeat: int) -> None:
    """Print units per second and the real-time factor of phase reconstruction."""
    from inversion import CHANNELS, SHAPE, five_blocks

    network = five_blocks().to(device)
    features = torch.rand(SHAPE, generator=torch.Generator().manual_seed(1)).to(device)
    print("\n| block | units | units per second |\n|---|---|---|")
    for block in (1, 3, 5):
        layer, channels = str(4 * block - 2), range(min(units, CHANNELS))
        taken = timed(lambda a=layer, c=channels: list(invert_layer(network, features, a, c)),
                      device, repeat)  # fmt: skip
        print(f"| {block} | {len(channels)} | {len(channels) / taken:.0f} |")
    targets = clips(batch, seconds, device)
    print("\n| phase method | batch | seconds each | real-time factor |\n|---|---|---|---|")
    for name in ("griffin-lim", "pghi", "pghi-fast-griffin-lim"):
        taken = timed(lambda m=PHASE_METHODS[name]: m(targets), device, repeat)
        print(f"| {name} | {batch} | {seconds:g} | {batch * seconds / taken:.0f} |")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--dry", action="store_true", help="small sizes, one round")
    options = parser.parse_args()
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise SystemExit("there is no GPU here; --device cpu --dry goes the same way without one")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    named = torch.cuda.get_device_name() if device.type == "cuda" else "CPU, against itself"
    print(f"{named}, torch {torch.__version__}\n")
    fine = maps(device, 24 if options.dry else 96, 4 if options.dry else 32)
    fine &= waveforms(device, 0.5 if options.dry else 5.0)
    if options.dry:
        speed(device, 4, 2, 0.5, 1)
    else:
        speed(device, 64, 64, 10.0, 5)
    sys.exit(0 if fine else 1)


if __name__ == "__main__":
    main()
