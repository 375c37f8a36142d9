"""The tables and sentences of `docs/filter-study.md`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import torch
from filter_study_conditions import CONTROLS, DRAWS, NAMES, Condition, difference, of
from filter_study_runs import KINDS, LENGTHS, SAMPLE_RATE
from torch import Tensor

from auralise.filters import SCALES, judge_scale
from auralise.filters.compare import FirstLayer, match_filters


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def short_table(conditions: Sequence[Condition]) -> str:
    """Give the answers in a few words, one row for each length."""
    rows = []
    for length in LENGTHS:
        trained = of(conditions, "trained", length)
        if trained is None or not trained.verdict.scales:
            rows.append([str(length), *["no verdict"] * 6])
            continue
        verdict = trained.verdict
        mel = next(entry for entry in verdict.scales if entry.scale == "mel-htk")
        said = "cannot be told from the nearest" if mel.leading else "ruled out"
        if verdict.slope is None or not verdict.widths_tell:
            widths = "cannot be told at this length"
        elif verdict.slope.low > 0:
            widths = f"grow: {verdict.slope}, {verdict.visible_slope:.2f} expected"
        else:
            widths = f"do not grow: {verdict.slope}, {verdict.visible_slope:.2f} expected"
        beside = [_in_a_word(conditions, trained, kind) for kind in CONTROLS[1:]]
        rows.append(
            [
                str(length),
                f"{said} ({mel.wasserstein})",
                ", ".join(verdict.leading),
                widths,
                *beside,
            ]
        )
    head = ("length", "mel", "nearest, and not to be told from it", "bandwidths")
    return table((*head, *(f"on mel, beside {NAMES[kind]}" for kind in CONTROLS[1:])), rows)


def _in_a_word(conditions: Sequence[Condition], trained: Condition, kind: str) -> str:
    control = of(conditions, kind, trained.length)
    if control is None:
        return "not trained"
    if sum(map(len, control.tuned)) < 16:
        return f"{sum(map(len, control.tuned))} tuned of {sum(len(b.peak) for b in control.banks)}"
    found = difference(trained, control, "mel-htk")
    if found.low <= 0 <= found.high:
        return f"the same ({found})"
    return f"{'nearer' if found.high < 0 else 'farther'} ({found})"


def accuracy_table(runs: Sequence[dict[str, Any]], floors: Sequence[float]) -> str:
    """Say what each kind of training reached, and what it cost."""
    rows = []
    for kind in KINDS:
        for length in LENGTHS:
            own = [run for run in runs if (run["kind"], run["length"]) == (kind, length)]
            if not own:
                continue
            test, train = ([run["accuracy"][part] for run in own] for part in ("test", "train"))
            loss = [run["history"][-1][0] for run in own]
            rows.append(
                [
                    NAMES[kind],
                    str(length),
                    str(len(own)),
                    ", ".join(f"{100 * value:.1f}" for value in test),
                    f"{100 * np.mean(train):.1f}",
                    f"{np.mean(loss):.2f}",
                    f"{np.mean([run['minutes'] for run in own]):.1f}",
                ]
            )
    head = ("training", "length", "seeds", "test accuracy by seed (%)")
    made = table((*head, "on training notes (%)", "last loss (nats)", "minutes each"), rows)
    low, high = 100 * min(floors), 100 * max(floors)
    return (
        f"{made}\n\nAlways naming the most frequent instrument of the training notes is right on "
        f"{low:.1f} to {high:.1f} % of the test notes. Minutes are wall clock on a shared core."
    )


def answer(conditions: Sequence[Condition], length: int) -> str:
    """Give the verdict on the trained networks of a length, with what the controls say of it."""
    trained = of(conditions, "trained", length)
    if trained is None:
        return f"**{length} samples**: not trained."
    words = [f"**{length} samples** ({SAMPLE_RATE / length:.4g} Hz). {trained.verdict.sentence}"]
    if trained.verdict.scales:
        nearest = trained.verdict.scales[0].scale
        scales = ["mel-htk"] if nearest == "mel-htk" else ["mel-htk", nearest]
        for scale in scales:
            words.append(_beside(conditions, trained, scale))
    return " ".join(words)


def _beside(conditions: Sequence[Condition], trained: Condition, scale: str) -> str:
    """Say which controls are as near to a scale as the trained filters are."""
    said: dict[str, list[str]] = {"nearer than": [], "not to be told from": [], "farther than": []}
    for kind in CONTROLS:
        control = of(conditions, kind, trained.length)
        if control is None or sum(map(len, control.tuned)) < 16:
            continue
        found = difference(trained, control, scale)
        words = (
            "nearer than" if found.high < 0 else "farther than" if found.low > 0
            else "not to be told from"
        )  # fmt: skip
        interval = f"{found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"
        said[words].append(f"{NAMES[kind]} ({interval})")
    parts = [f"{words} {', '.join(which)}" for words, which in said.items() if which]
    if not parts:
        return f"No control has enough tuned filters to be compared on {scale}."
    return f"On {scale}, the trained filters are {'; '.join(parts)}."


def counts_table(conditions: Sequence[Condition]) -> str:
    """Count filters that are tuned, and say where they lie."""
    rows = []
    for c in conditions:
        tuned = torch.cat(c.tuned)
        filters = sum(len(bank.peak) for bank in c.banks)
        below = sum(int(bank.unresolved.sum()) for bank in c.banks)
        places = (
            [f"{v:.0f}" for v in torch.quantile(tuned, torch.tensor([0.1, 0.5, 0.9]).double())]
            if len(tuned)
            else ["-"] * 3
        )
        high = f"{float((tuned > 2000).double().mean()):.0%}" if len(tuned) else "-"
        rows.append(
            [str(c.length), NAMES[c.kind], str(len(c.banks)), str(filters), str(len(tuned)),
             f"{below / filters:.0%}", *places, high]
        )  # fmt: skip
    head = ("length", "filters of", "seeds", "filters", "tuned", "below fs / L")
    return table((*head, "10 % (Hz)", "median (Hz)", "90 % (Hz)", "above 2 kHz"), rows)


def distances_table(conditions: Sequence[Condition]) -> str:
    """Give the distance to each scale with its interval; bold where the scale leads."""
    rows = []
    for c in conditions:
        entries = {entry.scale: entry for entry in c.verdict.scales}
        if not entries:
            cells = ["no verdict"] + ["-"] * (len(SCALES) - 1)
        else:
            cells = [
                f"**{entries[s].wasserstein}**"
                if entries[s].leading
                else str(entries[s].wasserstein)
                for s in SCALES
            ]
        rows.append([str(c.length), NAMES[c.kind], *cells, c.verdict.finding.value])
    return table(("length", "filters of", *SCALES, "finding"), rows)


def shape_table(conditions: Sequence[Condition]) -> str:
    """Give the corner of the family, the slope of bandwidth, and the width itself."""
    rows = []
    for c in conditions:
        chosen = [bank.selective(c.verdict.gate) for bank in c.banks]
        widths = torch.cat(
            [bank.relative_bandwidth[mask] for bank, mask in zip(c.banks, chosen, strict=True)]
        )
        width = f"{float(torch.quantile(widths, 0.5)):.2f}" if len(widths) else "-"
        corner = "-" if c.verdict.corner is None else str(c.verdict.corner)
        slope = "-" if c.verdict.slope is None else str(c.verdict.slope)
        seen = f"{c.verdict.visible_slope:.2f}" if c.verdict.scales else "-"
        rows.append([str(c.length), NAMES[c.kind], corner, slope, seen, width])
    head = ("length", "filters of", "a (Hz) of log(1 + f / a)", "slope of log bandwidth")
    return table((*head, "slope to be expected", "median bandwidth (0.886 fs / L)"), rows)


def differences_table(conditions: Sequence[Condition]) -> str:
    """Give trained less control for the scales that are spoken of."""
    rows = []
    for length in LENGTHS:
        trained = of(conditions, "trained", length)
        for kind in CONTROLS:
            control = of(conditions, kind, length)
            if trained is None or control is None:
                continue
            few = min(sum(map(len, c.tuned)) for c in (trained, control)) < 16
            cells = [
                "too few" if few else str(difference(trained, control, scale))
                for scale in ("linear", "mel-htk", "erb-rate", "log2")
            ]
            rows.append([str(length), NAMES[kind], *cells])
    return table(("length", "trained less", "linear", "mel-htk", "erb-rate", "log2"), rows)


def measures_table(conditions: Sequence[Condition]) -> str:
    """Ask again with other centre frequencies, and in the filters' own band."""
    rows = []
    for length in LENGTHS:
        trained, control = of(conditions, "trained", length), of(conditions, "untrained", length)
        if trained is None or control is None:
            continue
        for measure in ("peak", "centroid", "median"):
            found = judge_scale(trained.banks, control.banks, measure=measure, draws=DRAWS)
            near = {entry.scale: entry for entry in found.scales}
            own = min(found.scales, key=lambda entry: entry.stretched) if found.scales else None
            rows.append(
                [
                    str(length),
                    measure,
                    found.finding.value,
                    ", ".join(found.leading) or "-",
                    str(near["mel-htk"].wasserstein) if near else "-",
                    "-" if own is None else f"{own.scale} {own.stretched:.3f}",
                    "-" if not near else f"{near['mel-htk'].stretched:.3f}",
                ]
            )
    head = ("length", "centre", "finding", "leading", "W1 to mel-htk")
    return table((*head, "nearest in the own band", "mel-htk in the own band"), rows)


