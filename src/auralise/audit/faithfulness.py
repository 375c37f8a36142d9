"""Whether what a map points at is what the network goes by."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from auralise.activations.layers import Unit
from auralise.audit.canvas import Canvas
from auralise.audit.judge import Judge

TINY = 1e-7
"""Added to masks before their sparseness is taken, as in Quantus."""


@dataclass(frozen=True, slots=True)
class Faithfulness:
    """One mask on one sound, judged by the network.

    The first five are None where the network gives no shares for a sound of this length.

    The network hears what the mask lets through ("in") and what it holds back ("out"), and gives
    its outputs' shares :math:`p`; :math:`c` is the output that is strongest on the source.

    Attributes
    ----------
    increase : float
        AI: 100 if :math:`p_{in}(c) > p(c)`, else 0. In percent, as the mean over sounds is.
    drop : float
        AD: how much of :math:`p(c)` is missing "in", in percent of it. Lower is better.
    gain : float
        AG: how much of :math:`1 - p(c)` is won "in", in percent of it.
    removal : float
        FF: :math:`p(c) - p_{out}(c)`. Higher is better.
    same : float
        Fid-in: 1 if :math:`c` is still the strongest output "in".
    sparseness : float
        SPS: Gini index of the mask; 0 where it is the same everywhere, 1 for a single bin.
    complexity : float
        COMP: entropy of the mask's shares in nats. Lower is simpler.
    complexity_share : float
        The same divided by its greatest value, the logarithm of the number of bins.
    unit_in, unit_out : float
        The unit's strongest value "in" and "out", divided by that on the source.
    deletion, insertion : float
        Mean of the unit's share while the bins are taken away, or put into silence, the ones first
        that the mask holds highest. A low deletion and a high insertion speak for the mask.
    deletion_curve, insertion_curve : tuple of float
        The unit's strongest value at each step, divided by that on the source.

    References
    ----------
    .. [1] F. Paissan, M. Ravanelli, C. Subakan, "Listenable maps for audio classifiers", ICML
       2024 (AI, AD, AG, FF, Fid-in).
    .. [2] P. Chalasani et al., "Concise explanations of neural networks using adversarial
       training", ICML 2020 (SPS); U. Bhatt, A. Weller, J. Moura, "Evaluating and aggregating
       feature-based model explanations", IJCAI 2020 (COMP).
    .. [3] V. Petsiuk, A. Das, K. Saenko, "RISE", BMVC 2018 (deletion and insertion).
    """

    increase: float | None
    drop: float | None
    gain: float | None
    removal: float | None
    same: float | None
    sparseness: float
    complexity: float
    complexity_share: float
    unit_in: float
    unit_out: float
    deletion: float
    insertion: float
    deletion_curve: tuple[float, ...]
    insertion_curve: tuple[float, ...]


def faithfulness(
    judge: Judge, canvas: Canvas, unit: Unit, mask: Tensor, *, steps: int = 8, seed: int = 0
) -> Faithfulness:
    """Judge one mask.

    The shares are taken by one softmax over the network's outputs, on sounds: mask and rest are
    heard through the network's whole front end.

    Parameters
    ----------
    judge : Judge
        For the unit's layer.
    canvas : Canvas
    unit : Unit
        Must answer to the source.
    mask : Tensor, shape (bins, frames)
        In [0, 1], as `part_of` gives it.
    steps : int
        Of the deletion and insertion curves, beside their beginning.
    seed : int
        Of the order of bins that the mask holds equal.

    Raises
    ------
    InvalidValueError
        If there is no such unit.
    """
    source = canvas.source.samples
    kept = canvas.kept(mask[None])
    removed, inserted = nested(mask, steps, seed)
    rest = canvas.kept(removed), canvas.kept(inserted)
    heard = judge(torch.cat([source, kept, source - kept, *rest]))
    judge.require(unit, heard)
    values = heard.units[:, unit.channel] / heard.units[0, unit.channel].clamp(min=1e-30)
    deletion = (1.0, *values[3 : 3 + steps].tolist())
    insertion = (*values[3 + steps :].tolist(), 1.0)
    entropy = complexity(mask)
    return Faithfulness(
        **_of_label(heard.shares),
        sparseness=sparseness(mask),
        complexity=entropy,
        complexity_share=entropy / max(float(torch.tensor(mask.numel()).log()), 1e-30),
        unit_in=float(values[1]),
        unit_out=float(values[2]),
        deletion=sum(deletion) / len(deletion),
        insertion=sum(insertion) / len(insertion),
        deletion_curve=deletion,
        insertion_curve=insertion,
    )


def _of_label(shares: Tensor | None) -> dict[str, float | None]:
    """Return what becomes of the label, of the shares on source, "in" and "out"."""
    if shares is None:
        return dict.fromkeys(("increase", "drop", "gain", "removal", "same"))
    label = int(shares[0].argmax())
    whole, inside, outside = (float(shares[i, label]) for i in range(3))
    return {
        "increase": 100.0 * (inside > whole),
        "drop": 100 * max(0.0, whole - inside) / max(whole, 1e-30),
        "gain": 100 * max(0.0, inside - whole) / max(1 - whole, 1e-30),
        "removal": whole - outside,
        "same": float(int(shares[1].argmax()) == label),
    }


def nested(mask: Tensor, steps: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return what is left of everything, and what is there of it, step by step.

    Parameters
    ----------
    mask : Tensor, shape (bins, frames)
    steps : int
    seed : int
        Of the order of equals.

    Returns
    -------
    removed : Tensor, shape (steps, bins, frames)
        0 where the highest ``1/steps``, ``2/steps``, ... all of the bins are, 1 elsewhere.
    inserted : Tensor, shape (steps, bins, frames)
        1 where the highest none, ``1/steps``, ... ``(steps - 1)/steps`` of the bins are.
    """
    count = mask.numel()
    shuffle = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    order = shuffle[mask.flatten()[shuffle].argsort(descending=True, stable=True)]
    rank = torch.empty_like(order).scatter_(0, order, torch.arange(count)).reshape(mask.shape)
    ends = [round(count * step / steps) for step in range(steps + 1)]
    removed = torch.stack([(rank >= end).to(mask) for end in ends[1:]])
    inserted = torch.stack([(rank < end).to(mask) for end in ends[:-1]])
    return removed, inserted


def sparseness(mask: Tensor) -> float:
    """Return the Gini index of a mask's absolute values."""
    values = mask.abs().flatten().double().add(TINY).sort().values
    n = values.numel()
    ranks = 2 * torch.arange(1, n + 1, dtype=torch.float64) - n - 1
    return float((ranks * values).sum() / (n * values.sum()))


def complexity(mask: Tensor) -> float:
    """Return the entropy of a mask's shares, in nats; 0 where the mask is 0 everywhere."""
    values = mask.abs().flatten().double()
    total = values.sum()
    if total == 0:
        return 0.0
    shares = values / total
    return float(-torch.special.xlogy(shares, shares).sum())
