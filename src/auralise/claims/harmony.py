"""Whether layers 2 and 3 take pitch and harmonics, then attack and decay."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from auralise.audio.arrangements import Timbre, note
from auralise.audio.waveform import Waveform
from auralise.claims.base import Claim, Curve, Evidence, Need, NotApplicable, Panel, Part, Sound
from auralise.claims.context import Context
from auralise.claims.factors import (
    Cell,
    Pairs,
    change_ratios,
    crossed,
    mean_ratio,
    pairs_by_factor,
    ratio_panels,
    twin_curve,
)
from auralise.claims.selectivity import label_share
from auralise.claims.statistics import Array, bootstrap, twin_p

NOTE_SECONDS = 1.0
"""How far apart the notes of a sound begin; a sound has one note after the other."""

SOUNDING = 0.75
"""Share of that in which a note sounds: each begins in silence, or its attack would be masked."""


def design() -> list[Cell]:
    """Return the sounds: 4 pitches, harmonic or not, 2 attacks, 2 decays."""
    return crossed(
        pitch=(55.0, 110.0, 220.0, 440.0),
        harmonicity=(1.0, 1.07),
        attack=(0.005, 0.15),
        decay=(0.5, math.inf),
    )


def notes_of(cell: Cell, seconds: float, rate: int) -> Waveform:
    """Return the same note again and again, as long as the network listens."""
    timbre = Timbre(
        harmonics=12,
        slope_db=-4.0,
        stretch=float(str(cell["harmonicity"])),
        attack=float(str(cell["attack"])),
        decay=float(str(cell["decay"])),
    )
    apart = min(NOTE_SECONDS, seconds)
    one = note(float(str(cell["pitch"])), SOUNDING * apart, rate, timbre=timbre).samples
    one = torch.nn.functional.pad(one, (0, round(apart * rate) - one.shape[1]))
    length = round(seconds * rate)
    return Waveform(one.repeat(1, math.ceil(length / one.shape[1]))[:, :length], rate)


def try_harmony(context: Context) -> Evidence:
    """Change pitch, harmonicity, attack and decay of notes, one at a time."""
    if len(context.stages) < 3 or not context.stages[2].mapped:
        raise NotApplicable("it needs three layers that still have a place in time")
    cells = design()
    sounds = [notes_of(cell, context.seconds, context.sample_rate) for cell in cells]
    pairs = pairs_by_factor(cells)
    answers = context.answers("notes", sounds)
    parts = [
        _growth(context, answers, pairs, ("pitch", "harmonicity"), 0, (1, 2)),
        _growth(context, answers, pairs, ("attack", "decay"), 1, (2,)),
    ]
    panels = [*ratio_panels(context, answers, pairs, "anything")]
    notes = []
    if context.collection is None:
        notes.append(
            "Instruments on real notes were not tried: give a collection whose labels they are."
        )
    else:
        panel, part = _instruments(context)
        panels.append(panel)
        parts.append(part)
    return Evidence(
        tuple(part for part in parts if part is not None),
        tuple(panels),
        (
            Sound("held", "a low note, harmonic, quick attack, held", sounds[1]),
            Sound("decaying", "the same note, decaying", sounds[0]),
            Sound("inharmonic", "the same note with stretched partials", sounds[5]),
        ),
        tuple(notes),
    )


def _growth(
    context: Context,
    answers: list[list[Tensor]],
    pairs: dict[str, Pairs],
    factors: Sequence[str],
    before: int,
    after: Sequence[int],
) -> Part | None:
    """Return how much more later layers mind some factors than an earlier one."""

    def minds(part: Tensor) -> Array:
        return np.asarray(np.mean([change_ratios(part, pairs[f]) for f in factors], 0))

    own = answers[0]
    early, late = minds(own[before]), np.concatenate([minds(own[i]) for i in after])
    if not len(early) or not len(late):
        return None
    value = bootstrap([early, late], lambda g: g[1].mean(-1) - g[0].mean(-1), seed=context.seed)
    twins = tuple(
        float(
            np.mean([[mean_ratio(twin[i], pairs[f]) for f in factors] for i in after])
            - np.mean([mean_ratio(twin[before], pairs[f]) for f in factors])
        )
        for twin in answers[1:]
    )
    names = [context.stages[i].name for i in after]
    return Part(
        f"{' and '.join(factors)} in {' and '.join(names)}",
        f"How much more {' and '.join(names)} change with {' or '.join(factors)} alone than "
        f"{context.stages[before].name} does, as a share of the change by anything",
        value,
        "units",
        len(early) + len(late),
        "above",
        0.0,
        twins,
        "untrained networks",
        twin_p(value.value, twins, "above"),
    )


def _instruments(context: Context) -> tuple[Panel, Part | None]:
    """Return how much of each layer's answers to real sounds goes with their labels."""
    collection = context.collection
    if collection is None:
        raise NotApplicable("there is no collection")
    length = round(context.seconds * context.sample_rate)
    clips = [Waveform(row[None], context.sample_rate) for row in collection.excerpts(length)]
    answers = context.answers("the collection", clips)
    labels = [track.label for track in collection.tracks]
    shares = [[label_share(part, labels) for part in network] for network in answers]
    means = np.array([[row.mean() if len(row) else 0.0 for row in rows] for rows in shares])
    panel = Panel(
        "How much of an answer goes with the label of real sounds",
        "layer",
        "share of variance",
        tuple(stage.name for stage in context.stages),
        (twin_curve(means[1:]), Curve("network", tuple(means[0].tolist()))),
    )
    early, late = shares[0][1], shares[0][2]
    if not len(early) or not len(late):
        return panel, None
    value = bootstrap([early, late], lambda g: g[1].mean(-1) - g[0].mean(-1), seed=context.seed)
    twins = tuple(float(row[2] - row[1]) for row in means[1:])
    return panel, Part(
        f"labels in {context.stages[2].name}",
        f"How much more of the answers of {context.stages[2].name} to real sounds goes with their "
        f"labels than of {context.stages[1].name}, share of variance",
        value,
        "units",
        len(early) + len(late),
        "above",
        0.0,
        twins,
        "untrained networks",
        twin_p(value.value, twins, "above"),
    )


CLAIM = Claim(
    "harmony",
    "Layers 2 and 3 take bass notes and harmonics, then instruments by harmonic structure, "
    "attack and decay.",
    "Choi, Fazekas, Sandler 2016, arXiv:1607.02444",
    "Notes are synthesised at four pitches from a low bass on, with harmonic or stretched "
    "partials, quick or slow attack, held or decaying. How much each layer minds a change of one "
    "of these alone is compared between layers; with a collection, how much of its answers goes "
    "with the labels.",
    (Need.TWINS,),
    try_harmony,
    version=2,
    plain="From the first layer to the next two, the share that pitch and harmonics have in the"
    " answers changes by {0:+.2f}; from the second to the third, that of attack and decay"
    " by {1:+.2f}.",
)
