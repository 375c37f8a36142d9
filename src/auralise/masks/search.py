"""Masks found by search: the parts of a sound that make one unit answer, and not its neighbours."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from auralise.activations.layers import Unit
from auralise.activations.recorder import run_to
from auralise.audio.waveform import Waveform
from auralise.errors import InvalidValueError, NetworkError
from auralise.frontends.base import Frontend
from auralise.masks.options import MaskOptions
from auralise.masks.plane import Plane, spec_of
from auralise.models.base import MusicNetwork
from auralise.preparation import prepare
from auralise.spectral.stft import StftSpec, istft_samples, stft_samples

QUIET = 1e-6
STEADY = 0.02
"""Least deviation of a unit over random masks, as a share of its value on the source."""

REFERENCE_BATCH = 4
"""Random masks heard at once, whatever the batch of the search, since these share their noise."""

REFERENCE_SPREAD = 3.0
"""Standard deviation of the random masks' logits: most values are nearly 0 or nearly 1."""


Arrive = Callable[[Tensor, MaskOptions, torch.Generator], Tensor]
"""From gains to the sounds that a network hears."""


@dataclass(frozen=True, slots=True, eq=False)
class UnitMask:
    """What of a sound one unit answers to, and its neighbours less.

    Attributes
    ----------
    unit : Unit
    gains : Tensor, shape (bins, frames)
        In [0, 1], over the bins of ``spec``.
    spec : StftSpec
    kept : Waveform
        What the gains let through of the source.
    waveform : Waveform
        The same at the source's root mean square.
    ratio : float
        The unit's strongest value on ``waveform``, divided by that on the source.
    contrast : float
        Share of the softmax over the layer's units that the unit gets; 1 is all.
    area : float
        Mean of the gains.
    flags : tuple of str
        ``"inactive"`` if the unit does not answer to the source; there is no mask then, and the
        gains are 0.
    """

    unit: Unit
    gains: Tensor
    spec: StftSpec
    kept: Waveform
    waveform: Waveform
    ratio: float
    contrast: float
    area: float
    flags: tuple[str, ...] = ()


def unmasked(frontend: Frontend, source: Waveform) -> Waveform:
    """Return the source after the same way as masks of ones let it through."""
    spec = spec_of(frontend)
    spectrum = stft_samples(source.samples, spec)
    return Waveform(istft_samples(spectrum, spec, source.n_samples), source.sample_rate)


