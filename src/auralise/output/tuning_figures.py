"""The tuning of a layer as a picture: units sorted by best frequency, over log frequency."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auralise.errors import InvalidValueError, ShapeError
from auralise.filters.tuning import Tuning
from auralise.filters.tuning_curves import TuningCurves
from auralise.output.figures import Array, hertz_label

_TICKS = (20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000)


@dataclass(frozen=True, slots=True, eq=False)
class TuningFigure:
    """An image with a row for each unit.

    Attributes
    ----------
    title, caption : str
        What is shown; how it was measured, in one line.
    units : tuple of str
        Name of each row, from the bottom.
    hertz : array, shape (columns,)
        Frequency of each column, rising.
    values : array, shape (rows, columns)
        Rise above silence as a share of the unit's own largest, from 0 to 1.
    best : array, shape (rows,)
        Best frequency of each unit in Hz; NaN where there is none.
    """

    title: str
    caption: str
    units: tuple[str, ...]
    hertz: Array
    values: Array
    best: Array

    def __post_init__(self) -> None:
        wanted = (len(self.units), len(self.hertz))
        if self.values.shape != wanted or self.best.shape != wanted[:1]:
            raise ShapeError(
                f"values must have shape {wanted} and best {wanted[:1]}, "
                f"got {self.values.shape} and {self.best.shape}"
            )
        if not self.units or len(self.hertz) < 2:
            raise InvalidValueError(f"an image needs a row and two columns, got {wanted}")

    @property
    def edges(self) -> Array:
        """Borders of the columns in Hz, halfway between them on the logarithmic axis."""
        octaves = np.log2(self.hertz)
        middles = (octaves[1:] + octaves[:-1]) / 2
        ends = 2 * octaves[0] - middles[0], 2 * octaves[-1] - middles[-1]
        return np.asarray(2.0 ** np.array([ends[0], *middles, ends[1]]), dtype=np.float64)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Frequencies worth a label, with the label."""
        low, high = self.edges[0], self.edges[-1]
        return [(float(hz), hertz_label(hz)) for hz in _TICKS if low <= hz <= high]

    def describe(self) -> str:
        """Return the figure in words, for those who cannot see it."""
        known = self.best[~np.isnan(self.best)]
        found = (
            f"best frequencies from {known.min():.0f} to {known.max():.0f} Hz"
            if known.size
            else "none has a best frequency"
        )
        return f"{self.title}. {len(self.units)} units, sorted by best frequency: {found}."


def tuning_figure(tuning: Tuning, curves: TuningCurves) -> TuningFigure:
    """Show the tuning curves of all units of a layer, the lowest best frequency at the bottom.

    Units without a best frequency have the topmost rows.

    Parameters
    ----------
    tuning : Tuning
    curves : TuningCurves
        Of it.
    """
    order = np.argsort(curves.best_frequency, kind="stable")
    level = tuning.levels_db.tolist().index(curves.level_db)
    rises = (tuning.responses[:, :, level] - tuning.silence[:, None]).numpy()[order]
    heights = curves.height[order, None]
    shares = np.divide(rises, heights, out=np.zeros_like(rises), where=heights > 0)
    dead = int(curves.dead.sum())
    caption = (
        f"{tuning.stimulus}, {curves.level_db:g} dBFS, {tuning.reduction} of the map; "
        f"share of each unit's largest rise; {dead} of {len(order)} units dead"
    )
    return TuningFigure(
        title=f"Tuning of {tuning.layer} of {tuning.model}",
        caption=caption,
        units=tuple(f"{tuning.layer}:{channel}" for channel in order),
        hertz=tuning.frequencies.numpy(),
        values=shares.clip(0.0, 1.0),
        best=curves.best_frequency[order],
    )
