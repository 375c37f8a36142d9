"""Masks found by search: the parts of a sound that make one unit answer, and not its neighbours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from auralise.activations.layers import Unit
from auralise.activations.recorder import run_to
from auralise.audio.waveform import Waveform
from auralise.auralisation import prepare
from auralise.errors import InvalidValueError
from auralise.frontends.spectrogram import SpectrogramFrontend
from auralise.models.base import MusicNetwork
from auralise.spectral.stft import StftSpec, istft_samples, stft_samples
from auralise.units import hz_to_mel

QUIET = 1e-6


@dataclass(frozen=True, slots=True)
class MaskOptions:
    """How a mask is searched for.

    Attributes
    ----------
    steps : int
        Of Adam.
    learning_rate : float
        On the mask's logits.
    sharpness : float
        Factor of the ratios inside the softmax over the layer's units.
    area : float
        Price of the mask's mean, against one nat of contrast.
    bands : int
        The mask's height: so many values at equal distances in mel, with lines between them.
    seconds : float
        Distance of the mask's values in time.
    shift : float
        Each step hears the sound up to so many seconds later or earlier, so that what is found
        does not hang on the grid of the network's pooling.
    noise_db : float
        Each step hears white noise at this level below the sound's root mean square; -inf for none.
    seed : int
        Of shifts and noise.
    batch_size : int
        Units searched for at the same time.
    """

    steps: int = 30
    learning_rate: float = 0.3
    sharpness: float = 4.0
    area: float = 0.5
    bands: int = 24
    seconds: float = 0.064
    shift: float = 0.012
    noise_db: float = -40.0
    seed: int = 0
    batch_size: int = 8

    def __post_init__(self) -> None:
        for name in ("steps", "bands", "batch_size"):
            if getattr(self, name) < 1:
                raise InvalidValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("learning_rate", "sharpness", "seconds"):
            if not getattr(self, name) > 0:
                raise InvalidValueError(f"{name} must be positive, got {getattr(self, name)}")
        for name in ("area", "shift"):
            if not getattr(self, name) >= 0:
                raise InvalidValueError(f"{name} must be at least 0, got {getattr(self, name)}")
        if not self.noise_db <= 0:
            raise InvalidValueError(f"noise_db must be at most 0 dB, got {self.noise_db}")


@dataclass(frozen=True, slots=True, eq=False)
class UnitMask:
    """What of a sound one unit answers to, and its neighbours less.

    Attributes
    ----------
    unit : Unit
    gains : Tensor, shape (bins, frames)
        In [0, 1], over the bins of ``spec``.
    spec : StftSpec
    waveform : Waveform
        The masked source, with the source's root mean square (or silence).
    ratio : float
        The unit's strongest value on it, divided by that on the source.
    contrast : float
        Share of the softmax over the layer's live units that the unit gets; 1 is all.
    area : float
        Mean of the gains.
    flags : tuple of str
        ``"inactive"`` if the unit does not answer to the source; there is no mask then, and the
        gains are 0.
    """

    unit: Unit
    gains: Tensor
    spec: StftSpec
    waveform: Waveform
    ratio: float
    contrast: float
    area: float
    flags: tuple[str, ...] = ()


def find_masks(
    network: MusicNetwork,
    source: Waveform,
    layer: str,
    channels: Sequence[int] | None = None,
    options: MaskOptions = MaskOptions(),
    *,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[UnitMask]:
    r"""Search, for each unit, the mask under which it answers most of its layer.

    .. math:: \min_m \; -\log \operatorname{softmax}_u\!\bigl(s\, a_v(m x) / a_v(x)\bigr)
              + \lambda\, \overline{m}

    Here :math:`a_v` is the strongest value of unit :math:`v` on a sound, :math:`m` multiplies the
    short-time spectrum of the source :math:`x`, and the masked sound is brought to the source's
    root mean square. The mask is a logistic function of values on a coarse grid over mel and time,
    so that what it lets through can be heard as parts of the music. The network hears the masked
    *sound*, through its whole front end; raw-audio networks are treated no differently.

    Parameters
    ----------
    network : MusicNetwork
    source : Waveform
        Any rate, see `auralisation.prepare`.
    layer : str
    channels : sequence of int, optional
        All of the layer if not given. The contrast is always with all live units of the layer.
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
    """
    sound, _ = prepare(network, source)
    plane = _Plane.of(network, sound, options)
    hears = _Ears(network, layer)
    with torch.no_grad():
        base = hears(sound.samples)[0]
    if channels is None:
        channels = range(base.shape[0])
    outside = [c for c in channels if not 0 <= c < base.shape[0]]
    if outside:
        raise InvalidValueError(
            f"layer {layer!r} has {base.shape[0]} units, so there is none numbered {outside[0]}"
        )
    live = (base > QUIET * base.abs().max().clamp(min=QUIET)).nonzero()[:, 0]
    audible = bool(sound.samples.abs().max() > 0)
    places = {int(c): i for i, c in enumerate(live.tolist())} if audible else {}
    searched = [c for c in channels if c in places]
    search = _Search(hears, plane, base[live], live, options)
    total = -(-len(searched) // options.batch_size) * options.steps
    done = 0
    found: dict[int, UnitMask] = {}
    for channel in channels:
        if channel not in places:
            yield _nothing(Unit(layer, channel), plane)
            continue
        if channel not in found:
            first = searched.index(channel)
            batch = searched[first : first + options.batch_size]

            def step(count: int, before: int = done) -> None:
                report(before + count, total)

            for unit, result in zip(batch, search([places[c] for c in batch], step), strict=True):
                found[unit] = _result(Unit(layer, unit), plane, result)
            done += options.steps
        yield found.pop(channel)


@dataclass(frozen=True, slots=True, eq=False)
class _Plane:
    """The source's spectrum, and the way from a coarse mask to a sound."""

    spec: StftSpec
    spectrum: Tensor  # (bins, frames), complex
    rms: Tensor
    n_samples: int
    rows: Tensor  # (bins, bands): how a bin is mixed from the mask's bands
    steps: int

    @staticmethod
    def of(network: MusicNetwork, sound: Waveform, options: MaskOptions) -> _Plane:
        frontend = network.card.frontend
        if isinstance(frontend, SpectrogramFrontend):
            spec = frontend.spec
        else:
            n_fft = 2 ** round(torch.tensor(0.064 * sound.sample_rate).log2().item())
            spec = StftSpec(sound.sample_rate, n_fft, n_fft // 4)
        spectrum = stft_samples(sound.samples, spec)[0]
        duration = sound.n_samples / sound.sample_rate
        return _Plane(
            spec,
            spectrum,
            sound.samples.square().mean().sqrt(),
            sound.n_samples,
            _mixing(spec, options.bands).to(sound.samples.dtype),
            max(1, round(duration / options.seconds)) + 1,
        )

    def gains(self, logits: Tensor) -> Tensor:
        """Return (units, bins, frames) gains of (units, bands, steps) logits."""
        wide = functional.interpolate(
            logits.sigmoid(), self.spectrum.shape[-1], mode="linear", align_corners=True
        )
        return self.rows @ wide

    def sound(self, gains: Tensor) -> Tensor:
        """Return (units, time) samples at the source's root mean square."""
        samples = istft_samples(self.spectrum * gains, self.spec, self.n_samples)
        rms = samples.square().mean(-1, keepdim=True).clamp(min=1e-20).sqrt()
        return samples * (self.rms / rms)


def _mixing(spec: StftSpec, bands: int) -> Tensor:
    """Return, for each bin, the shares of the two bands beside it, at equal distances in mel."""
    mel = hz_to_mel(spec.frequencies().double())
    place = mel / mel[-1] * (bands - 1)
    distance = (place[:, None] - torch.arange(bands, dtype=torch.float64)).abs()
    return (1 - distance).clamp(min=0)


@dataclass(frozen=True, slots=True, eq=False)
class _Ears:
    """The strongest value of each unit of a layer on a batch of sounds."""

    network: MusicNetwork
    layer: str

    def __call__(self, samples: Tensor) -> Tensor:
        values = self.network.card.frontend.module(samples)
        return run_to(self.network.module, values, self.layer).flatten(2).amax(2)


@dataclass(frozen=True, slots=True, eq=False)
class _Search:
    hears: _Ears
    plane: _Plane
    base: Tensor  # (live,), positive
    live: Tensor
    options: MaskOptions

    def __call__(
        self, places: Sequence[int], report: Callable[[int], None]
    ) -> list[tuple[Tensor, Tensor, float, float]]:
        """Return gains, samples, ratio and contrast for each of the live units at ``places``."""
        own = torch.tensor(places)
        logits = self.plane.rows.new_zeros(
            len(places), self.options.bands, self.plane.steps, requires_grad=True
        )
        adam = torch.optim.Adam([logits], self.options.learning_rate)
        generator = torch.Generator().manual_seed(self.options.seed)
        with torch.enable_grad():
            for step in range(1, self.options.steps + 1):
                gains = self.plane.gains(logits)
                heard = self._disturbed(self.plane.sound(gains), generator)
                contrast, _ = self._contrast(heard, own)
                loss = -contrast.sum() + self.options.area * gains.mean((1, 2)).sum()
                (logits.grad,) = torch.autograd.grad(loss, logits)
                adam.step()
                report(step)
        with torch.no_grad():
            gains = self.plane.gains(logits)
            samples = self.plane.sound(gains)
            contrast, ratios = self._contrast(samples, own)
        return [
            (gains[i], samples[i], float(ratios[i, place]), float(contrast[i].exp()))
            for i, place in enumerate(places)
        ]

    def _disturbed(self, samples: Tensor, generator: torch.Generator) -> Tensor:
        """Return the sounds as a listener elsewhere gets them: a little later, with some noise."""
        furthest = round(self.options.shift * self.plane.spec.sample_rate)
        late = int(torch.randint(-furthest, furthest + 1, (), generator=generator))
        noise = torch.randn(samples.shape[-1], generator=generator).to(samples)
        level = self.plane.rms * 10 ** (self.options.noise_db / 20)
        return samples.roll(late, -1) + level * noise

    def _contrast(self, samples: Tensor, own: Tensor) -> tuple[Tensor, Tensor]:
        """Return the log share of each sound's own unit, and all ratios (sounds, live units).

        Dead units are left out before dividing: 0/0 has a gradient that is no number even where
        its value is not used.
        """
        ratios = self.hears(samples)[:, self.live] / self.base
        shares = (self.options.sharpness * ratios).log_softmax(1)
        return shares[torch.arange(len(own)), own], ratios


def _result(unit: Unit, plane: _Plane, found: tuple[Tensor, Tensor, float, float]) -> UnitMask:
    gains, samples, ratio, contrast = found
    sound = Waveform(samples[None], plane.spec.sample_rate)
    return UnitMask(unit, gains, plane.spec, sound, ratio, contrast, float(gains.mean()))


def _nothing(unit: Unit, plane: _Plane) -> UnitMask:
    gains = torch.zeros(plane.spectrum.shape, dtype=plane.rms.dtype)
    silence = Waveform(torch.zeros(1, plane.n_samples), plane.spec.sample_rate)
    return UnitMask(unit, gains, plane.spec, silence, 0.0, 0.0, 0.0, ("inactive",))
