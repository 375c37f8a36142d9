"""Whether local receptive fields miss distant frequencies that belong together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from auralise.activations.receptive_field import receptive_field
from auralise.audio.stimuli import silence, tone
from auralise.audio.waveform import Waveform
from auralise.claims.base import (
    Claim,
    Curve,
    Evidence,
    Need,
    Panel,
    Part,
    Sound,
)
from auralise.claims.context import Context
from auralise.claims.factors import last_hidden, twin_curve
from auralise.claims.stages import is_dead
from auralise.claims.statistics import Array, bootstrap, twin_p
from auralise.errors import AuraliseError

OCTAVES = (0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0)
"""Distances between the two tones."""

NEAR, FAR = 0.5, 3.0
"""Octaves: up to the one, two tones are neighbours; from the other on, they are distant."""

THIRD = 1 / 3
"""Distant tones make half as much of the answer as near ones: a third of both."""

_RAMP = 0.05


def try_distance(context: Context) -> Evidence:
    """Play two tones together and each alone, near to each other and far apart."""
    rate, seconds = context.sample_rate, context.seconds
    low, high = 120.0, min(120.0 * 2 ** OCTAVES[-1], 0.45 * rate)
    octaves = tuple(o for o in OCTAVES if 2**o <= high / low)
    pairs = [(low, low * 2**o, o) for o in octaves] + [(high / 2**o, high, o) for o in octaves]
    singles = sorted({round(f, 6) for pair in pairs for f in pair[:2]})
    sounds = [silence(seconds, rate)]
    sounds += [tone(f, seconds, rate, ramp=_RAMP) for f in singles]
    sounds += [_both(a, b, seconds, rate) for a, b, _ in pairs]
    answers = context.answers("tones near and far", sounds)
    index = {f: i + 1 for i, f in enumerate(singles)}
    rows = [
        (index[round(a, 6)], index[round(b, 6)], 1 + len(singles) + i, o)
        for i, (a, b, o) in enumerate(pairs)
    ]
    together = [[interaction(part, rows, octaves) for part in network] for network in answers]
    stages = sorted({_last_local(context), last_hidden(context)})
    parts = tuple(
        part
        for stage in stages
        for part in _part(context, [network[stage] for network in together], octaves, stage)
    )
    panels = _panels(context, together, octaves)
    near, far = pairs[0], pairs[len(octaves) - 1]
    return Evidence(
        parts,
        panels,
        (
            Sound("near", f"two tones {near[2]:g} octaves apart", sounds[rows[0][2]]),
            Sound("far", f"two tones {far[2]:g} octaves apart", sounds[rows[len(octaves) - 1][2]]),
        ),
        _fields(context),
    )


def _both(one: float, other: float, seconds: float, rate: int) -> Waveform:
    samples = sum(
        (tone(f, seconds, rate, ramp=_RAMP).samples for f in (one, other)),
        torch.zeros(1, round(seconds * rate)),
    )
    return Waveform(samples, rate)


def interaction(
    responses: Tensor, rows: Sequence[tuple[int, int, int, float]], octaves: Sequence[float]
) -> Array:
    r"""Return how far each unit is from adding two tones up, against their distance.

    :math:`(y_{ab} - y_a - y_b + y_0)^2`, averaged over the pairs of one distance, as a share of
    the mean of :math:`(y_{ab} - y_0)^2` over all pairs: 0 for a unit that takes the two tones for
    two sounds.

    Returns
    -------
    array, shape (octaves, live units)
    """
    live = responses[:, ~is_dead(responses)].double()
    if not live.shape[1]:
        return np.zeros((len(octaves), 0))
    a, b, both = (live[[row[i] for row in rows]] for i in range(3))
    apart = torch.tensor([row[3] for row in rows])
    excess = (both - a - b + live[0]).square()
    size = (both - live[0]).square().mean(0)
    heard = size > 1e-12 * size.max()
    shares = [excess[apart == octave].mean(0)[heard] / size[heard] for octave in octaves]
    return torch.stack(shares).numpy()


def _part(
    context: Context, tables: list[Array], octaves: Sequence[float], stage: int
) -> tuple[Part, ...]:
    near = np.array([octave <= NEAR for octave in octaves])
    far = np.array([octave >= FAR for octave in octaves])
    if not far.any() or not tables[0].shape[1]:
        return ()

    def ratio(columns: list[Array]) -> Array:
        far_part, near_part = (column.mean(-1) for column in columns)
        return np.asarray(far_part / np.maximum(far_part + near_part, 1e-30))

    own = np.stack([tables[0][far].mean(0), tables[0][near].mean(0)])
    # Units are drawn whole: what they make of near and of far tones goes together.
    units = np.arange(own.shape[1], dtype=float)
    value = bootstrap(
        [units],
        lambda drawn: ratio([row[drawn[0].astype(int)] for row in own]),
        seed=context.seed,
    )
    twins = tuple(
        float(ratio([table[far].mean(0)[None], table[near].mean(0)[None]])[0])
        for table in tables[1:]
        if table.shape[1]
    )
    if len(twins) < 2:
        return ()
    return (
        Part(
            f"distant tones, {context.stages[stage].name}",
            f"How much two tones {FAR:g} octaves or more apart are more than two sounds to "
            f"{context.stages[stage].name}, as a share of that and the same for tones within "
            f"{NEAR:g} octaves; half if distance does not matter",
            value,
            "units",
            own.shape[1],
            "below",
            THIRD,
            twins,
            "untrained networks",
            twin_p(value.value, twins, "below", ratios=True),
        ),
    )


def _panels(
    context: Context, tables: list[list[Array]], octaves: Sequence[float]
) -> tuple[Panel, ...]:
    names = tuple(f"{octave:g}" for octave in octaves)
    panels = []
    for i, stage in enumerate(context.stages):
        own = tables[0][i]
        twins = np.array(
            [t[i].mean(1) if t[i].shape[1] else np.zeros(len(octaves)) for t in tables[1:]]
        )
        mean = own.mean(1) if own.shape[1] else np.zeros(len(octaves))
        panels.append(
            Panel(
                f"Two tones together, {stage.name}",
                "octaves between the tones",
                "more than the sum",
                names,
                (twin_curve(twins), Curve("network", tuple(mean.tolist()))),
            )
        )
    return tuple(panels)


def _last_local(context: Context) -> int:
    """Return the index of the last stage that still has places in frequency, or of the first."""
    shapes = [stage.shape for stage in context.stages]
    local = [i for i, shape in enumerate(shapes) if len(shape) > 2 and shape[1] > 1]
    return local[-1] if local else 0


def _mean(table: Array) -> Array:
    """Return the mean over units, (octaves,); zeros where none is alive."""
    return table.mean(1) if table.shape[1] else np.zeros(len(table))


def _fields(context: Context) -> tuple[str, ...]:
    """Say how much of the spectrum one position of each layer sees."""
    features = context.frontend.analyse(silence(context.seconds, context.sample_rate)).values
    words = []
    for stage in context.stages:
        if len(stage.shape) < 3:
            continue
        try:
            field = receptive_field(context.network.module, features, stage.layer)
        except AuraliseError as error:
            return (f"Receptive fields could not be measured: {error}.",)
        share = min(1.0, field.size[0] / features.shape[1])
        words.append(f"{stage.name} {field.size[0]} bins ({share:.0%})")
    return (f"One position sees, of the spectrum: {', '.join(words)}.",) if words else ()


CLAIM = Claim(
    "distance",
    "Local receptive fields miss distant frequencies that belong together.",
    "an objection to convolutions over spectrograms: Wyse 2017, arXiv:1706.09559",
    "Two tones are played together and each alone, from a quarter of an octave to five octaves "
    "apart. A unit that hears them as one thing answers otherwise than by the sum of both.",
    (Need.SPECTROGRAM, Need.TWINS),
    try_distance,
    plain="Of what two tones are more than two sounds, {0:.0%} is left to tones three octaves "
    "apart in the last layer with places in frequency; half would be no preference.",
)
