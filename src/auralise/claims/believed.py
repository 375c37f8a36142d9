"""Whether the maps of units show what the network uses."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from scipy import stats

from auralise.activations.layers import Unit
from auralise.audio.arrangements import Bar
from auralise.audio.waveform import Waveform
from auralise.audit.audit import Audit, AuditOptions, audit
from auralise.audit.verdict import ALIKE
from auralise.auralisation import Auralisation, auralise_unit
from auralise.claims.base import Claim, Curve, Evidence, NotApplicable, Panel, Part, Sound
from auralise.claims.context import Context
from auralise.claims.statistics import mean_interval
from auralise.errors import UnsupportedActivationError
from auralise.settings import Settings

METHOD = "guided"
UNITS = 3
"""How many units of a layer are audited on each excerpt: those that answer most strongly."""

BEARS = 0.05
"""Of the probability of a label: what a map has to move it by, as in `auralise.audit.verdict`."""

OPTIONS = AuditOptions(others=3, points=2, steps=2, networks=1)


def try_believed(context: Context) -> Evidence:
    """Audit the maps of the strongest units of a middle and of the last layer with places."""
    mapped = [stage for stage in context.stages if stage.mapped]
    if not mapped:
        raise NotApplicable("no layer has a place in time")
    layers = list(dict.fromkeys((mapped[(len(mapped) - 1) // 2].layer, mapped[-1].layer)))
    done: list[tuple[Audit, Auralisation]] = []
    sources = _sources(context)
    total = len(layers) * len(sources) * UNITS
    settings = Settings(method=METHOD)
    for layer in layers:
        for source in sources:
            for unit in _strongest(context, layer, source):
                try:
                    heard = auralise_unit(context.network, source, unit, settings=settings)
                except UnsupportedActivationError as error:
                    raise NotApplicable(str(error)) from error
                done.append((audit(context.network, heard, settings, OPTIONS), heard))
                context.progress("audits", len(done), total)
    alive = [pair for pair in done if not pair[0].inactive]
    if len(alive) < 2:
        raise NotApplicable("fewer than two units answer to the excerpts")
    found = [pair[0] for pair in alive]
    dead = len(done) - len(alive)
    first, last = alive[0][1], alive[-1][1]
    return Evidence(
        tuple(part for part in _parts(found, context.seed) if part is not None),
        (_panel(found),),
        (
            Sound("source", "the excerpt", first.source),
            Sound("unit-middle", f"what {found[0].unit} makes of it", first.waveform),
            Sound("unit-last", f"what {found[-1].unit} makes of an excerpt", last.waveform),
        ),
        (
            f"The method is {METHOD}; {len(found)} units of {' and '.join(layers)} were audited"
            + (f", {dead} did not answer." if dead else "."),
            "Floors are masks with exactly the values of the map's mask: in random places, and "
            "where the excerpt is loud.",
        ),
    )


def _sources(context: Context) -> list[Waveform]:
    """Return two excerpts: of the collection if there is one, else synthesised."""
    rate = context.sample_rate
    if context.collection is not None:
        samples = context.collection.excerpts(round(context.seconds * rate))
        return [Waveform(samples[i][None].float(), rate) for i in (0, len(samples) // 2)]
    return [
        Bar(root, timbre=timbre, drums="eight-beat").render(context.seconds, rate)
        for root, timbre in (("A", "strings"), ("Eb", "plucked"))
    ]


def _strongest(context: Context, layer: str, source: Waveform) -> list[Unit]:
    with context.recorded(context.network, [layer]) as play:
        answers = play(source.samples)[layer][0].flatten(1).amax(1)
    best = torch.topk(answers, min(UNITS, len(answers))).indices.tolist()
    return [Unit(layer, index) for index in best]


def _parts(found: list[Audit], seed: int) -> list[Part | None]:
    drives, removal, units, weights = ([_numbers(a)[i] for a in found] for i in range(4))
    return [
        _part("drives its unit", drives, "above", 0.0, seed,
              "The unit's answer to its own sound, less that to the better of two floors, as a "
              "share of its answer to the excerpt"),
        _part("bears on the answer", removal, "above", BEARS, seed,
              "How far the probability of the network's label moves, up or down, when what the map "
              "points at is taken away, less the same for a random mask"),
        _part("tells units apart", units, "below", ALIKE, seed,
              "How alike (cosine) the maps of a unit and of others of its layer are"),
        _part("hangs on the weights", weights, "below", ALIKE, seed,
              "How alike (cosine) the map stays when all weights below are put in disorder"),
    ]  # fmt: skip


def _numbers(found: Audit) -> tuple[float, float, float, float]:
    """Return the four numbers of one audit; NaN where it has none."""
    heard, curve, alike = found.feedback, found.randomisation, found.sensitivity
    floors = () if heard is None else (heard.random_mask, heard.energy_mask)
    known = [floor for floor in floors if floor is not None]
    own, chance = (None if m is None else m.removal for m in (found.map, found.random_mask))
    values = (
        None if heard is None or heard.own is None or not known else heard.own - max(known),
        # A unit may speak against the label, so that without what it hears the network is surer.
        None if own is None or chance is None else abs(own) - abs(chance),
        None if alike is None else alike.units,
        None if curve is None else curve.final,
    )
    one, two, three, four = (float("nan") if value is None else value for value in values)
    return one, two, three, four


def _part(
    name: str,
    values: list[float],
    side: Literal["above", "below"],
    threshold: float,
    seed: int,
    question: str,
) -> Part | None:
    known = np.array([value for value in values if np.isfinite(value)])
    if len(known) < 2:
        return None
    word: Literal["greater", "less"] = "greater" if side == "above" else "less"
    spread = float(known.std())
    p = float(stats.ttest_1samp(known, threshold, alternative=word).pvalue) if spread else None
    value = mean_interval(known, seed=seed)
    return Part(name, question, value, "units", len(known), side, threshold, (), "", p)


def _panel(found: list[Audit]) -> Panel:
    table = np.array([_numbers(a) for a in found])
    return Panel(
        "Audits of units",
        "unit",
        "cosine",
        tuple(str(a.unit) for a in found),
        (
            Curve("map stays when weights are in disorder", tuple(table[:, 3].tolist())),
            Curve("map is like those of other units", tuple(table[:, 2].tolist())),
        ),
        ALIKE,
    )


CLAIM = Claim(
    "believed",
    "The maps show what the network uses.",
    "what deconvolution and auralisation are read for since Zeiler, Fergus 2014, ECCV",
    "Units of two layers are made to be heard, and the results are audited: fed back, against "
    "masks of the same values in other places; against the maps of other units; and with the "
    "network's weights in disorder.",
    (),
    try_believed,
    version=2,
    plain="Fed back, a unit's sound raises it by {0:.2f} times its answer to the excerpt above "
    "what the better of two masks that know nothing does. Without what its map points at, the "
    "probability of the label moves by {1:.2f} more than without random places. The maps of two "
    "units of a layer are {2:.0%} alike; with the weights in disorder, a map is {3:.0%} like what "
    "it was.",
)
