"""Whether spectrograms as input beat raw audio."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

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

N_FFT, N_MELS = 1024, 128
"""Of the mel spectrogram that is made sound again, to hear what it leaves out."""


def try_spectrograms(context: Context) -> Evidence:
    """Compare trainings of the same back end behind a mel spectrogram and behind raw audio."""
    if context.results is None:
        raise NotApplicable("there are no results of trainings")
    found = [
        duel
        for duel in duels(
            read_results(context.results), _of("dieleman2014-mel"), _of("dieleman2014-raw"), _shared
        )
    ]
    counted = [duel for duel in found if len(duel.first) >= FEWEST]
    if not counted:
        raise NotApplicable(
            f"the results have no pair of mel and raw runs with {FEWEST} seeds or more"
        )
    parts = tuple(
        gain_part(
            duel,
            f"mel less raw, {duel.name}",
            "Share of held-out clips answered rightly behind a mel spectrogram, less that behind a "
            "learned first layer on raw audio, same back end, clips and epochs",
            context.seed,
        )
        for duel in counted
    )
    return Evidence(
        parts,
        (_panel(counted, parts),),
        _sounds(context),
        (
            "The networks of this comparison are small ones, trained for a few epochs; it says "
            "nothing on larger data, where raw audio catches up (SampleCNN, Lee et al. 2018).",
            *(
                f"{duel.name}: only {len(duel.first)} seeds, not counted."
                for duel in found
                if len(duel.first) < FEWEST
            ),
        ),
    )


def _of(architecture: str) -> Any:  # noqa: ANN401
    def chosen(run: Mapping[str, Any]) -> bool:
        return bool(run["architecture"] == architecture and run.get("method", "fit") == "fit")

    return chosen


def _shared(run: Mapping[str, Any]) -> str:
    """Return what both sides have in common, readable first."""
    options = dict(run["options"])
    length, stride = options.pop("length", "default"), options.pop("stride", "default")
    rest = json.dumps([options, run.get("epochs"), run.get("share")], sort_keys=True)
    share = "" if run.get("share", 1.0) == 1.0 else f", {run['share']:.0%} of the labels"
    return f"{run['data']}, filters of {length} every {stride}{share}" + (
        "" if length != "default" else f" {rest}"
    )


def _panel(found: list[Duel], parts: tuple[Part, ...]) -> Panel:
    pairs = [accuracies(duel) for duel in found]
    return Panel(
        "Accuracy behind a spectrogram and behind raw audio",
        "filters",
        "share right",
        tuple(duel.name.split("filters of ")[-1] for duel in found),
        (
            Curve("difference", tuple(p.value.value for p in parts),
                  tuple(p.value.low for p in parts), tuple(p.value.high for p in parts)),
            Curve("mel spectrogram", tuple(one for one, _ in pairs)),
            Curve("raw audio", tuple(other for _, other in pairs)),
        ),
        0.0,
    )  # fmt: skip


def _sounds(context: Context) -> tuple[Sound, ...]:
    """Return music as it is, and as it comes back from what a mel spectrogram keeps of it."""
    rate = context.sample_rate
    music = Bar(drums="eight-beat").render(max(1.0, context.seconds), rate)
    frontend = SpectrogramFrontend(
        StftSpec(rate, N_FFT, N_FFT // 4), n_mels=N_MELS, compression=Compression("log", 10000.0)
    )
    features = frontend.analyse(music)
    back = frontend.synthesise(features.values, features, phase_method(DEFAULT_PHASE))
    return (
        Sound("music", "music as the raw network gets it", music),
        Sound("mel", f"the same from {N_MELS} mel bands, with phases made anew", back),
    )


CLAIM = Claim(
    "spectrograms",
    "Networks do better on spectrograms than on raw audio.",
    "Dieleman, Schrauwen 2014, ICASSP; the conclusion of most overviews since",
    "The same back end is trained behind a mel spectrogram and behind a learned layer on raw "
    "audio, on the same clips, for as many epochs, from several seeds. The claim is about these "
    "trainings, not about the network at hand.",
    (Need.RESULTS,),
    try_spectrograms,
    version=2,
    plain="Behind a spectrogram, the share of clips that the same network gets right is higher "
    "by {0:.2f}.",
)
