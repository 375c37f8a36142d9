"""Whether deeper layers hold features of one label, and some unit fires for one label only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from auralise.atlas.statistics import benjamini_hochberg, selectivity
from auralise.audio.waveform import Waveform
from auralise.claims.base import Claim, Curve, Evidence, Need, NotApplicable, Panel, Part, Sound
from auralise.claims.collection import LabelledClips
from auralise.claims.context import Context
from auralise.claims.factors import last_hidden, twin_curve
from auralise.claims.selectivity import exclusivity, grouped_means
from auralise.claims.statistics import Array, bootstrap, shuffle_p, twin_p
from auralise.filters.resampling import Interval

STRONG = 0.8
"""Area under the curve from which a unit is called selective for a label."""

ALONE = 0.9
"""A unit fires for one label only if it ranks its sounds so often above each other label's."""

FALSE = 0.05
"""Share of false discoveries that is accepted among the units of a layer."""

FEWEST_GROUPS = 3
SHUFFLES, DRAWS = 200, 200


def try_labels(context: Context) -> Evidence:
    """Compare how units answer to sounds of one label and of the others."""
    collection = context.collection
    if collection is None:
        raise NotApplicable("there is no collection")
    counts = _groups(collection)
    small = {label: n for label, n in counts.items() if n < FEWEST_GROUPS}
    if small:
        shown = ", ".join(f"{label} {n}" for label, n in sorted(small.items()))
        return Evidence(
            (),
            (),
            notes=(
                f"The collection is too small: each of the {len(counts)} labels needs "
                f"{FEWEST_GROUPS} groups of clips, and there are {shown}; take --part all, or more "
                "clips.",
            ),
            needed=FEWEST_GROUPS * len(counts),
        )
    length = round(context.seconds * context.sample_rate)
    clips = [Waveform(row[None], context.sample_rate) for row in collection.excerpts(length)]
    answers = context.answers("the collection", clips)
    labels = [track.label for track in collection.tracks]
    groups = [track.group for track in collection.tracks]
    tables = [[grouped_means(part, labels, groups) for part in network] for network in answers]
    names = tables[0][0][1]
    hits = [[selective(values, names) for values, _ in network] for network in tables]
    deep = last_hidden(context)
    parts = [_growth(context, hits, deep), _single(context, tables[0][deep][0], names, deep)]
    return Evidence(
        tuple(part for part in parts if part is not None),
        (_panel(context, hits), _alone_panel(context, [[v for v, _ in n] for n in tables], names)),
        _sounds(context, collection, tables[0][deep][0], names),
        (
            f"{len(clips)} clips in {len(names)} groups; answers are means over the clips of a "
            "group, so that takes of one thing do not count twice.",
        ),
    )


def _groups(collection: LabelledClips) -> dict[str, int]:
    pairs = {(track.label, track.group) for track in collection.tracks}
    return {label: sum(own == label for own, _ in pairs) for label in collection.labels}


def selective(values: Array, labels: Sequence[str]) -> Array:
    """Say which units are selective for some label: 0 or 1, (units,).

    Mann-Whitney's test for each unit and label, with the share of false discoveries kept at
    `FALSE` over all of a layer's, and an area under the curve of at least `STRONG`.
    """
    names = sorted(set(labels))
    members = np.array([[label == name for name in names] for label in labels])
    found = selectivity(values, members)
    accepted = benjamini_hochberg(found.p) <= FALSE
    return np.asarray((accepted & (found.auc >= STRONG)).any(1), dtype=np.float64)


def _growth(context: Context, hits: list[list[Array]], deep: int) -> Part:
    own = hits[0]
    value = bootstrap([own[0], own[deep]], lambda g: g[1].mean(-1) - g[0].mean(-1))
    twins = tuple(float(twin[deep].mean() - twin[0].mean()) for twin in hits[1:])
    return Part(
        "more selective units deeper",
        f"Share of units of {context.stages[deep].name} that are selective for some label, less "
        f"that of {context.stages[0].name}",
        value,
        "units",
        len(own[0]) + len(own[deep]),
        "above",
        0.0,
        twins,
        "untrained networks",
        twin_p(value.value, twins, "above"),
    )


