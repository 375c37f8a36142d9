"""Fitting one network to one collection, on one device, repeatably."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from auralise.audio.resampling import resample
from auralise.audio.waveform import Waveform
from auralise.datasets.clips import Clip, place
from auralise.errors import InvalidValueError
from auralise.frontends.base import Frontend
from auralise.models.base import Architecture
from auralise.training.evaluate import accuracy_of, logits_of


@dataclass(frozen=True, slots=True)
class FitOptions:
    """How to train.

    Attributes
    ----------
    epochs : int
        Passes over the training clips.
    batch_size : int
    learning_rate : float
        Peak of a one-cycle schedule for AdamW.
    weight_decay : float
    lowest_gain_db : float
        Each clip is scaled by a random gain from here to 0 dB, and set at a random place.
    semitones : float
        Each clip is played faster or slower at random, its pitch moving by at most this much.
    seed : int
        Of weights, order, places and gains.
    bfloat16 : bool
        Multiply in bfloat16, where the processor is fast at it; weights stay float32.
    """

    epochs: int = 10
    batch_size: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    lowest_gain_db: float = -30.0
    semitones: float = 0.0
    seed: int = 0
    bfloat16: bool = False

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1:
            raise InvalidValueError(
                f"epochs and batch_size must be at least 1, got {self.epochs}, {self.batch_size}"
            )
        if not 0 <= self.semitones <= 24:
            raise InvalidValueError(f"semitones must be in [0, 24], got {self.semitones}")
        if not self.learning_rate > 0:
            raise InvalidValueError(f"learning_rate must be positive, got {self.learning_rate}")


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a training stands, after each step.

    Attributes
    ----------
    epoch, epochs, step, steps : int
        Counted from 1.
    loss : float
        Of this step, in nats.
    valid_accuracy : float or None
        After the last step of an epoch.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    valid_accuracy: float | None


def fit(
    architecture: Architecture,
    labels: Sequence[str],
    train: Sequence[Clip],
    valid: Sequence[Clip],
    options: FitOptions,
    *,
    device: str = "cpu",
    report: Callable[[Progress], None] = lambda _: None,
) -> nn.Module:
    """Train a network and return it as it was after its best epoch on the validation clips.

    Parameters
    ----------
    architecture : Architecture
    labels : sequence of str
        In the order of the outputs.
    train, valid : sequences of Clip
        At the rate of the architecture's frontend.
    options : FitOptions
    device : str
        As torch names it.
    report : callable
        Called after each step.

    Returns
    -------
    nn.Module
        On the CPU, in evaluation mode.

    Raises
    ------
    InvalidValueError
        If there are no clips, or the loss is not finite.
    """
    if not train or not valid:
        raise InvalidValueError(f"got {len(train)} training and {len(valid)} validation clips")
    torch.manual_seed(options.seed)
    generator = torch.Generator().manual_seed(options.seed)
    network = architecture.build(len(labels))
    run = _Run(architecture, architecture.frontend(), labels, options, generator, device)
    network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    steps = -(-len(train) // options.batch_size)
    optimizer = torch.optim.AdamW(
        network.parameters(), options.learning_rate, weight_decay=options.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, options.learning_rate, total_steps=options.epochs * steps
    )
    best, best_state = -1.0, network.state_dict()
    for epoch in range(1, options.epochs + 1):
        network.train()
        for step, batch in enumerate(run.batches(train), 1):
            loss = run.step(network, batch)
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
            if step < steps:
                report(Progress(epoch, options.epochs, step, steps, loss, None))
        accuracy = accuracy_of(logits_of(network, architecture, valid), valid, labels)
        report(Progress(epoch, options.epochs, steps, steps, loss, accuracy))
        if accuracy > best:
            best, best_state = accuracy, copy.deepcopy(network.state_dict())
    network.load_state_dict(best_state)
    network.to("cpu").to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return network.eval()


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    """What stays the same from step to step."""

    architecture: Architecture
    frontend: Frontend
    labels: Sequence[str]
    options: FitOptions
    generator: torch.Generator
    device: str

    def batches(self, clips: Sequence[Clip]) -> Iterator[Sequence[Clip]]:
        """Go through all clips once, in random order."""
        order = torch.randperm(len(clips), generator=self.generator).tolist()
        for start in range(0, len(order), self.options.batch_size):
            yield [clips[i] for i in order[start : start + self.options.batch_size]]

    def step(self, network: nn.Module, batch: Sequence[Clip]) -> float:
        """Add one batch's gradient to the parameters' and return its loss."""
        samples = draw(batch, self.architecture, self.frontend, self.options, self.generator)
        target = torch.tensor([self.labels.index(clip.track.label) for clip in batch])
        with torch.no_grad():
            values = self.frontend.module(samples.to(self.device))
        with torch.autocast(self.device, torch.bfloat16, enabled=self.options.bfloat16):
            logits = network(values)
        loss = functional.cross_entropy(logits.float(), target.to(self.device))
        if not torch.isfinite(loss):
            raise InvalidValueError(f"the loss became {loss.item()}; lower the learning rate")
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.item()


def draw(
    clips: Sequence[Clip],
    architecture: Architecture,
    frontend: Frontend,
    options: FitOptions,
    generator: torch.Generator,
) -> Tensor:
    """Set each clip at a random place in an excerpt, at a random level, polarity and speed.

    Returns
    -------
    Tensor, shape (clips, time)
    """
    length = round(architecture.seconds * frontend.sample_rate)
    numbers = torch.rand(len(clips), 4, generator=generator)
    gains = 10 ** (options.lowest_gain_db * numbers[:, 1] / 20) * torch.where(
        numbers[:, 2] < 0.5, -1.0, 1.0
    )
    steps = options.semitones * (2 * numbers[:, 3] - 1)
    placed = [
        place(transpose(clip.samples, step), length, share)
        for clip, share, step in zip(clips, numbers[:, 0].tolist(), steps.tolist(), strict=True)
    ]
    return torch.stack(placed) * gains[:, None]


def transpose(samples: Tensor, semitones: float) -> Tensor:
    """Play a sound faster (its pitch rising by ``semitones``) or slower.

    Parameters
    ----------
    samples : Tensor, shape (time,)
    semitones : float

    Returns
    -------
    Tensor, shape (time / 2 ** (semitones / 12),), to rounding
    """
    if semitones == 0:
        return samples
    rate = 48000  # only the ratio of the two rates matters
    slower = round(rate * 2 ** (-semitones / 12))
    return resample(Waveform(samples[None], rate), slower).samples[0]