def agreement_table(conditions: Sequence[Condition]) -> str:
    """Say how far filters are from their beginning, and how alike the banks of two seeds are."""
    rows = []
    for c in conditions:
        layers = [
            FirstLayer(c.kind, bank.names, taps, bank, "")
            for bank, taps in zip(c.banks, c.taps, strict=True)
        ]
        pairs = [match_filters(one, two).similarity for one, two in combinations(layers, 2)]
        alike = [float(torch.quantile(pair, 0.5)) for pair in pairs]
        moved = "-"
        begun = of(conditions, "untrained", c.length)
        if c.kind in KINDS and begun is not None:
            moved = f"{float(torch.quantile(torch.cat(_cosines(c, begun)), 0.5)):.2f}"
        shown = f"{np.median(alike):.3f} ({min(alike):.3f} to {max(alike):.3f})" if alike else "-"
        rows.append([str(c.length), NAMES[c.kind], moved, str(len(alike)), shown])
    head = ("length", "filters of", "median cosine with the beginning", "pairs of seeds")
    return table((*head, "median similarity of matched filters (range over pairs)"), rows)


def _cosines(condition: Condition, begun: Condition) -> list[Tensor]:
    """Return each filter's cosine, without sign, with itself before training, by seed."""
    found = []
    for one, two in zip(condition.taps, begun.taps, strict=False):  # the first seeds
        products = (one * two).sum(1)
        norms = torch.linalg.vector_norm(one, dim=1) * torch.linalg.vector_norm(two, dim=1)
        found.append((products / norms.clamp_min(1e-300)).abs())
    return found
