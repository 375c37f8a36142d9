"""From samples to what every unit made of a clip: peak and its place, mean, counts of values."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from auralise.activations.recorder import record_reduced
from auralise.atlas.decoding import SILENCE, Source, Stretch
from auralise.atlas.descriptors import FRAMES_PER_SECOND
from auralise.atlas.histogram import sweep
from auralise.atlas.layers import Layer
from auralise.atlas.layout import with_channels_last
from auralise.errors import NetworkError
from auralise.models.base import MusicNetwork

BATCH = 8


@dataclass(frozen=True, slots=True, eq=False)
class LayerResult:
    """What the units of a layer made of one clip.

    Attributes
    ----------
    peak, mean : ndarray, float32, shape (channels,)
        Over all windows and places.
    window : ndarray, uint32, shape (channels,)
        First sample of the window that has the peak; of equal peaks the first.
    position : ndarray, uint32, shape (channels,)
        Where on the layer's map, flat, the peak is.
    histogram : ndarray, uint32, shape (channels, BINS)
    """

    peak: NDArray[np.float32]
    mean: NDArray[np.float32]
    window: NDArray[np.uint32]
    position: NDArray[np.uint32]
    histogram: NDArray[np.uint32]


@dataclass(frozen=True, slots=True, eq=False)
class ClipResult:
    """What is kept of one clip.

    Attributes
    ----------
    clip : str
        sha256 of its file.
    samples : int
        Its length at the network's rate.
    silent : bool
    tempo : float
    grid : ndarray, float16, shape (frames, descriptors)
    notes : tuple of str
    layers : mapping of str to LayerResult
    reason : str
        Why it could not be heard; then there is nothing else.
    """

    clip: str
    samples: int
    silent: bool
    tempo: float
    grid: NDArray[np.float16]
    notes: tuple[str, ...]
    layers: Mapping[str, LayerResult]
    reason: str = ""


class Analyser:
    """Runs a network over windows of clips, in batches of one size.

    The size is always the same (the last batch is filled up with silence), so that a clip's values
    do not depend on how many others there are.

    Parameters
    ----------
    network : MusicNetwork
        Copied to ``device`` if that is another than its own.
    layers : sequence of Layer
    seconds : float
        Length of a window.
    batch : int
        Windows at a time.
    device : str
        Such as "cpu" or "cuda".
    """

    def __init__(
        self,
        network: MusicNetwork,
        layers: Sequence[Layer],
        seconds: float,
        *,
        batch: int = BATCH,
        device: str = "cpu",
    ) -> None:
        self.layers, self.batch, self.device = tuple(layers), batch, torch.device(device)
        frontend = network.card.frontend
        self.sample_rate = frontend.sample_rate
        self.length = round(seconds * self.sample_rate)
        self._network, self._frontend = network.module, frontend.module
        if self.device.type == "cpu":
            example = self._frontend(torch.zeros(1, self.length))
            self._network = with_channels_last(network.module, example)
        else:
            self._network = copy.deepcopy(network.module).to(self.device)
            self._frontend = self._frontend.to(self.device)

    def run(self, stretches: Iterable[Stretch]) -> Iterator[ClipResult]:
        """Return a result for each clip, in order; see `Stretch` for how clips are cut."""
        waiting: list[tuple[_Running, int, Tensor]] = []
        open_clips: list[_Running] = []
        for stretch in stretches:
            if not open_clips or open_clips[-1].complete:
                open_clips.append(_Running(stretch.source, self.layers, self.sample_rate))
            clip = open_clips[-1]
            clip.add(stretch)
            waiting.extend((clip, start, cut) for start, cut in self._windows(stretch, clip))
            while len(waiting) >= self.batch:
                self._forward(waiting[: self.batch])
                del waiting[: self.batch]
            while open_clips and open_clips[0].done:
                yield open_clips.pop(0).result()
        if waiting:
            self._forward(waiting)
        for clip in open_clips:
            yield clip.result()

    def _windows(self, stretch: Stretch, clip: _Running) -> Iterator[tuple[int, Tensor]]:
        """Yield the windows of a stretch; the last ends where it ends, a short one is padded."""
        if stretch.reason or not len(stretch.samples):
            return
        samples, length = torch.from_numpy(stretch.samples), self.length
        last = max(0, len(samples) - length)
        starts = [*range(0, last, length), last]
        clip.windows += len(starts)
        for start in starts:
            cut = samples[start : start + length]
            yield stretch.start + start, torch.nn.functional.pad(cut, (0, length - len(cut)))

    @torch.no_grad()
    def _forward(self, waiting: Sequence[tuple[_Running, int, Tensor]]) -> None:
        batch = torch.zeros(self.batch, self.length)
        for number, (_, _, cut) in enumerate(waiting):
            batch[number] = cut
        reduce = partial(_reduced, kept=len(waiting))
        with record_reduced(
            self._network, [layer.name for layer in self.layers], reduce
        ) as outputs:
            self._network(self._frontend(batch.to(self.device)))
            found = dict(outputs)
        for number, (clip, start, _) in enumerate(waiting):
            clip.take(start, {name: output.of(number) for name, output in found.items()})


@dataclass(frozen=True, slots=True, eq=False)
class _Reduced:
    """What is kept of a layer's output, for each window of a batch."""

    peak: NDArray[np.float32]
    position: NDArray[np.int64]
    mean: NDArray[np.float64]
    histogram: NDArray[np.int64]
    finite: NDArray[np.bool_]

    def of(self, number: int) -> _Reduced:
        return _Reduced(
            self.peak[number],
            self.position[number],
            self.mean[number],
            self.histogram[number],
            self.finite[number],
        )


