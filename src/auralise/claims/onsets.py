"""Whether the first layer is an onset detector, with verticals, horizontals, few diagonals."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from auralise.audio.stimuli import chirp, clicks, noise_band, tone
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
from auralise.claims.factors import twin_curve
from auralise.claims.statistics import mean_interval, share_interval, twin_p
from auralise.errors import InvalidValueError, NetworkError, ShapeError
from auralise.filters.orientation import (
    CLASSES,
    first_kernels,
    modulation_transfer,
    orientation_classes,
    sector_shares,
)
from auralise.models.base import MusicNetwork

TWICE = 2.0
"""A unit is an onset detector if it answers so many times as strongly to beginnings."""

HALF = 0.5
FEW = 0.5
"""The share that diagonals have where no direction is preferred."""

BURSTS = 8
RAMP = 0.03
_START, _STOP = 0.35, 0.9  # of the length of the sound


def burst(context: Context, seed: int) -> Waveform:
    """Return noise of the whole band that begins slowly in silence and is held."""
    rate, seconds = context.sample_rate, context.seconds
    samples = torch.zeros(1, round(seconds * rate))
    first, last = (round(share * samples.shape[1]) for share in (_START, _STOP))
    held = noise_band(50.0, 0.45 * rate, (last - first) / rate, rate, seed=seed, ramp=RAMP)
    samples[:, first : first + held.n_samples] = held.samples[:, : last - first]
    return Waveform(samples, rate)


def try_onsets(context: Context) -> Evidence:
    """Play beginnings and held sound to the first layer, and name its filters."""
    layer = context.stages[0]
    if not layer.mapped or len(layer.shape) < 2:
        raise NotApplicable("the first layer's answer has no place in time")
    courses = _courses(context)
    indices = [onset_ratio(context, course) for course in courses]
    parts = [_detector_part(context, indices)]
    panels = [_histogram(indices), *_probes(context)]
    notes = []
    try:
        kernels = [_kernels(network) for network in context.networks]
        names = [orientation_classes(part) for part in kernels]
    except (NetworkError, ShapeError, InvalidValueError) as error:
        notes.append(f"Filters could not be named, so this part is left out: {error}.")
    else:
        parts.append(_diagonal_part(context, kernels))
        panels.append(_class_panel(names))
    dead = len(courses[0]) - len(indices[0])
    if dead:
        notes.append(f"{dead} of {len(courses[0])} units never answer and are left out.")
    sounds = (
        Sound("beginning", "noise that begins and is held", burst(context, 0)),
        Sound("tone", "a held tone", _held(context)),
        Sound("chirp", "a glide, which would be a diagonal", _glide(context)),
    )
    return Evidence(tuple(part for part in parts if part), tuple(panels), sounds, tuple(notes))


def _courses(context: Context) -> list[Tensor]:
    """Return the first layer's answer over time, averaged over bursts and frequencies.

    One for each network: Tensor, shape (units, frames).
    """
    layer = context.stages[0].layer
    samples = torch.cat([burst(context, seed).samples for seed in range(BURSTS)])
    courses = []
    for number, network in enumerate(context.networks, 1):
        with context.recorded(network, [layer]) as play:
            parts = [play(samples[i : i + 4])[layer] for i in range(0, BURSTS, 4)]
        maps = torch.cat(parts).mean(0)
        courses.append(maps.reshape(maps.shape[0], -1, maps.shape[-1]).mean(1))
        context.progress("beginnings of sound", number, len(context.networks))
    return courses


def onset_ratio(context: Context, course: Tensor) -> Tensor:
    """Return the rise at the beginning over the largest rise while held, (live units,).

    A rise is above the answer to silence. Both are the strongest of windows of the same length,
    so that noise makes neither larger.
    """
    frames = course.shape[1]
    first, last = round(_START * frames), round(_STOP * frames)
    width = max(3, round((RAMP + 0.05) / context.seconds * frames))
    quiet = course[:, 2 : max(3, first - width)].mean(1, keepdim=True)
    rise = course - quiet
    begin = rise[:, first - width // 2 : first + width].amax(1).clamp_min(0)
    held = rise[:, (first + last) // 2 : (first + last) // 2 + width + width // 2]
    steady = held.amax(1).clamp_min(0)
    live = rise[:, first - width : last + width].abs().amax(1) > 1e-6 * rise.abs().max()
    return (begin[live] / steady[live].clamp_min(1e-9)).clamp_max(1e3)


def _detector_part(context: Context, indices: list[Tensor]) -> Part | None:
    own = indices[0]
    if not len(own):
        return None
    shares = [float((i > TWICE).double().mean()) if len(i) else 0.0 for i in indices]
    return Part(
        "onset detectors",
        "Share of the first layer's units that answer more than twice as strongly when noise "
        "begins as while it is held",
        share_interval(int((own > TWICE).sum()), len(own)),
        "units",
        len(own),
        "above",
        HALF,
        tuple(shares[1:]),
        "untrained networks",
        twin_p(shares[0], shares[1:], "above"),
    )


def _kernels(network: MusicNetwork) -> Tensor:
    kernels = first_kernels(network)[1]
    return kernels[(kernels != 0).any(2).any(1)]


def _diagonal_part(context: Context, kernels: list[Tensor]) -> Part:
    """Return how much of the filters' change lies along diagonals: 0.5 if all ways are alike."""
    shares = [sector_shares(modulation_transfer(part))[:, 2:].sum(1).numpy() for part in kernels]
    value = mean_interval(shares[0], seed=context.seed)
    twins = tuple(float(row.mean()) for row in shares[1:])
    return Part(
        "few diagonals",
        "Share of the first layer's filters, by energy of their changes, that runs along diagonals "
        "of time and frequency; half if all directions are alike",
        value,
        "filters",
        len(shares[0]),
        "below",
        FEW,
        twins,
        "untrained networks",
        twin_p(value.value, twins, "below"),
    )


