"""One unit of an atlas: its clips, labels, evidence and neighbours."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from auralise.activations.layers import Unit


@dataclass(frozen=True, slots=True)
class Example:
    """A clip that a unit answered to, and the place of its strongest answer.

    Attributes
    ----------
    unit : str
    clip : str
        sha256 of the file.
    collection, path : str
        Where the file is, relative to the collection's root.
    labels : tuple of str
    value : float
        The unit's highest value in the clip.
    start, end : float
        What the unit saw, in seconds of the clip.
    low, high : float or None
        In Hz; None for raw audio.
    window : float
        Where the window begins that the network heard, in seconds of the clip.
    rank : int
        From 0: by value among the top, by lot within a quantile.
    quantile : int or None
        Tenth of the clips that it is from, 0 the weakest; None for the top.
    """

    unit: str
    clip: str
    collection: str
    path: str
    labels: tuple[str, ...]
    value: float
    start: float
    end: float
    low: float | None
    high: float | None
    window: float
    rank: int
    quantile: int | None = None


@dataclass(frozen=True, slots=True)
class AtlasUnit:
    """One unit of an atlas.

    Attributes
    ----------
    rows : callable
        Runs a query over the tables of the atlas, see `Atlas.rows`.
    unit : Unit
    """

    rows: Callable[..., list[Any]]
    unit: Unit

    def top(self, count: int = 9) -> list[Example]:
        """Return the clips with the highest peaks, the highest first; of equals by checksum.

        Parameters
        ----------
        count : int
            As many as the atlas keeps at most, 50.
        """
        return self._examples("top", f"t.rank < {int(count)}", "t.rank")

    def quantiles(self) -> list[Example]:
        """Return five clips from each tenth of all clips by peak, the weakest tenth first."""
        return self._examples("quantiles", "true", "t.bin, t.rank")

    def _examples(self, table: str, where: str, order: str) -> list[Example]:
        rows = self.rows(
            f"SELECT * FROM {{t}} t WHERE t.layer = ? AND t.channel = ? AND {where} "
            f"ORDER BY {order}",
            [self.unit.layer, self.unit.channel],
            t=table,
        )
        clips = self._clips(sorted({row["clip"] for row in rows}))
        kept = ("clip", "value", "start", "end", "low", "high", "window")
        return [
            Example(
                unit=str(self.unit),
                collection=clips[row["clip"]]["collection"],
                path=clips[row["clip"]]["path"],
                labels=tuple(clips[row["clip"]]["labels"]),
                rank=row["rank"],
                quantile=row.get("bin"),
                **{key: row[key] for key in kept},
            )
            for row in rows
        ]

    def _clips(self, names: list[str]) -> dict[str, dict[str, Any]]:
        """Return some clips; asked for by name, for of a join DuckDB would read all of them."""
        if not names:
            return {}
        found = self.rows(
            "SELECT clip, collection, path, labels FROM {c} "
            f"WHERE clip IN ({', '.join('?' * len(names))})",
            names,
            c="clips",
        )
        return {row["clip"]: row for row in found}

    def summary(self) -> dict[str, Any]:
        """Return the unit's statistics, suggested name and histogram."""
        return finite(self._one("units", "")[0])

    def labels(self) -> list[dict[str, Any]]:
        """Return mean peak with interval, AUC, p and q for each label, the highest AUC first."""
        return [finite(row) for row in self._one("labels", "ORDER BY auc DESC NULLS LAST, label")]

    def evidence(self) -> list[dict[str, Any]]:
        """Return the correlation with each descriptor, the strongest first."""
        order = "ORDER BY abs(rho) DESC NULLS LAST, descriptor"
        rows = [finite(row) for row in self._one("evidence", order)]
        return sorted(rows, key=lambda row: -abs(row["rho"] or 0))

    def nearest(self) -> list[dict[str, Any]]:
        """Return the units whose peaks go with this one's, the nearest first."""
        return self._one("nearest", "ORDER BY rank")

    def _one(self, table: str, order: str) -> list[dict[str, Any]]:
        return self.rows(
            f"SELECT * FROM {{t}} WHERE layer = ? AND channel = ? {order}",
            [self.unit.layer, self.unit.channel],
            t=table,
        )


def finite(row: dict[str, Any]) -> dict[str, Any]:
    """Put None in place of what is no number."""
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in row.items()
    }