def _reduced(output: Tensor, *, kept: int) -> _Reduced:
    """Reduce (batch, channels, ...) to its peaks, means and counts."""
    output = output[:kept].float()
    counts, position, mean = sweep(output)
    peak = _at(output, position.to(output.device))
    finite = mean.isfinite().all(1)
    return _Reduced(
        peak.cpu().numpy(),
        position.numpy(),
        mean.numpy(),
        counts.numpy(),
        finite.numpy(),
    )


def _at(output: Tensor, position: Tensor) -> Tensor:
    """Return (batch, channels) values of (batch, channels, ...) at flat places, without a copy."""
    if output.ndim == 2:
        return output
    if output.is_contiguous() or output.device.type != "cpu":
        return output.flatten(2).gather(2, position[..., None])[..., 0]
    batch, channels = (np.arange(n) for n in output.shape[:2])
    index = np.unravel_index(position.numpy(), tuple(output.shape[2:]))
    return torch.from_numpy(output.numpy()[(batch[:, None], channels, *index)])


class _Running:
    """A clip on its way through the network."""

    def __init__(self, source: Source, layers: Sequence[Layer], sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self.complete = False
        self.windows = 0
        self._source, self._layers = source, layers
        self._seen = 0
        self._samples, self._loudest, self._reason = 0, 0.0, ""
        self._grids: list[NDArray[np.float16]] = []
        self._starts: list[int] = []
        self._tempi: list[float] = []
        self._notes: list[str] = []
        self._results: dict[str, LayerResult] = {}
        self._sums: dict[str, NDArray[np.float64]] = {}

    @property
    def done(self) -> bool:
        return self.complete and self._seen == self.windows

    def add(self, stretch: Stretch) -> None:
        self.complete = stretch.last
        self._reason = self._reason or stretch.reason
        self._notes.extend(stretch.notes)
        if len(stretch.samples):
            self._samples = stretch.start + len(stretch.samples)
            self._loudest = max(self._loudest, float(np.abs(stretch.samples).max()))
            self._grids.append(stretch.grid)
            self._starts.append(stretch.start)
            self._tempi.append(stretch.tempo)

    def take(self, start: int, outputs: Mapping[str, _Reduced]) -> None:
        self._seen += 1
        missing = [layer.name for layer in self._layers if layer.name not in outputs]
        if missing:
            raise NetworkError(f"a forward pass does not reach layer {missing[0]!r}")
        for name, new in outputs.items():
            if not new.finite:
                where = f"layer {name!r} in the window from sample {start} on"
                self._reason = self._reason or f"the network's values are not finite: {where}"
            self._add(name, start, new)

    def _add(self, name: str, start: int, new: _Reduced) -> None:
        mean = new.mean
        if name not in self._results:
            window = np.full(len(new.peak), start, np.uint32)
            position = new.position.astype(np.uint32)
            counts = new.histogram.astype(np.uint32)
            self._results[name] = LayerResult(
                new.peak.copy(), mean.astype(np.float32), window, position, counts
            )
            self._sums[name] = mean
            return
        old = self._results[name]
        higher = new.peak > old.peak
        old.peak[higher] = new.peak[higher]
        old.window[higher] = start
        old.position[higher] = new.position[higher].astype(np.uint32)
        old.histogram[:] += new.histogram.astype(np.uint32)
        self._sums[name] = self._sums[name] + mean

    def _grid(self) -> NDArray[np.float16]:
        """Return the stretches' grids one behind the other, each cut off where the next begins."""
        frames = [round(s / self.sample_rate * FRAMES_PER_SECOND) for s in self._starts[1:]]
        parts, at = [], 0
        for grid, end in zip(self._grids, [*frames, None], strict=True):
            parts.append(grid if end is None else grid[: end - at])
            at += len(parts[-1])
        return np.concatenate(parts)

    def result(self) -> ClipResult:
        if not self._reason and not self._results:
            self._reason = "there are no samples in it"
        empty = np.zeros((0, 0), np.float16)
        if self._reason:
            return ClipResult(
                self._source.clip, 0, False, float("nan"), empty, (), {}, self._reason
            )
        tempi = [tempo for tempo in self._tempi if np.isfinite(tempo)]
        layers = {
            name: LayerResult(
                result.peak,
                (self._sums[name] / self.windows).astype(np.float32),
                result.window,
                result.position,
                result.histogram,
            )
            for name, result in self._results.items()
        }
        return ClipResult(
            clip=self._source.clip,
            samples=self._samples,
            silent=self._loudest < SILENCE,
            tempo=float(np.median(tempi)) if tempi else float("nan"),
            grid=self._grid(),
            notes=tuple(dict.fromkeys(self._notes)),
            layers=layers,
        )