def _histogram(indices: list[Tensor]) -> Panel:
    edges = np.array([0.0, 0.5, 0.8, 1.25, 2.0, 5.0, 1e9])
    names = ("under 0.5", "0.5 to 0.8", "0.8 to 1.25", "1.25 to 2", "2 to 5", "over 5")
    shares = np.array(
        [np.histogram(row.numpy(), edges)[0] / max(1, len(row)) for row in indices], dtype=float
    )
    return Panel(
        "Answer to beginnings over answer to held noise",
        "times as strong",
        "share of units",
        names,
        (twin_curve(shares[1:]), Curve("network", tuple(shares[0].tolist()))),
    )


def _class_panel(names: list[list[str]]) -> Panel:
    shares = np.array([[row.count(c) / len(row) for c in CLASSES] for row in names], dtype=float)
    return Panel(
        "What the first layer's filters look for",
        "class",
        "share of filters",
        CLASSES,
        (twin_curve(shares[1:]), Curve("network", tuple(shares[0].tolist()))),
    )


def _held(context: Context) -> Waveform:
    return tone(440.0, context.seconds, context.sample_rate, ramp=RAMP)


def _glide(context: Context) -> Waveform:
    return chirp(110.0, 0.4 * context.sample_rate, context.seconds, context.sample_rate, ramp=RAMP)


def _probes(context: Context) -> list[Panel]:
    """Return what the units answer most strongly to, of clicks, a held tone and a chirp."""
    layer, rate = context.stages[0].layer, context.sample_rate
    struck = clicks([context.seconds / 2], context.seconds, rate, level_db=0.0)
    samples = torch.cat([s.samples for s in (struck, _held(context), _glide(context))])
    rows = []
    for network in context.networks:
        with context.recorded(network, [layer]) as play:
            maps = play(samples)[layer]
            quiet = play(torch.zeros(1, samples.shape[1]))[layer]
        rises = (maps - quiet).flatten(2)
        # By the strongest places, so that a click counts for as much as a sound that lasts; each
        # probe is set against its own mean over units, for they differ in level.
        peaks = rises.topk(max(1, rises.shape[2] // 500), 2).values.mean(2).clamp_min(0)
        live = peaks.amax(0) > 0
        relative = peaks[:, live] / peaks[:, live].mean(1, keepdim=True).clamp_min(1e-12)
        best = relative.argmax(0)
        rows.append(
            [float((best == i).double().mean()) for i in range(3)] if len(best) else [0.0] * 3
        )
    shares = np.array(rows)
    return [
        Panel(
            "Which sound moves a unit most, against the other units",
            "sound",
            "share of units",
            ("click", "held tone", "chirp"),
            (twin_curve(shares[1:]), Curve("network", tuple(shares[0].tolist()))),
        )
    ]


CLAIM = Claim(
    "onsets",
    "The first layer is a crude onset detector; its filters are verticals and horizontals, "
    "with few diagonals.",
    "Choi, Kim, Fazekas, Sandler 2015, ISMIR late-breaking demo; Choi et al. 2016",
    "Noise begins softly and is held, eight times; each unit's answer at the beginning is "
    "compared with that while it lasts. Then the filters themselves are named by the direction "
    "in which they change.",
    (Need.SPECTROGRAM, Need.TWINS),
    try_onsets,
    plain="{0:.0%} of the units of the first layer answer more than twice as strongly when a "
    "sound begins as while it lasts; {1:.0%} of what its filters look for runs along "
    "diagonals, where even chance has half.",
)
