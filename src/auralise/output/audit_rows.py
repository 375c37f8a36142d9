"""An audit as rows of a table and as curves: the same in report, terminal and dashboard."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from auralise.audit import Audit
from auralise.audit.faithfulness import Faithfulness
from auralise.output.charts import Axis, Chart, ChartFigure, Series
from auralise.output.words import number

_HALVES = ((0.0, "0"), (0.5, "0.5"), (1.0, "1"))
AUDIT_HEAD = ("", "this map", "random mask", "loudest parts", "reads")


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One question and what it was answered with.

    Attributes
    ----------
    question : str
    value, random, energy : float or None
        For the map, for a random mask and for a mask that keeps what is loud; None where there is
        none.
    reads : str
        How to read it.
    """

    question: str
    value: float | None
    random: float | None
    energy: float | None
    reads: str

    @property
    def cells(self) -> tuple[str, ...]:
        """What is shown under `AUDIT_HEAD`."""
        return (self.question, *map(_written, (self.value, self.random, self.energy)), self.reads)


def _written(value: float | None) -> str:
    return "-" if value is None else number(value, ".3g" if abs(value) >= 1000 else ".2f")


_OF_MASKS: tuple[tuple[str, Callable[[Faithfulness], float | None], str], ...] = (
    ("Unit on what the map keeps", lambda m: m.unit_in, "1 is its value on the excerpt"),
    ("Unit on the rest", lambda m: m.unit_out, "lower is better"),
    ("Deletion", lambda m: m.deletion, "mean of the curve; lower is better"),
    ("Insertion", lambda m: m.insertion, "mean of the curve; higher is better"),
    ("Label surer on what is kept (AI)", lambda m: m.increase, "percent; higher is better"),
    ("Label's loss on what is kept (AD)", lambda m: m.drop, "percent; lower is better"),
    ("Label's gain on what is kept (AG)", lambda m: m.gain, "percent; higher is better"),
    ("Label's loss on the rest (FF)", lambda m: m.removal, "higher is better"),
    ("Same label on what is kept (Fid-in)", lambda m: m.same, "1 is yes"),
    ("Sparseness (SPS)", lambda m: m.sparseness, "1 is a single bin"),
    ("Complexity (COMP)", lambda m: m.complexity, "nats; lower is simpler"),
    ("The same, of its greatest value", lambda m: m.complexity_share, "1 is all bins alike"),
)


def audit_rows(audit: Audit) -> list[AuditRow]:
    """Return the answers of an audit; none where the unit does not answer to the excerpt."""
    if audit.inactive:
        return []
    return [*_of_sound(audit), *_of_map(audit), *_of_masks(audit)]


def _of_sound(audit: Audit) -> Iterator[AuditRow]:
    heard = audit.feedback
    if heard is None:
        return
    yield AuditRow(
        "Unit on its own sound",
        heard.own,
        heard.random_mask,
        heard.energy_mask,
        "1 is its value on the excerpt, at the same level",
    )
    yield AuditRow(
        "Other units that answer less to it", heard.above, None, None, "share; 0.5 says nothing"
    )
    yield AuditRow(
        "Unit on it, weights in disorder", heard.disordered, None, None, "what the sound alone does"
    )


def _of_map(audit: Audit) -> Iterator[AuditRow]:
    found, curve = audit.sensitivity, audit.randomisation
    if found is not None:
        yield AuditRow(
            "Likeness to other units' maps", found.units, None, None, "cosine; 1 is the same map"
        )
        yield AuditRow(
            "Likeness to its map backwards", found.sound, None, None, "on the excerpt backwards"
        )
        yield AuditRow("Likeness under noise at -60 dB", found.noise, None, None, "1 is steady")
    if curve is not None:
        yield AuditRow(
            "Likeness with weights in disorder",
            curve.final,
            None,
            None,
            "cosine; 1 has learnt nothing",
        )


def _of_masks(audit: Audit) -> Iterator[AuditRow]:
    masks = audit.map, audit.random_mask, audit.energy_mask
    if masks[0] is None or masks[1] is None or masks[2] is None:
        return
    for question, take, reads in _OF_MASKS:
        if take(masks[0]) is None:
            continue
        yield AuditRow(question, take(masks[0]), take(masks[1]), take(masks[2]), reads)


def audit_figure(audit: Audit) -> ChartFigure | None:
    """Show the curves of an audit: weights in disorder, deletion and insertion.

    Returns
    -------
    ChartFigure or None
        None where there are no curves, as for a unit that does not answer.
    """
    charts = [*_disorder(audit), *_faith(audit)]
    if not charts:
        return None
    return ChartFigure(
        title=f"Audit of {audit.unit} of {audit.model}, {audit.method}",
        caption="likeness while weights change places; the unit while bins go and come",
        charts=tuple(charts),
        words="; ".join(
            f"{row.question}: {row.cells[1]}" for row in audit_rows(audit) if row.value is not None
        ),
    )


def _disorder(audit: Audit) -> Iterator[Chart]:
    curve = audit.randomisation
    if curve is None:
        return
    points = [(i, c) for i, c in enumerate(curve.cosines, 1) if c is not None]
    if not points:
        return
    x, y = (np.array(values, dtype=np.float64) for values in zip((0, 1.0), *points, strict=True))
    ticks = ((0.0, "none"), *((float(i), name) for i, name in enumerate(curve.layers, 1)))
    yield Chart(
        "Likeness of the map, weights in disorder down to",
        Axis("layer", (-0.2, len(curve.layers) + 0.2), ticks),
        Axis(
            "cosine",
            (min(-0.05, float(y.min()) - 0.05), 1.05),
            ((0.0, "0"), (0.5, "0.5"), (1.0, "1")),
        ),
        (Series("this map", "tuned", x, y, line=True),),
    )


def _faith(audit: Audit) -> Iterator[Chart]:
    masks = (
        ("loudest parts", "guide", audit.energy_mask),
        ("random mask", "guide", audit.random_mask),
        ("this map", "tuned", audit.map),
    )
    for name in ("deletion", "insertion"):
        series: list[tuple[str, str, tuple[float, ...]]] = [
            (label, role, getattr(mask, f"{name}_curve"))
            for label, role, mask in masks
            if mask is not None
        ]
        if not series:
            return
        low = min(min(values) for *_, values in series)
        high = max(max(values) for *_, values in series)
        verb = "taken away" if name == "deletion" else "put into silence"
        yield Chart(
            f"Unit while bins are {verb}",
            Axis("share of bins", (-0.02, 1.02), ((0.0, "0"), (0.5, "0.5"), (1.0, "1"))),
            Axis(
                "unit, of its value", (min(0.0, low) - 0.05, high + 0.05), ((0.0, "0"), (1.0, "1"))
            ),
            tuple(
                Series(
                    label,
                    role,
                    np.linspace(0, 1, len(values)),
                    np.array(values, dtype=np.float64),
                    line=True,
                )
                for label, role, values in series
            ),
        )
