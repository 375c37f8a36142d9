r"""What a network answers to when one thing about a sound changes and everything else stays.

The measure of all designs is one ratio. With :math:`y_i` a unit's answer to sound :math:`i`,

.. math:: r = \frac{\mathrm{mean}\,(y_i - y_j)^2 \text{ over pairs that differ in the factor alone}}
                   {\mathrm{mean}\,(y_i - y_j)^2 \text{ over all pairs}}

It is 0 for a unit that does not hear the factor, and about 1 for one that hears nothing else. In a
balanced design it is Sobol's total effect of the factor, as Jansen estimates it.

Sources:

- M. J. W. Jansen, "Analysis of variance designs for model output", Computer Physics
  Communications 117, 1999.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations, product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from auralise.claims.base import Curve, Panel
from auralise.claims.context import Context
from auralise.claims.stages import is_dead
from auralise.claims.statistics import Array, mean_interval
from auralise.errors import InvalidValueError

FAINT = 0.01
"""Of the spread of a layer's strongest unit: units that vary less hardly answer."""

Cell = Mapping[str, object]
Pairs = NDArray[np.int64]


def crossed(**levels: Sequence[object]) -> list[Cell]:
    """Return every combination of the levels of factors, the last one changing fastest.

    Examples
    --------
    >>> crossed(key=("A", "C"), tempo=(80, 120))[1]
    {'key': 'A', 'tempo': 120}
    """
    return [dict(zip(levels, values, strict=True)) for values in product(*levels.values())]


def pairs_by_factor(cells: Sequence[Cell]) -> dict[str, Pairs]:
    """Return, for each factor, the pairs of cells that differ in it alone, shape (pairs, 2).

    Raises
    ------
    InvalidValueError
        If there is no factor with such a pair.

    Examples
    --------
    >>> pairs_by_factor(crossed(key=("A", "C"), tempo=(80, 120)))["key"].tolist()
    [[0, 2], [1, 3]]
    """
    found: dict[str, list[tuple[int, int]]] = {name: [] for name in cells[0]}
    for i, j in combinations(range(len(cells)), 2):
        changed = [name for name in cells[0] if cells[i][name] != cells[j][name]]
        if len(changed) == 1:
            found[changed[0]].append((i, j))
    pairs = {name: np.array(rows) for name, rows in found.items() if rows}
    if not pairs:
        raise InvalidValueError("no two sounds of the design differ in one thing alone")
    return pairs


def change_ratios(responses: Tensor, pairs: Pairs) -> Array:
    """Return the ratio of the module's docstring for every unit that answers.

    Units that vary by less than a hundredth of the layer's strongest are left out, as are dead
    ones: what they do is rounding, or the leakage of windows.

    Parameters
    ----------
    responses : Tensor, shape (sounds, units)
    pairs : array, shape (pairs, 2)

    Returns
    -------
    array, shape (live units,)
    """
    live = _answering(responses)
    changed = (live[pairs[:, 0]] - live[pairs[:, 1]]).square().mean(0)
    everything = 2 * live.var(0, correction=1)
    return (changed / everything).numpy()


def _answering(responses: Tensor) -> Tensor:
    """Return the units that are not dead and vary by a hundredth of the one that varies most."""
    live = responses[:, ~is_dead(responses)].double()
    spread = live.std(0)
    return live[:, spread >= FAINT * spread.max()] if live.shape[1] else live


def change_correlation(responses: Tensor, pairs: Pairs) -> float:
    """Return the mean correlation, over units, of the answers to the two sounds of a pair.

    Each unit is standardised over all sounds first, so that unrelated sounds have about 0.
    """
    live = responses[:, ~is_dead(responses)].double()
    if live.shape[1] < 2:
        return float("nan")
    scores = (live - live.mean(0)) / live.std(0)
    scores = scores - scores.mean(1, keepdim=True)
    one, other = scores[pairs[:, 0]], scores[pairs[:, 1]]
    top = (one * other).sum(1)
    return float((top / (one.norm(dim=1) * other.norm(dim=1)).clamp_min(1e-12)).mean())


def mean_ratio(responses: Tensor, pairs: Pairs) -> float:
    """Return the mean ratio of the live units; 0 where none is alive."""
    ratios = change_ratios(responses, pairs)
    return float(ratios.mean()) if len(ratios) else 0.0


def ratio_panels(
    context: Context, answers: list[list[Tensor]], pairs: Mapping[str, Pairs], what: str
) -> tuple[Panel, ...]:
    """Return a panel for each factor: the ratio at each stage, beside that of the twins."""
    names = tuple(stage.name for stage in context.stages)
    panels = []
    for factor, rows in pairs.items():
        own = [change_ratios(part, rows) for part in answers[0]]
        intervals = [mean_interval(r if len(r) else np.zeros(1), seed=context.seed) for r in own]
        twins = np.array([[mean_ratio(part, rows) for part in twin] for twin in answers[1:]])
        panels.append(
            Panel(
                f"Only the {factor} changes",
                "layer",
                f"change, share of that by {what}",
                names,
                (
                    twin_curve(twins),
                    Curve(
                        "network",
                        tuple(interval.value for interval in intervals),
                        tuple(interval.low for interval in intervals),
                        tuple(interval.high for interval in intervals),
                    ),
                ),
            )
        )
    return tuple(panels)


def twin_curve(twins: Array) -> Curve:
    """Return the range of the twins, shape (twins, places), about their mean."""
    return Curve(
        f"{len(twins)} untrained networks",
        tuple(twins.mean(0).tolist()),
        tuple(twins.min(0).tolist()),
        tuple(twins.max(0).tolist()),
        control=True,
    )


def last_hidden(context: Context) -> int:
    """Return the index of the stage before the answer, or of the last one if none is."""
    last = len(context.stages) - 1
    return last - 1 if context.stages[last].output and last > 0 else last


def stack_probabilities(logits: Tensor) -> Tensor:
    """Return what a network makes of each sound, (sounds, labels), rows summing to 1."""
    return torch.softmax(logits.double(), 1)