def _single(context: Context, values: Array, names: Sequence[str], deep: int) -> Part:
    """Return how exclusively the best unit fires for one label, against shuffled labels."""
    random = np.random.default_rng(context.seed)
    best = exclusivity(values, names)
    observed = float(best.max())
    shuffled = [
        float(exclusivity(values, random.permutation(list(names)).tolist()).max())
        for _ in range(SHUFFLES)
    ]
    unit = int(best.max(1).argmax())
    drawn = []
    which = np.array(names)
    for _ in range(DRAWS):
        rows = np.concatenate(
            [random.choice(np.flatnonzero(which == n), (which == n).sum()) for n in set(names)]
        )
        label = sorted(set(names))[int(best[unit].argmax())]
        at = sorted(set(names)).index(label)
        drawn.append(exclusivity(values[rows][:, [unit]], which[rows].tolist())[0, at])
    low, high = np.quantile(drawn, [0.025, 0.975])
    label = sorted(set(names))[int(best[unit].argmax())]
    return Part(
        f"one unit for one label ({context.stages[deep].name}:{unit} for {label})",
        "How often the most exclusive unit answers more to a sound with its label than to one with "
        "any one other label, the label that comes nearest counted",
        Interval(observed, float(low), max(float(high), observed)),
        "groups of clips",
        len(names),
        "above",
        ALONE,
        tuple(shuffled),
        "shuffled labels",
        shuffle_p(observed, shuffled),
    )


def _panel(context: Context, hits: list[list[Array]]) -> Panel:
    shares = np.array([[row.mean() for row in rows] for rows in hits])
    return Panel(
        "Units that are selective for some label",
        "layer",
        "share of units",
        tuple(stage.name for stage in context.stages),
        (twin_curve(shares[1:]), Curve("network", tuple(shares[0].tolist()))),
    )


def _alone_panel(context: Context, tables: list[list[Array]], names: Sequence[str]) -> Panel:
    best = np.array([[exclusivity(v, names).max() for v in rows] for rows in tables])
    return Panel(
        "The most exclusive unit",
        "layer",
        "its label above each other",
        tuple(stage.name for stage in context.stages),
        (twin_curve(best[1:]), Curve("network", tuple(best[0].tolist()))),
        ALONE,
    )


def _sounds(
    context: Context, collection: LabelledClips, values: Array, names: Sequence[str]
) -> tuple[Sound, ...]:
    """Return a clip of the label that the most exclusive unit fires for, and of another."""
    best = exclusivity(values, names)
    labels = sorted(set(names))
    label = labels[int(best[int(best.max(1).argmax())].argmax())]
    length = round(context.seconds * context.sample_rate)
    samples = collection.excerpts(length)
    rows = [track.label for track in collection.tracks]
    other = next(name for name in labels if name != label)
    return (
        Sound("own-label", f"{label}, which the most exclusive unit fires for",
              Waveform(samples[rows.index(label)][None], context.sample_rate)),
        Sound("other-label", f"{other}, which it does not fire for",
              Waveform(samples[rows.index(other)][None], context.sample_rate)),
    )  # fmt: skip


CLAIM = Claim(
    "labels",
    "Deeper layers hold features of single labels, and some unit fires for one label only.",
    "Choi, Fazekas, Sandler 2016, arXiv:1607.02444, of a unit that only hip hop activates",
    "Each unit's answers to the sounds of one label are ranked against those to all others, with "
    "the share of false discoveries kept at 5 %. Then the unit is looked for that sets one label "
    "apart from every single other one, and the same is done with shuffled labels.",
    (Need.COLLECTION, Need.TWINS),
    try_labels,
    version=2,
    plain="The share of units that pick out a label changes by {0:+.0%} from the first layer to"
    " the last hidden one. The most exclusive unit puts its own label above each other "
    "one in at least {1:.0%} of pairs.",
)
