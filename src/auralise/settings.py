"""Everything one may choose on the way from a unit to its sound."""

from __future__ import annotations

from dataclasses import dataclass, replace

from auralise.errors import InvalidValueError
from auralise.frontends.base import Frontend
from auralise.frontends.sonification import SONIFICATIONS, Part
from auralise.frontends.spectrogram import SpectrogramFrontend
from auralise.inversion import INVERTERS, InversionOptions
from auralise.phase import DEFAULT_PHASE, phase_method
from auralise.positions import At


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything one may choose on the way from a unit to its sound.

    Attributes
    ----------
    method : str
        Name in `INVERTERS`.
    at : "peak", "whole", float or (float, float)
        Where on the unit's map: its strongest place; everywhere; the strongest at a time in
        seconds; or at a time in seconds and a frequency in Hz.
    sonification : str or None
        "mask" or "magnitude"; None is "mask" for spectrograms and "waveform" for raw audio, where
        there is no other.
    part : {"positive", "negative", "absolute"} or None
        Of the signed map; None is "positive". Raw audio takes none.
    phase : str or None
        Name in `PHASE_METHODS`; None is "source" for a mask, and phase-gradient heap integration
        followed by fast Griffin-Lim for a magnitude. Raw audio takes none.
    iterations, seed : int or None
        Of the phase method, if it has them.
    options : InversionOptions
        What the inversion does where its method leaves a choice.
    """

    method: str = "guided"
    at: At = "peak"
    sonification: str | None = None
    part: Part | None = None
    phase: str | None = None
    iterations: int | None = None
    seed: int | None = None
    options: InversionOptions = InversionOptions()

    def resolved(self, frontend: Frontend) -> Settings:
        """Return the settings with every None that has a default replaced by it.

        Raises
        ------
        InvalidValueError
            If something is asked for that has no meaning for the frontend.
        UnknownNameError
            If a name is unknown.
        """
        INVERTERS[self.method]
        if not isinstance(frontend, SpectrogramFrontend):
            for name in ("part", "phase", "iterations", "seed"):
                if getattr(self, name) is not None:
                    raise InvalidValueError(
                        f"{name} has no meaning for a raw-audio network: its map is a waveform"
                    )
            if self.sonification not in (None, "waveform"):
                raise InvalidValueError(
                    f"sonification {self.sonification!r} needs a spectrogram network; the map of "
                    "a raw-audio network is a waveform already"
                )
            return replace(self, sonification="waveform")
        sonification = self.sonification or "mask"
        SONIFICATIONS[sonification]
        phase = self.phase or ("source" if sonification == "mask" else DEFAULT_PHASE)
        phase_method(phase, n_iter=self.iterations, seed=self.seed)
        return replace(self, sonification=sonification, part=self.part or "positive", phase=phase)


DEFAULTS = Settings()
