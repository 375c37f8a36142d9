"""Which clips a step takes and what is drawn for each: of the seed alone, so that it repeats."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset, Sampler

from auralise.datasets.base import Track
from auralise.datasets.clips import Clip, place
from auralise.datasets.sharded import take
from auralise.training.augment import draw, seed_of
from auralise.training.options import FitOptions
from auralise.training.voting import GAIN

Drawn = tuple[Tensor, Tensor, float, Tensor]


class Item(NamedTuple):
    """One clip of one step: the ``clip``'s number, ``weight`` of its loss in the mean."""

    epoch: int
    clip: int
    weight: float


class Batch(NamedTuple):
    """What a step takes.

    ``samples`` has shape (clips, time) or (clips, channels, time), ``targets`` (clips,) of integers
    or (clips, tags) of 0 and 1, ``weights`` (clips,), and ``numbers`` (clips, 4) in [0, 1).
    """

    samples: Tensor
    targets: Tensor
    weights: Tensor
    numbers: Tensor


@dataclass(slots=True, eq=False)
class Order(Sampler[list[Item]]):
    """The steps of an epoch, for one of several processes.

    A step takes ``processes * batch_size`` clips of one random order and hands each process its
    part; the weights make the mean over processes the mean over the step's clips.

    Attributes
    ----------
    n_clips, batch_size : int
    taken : int
        Clips that an epoch takes.
    seed : int
    epoch : callable
        Gives the epoch, from 0, that is asked for; set to the trainer's when there is one.
    process : callable
        Gives this process's number and how many there are.
    """

    n_clips: int
    batch_size: int
    taken: int
    seed: int
    epoch: Callable[[], int] = lambda: 0
    process: Callable[[], tuple[int, int]] = lambda: (0, 1)

    def __len__(self) -> int:
        return -(-self.taken // (self.batch_size * self.process()[1]))

    def __iter__(self) -> Iterator[list[Item]]:
        """Yield the items of each step."""
        epoch = self.epoch()
        number, processes = self.process()
        generator = torch.Generator().manual_seed(seed_of(0, self.seed, epoch))
        order = torch.randperm(self.n_clips, generator=generator).tolist()
        order = order[: self.taken]
        together = self.batch_size * processes
        for start in range(0, len(order), together):
            step = order[start : start + together]
            own = np.array_split(step, processes)[number].tolist()
            weight = processes / len(step)
            yield [Item(epoch, i, weight) for i in own] or [Item(epoch, step[0], 0.0)]


@dataclass(frozen=True, slots=True)
class Plan:
    """How much a training takes.

    Attributes
    ----------
    epochs : int
    taken : int
        Clips an epoch.
    steps : int
        An epoch.
    """

    epochs: int
    taken: int
    steps: int


def plan(n_clips: int, options: FitOptions, processes: int) -> Plan:
    """Work out epochs and steps from what was asked for and the number of clips."""
    together = options.batch_size * processes
    taken = max(1, round(n_clips * options.epoch_fraction))
    epochs = options.epochs
    if options.max_steps:
        taken = min(taken, options.max_steps * together)
        epochs = min(epochs, -(-options.max_steps // -(-taken // together)))
    return Plan(epochs, taken, -(-taken // together))


class Excerpts(Dataset[Drawn | None]):
    """Clips as excerpts of one length with their targets.

    Asked for an `Item`, an excerpt is drawn at random from (seed, epoch, clip) alone; asked for
    an index, the clip is set in the middle, at a peak of -12 dB, with a weight of 1.

    Parameters
    ----------
    clips : sequence of Clip
        Taken one at a time, so that they may stay on disk until then.
    labels : sequence of str
    multilabel : bool
    length, sample_rate : int
        Of an excerpt in samples; in Hz.
    options : FitOptions
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        labels: Sequence[str],
        multilabel: bool,
        length: int,
        sample_rate: int,
        options: FitOptions,
    ) -> None:
        self.clips = clips
        self.numbers = {label: number for number, label in enumerate(labels)}
        self.multilabel = multilabel
        self.length, self.sample_rate, self.options = length, sample_rate, options

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, item: Item | int) -> Drawn | None:
        """Return samples, target, weight of the loss and four random numbers.

        Asked for an index, None for a clip that has to be left out.
        """
        if isinstance(item, int):
            clip = take(self.clips, item)
            if clip is None:
                return None
            samples = place(clip.samples, self.length, 0.5)
            scaled = samples * GAIN if samples.ndim == 1 else samples
            return scaled, self.target(clip.track), 1.0, torch.zeros(4)
        return self.drawn(self.clips[item.clip], item)

    def drawn(self, clip: Clip, item: Item) -> Drawn:
        """Return an excerpt of a clip that is there already."""
        seed = seed_of(1, self.options.seed, item.epoch, item.clip)
        generator = torch.Generator().manual_seed(seed)
        samples = draw(clip.samples, self.length, self.sample_rate, self.options, generator)
        numbers = torch.rand(4, generator=generator)
        return samples, self.target(clip.track), item.weight, numbers

    def target(self, track: Track) -> Tensor:
        """Return the number of a track's label, or 1 for each of its tags."""
        if not self.multilabel:
            return torch.tensor(self.numbers[track.label])
        target = torch.zeros(len(self.numbers))
        target[[self.numbers[tag] for tag in track.tags if tag in self.numbers]] = 1.0
        return target


class Streamed(Protocol):
    """Clips that are read from front to back, such as `auralise.datasets.sharded.ShardClips`."""

    def __len__(self) -> int:
        """Return how many there are."""
        ...

    def stream(self, seed: int, part: tuple[int, int]) -> Generator[tuple[int, Clip], None, None]:
        """Yield index and clip, over and over."""
        ...


class Stream(IterableDataset[Batch]):
    """The steps of an epoch from clips that are read from front to back, of one process.

    Each of several processes takes its own part of the clips, and as many steps as the others. What
    is drawn for a clip is what `Excerpts` draws for it in the same epoch; the order is another.

    Parameters
    ----------
    clips : Streamed
    excerpts : Excerpts
        Of the same clips.
    order : Order
        Says the epoch, the process and how many clips are taken.
    """

    def __init__(self, clips: Streamed, excerpts: Excerpts, order: Order) -> None:
        self.clips, self.excerpts, self.order = clips, excerpts, order

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches of the epoch."""
        order = self.order
        epoch, (number, processes) = order.epoch(), order.process()
        together = order.batch_size * processes
        stream = self.clips.stream(seed_of(2, order.seed, epoch), (number, processes))
        with closing(stream) as clips:
            for start in range(0, order.taken, together):
                size = min(together, order.taken - start)
                own = len(np.array_split(np.arange(size), processes)[number])
                weight = processes / size if own else 0.0
                yield collate(
                    [
                        self.excerpts.drawn(clip, Item(epoch, index, weight))
                        for index, clip in islice(clips, max(1, own))
                    ]
                )


def collate_whole(items: Sequence[Drawn | None]) -> Batch | None:
    """Stack items to a batch, without those that are left out; None if all are."""
    there = [item for item in items if item is not None]
    return collate(there) if there else None


def collate(items: Sequence[Drawn]) -> Batch:
    """Stack items to a batch."""
    samples, targets, weights, numbers = zip(*items, strict=True)
    return Batch(
        torch.stack(samples), torch.stack(targets), torch.tensor(weights), torch.stack(numbers)
    )
