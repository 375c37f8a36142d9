"""Whether raw-audio networks find features that do not mind phase and small shifts."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from auralise.audio.arrangements import Bar
from auralise.audio.stimuli import tone
from auralise.audio.waveform import Waveform
from auralise.claims.base import (
    Claim,
    Curve,
    Evidence,
    Need,
    NotApplicable,
    Panel,
    Part,
    Sound,
)
from auralise.claims.context import Context
from auralise.claims.factors import Cell, Pairs, change_ratios, crossed, pairs_by_factor, twin_curve
from auralise.claims.statistics import Array, mean_interval, twin_p
from auralise.models.base import MusicNetwork

INVARIANT = 0.1
"""A change that moves a unit by less than this share of a change of everything."""

FREQUENCIES, PHASES, SHIFTS = 24, 5, 6
LONGEST_SHIFT = 0.02
"""Seconds by which clips are shifted, at most."""


MUSIC = (
    Bar("A"),
    Bar("C", "minor", "plucked"),
    Bar("Eb", timbre="flute"),
    Bar("E", timbre="clarinet", drums="eight-beat"),
    Bar("Gb", "minor", "strings", "none"),
    Bar("D", timbre="plucked", drums="sixteen-beat"),
)
"""What is played at slightly different times."""


def try_invariance(context: Context) -> Evidence:
    """Play tones in all phases, and music at slightly different times, to each layer."""
    stages = [stage for stage in context.stages if stage.mapped]
    if len(stages) < 2:
        raise NotApplicable(
            "fewer than two layers have a place in time, so nothing can become invariant"
        )
    layers = [stage.layer for stage in stages]
    tones = crossed(
        frequency=np.geomspace(110.0, 0.3 * context.sample_rate, FREQUENCIES).tolist(),
        phase=[i / PHASES for i in range(PHASES)],
    )
    music = crossed(
        music=MUSIC,
        shift=[LONGEST_SHIFT * i / (SHIFTS - 1) for i in range(SHIFTS)],
    )
    sets = {
        "phase": (tones, [_tone(context, cell) for cell in tones]),
        "shift": (music, _shifted(context, music)),
    }
    parts: list[Part] = []
    panels: list[Panel] = []
    for factor, (cells, sounds) in sets.items():
        pairs = pairs_by_factor(cells)[factor]
        ratios = _ratios(context, layers, sounds, pairs, factor)
        panels.append(_panel(factor, [stage.name for stage in stages], ratios, context.seed))
        parts.extend(_part(factor, stages[-1].name, ratios, context.seed))
    played, first = sets["phase"][1], sets["shift"][1]
    return Evidence(
        tuple(parts),
        tuple(panels),
        (
            Sound("phase-0", "a tone", played[8 * PHASES]),
            Sound("phase-other", "the same tone in another phase", played[8 * PHASES + 2]),
            Sound("shifted", f"music {LONGEST_SHIFT * 1000:g} ms later", first[SHIFTS - 1]),
        ),
        ("Each layer is read at one position in the middle, so that nothing is averaged over time "
         "but by the network itself.",),
    )  # fmt: skip


def _tone(context: Context, cell: Cell) -> Waveform:
    return tone(
        float(str(cell["frequency"])),
        context.seconds,
        context.sample_rate,
        phase=float(str(cell["phase"])),
    )


def _shifted(context: Context, cells: list[Cell]) -> list[Waveform]:
    """Return the music of each cell, cut out of longer music at another place."""
    rate = context.sample_rate
    length = round(context.seconds * rate)
    made: dict[Bar, Tensor] = {}
    sounds = []
    for cell in cells:
        bar = cell["music"]
        if not isinstance(bar, Bar):
            continue
        if bar not in made:
            made[bar] = bar.render(context.seconds + 2 * LONGEST_SHIFT, rate).samples
        start = round(float(str(cell["shift"])) * rate)
        sounds.append(Waveform(made[bar][:, start : start + length], rate))
    return sounds


def _ratios(
    context: Context, layers: list[str], sounds: list[Waveform], pairs: Pairs, factor: str
) -> list[list[Array]]:
    """Return the change ratios of each network at each layer."""
    found = []
    for number, network in enumerate(context.networks, 1):
        answers = _middles(context, network, layers, sounds)
        found.append([change_ratios(answers[layer], pairs) for layer in layers])
        context.progress(f"changes of {factor}", number, len(context.networks))
    return found


def _middles(
    context: Context, network: MusicNetwork, layers: list[str], sounds: list[Waveform]
) -> dict[str, Tensor]:
    """Return each layer's answer at the position in the middle, (sounds, units)."""
    samples = torch.cat([sound.samples for sound in sounds])
    rows: dict[str, list[Tensor]] = {layer: [] for layer in layers}
    with context.recorded(network, layers) as play:
        for start in range(0, len(samples), context.batch_size):
            for layer, part in play(samples[start : start + context.batch_size]).items():
                middle = part[..., part.shape[-1] // 2]
                rows[layer].append(middle.reshape(*middle.shape[:2], -1).mean(2))
    return {layer: torch.cat(parts) for layer, parts in rows.items()}


def _part(factor: str, layer: str, ratios: list[list[Array]], seed: int) -> list[Part]:
    own = ratios[0][-1]
    twins = tuple(float(row[-1].mean()) for row in ratios[1:] if len(row[-1]))
    if not len(own) or len(twins) < 2:
        return []
    value = mean_interval(own, seed=seed)
    what = {"phase": "the phase of a tone", "shift": "the time of the music by up to 20 ms"}
    return [
        Part(
            f"invariant to {factor}",
            f"How much the units of {layer} change with {what[factor]}, as a share of the squared "
            "change between any two of the sounds",
            value,
            "units",
            len(own),
            "below",
            INVARIANT,
            twins,
            "untrained networks",
            twin_p(value.value, twins, "below", ratios=True),
        )
    ]


def _panel(factor: str, names: list[str], ratios: list[list[Array]], seed: int) -> Panel:
    filled = [[row if len(row) else np.zeros(1) for row in rows] for rows in ratios]
    own = [mean_interval(row, seed=seed) for row in filled[0]]
    twins = np.array([[row.mean() for row in rows] for rows in filled[1:]])
    return Panel(
        f"Only the {factor} changes",
        "layer",
        "change, share of that by anything",
        tuple(names),
        (
            twin_curve(twins),
            Curve(
                "network",
                tuple(interval.value for interval in own),
                tuple(interval.low for interval in own),
                tuple(interval.high for interval in own),
            ),
        ),
        INVARIANT,
    )


CLAIM = Claim(
    "invariance",
    "Networks on raw audio find features that do not mind phase and small shifts.",
    "Dieleman, Schrauwen 2014, ICASSP",
    "Tones of 24 frequencies are played in five phases, and six pieces of music at six "
    "times up to 20 ms apart. At one position of each layer, what a change of phase or time "
    "alone does is compared with what a change of the sound does.",
    (Need.RAW, Need.TWINS),
    try_invariance,
    plain="In the last layer that hears time, another phase of a tone changes {0:.0%} of what "
    "another tone does, and the same music up to 20 ms later {1:.0%} of what other music "
    "does.",
)
