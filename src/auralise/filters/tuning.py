"""What the units of any layer are tuned to: their activation against tones of every frequency.

As in auditory physiology, a unit is characterised by what it answers to simple sounds. They go
through the whole network as far as the layer. No sound is longer than the layer needs: a little
more than its receptive field, and only those positions are looked at that see neither padding nor
an edge of the sound, so that the answer is the one to a sound that lasts.

A layer that convolves over frequency has the same filters at every frequency; the strongest of its
map then hardly depends on the frequency of a tone, which is a finding, not a fault.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from auralise.activations.recorder import run_to
from auralise.audio.stimuli import LEVEL_DB, chirp, clicks, silence
from auralise.audio.waveform import Waveform
from auralise.errors import InvalidValueError, NetworkError
from auralise.filters.excerpt import DEFAULT_SECONDS, Excerpt, placement, plan_excerpt
from auralise.filters.sweeps import Sweep, make_sweep
from auralise.models.base import MusicNetwork

CLICKS = 8
"""Places of a click between two positions of a layer."""

Reduction = Literal["max", "mean"]
Progress = Callable[[str, int, int], object]


@dataclass(frozen=True, slots=True, eq=False)
class Tuning:
    """What the units of a layer answered to a set of sounds.

    Attributes
    ----------
    model, layer, stimulus : str
        Which network and layer, and what was played.
    frequencies : Tensor, shape (frequencies,), float64
        Of the tone, of a harmonic tone's fundamental, of a noise band's middle; in Hz, rising.
    levels_db : Tensor, shape (levels,), float64
        In dBFS, rising.
    responses : Tensor, shape (channels, frequencies, levels), float64
        Activation, reduced over the map and the variants.
    silence : Tensor, shape (channels,), float64
        Activation in silence, which is what responses have to be compared with.
    click, rising, falling : Tensor, shape (channels,), float64
        Strongest activation for clicks, and for logarithmic chirps over the grid's range within
        ``chirp_seconds``, at the highest level.
    reduction : {"max", "mean"}
        Over positions and variants.
    seconds, chirp_seconds : float
        Length of the stimuli; of the chirps.
    variants : int
        How many starting phases, or seeds, of each stimulus were played.
    sample_rate : int
        In Hz.
    """

    model: str
    layer: str
    stimulus: str
    frequencies: Tensor
    levels_db: Tensor
    responses: Tensor
    silence: Tensor
    click: Tensor
    rising: Tensor
    falling: Tensor
    reduction: Reduction
    seconds: float
    chirp_seconds: float
    variants: int
    sample_rate: int


def tune(
    network: MusicNetwork,
    layer: str,
    *,
    stimulus: str = "tone",
    frequencies: Tensor | Sequence[float] | None = None,
    levels_db: Sequence[float] = (LEVEL_DB,),
    reduction: Reduction = "max",
    variants: int | None = None,
    batch_size: int = 8,
    progress: Progress | None = None,
) -> Tuning:
    """Measure the activation of every unit of a layer against frequency and level.

    Nothing behind the layer runs, and memory does not grow with the number of stimuli.

    Parameters
    ----------
    network : MusicNetwork
        Left as it was found.
    layer : str
        As in ``network.module.named_modules()``; any whose output is a tensor of the input.
    stimulus : str
        A name in `auralise.filters.sweeps.STIMULI`: ``tone``, ``harmonic`` (10 harmonics that
        fall by 6 dB per octave, none above half the rate) or ``noise`` (a third of an octave).
    frequencies : sequence of float, optional
        In Hz, rising; `auralise.filters.sweeps.frequency_grid` if not given.
    levels_db : sequence of float
        In dBFS, rising.
    reduction : {"max", "mean"}
        Of a unit's map, its frequency axis included, to one number; and of the variants.
    variants : int, optional
        Starting phases (of noise: seeds) of each stimulus. Where a layer looks at raw samples
        with a stride, one phase may be all it ever sees of a tone: 8 for raw audio, 4 for noise,
        else 1, if not given.
    batch_size : int
        Stimuli that go through the network at once; on a graphics card more are faster.
    progress : callable, optional
        Called with a name, the number of stimuli that are done, and of all.

    Returns
    -------
    Tuning

    Raises
    ------
    UnknownNameError
        If there is no such layer or stimulus.
    InvalidValueError
        If frequencies or levels do not rise or are out of range, or a number is below 1.
    NetworkError
        If a layer puts out values that are not finite, or no tensor.
    """
    if reduction not in ("max", "mean"):
        raise InvalidValueError(f"reduction must be max or mean, got {reduction!r}")
    if batch_size < 1:
        raise InvalidValueError(f"batch_size must be at least 1, got {batch_size}")
    card = network.card
    variants = _default_variants(network, stimulus) if variants is None else variants
    sweep = make_sweep(stimulus, card.frontend.sample_rate, frequencies, levels_db, variants)
    excerpt = plan_excerpt(network, layer, sweep.least_seconds)
    runner = _Runner(network, layer, excerpt, reduction, batch_size)
    sounds = _reporting(sweep, excerpt.seconds, f"playing to {layer}", progress)
    answers = runner.run(sounds).view(*sweep.shape, -1)
    quiet = silence(excerpt.seconds, sweep.sample_rate, dtype=torch.float64)
    chirp_seconds, (click, rising, falling) = _probes(runner, sweep)
    return Tuning(
        model=card.name,
        layer=layer,
        stimulus=stimulus,
        frequencies=sweep.frequencies,
        levels_db=sweep.levels_db,
        responses=_reduced(answers, 2, reduction).permute(2, 0, 1).contiguous(),
        silence=runner.run([quiet])[0],
        click=click,
        rising=rising,
        falling=falling,
        reduction=reduction,
        seconds=excerpt.seconds,
        chirp_seconds=chirp_seconds,
        variants=variants,
        sample_rate=sweep.sample_rate,
    )


def _reporting(
    sweep: Sweep, seconds: float, stage: str, progress: Progress | None
) -> Iterator[Waveform]:
    """Yield a sweep's sounds, and say how far it is."""
    total = math.prod(sweep.shape)
    for number, sound in enumerate(sweep.sounds(seconds), 1):
        yield sound
        if progress is not None:
            progress(stage, number, total)


