"""Whether joint pooling, shortcuts, texture fusion and pretraining help."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.nn import functional

from auralise.audio.arrangements import Bar
from auralise.claims.base import Claim, Curve, Evidence, Need, NotApplicable, Panel, Part, Sound
from auralise.claims.context import Context
from auralise.claims.trainings import Duel, accuracies, duels, gain_part, read_results
from auralise.frontends.spectrogram import SpectrogramFrontend
from auralise.phase import DEFAULT_PHASE, phase_method
from auralise.spectral.compression import Compression
from auralise.spectral.stft import StftSpec

FEWEST = 3
"""Training seeds below which a comparison is not counted."""

N_FFT, POOL = 1024, 4
"""Of the spectrogram that is pooled to be heard, and places along each axis that become one."""

Way = tuple[str, str, dict[str, Any]]

REFINEMENTS: Mapping[str, tuple[Way, Way]] = {
    "max and average pooling": (
        ("zhang2016-nnet1", "fit", {"pooling": None}),
        ("zhang2016-nnet1", "fit", {"pooling": "max"}),
    ),
    "shortcut": (
        ("zhang2016-nnet2", "fit", {"shortcut": None}),
        ("zhang2016-nnet2", "fit", {"shortcut": False}),
    ),
    "texture fusion, sum rule": (
        ("costa2017", "lbp-sum", {}),
        ("costa2017", "fit", {}),
    ),
    "texture fusion, product rule": (
        ("costa2017", "lbp-product", {}),
        ("costa2017", "fit", {}),
    ),
    "unsupervised pretraining": (
        ("dieleman2011", "pretrain", {}),
        ("dieleman2011", "fit", {}),
    ),
}
"""For each refinement: architecture, way of training and options with it, then without it."""


def try_refinements(context: Context) -> Evidence:
    """Read each comparison of the trainings."""
    if context.results is None:
        raise NotApplicable("there are no results of trainings")
    results = read_results(context.results)
    found: list[tuple[str, Duel]] = []
    for name, (first, second) in REFINEMENTS.items():
        loose = {*first[2], *second[2]}
        for duel in duels(results, _is(first), _is(second), _shared(loose)):
            found.append((f"{name}, {duel.name}", duel))
    counted = [(name, duel) for name, duel in found if len(duel.first) >= FEWEST]
    if not counted:
        raise NotApplicable(f"the results have no comparison with {FEWEST} seeds or more")
    parts = tuple(
        gain_part(
            duel,
            name,
            "Share of held-out clips answered rightly with the refinement, less that without it",
            context.seed,
        )
        for name, duel in counted
    )
    few = [f"{name}: only {len(d.first)} seeds." for name, d in found if len(d.first) < FEWEST]
    missing = [n for n in REFINEMENTS if not any(name.startswith(n) for name, _ in counted)]
    notes = [f"Not counted, for too few seeds: {' '.join(few)}"] if few else []
    if missing:
        notes.append(f"Nothing was found on: {', '.join(missing)}.")
    return Evidence(parts, (_panel(counted, parts),), _sounds(context), tuple(notes))


def _is(way: Way) -> Any:  # noqa: ANN401
    architecture, method, options = way

    def chosen(run: Mapping[str, Any]) -> bool:
        return (
            run["architecture"] == architecture
            and run.get("method", "fit") == method
            and all(run["options"].get(key) == value for key, value in options.items())
        )

    return chosen


def _shared(loose: set[str]) -> Any:  # noqa: ANN401
    def name(run: Mapping[str, Any]) -> str:
        share = run.get("share", 1.0)
        few = "" if share == 1.0 else f", {share:.0%} of the labels"
        rest = {key: value for key, value in run["options"].items() if key not in loose}
        return f"{run['data']}{few}" + "".join(
            f", {key} {value}" for key, value in sorted(rest.items())
        )

    return name


def _panel(found: list[tuple[str, Duel]], parts: tuple[Part, ...]) -> Panel:
    pairs = [accuracies(duel) for _, duel in found]
    return Panel(
        "What a refinement adds",
        "comparison, in the order of the table",
        "share right",
        tuple(str(i) for i in range(1, len(parts) + 1)),
        (
            Curve("difference", tuple(p.value.value for p in parts),
                  tuple(p.value.low for p in parts), tuple(p.value.high for p in parts)),
            Curve("with it", tuple(one for one, _ in pairs)),
            Curve("without it", tuple(other for _, other in pairs)),
        ),
        0.0,
    )  # fmt: skip


def _sounds(context: Context) -> tuple[Sound, ...]:
    """Return music as it comes back from what pooling by maximum and by mean keeps of it."""
    rate = context.sample_rate
    music = Bar(drums="eight-beat").render(max(1.0, context.seconds), rate)
    frontend = SpectrogramFrontend(
        StftSpec(rate, N_FFT, N_FFT // 4), compression=Compression("log", 10000.0)
    )
    features = frontend.analyse(music)
    size = features.values.shape[-2:]

    def spread(pooled: Tensor) -> Tensor:
        wide = pooled.repeat_interleave(POOL, -2).repeat_interleave(POOL, -1)
        return wide[..., : size[0], : size[1]]

    kept = {
        "maximum": functional.max_pool2d(features.values, POOL, ceil_mode=True),
        "mean": functional.avg_pool2d(features.values, POOL, ceil_mode=True),
    }
    phase = phase_method(DEFAULT_PHASE)
    return (
        Sound("music", "music", music),
        *(
            Sound(
                name,
                f"the {name} of {POOL} x {POOL} places of its spectrogram, phases made anew",
                frontend.synthesise(spread(pooled), features, phase),
            )
            for name, pooled in kept.items()
        ),
    )


CLAIM = Claim(
    "refinements",
    "Maximum and average pooling together, shortcuts, texture fusion and unsupervised pretraining "
    "help.",
    "Zhang et al. 2016, Interspeech; Costa et al. 2017, Applied Soft Computing 52; Dieleman et al. "
    "2011, ISMIR",
    "Each refinement is trained with and without, on the same clips, for as many epochs, from "
    "several seeds. The claim is about these trainings, not about the network at hand; it says "
    "that all of them help.",
    (Need.RESULTS,),
    try_refinements,
    version=2,
    plain="With the refinement of the first line, the share of clips that are right changes by "
    "{0:+.3f}; the other lines have theirs.",
)
