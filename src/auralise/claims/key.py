"""Whether the key of the music moves the network."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import torch
from torch import Tensor

from auralise.audio.arrangements import Bar
from auralise.audio.waveform import Waveform
from auralise.claims.base import Claim, Curve, Evidence, Need, Panel, Part, Sound
from auralise.claims.context import Context
from auralise.claims.factors import (
    Cell,
    Pairs,
    change_correlation,
    change_ratios,
    crossed,
    mean_ratio,
    pairs_by_factor,
    ratio_panels,
    stack_probabilities,
)
from auralise.claims.maps import map_correlations
from auralise.claims.statistics import mean_interval, twin_p

HARDLY = 0.1
"""A change of key that moves the answer by less than this share of a change of everything."""


def design() -> list[Cell]:
    """Return the sounds: 4 keys, 2 chords, 3 timbres, and 2 drum patterns, one at two tempos."""
    cells = crossed(
        key=("A", "C", "Eb", "Gb"),
        chord=("major", "minor"),
        timbre=("flute", "strings", "plucked"),
        rhythm=(("four-beat", 120.0), ("eight-beat", 120.0), ("four-beat", 80.0)),
    )
    return [
        {**{k: v for k, v in cell.items() if k != "rhythm"}, "drums": r[0], "tempo": r[1]}
        for cell in cells
        for r in [cell["rhythm"]]
        if isinstance(r, tuple)
    ]


def bar_of(cell: Cell) -> Bar:
    """Return the music of one cell of the design."""
    return Bar(
        root=str(cell["key"]),
        chord=str(cell["chord"]),
        timbre=str(cell["timbre"]),
        drums=str(cell["drums"]),
        tempo=float(str(cell["tempo"])),
    )


@lru_cache(maxsize=256)
def _rendered(bar: Bar, seconds: float, sample_rate: int) -> Waveform:
    """Render a bar once, for as many networks as listen to it."""
    return bar.render(seconds, sample_rate)


def try_key(context: Context) -> Evidence:
    """Play the same music in other keys, chords, timbres, drums and tempos."""
    cells = design()
    sounds = [_rendered(bar_of(cell), context.seconds, context.sample_rate) for cell in cells]
    pairs = pairs_by_factor(cells)
    answers = context.answers("music in other keys", sounds)
    last = len(context.stages) - 1
    ratios = change_ratios(answers[0][last], pairs["key"])
    twins = tuple(mean_ratio(twin[last], pairs["key"]) for twin in answers[1:])
    parts: tuple[Part, ...] = ()
    if len(ratios):
        value = mean_interval(ratios, seed=context.seed)
        parts = (
            Part(
                "key against everything",
                "How much of its answer changes when only the key does, as a share of the squared "
                "change between any two of the sounds",
                value,
                "outputs" if context.stages[last].output else "units",
                len(ratios),
                "below",
                HARDLY,
                twins,
                "untrained networks",
                twin_p(value.value, twins, "below", ratios=True),
            ),
        )
    panels = (
        *ratio_panels(context, answers, pairs, "anything"),
        _correlations(context, answers, pairs),
        *map_correlations(context, cells, sounds, pairs),
    )
    first, other = cells[0], next(cell for cell in cells if cell["key"] == "Eb")
    return Evidence(
        parts,
        panels,
        (
            Sound("key-a", f"{first['timbre']}, {first['chord']}, in A", sounds[0]),
            Sound("key-e-flat", "the same in E flat", sounds[cells.index(other)]),
            Sound("timbre", "in A, with another timbre", sounds[6]),
        ),
        (*_prediction_notes(context, answers[0][last], pairs),),
    )


def _correlations(
    context: Context, answers: list[list[Tensor]], pairs: Mapping[str, Pairs]
) -> Panel:
    curves = tuple(
        Curve(
            f"only {factor} changes",
            tuple(change_correlation(part, rows) for part in answers[0]),
        )
        for factor, rows in pairs.items()
    )
    return Panel(
        "Alike before and after one change",
        "layer",
        "correlation of answers over units",
        tuple(stage.name for stage in context.stages),
        curves,
    )


def _prediction_notes(
    context: Context, logits: Tensor, pairs: Mapping[str, Pairs]
) -> tuple[str, ...]:
    """Say how often, and by how much, the answer changes with one thing."""
    if not context.stages[-1].output or not context.network.card.labels:
        return ("The network has no labels, so its last layer stands for its answer.",)
    shares = stack_probabilities(logits)
    labels = shares.argmax(1)
    words = []
    for factor, rows in pairs.items():
        one, other = torch.from_numpy(rows).unbind(1)
        moved = 0.5 * (shares[one] - shares[other]).abs().sum(1).mean().item()
        flips = (labels[one] != labels[other]).double().mean().item()
        words.append(f"{factor}: {moved:.1%} moved, another label {flips:.0%}")
    return (
        "Probability that moves to other labels, and pairs that get another label, when one thing "
        f"changes: {'; '.join(words)}.",
    )


CLAIM = Claim(
    "key",
    "The key of the music hardly affects the network.",
    "Choi, Fazekas, Sandler 2016, arXiv:1607.02444",
    "The same bars are synthesised in four keys within one octave, as major and minor, in "
    "three timbres, with two drum patterns and two tempos. What the network answers is "
    "compared between bars that differ in one of these alone, and between any two.",
    (Need.TWINS,),
    try_key,
    plain="Playing the same bars in another key changes what the network answers by {0:.1%} of "
    "what changing everything does; untrained networks: {controls}.",
)