@dataclass(frozen=True, slots=True)
class _Runner:
    """Plays sounds to a layer in batches."""

    network: MusicNetwork
    layer: str
    excerpt: Excerpt
    reduction: Reduction
    batch_size: int

    def run(self, sounds: Iterable[Waveform]) -> Tensor:
        """Return the reduced activations, (sounds, channels), float64, on the CPU."""
        answers = []
        batch: list[Tensor] = []
        for sound in sounds:
            batch.append(sound.samples[0])
            if len(batch) == self.batch_size:
                answers.append(self._answer(torch.stack(batch)))
                batch = []
        if batch:
            answers.append(self._answer(torch.stack(batch)))
        return torch.cat(answers)

    @torch.no_grad()
    def _answer(self, samples: Tensor) -> Tensor:
        module = self.network.module
        dtype, device = placement(module)
        values = self.network.card.frontend.module(samples.to(device, dtype))
        output = run_to(module, values, self.layer)
        reduced = _reduced(self.excerpt.inner(output), 2, self.reduction).double().cpu()
        if not torch.isfinite(reduced).all():
            raise NetworkError(
                f"layer {self.layer!r} of {self.network.card.name!r} puts out values that are not "
                "finite; check the weights"
            )
        return reduced


def _probes(runner: _Runner, sweep: Sweep) -> tuple[float, list[Tensor]]:
    """Return the length of the chirps, and the strongest answers to clicks and to chirps."""
    excerpt, rate = runner.excerpt, sweep.sample_rate
    level_db, exact = float(sweep.levels_db[-1]), torch.float64
    # Twice the length holds a click at every place of the field. A stride may step over the
    # answer to a click, so clicks come at several places between two positions.
    longer = excerpt if excerpt.axis is None else excerpt.lengthened(2 * excerpt.n_samples)
    shifts = sorted({round(excerpt.step * i / CLICKS) for i in range(CLICKS)})
    times = [(longer.n_samples // 2 + shift) / rate for shift in shifts]
    click = replace(runner, excerpt=longer, reduction="max").run(
        clicks([t], longer.seconds, rate, level_db=level_db, dtype=exact) for t in times
    )
    longest = round((runner.network.card.seconds or DEFAULT_SECONDS) * rate)
    longer = excerpt.lengthened(max(excerpt.n_samples, longest))
    low, high = float(sweep.frequencies[0]), float(sweep.frequencies[-1])
    glides = replace(runner, excerpt=longer, reduction="max", batch_size=1).run(
        chirp(*ends, longer.seconds, rate, level_db=level_db, dtype=exact)
        for ends in ((low, high), (high, low))
    )
    return longer.seconds, [click.amax(0), glides[0], glides[1]]


def _reduced(values: Tensor, axis: int, reduction: Reduction) -> Tensor:
    return values.amax(axis) if reduction == "max" else values.mean(axis)


def _default_variants(network: MusicNetwork, stimulus: str) -> int:
    if "frequency" not in network.card.frontend.axes:
        return 8
    return 4 if stimulus == "noise" else 1
