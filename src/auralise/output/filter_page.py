"""A page on which every filter of a first layer is seen and played."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
import torch

from auralise.filters.bank import FilterBank
from auralise.filters.response import BankResponse
from auralise.output.charts import ChartFigure
from auralise.output.charts_interactive import charts_height, draw_charts
from auralise.output.figures import Array, hertz_label
from auralise.output.filter_sounds import CLICKS, filter_sound
from auralise.output.page import audio_uri, drawing_holder, drawings_page
from auralise.units import hz_to_mel

MOST = 256
"""So many filters are on the page at most: each has a sound of 30 to 100 kB in it."""

_WIDTH, _HEIGHT = 220.0, 56.0
_POINTS = 160
_FLOOR = -40.0  # dB


def filter_page(
    figure: ChartFigure, bank: FilterBank, response: BankResponse, tuned: torch.Tensor
) -> str:
    """Return a page with the charts of a bank, and each filter's waveform, spectrum and sound.

    Parameters
    ----------
    figure : ChartFigure
        Of the bank.
    bank : FilterBank
    response : BankResponse
        Of the bank.
    tuned : Tensor, bool, shape (filters,)
        Which filters pass the gate.
    """
    chosen = choose_filters(response, tuned)
    cards = "".join(_card(bank, response, index, bool(tuned[index])) for index in chosen)
    sounding = int((~response.silent).sum())
    left_out = (
        f" {len(chosen)} of {sounding} are here, evenly taken." if len(chosen) < sounding else ""
    )
    body = (
        "<header><p class='eyebrow'>auralise filters</p>"
        f"<h1>{escape(figure.title)}</h1></header>\n<main>"
        f"<section><p>{escape(figure.words)}</p>"
        f"{drawing_holder('figure', charts_height(figure), figure.words)}</section>\n"
        "<section aria-labelledby='filters'><h2 id='filters'>Each filter</h2>"
        "<p class='quiet'>Tuned filters by centre frequency, then the others. Left the impulse "
        "response, right its spectrum: dB "
        f"below the peak ({_FLOOR:g} dB at the bottom) on a mel axis from 0 Hz to "
        f"{hertz_label(response.nyquist)}. The player has the impulse response {CLICKS} times, "
        "then white noise through the filter; all filters are equally loud, whatever their "
        f"gain.{left_out}</p>"
        f"<div class='players'>{cards}</div></section></main>"
    )
    return drawings_page(figure.title, body, {"figure": draw_charts(figure)})


def choose_filters(response: BankResponse, tuned: torch.Tensor) -> list[int]:
    """Return the filters that sound: the tuned ones by centre frequency, then the others."""
    order: list[int] = []
    for group in (tuned & ~response.silent, ~tuned & ~response.silent):
        index = torch.nonzero(group)[:, 0]
        order += index[torch.argsort(response.peak[index], stable=True)].tolist()
    if len(order) <= MOST:
        return order
    places = np.linspace(0, len(order) - 1, MOST).round().astype(int)
    return [order[place] for place in places]


def _card(bank: FilterBank, response: BankResponse, index: int, tuned: bool) -> str:
    name = escape(bank.names[index])
    taps = bank.impulse_responses[index]
    words = f"{float(response.peak[index]):.0f} Hz, {float(response.bandwidth[index]):.0f} Hz wide"
    marks = [
        "tuned" if tuned else "not tuned",
        *(["unresolved"] if bool(response.unresolved[index]) else []),
        *(["a copy"] if bool(response.duplicate[index]) else []),
    ]
    sound = audio_uri(filter_sound(taps, bank.sample_rate))
    return (
        f'<div class="player"><h3 id="f{index}">{name}: {words}</h3>'
        f'<p class="quiet">{", ".join(marks)}</p>{_drawing(taps, response, index, words)}'
        f'<audio controls preload="none" aria-labelledby="f{index}" src="{sound}"></audio></div>\n'
    )


def _drawing(taps: torch.Tensor, response: BankResponse, index: int, words: str) -> str:
    """Draw waveform and spectrum beside each other."""
    real = (taps.real if taps.is_complex() else taps).double().numpy()
    wave = _thinned(real / np.abs(real).max()) if np.abs(real).max() > 0 else real
    time = np.linspace(0.0, 1.0, len(wave))
    mel, levels = _spectrum(response, index)
    half = _WIDTH / 2 - 6
    return (
        f'<svg viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" width="100%" role="img" '
        f'aria-label="Impulse response and spectrum: peak at {escape(words)}" '
        'fill="none" stroke="currentColor" stroke-width="1">'
        f'<polyline points="{_points(time * half, _HEIGHT / 2 * (1 - 0.95 * wave))}"/>'
        f'<polyline points="{_points(half + 12 + mel * half, _HEIGHT * levels / _FLOOR)}"/></svg>'
    )


def _spectrum(response: BankResponse, index: int) -> tuple[Array, Array]:
    """Return places on the mel axis in [0, 1], and levels in dB below the peak."""
    power = response.power[index].numpy()
    mel = hz_to_mel(response.frequencies, "htk").numpy()
    edges = np.linspace(0.0, mel[-1], _POINTS + 1)
    part = np.searchsorted(mel, edges[:-1]).clip(max=len(mel) - 1)
    strongest = np.maximum.reduceat(power, np.unique(part))
    levels = 10 * np.log10(np.maximum(strongest / power.max(), 10 ** (_FLOOR / 10)))
    places = mel[np.unique(part)] / mel[-1]
    return np.asarray(places, dtype=np.float64), np.asarray(levels, dtype=np.float64)


def _thinned(wave: Array) -> Array:
    """Keep the extremes of a long waveform, so that its outline stays."""
    if len(wave) <= 2 * _POINTS:
        return wave
    parts = np.array_split(wave, _POINTS)
    return np.array([value for part in parts for value in (part.min(), part.max())])


def _points(x: Array, y: Sequence[float] | Array) -> str:
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