def find_masks(
    network: MusicNetwork,
    source: Waveform,
    layer: str,
    channels: Sequence[int] | None = None,
    options: MaskOptions = MaskOptions(),
    *,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[UnitMask]:
    r"""Search, for each unit, the mask under which it stands out most from its layer.

    .. math:: \min_m \; -\log \frac{e^{s z_u(m)}}{1 + \sum_v e^{s z_v(m)}} + \lambda\, \overline{m}
              \qquad z_v(m) = \frac{a_v(m x) - \mu_v}{\sigma_v}

    Here :math:`a_v` is the strongest value of unit :math:`v` on a sound, :math:`m` multiplies the
    short-time spectrum of the source :math:`x`, and the masked sound is brought to the source's
    root mean square. :math:`\mu_v` and :math:`\sigma_v` are the mean and the deviation of the
    unit's value over random masks: a unit that answers to whatever is let through stands out only
    when it answers more than it usually does. The 1 stands for "no unit stands out".

    The mask is a logistic function of values on a coarse grid over mel and time, so that what it
    lets through can be heard as parts of the music. The network hears the masked *sound*, through
    its whole front end and disturbed as sounds are on their way to a listener (`MaskOptions`);
    raw-audio networks are treated no differently.

    Parameters
    ----------
    network : MusicNetwork
    source : Waveform
        Any rate, see `preparation.prepare`.
    layer : str
    channels : sequence of int, optional
        All of the layer if not given. The contrast is always with all units of the layer that
        random masks make answer differently.
    options : MaskOptions
    report : callable
        Told steps done and steps in all.

    Yields
    ------
    UnitMask
        In the order of ``channels``; the same for the same arguments.

    Raises
    ------
    UnknownNameError
        If there is no such layer.
    InvalidValueError
        If a channel is outside the layer.
    NetworkError
        If the layer's values are no numbers.
    """
    sound, _ = prepare(network, source)
    ears = Ears(network, layer, options.bfloat16)
    base = ears.exactly(sound.samples)[0]
    wanted = range(base.shape[0]) if channels is None else channels
    outside = [c for c in wanted if not 0 <= c < base.shape[0]]
    if outside:
        raise InvalidValueError(
            f"layer {layer!r} has {base.shape[0]} units, so there is none numbered {outside[0]}"
        )
    plane = Plane.of(network.card.frontend, sound, options)
    answering = base > QUIET * base.abs().max().clamp(min=QUIET)
    audible = bool(sound.samples.any())
    searched = [c for c in dict.fromkeys(wanted) if audible and answering[c]]
    search = _Search.of(ears, plane, base, options) if searched else None
    total = -(-len(searched) // options.batch_size) * options.steps
    done = 0
    found: dict[int, UnitMask] = {}
    for channel in wanted:
        if channel not in found and channel in searched and search is not None:
            first = searched.index(channel)
            batch = searched[first : first + options.batch_size]

            def step(count: int, before: int = done) -> None:
                report(before + count, total)

            found = {mask.unit.channel: mask for mask in search(batch, step)}
            done += options.steps
        yield found[channel] if channel in found else _nothing(Unit(layer, channel), plane)


@dataclass(frozen=True, slots=True, eq=False)
class Ears:
    """The strongest value of each unit of a layer on a batch of sounds, (batch, units)."""

    network: MusicNetwork
    layer: str
    bfloat16: bool = False

    def __call__(self, samples: Tensor) -> Tensor:
        """Listen as the search does, with gradients."""
        if not self.bfloat16:
            return self._listen(samples)
        with torch.autocast(samples.device.type, torch.bfloat16):
            return self._listen(samples)

    @torch.no_grad()
    def exactly(self, samples: Tensor) -> Tensor:
        """Listen in the network's own precision, without gradients.

        Raises
        ------
        NetworkError
            If there are values that are no numbers.
        """
        values = self._listen(samples)
        if not values.isfinite().all():
            raise NetworkError(
                f"layer {self.layer!r} of {self.network.card.name!r} gives values that are not "
                "finite on this sound; weights or input are broken"
            )
        return values

    def _listen(self, samples: Tensor) -> Tensor:
        module: nn.Module = self.network.module
        values = self.network.card.frontend.module(samples)
        return run_to(module, values, self.layer).flatten(2).amax(2).to(samples.dtype)


@dataclass(frozen=True, slots=True, eq=False)
class _Usual:
    """How much each unit's answer varies by itself, each of shape (units,)."""

    mean: Tensor
    deviation: Tensor
    steady: Tensor  # units that random masks do not change at all: they take no part

    @classmethod
    def of(cls, heard: Tensor, base: Tensor) -> _Usual:
        """Measure it on what was heard of random masks, shape (masks, units)."""
        deviation = heard.std(0)
        scale = base.abs().max()
        least = torch.maximum(STEADY * base.abs(), STEADY * 0.1 * scale)
        return cls(heard.mean(0), deviation.maximum(least), deviation <= QUIET * scale)

    def contrast(self, heard: Tensor, own: Tensor, sharpness: float) -> Tensor:
        """Return the log share of each sound's own unit, shape (sounds,)."""
        standing = sharpness * (heard - self.mean) / self.deviation
        others = torch.arange(heard.shape[1]) != own[:, None]
        standing = standing.masked_fill(self.steady & others, -torch.inf)
        shares = functional.pad(standing, (0, 1)).log_softmax(1)
        return shares[torch.arange(len(own)), own]


@dataclass(frozen=True, slots=True, eq=False)
class _Search:
    ears: Ears
    plane: Plane
    base: Tensor  # (units,)
    usual: _Usual  # over random masks as they are
    disturbed: _Usual  # over the same ones, disturbed
    options: MaskOptions

    @classmethod
    def of(cls, ears: Ears, plane: Plane, base: Tensor, options: MaskOptions) -> _Search:
        """Measure how much each unit's answer varies over random masks."""
        generator = torch.Generator().manual_seed(options.seed)
        shape = (options.references, *plane.grid)
        logits = REFERENCE_SPREAD * torch.randn(shape, generator=generator).to(plane.rms)
        batches = torch.split(logits, REFERENCE_BATCH)

        def usual(arrive: Arrive) -> _Usual:
            heard = [ears(arrive(plane.gains(some), options, generator)) for some in batches]
            return _Usual.of(torch.cat(heard), base)

        with torch.no_grad():
            return cls(ears, plane, base, usual(plane.moved), usual(plane.disturbed), options)

    def __call__(self, batch: Sequence[int], report: Callable[[int], None]) -> list[UnitMask]:
        """Search for the masks of some units at the same time."""
        own = torch.tensor(batch)
        shape = (len(batch), *self.plane.grid)
        logits = self.plane.rows.new_full(shape, self.options.start).requires_grad_()
        adam = torch.optim.Adam([logits], self.options.learning_rate)
        generator = torch.Generator().manual_seed(self.options.seed)
        with torch.enable_grad():
            for step in range(1, self.options.steps + 1):
                loss = self._loss(logits, own, generator, disturbed=step % 2 == 1)
                (slope,) = torch.autograd.grad(loss, logits)
                if not slope.isfinite().all():
                    raise NetworkError(
                        f"the search for masks of layer {self.ears.layer!r} met a slope that is "
                        f"not finite at step {step}"
                    )
                logits.grad = slope
                fall = 0.5 * (1 + math.cos(math.pi * (step - 1) / self.options.steps))
                adam.param_groups[0]["lr"] = self.options.learning_rate * fall
                adam.step()
                report(step)
        return self._results(own, self.plane.gains(logits.detach()))

    def _loss(
        self, logits: Tensor, own: Tensor, generator: torch.Generator, *, disturbed: bool
    ) -> Tensor:
        """Return what the search makes small, summed over the units."""
        gains = self.plane.gains(logits)
        arrive: Arrive = self.plane.disturbed if disturbed else self.plane.moved
        usual = self.disturbed if disturbed else self.usual
        heard = self.ears(arrive(gains, self.options, generator))
        contrast = usual.contrast(heard, own, self.options.sharpness)
        return -contrast.sum() + self.options.area * gains.mean((1, 2)).sum()

    def _results(self, own: Tensor, gains: Tensor) -> list[UnitMask]:
        rate = self.plane.spec.sample_rate
        kept = self.plane.kept(gains)
        samples = self.plane.levelled(kept)
        heard = self.ears.exactly(samples)
        contrast = self.usual.contrast(heard, own, self.options.sharpness).exp()
        return [
            UnitMask(
                unit=Unit(self.ears.layer, channel),
                gains=gains[i],
                spec=self.plane.spec,
                kept=Waveform(kept[i : i + 1], rate),
                waveform=Waveform(samples[i : i + 1], rate),
                ratio=float(heard[i, channel] / self.base[channel]),
                contrast=float(contrast[i]),
                area=float(gains[i].mean()),
            )
            for i, channel in enumerate(own.tolist())
        ]


def _nothing(unit: Unit, plane: Plane) -> UnitMask:
    gains = torch.zeros(plane.spectrum.shape, dtype=plane.rms.dtype)
    silence = Waveform(torch.zeros(1, plane.n_samples), plane.spec.sample_rate)
    return UnitMask(unit, gains, plane.spec, silence, silence, 0.0, 0.0, 0.0, ("inactive",))
