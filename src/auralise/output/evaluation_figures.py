"""What is drawn of an evaluation: the confusion matrix, and how far confidence can be trusted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auralise.errors import ShapeError
from auralise.output.charts import Axis, Chart, ChartFigure, Series
from auralise.output.figures import Array
from auralise.training.assessment import Assessment

_TENTHS = tuple((i / 5, f"{i / 5:g}") for i in range(6))


@dataclass(frozen=True, slots=True, eq=False)
class ConfusionFigure:
    """Which label is taken for which.

    Attributes
    ----------
    title : str
    labels : tuple of str
    counts : array of int, shape (labels, labels)
        Row = label of the clip, column = answer.
    """

    title: str
    labels: tuple[str, ...]
    counts: Array

    def __post_init__(self) -> None:
        wanted = (len(self.labels), len(self.labels))
        if self.counts.shape != wanted:
            raise ShapeError(f"counts must have shape {wanted}, got {self.counts.shape}")

    @property
    def shares(self) -> Array:
        """Counts as shares of their row; 0 in rows without clips."""
        return np.asarray(self.counts / np.maximum(1, self.counts.sum(1, keepdims=True)))

    def describe(self) -> str:
        """Return the figure in words: the most frequent confusions."""
        wrong = [
            (int(self.counts[i, j]), self.labels[i], self.labels[j])
            for i, j in np.ndindex(*self.counts.shape)
            if i != j and self.counts[i, j]
        ]
        wrong.sort(key=lambda item: (-item[0], item[1:]))
        most = ", ".join(f"{a} taken for {b} {count} times" for count, a, b in wrong[:3])
        right = int(np.trace(self.counts))
        return f"{self.title}: {right} of {int(self.counts.sum())} right; {most or 'none wrong'}."


def confusion_figure(name: str, assessment: Assessment) -> ConfusionFigure:
    """Show which labels a network takes for which, after mean vote."""
    return ConfusionFigure(
        f"Confusion matrix of {name}", assessment.labels, np.array(assessment.confusion)
    )


def calibration_figure(name: str, assessment: Assessment) -> ChartFigure:
    """Show how often answers are right, against how sure the network was of them."""
    found = assessment.calibration
    filled = found.counts > 0
    x, y, counts = found.confidence[filled], found.accuracy[filled], found.counts[filled]
    what = "clips that have the tag" if assessment.multilabel else "clips that are right"
    half = 1.96 * np.sqrt(np.maximum(y * (1 - y), 0.25 / counts) / counts)
    series = (
        Series("as often right as sure", "guide", np.array([0.0, 1.0]), np.array([0.0, 1.0]),
               line=True),
        Series(
            "answers",
            "tuned",
            x,
            y,
            texts=tuple(
                f"{n} answers<br>confidence {a:.2f}<br>right {b:.2f}"
                for n, a, b in zip(counts, x, y, strict=True)
            ),
            reach=np.stack([np.maximum(0, y - half), np.minimum(1, y + half)]),
        ),
    )  # fmt: skip
    error = found.error
    return ChartFigure(
        title=f"Calibration of {name}",
        caption=f"expected calibration error {error:.3f}, {len(found.counts)} equal bins",
        charts=(
            Chart(
                "Confidence against correctness",
                Axis("confidence", (0.0, 1.0), _TENTHS),
                Axis(f"share of {what}", (0.0, 1.0), _TENTHS),
                series,
            ),
        ),
        words=f"{name}: confidence and correctness are {error:.3f} apart on average.",
    )
