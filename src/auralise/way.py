"""Through one layer and back: what the whole way is made of, a step at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from auralise.activations.recorder import run_to
from auralise.audio.levels import measure
from auralise.audio.waveform import Waveform
from auralise.errors import AuraliseError, ShapeError
from auralise.frontends.base import Features
from auralise.frontends.sonification import SONIFICATIONS, Part, mask_samples, unity
from auralise.frontends.spectrogram import SpectrogramFrontend
from auralise.inversion import Inversion, invert_layer
from auralise.masks import MASK, UnitMask, find_masks, unmasked
from auralise.masks.plane import spec_of
from auralise.models.base import MusicNetwork
from auralise.phase import PhaseMethod, phase_method
from auralise.positions import position_of
from auralise.settings import Settings
from auralise.spectral.convergence import convergence_of
from auralise.spectral.spectrogram import Spectrogram, analyse

Found = tuple[Inversion, Waveform, float | None]
"""A unit's map, its sound and that sound's spectral convergence in dB."""


@dataclass(frozen=True, slots=True, eq=False)
class Way:
    """The way from one excerpt's features through one layer and back to sound."""

    network: MusicNetwork
    features: Features
    layer: str
    settings: Settings

    def answer(self, features: Features) -> Tensor:
        """Return the layer's output for features, shape (channels, ...)."""
        try:
            with torch.no_grad():
                return run_to(self.network.module, features.values[None], self.layer)[0]
        except RuntimeError as error:
            seconds, card = features.source.duration, self.network.card
            if isinstance(error, AuraliseError) or card.seconds is None:
                raise
            if math.isclose(seconds, card.seconds, abs_tol=1e-3):
                raise
            raise ShapeError(
                f"layer {self.layer!r} of {card.name!r} takes excerpts of {card.seconds:g} s only, "
                f"and this one has {seconds:.2f} s; choose {card.seconds:g} s of it"
            ) from error

    def hear(self, waveform: Waveform) -> Tensor:
        """Return the layer's output for a sound with the source's root mean square."""
        sound, source = measure(waveform), measure(self.features.source)
        gain = source.rms / sound.rms if sound.rms > 0 and source.rms > 0 else 1.0
        louder = Waveform(waveform.samples * gain, waveform.sample_rate)
        return self.answer(self.network.card.frontend.analyse(louder))

    def inverted(self, channels: Sequence[int]) -> Iterator[Found]:
        """Yield each unit's map, its sound and that sound's spectral convergence in dB."""
        network, settings = self.network, self.settings
        position = position_of(network, self.features, self.layer, settings.at)
        for inversion in invert_layer(
            network.module,
            self.features.values,
            self.layer,
            channels,
            settings.method,
            position=position,
            options=settings.options,
        ):
            yield inversion, *self.sound_of(inversion.relevance)

    def searched(
        self,
        sound: Waveform,
        channels: Sequence[int],
        answer: Tensor,
        report: Callable[[int, int], None],
    ) -> Iterator[Found]:
        """Yield as `inverted` does, with masks found by search."""
        options = self.settings.mask
        spectrum = analyse(sound, spec_of(self.network.card.frontend)).magnitude
        for mask in find_masks(self.network, sound, self.layer, channels, options, report=report):
            inversion = self._as_inversion(mask, answer[mask.unit.channel])
            target = Spectrogram(spectrum * mask.gains, mask.spec, sound.n_samples)
            convergence = convergence_of(mask.kept, target)
            yield inversion, mask.waveform, convergence if math.isfinite(convergence) else None

    def _as_inversion(self, mask: UnitMask, answer: Tensor) -> Inversion:
        """Bring a mask to the input's shape: its gains, or for raw audio what they let through."""
        frontend = self.network.card.frontend
        if isinstance(frontend, SpectrogramFrontend):
            relevance = frontend.gather(mask.gains[None])
        else:
            relevance = mask.kept.samples
        index = int(answer.argmax())
        place = tuple(int(i) for i in torch.unravel_index(torch.tensor(index), answer.shape))
        return Inversion(relevance, mask.unit, MASK, float(answer.max()), place, mask.flags)

    def sound_of(self, relevance: Tensor) -> tuple[Waveform, float | None]:
        """Return a map's sound and its spectral convergence in dB."""
        frontend = self.network.card.frontend
        if not isinstance(frontend, SpectrogramFrontend):
            if self.settings.sonification == "mask":
                return mask_samples(relevance, self.features), None
            return Waveform(relevance, frontend.sample_rate), None
        make = SONIFICATIONS[str(self.settings.sonification)]
        part: Part = self.settings.part or "positive"
        return self._phased(make(frontend, relevance, self.features, part))

    def round_trip(self) -> tuple[Waveform, float | None]:
        """Return the source after the same way without inversion, and its convergence in dB."""
        frontend = self.network.card.frontend
        if self.settings.method == MASK:
            return unmasked(frontend, self.features.source), None
        if not isinstance(frontend, SpectrogramFrontend):
            return self.features.source, None
        return self._phased(unity(frontend, self.features, str(self.settings.sonification)))

    def _phased(self, target: Spectrogram) -> tuple[Waveform, float | None]:
        waveform = self._phase()(target, self.features.spectrogram)
        convergence = convergence_of(waveform, target)
        return waveform, convergence if math.isfinite(convergence) else None

    def _phase(self) -> PhaseMethod:
        settings = self.settings
        return phase_method(str(settings.phase), n_iter=settings.iterations, seed=settings.seed)
