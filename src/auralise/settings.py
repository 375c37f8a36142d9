"""Everything one may choose on the way from a unit to its sound."""

from __future__ import annotations

from dataclasses import dataclass, replace

from auralise.errors import InvalidValueError, UnknownNameError
from auralise.frontends.base import Frontend
from auralise.frontends.sonification import SONIFICATIONS, Part
from auralise.frontends.spectrogram import SpectrogramFrontend
from auralise.inversion import INVERTERS, InversionOptions
from auralise.masks import MASK, MaskOptions
from auralise.phase import DEFAULT_PHASE, phase_method
from auralise.positions import At


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything one may choose on the way from a unit to its sound.

    Attributes
    ----------
    method : str
        Name in `INVERTERS`, or ``"mask"``: parts of the source, found by search.
    at : "peak", "whole", float or (float, float)
        Where on the unit's map: its strongest place; everywhere; the strongest at a time in
        seconds; or at a time in seconds and a frequency in Hz.
    sonification : str or None
        "mask" or "magnitude"; None is "mask" for spectrograms. "input" for methods that search an
        input of their own, and no other. For raw audio there is one for each method: "waveform", or
        "mask" where the map says how much each sample counts.
    part : {"positive", "negative", "absolute"} or None
        Of the signed map; None is "positive". Raw audio takes none.
    phase : str or None
        Name in `PHASE_METHODS`; None is "source" for a mask, and phase-gradient heap integration
        followed by fast Griffin-Lim otherwise. Raw audio takes none.
    iterations, seed : int or None
        Of the phase method, if it has them.
    options : InversionOptions
        What the inversion does where its method leaves a choice.
    mask : MaskOptions
        How a mask is searched for, if that is the method.
    """

    method: str = "guided"
    at: At = "peak"
    sonification: str | None = None
    part: Part | None = None
    phase: str | None = None
    iterations: int | None = None
    seed: int | None = None
    options: InversionOptions = InversionOptions()
    mask: MaskOptions = MaskOptions()

    def resolved(self, frontend: Frontend) -> Settings:
        """Return the settings with every None that has a default replaced by it.

        Raises
        ------
        InvalidValueError
            If something is asked for that has no meaning for the frontend.
        UnknownNameError
            If a name is unknown.
        """
        if self.method == MASK:
            return self._of_mask()
        if self.method not in INVERTERS:
            raise UnknownNameError("inversion method", self.method, [*INVERTERS, MASK])
        if isinstance(frontend, SpectrogramFrontend):
            return self._of_spectrogram()
        return self._of_raw_audio()

    def _of_raw_audio(self) -> Settings:
        """Return the settings where the network sees samples, and a map has one way to sound."""
        for name in ("part", "phase", "iterations", "seed"):
            if getattr(self, name) is not None:
                raise InvalidValueError(
                    f"{name} has no meaning for a raw-audio network: its map is a waveform"
                )
        only = "mask" if _gives(self.method, "shares") else "waveform"
        if self.sonification not in (None, only):
            raise InvalidValueError(
                f"sonification {self.sonification!r} needs a spectrogram network; the map that "
                f"{self.method} gives of a raw-audio network is heard as a {only}"
            )
        return replace(self, sonification=only)

    def _of_spectrogram(self) -> Settings:
        """Return the settings where a map becomes magnitudes, and these a sound."""
        own = _gives(self.method, "input")
        sonification = self.sonification or ("input" if own else "mask")
        SONIFICATIONS[sonification]
        if (sonification == "input") != own:
            raise InvalidValueError(
                f"sonification {sonification!r} has no meaning for {self.method!r}: 'input' is "
                "for methods that search an input, and for these it is the only one"
            )
        if own and self.part not in (None, "absolute"):
            raise InvalidValueError(f"an input is heard as a whole, not its {self.part} part")
        phase = self.phase or ("source" if sonification == "mask" else DEFAULT_PHASE)
        phase_method(phase, n_iter=self.iterations, seed=self.seed)
        part: Part = self.part or ("absolute" if own else "positive")
        return replace(self, sonification=sonification, part=part, phase=phase)

    def _of_mask(self) -> Settings:
        """Return the settings of a mask, which is no map and leaves less to be chosen."""
        for name, only in (
            ("at", "peak"),
            ("sonification", "mask"),
            ("part", "positive"),
            ("phase", "source"),
            ("iterations", None),
        ):
            if getattr(self, name) not in (only, None):
                raise InvalidValueError(
                    f"{name} {getattr(self, name)!r} has no meaning for the method 'mask', which "
                    "multiplies the source's spectrum where the unit is strongest"
                )
        mask = self.mask if self.seed is None else replace(self.mask, seed=self.seed)
        return replace(self, sonification="mask", part="positive", phase="source", mask=mask)


def _gives(method: str, what: str) -> bool:
    """Return whether a method's map is an input of its own, or shares of what was there."""
    return bool(getattr(INVERTERS[method], f"gives_{what}", False))


DEFAULTS = Settings()
