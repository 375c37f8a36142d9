"""A first layer as a grid of its filters, as charts, and one filter looked at closely."""

from __future__ import annotations

from html import unescape
from typing import Any

import numpy as np
import torch
from dash import dcc, html
from dash.development.base_component import Component

from auralise.errors import InvalidValueError
from auralise.filters.verdict import Finding
from auralise.output.charts import Axis, Chart, ChartFigure, Series
from auralise.output.charts_interactive import draw_charts
from auralise.output.figures import hertz_label

from ..banks import BankStudy, filter_numbers, filter_sounds
from ..drawings import theme_of
from ..rendering import Sound
from ..service import Service
from ..views import View
from . import grid, notice
from .pictures import signed_uri, waveform_uri

_CONFIG: Any = {"displaylogo": False, "responsive": True, "displayModeBar": False}
_HEIGHT = 320  # pixels of a chart
_APART = 0.15  # of an axis, between labels
_FLOOR = -60.0  # dB; what is weaker than that of a filter's peak looks the same


def bank_card(study: BankStudy, side: str, chosen: tuple[str, int]) -> Component:
    """Return a layer's filters as cells, in the order of their frequency, and the finding."""
    what = "by centre frequency" if study.in_time else "by what they look for"
    cells = [_cell(study, index, side, chosen == (side, index)) for index in study.order()]
    said = notice.flags((), study.notes)
    return html.Section(
        [
            html.H2(html.Code(study.name)),
            html.P([html.Strong(headline(study)), html.Br(), study.sentence], className="verdict"),
            *([said] if said else []),
            html.P(f"{study.filters} filters of {study.layer}, {what}:", className="quiet"),
            html.Div(
                cells,
                className="grid",
                role="group",
                **{"aria-label": f"Filters of {study.name}"},  # type: ignore[arg-type]
            ),
        ],
        className="card",
    )


def headline(study: BankStudy) -> str:
    """Say the finding in a few words."""
    verdict = study.verdict
    if verdict is None:
        most = max(study.counts, key=lambda entry: entry.count)
        return f"Most filters ({most.count} of {study.filters}) are of the class {most.name}."
    if verdict.finding is Finding.TOO_FEW:
        return "No verdict: too few filters are tuned."
    if not verdict.widths_agree:
        return f"Spaced most like {verdict.scales[0].scale}, but not as wide: none of the scales."
    names = ", ".join(verdict.leading)
    words = {
        Finding.ONE: f"Spread evenly on {names}.",
        Finding.TIED: f"Spread evenly on {names}, which cannot be told apart here.",
        Finding.NONE: "Spread evenly on none of the scales.",
    }[verdict.finding]
    if not verdict.widths_tell:
        words += " The filters are too short for their widths to confirm it."
    return words if verdict.learned else f"{words} Untrained filters are, too."


def first_choice(study: BankStudy) -> int:
    """Return a filter to begin with: the most selective that is tuned, or the first in order."""
    if study.response is not None and study.verdict is not None:
        tuned = study.response.selective(study.verdict.gate)
        if bool(tuned.any()):
            shares = torch.where(tuned, study.response.peak_fraction, torch.tensor(-1.0).double())
            return int(shares.nan_to_num(-1.0).argmax())
    return study.order()[0]


def _cell(study: BankStudy, index: int, side: str, current: bool) -> Component:
    if study.kernels is not None:
        picture = signed_uri(study.kernels[index].numpy())
        said = f"Filter {index}, {study.classes[index]}"
    else:
        picture, said = waveform_uri(_taps(study, index)), f"Filter {index}, {_peak(study, index)}"
    go = {"filter": index, "side": side}
    return grid.picture_cell(f"{side}{index}", str(index), picture, go, said, current)


def _peak(study: BankStudy, index: int) -> str:
    if study.response is None or bool(study.response.silent[index]):
        return "silent"
    return f"{float(study.response.peak[index]):.0f} Hz"


def _taps(study: BankStudy, index: int) -> np.ndarray[Any, Any]:
    if study.bank is None:
        return np.zeros(1)
    taps = study.bank.impulse_responses[index]
    return np.asarray((taps.real if taps.is_complex() else taps).numpy(), dtype=np.float64)


def bank_charts(study: BankStudy, side: str, axis: str, look: str) -> Component:
    """Return a layer's charts in the page's colours; points know their filters."""
    charts = study.figure(axis).charts
    return html.Div(
        [
            html.H3(html.Code(study.name)),
            *(
                part
                for number, chart in enumerate(charts)
                for part in _chart(
                    chart, look, id={"type": "filters-graph", "side": side, "chart": number}
                )
            ),
        ]
    )


def _chart(chart: Chart, look: str, **more: Any) -> list[Component]:  # noqa: ANN401
    """Return a chart with its title and key as text, which wraps where there is little room."""
    drawn = draw_charts(ChartFigure(chart.title, "", (chart,), ""), theme_of(look))
    title, _, key = str(drawn.layout.annotations[0].text).partition("<br>")
    drawn.layout.annotations = ()
    drawn.update_layout(height=_HEIGHT, margin={"l": 70, "r": 10, "t": 8, "b": 48, "pad": 0})
    drawn.update_xaxes(tickangle=0)
    if not chart.x.logarithmic:
        _thin(drawn.layout.xaxis)
    words = unescape(title.removeprefix("<b>").removesuffix("</b>"))
    return [
        html.H4(words) if more else html.H3(words),  # one of a network's, or a filter's own
        html.P(unescape(key), className="quiet"),
        _graph(drawn, **more),
    ]


def _thin(axis: Any) -> None:  # noqa: ANN401
    """Leave out labels that would run into the one before on a narrow page."""
    low, high = axis.range
    kept: list[tuple[float, str]] = []
    for place, label in zip(axis.tickvals, axis.ticktext, strict=True):
        if not kept or place - kept[-1][0] >= _APART * (high - low):
            kept.append((place, label))
    axis.tickvals, axis.ticktext = ([tick[k] for tick in kept] for k in range(2))


def filter_card(study: BankStudy, index: int, look: str) -> tuple[Component, list[Component]]:
    """Return the heading of one filter, and its numbers and picture."""
    numbers = notice.facts(filter_numbers(study, index).items())
    heading = html.H2([html.Code(f"{study.layer}:{index}"), f" of {study.name}"])
    if study.kernels is not None:
        return heading, [numbers, _kernel_picture(study, index)]
    charts = [html.Div(_chart(chart, look)) for chart in _taps_charts(study, index)]
    return heading, [numbers, html.Div(charts, className="pair")]


def _taps_charts(study: BankStudy, index: int) -> tuple[Chart, Chart]:
    """Return a filter in time: its waveform, and its spectrum in dB below the peak."""
    bank, response = study.bank, study.response
    if bank is None or response is None:
        raise InvalidValueError("filters over time and frequency have no waveform")
    taps = _taps(study, index)
    length = 1000 * len(taps) / bank.sample_rate
    seconds = 1000 * np.arange(len(taps)) / bank.sample_rate
    top = float(np.abs(taps).max()) or 1.0
    power = response.power[index].numpy()
    decibels = 10 * np.log10(np.maximum(power / (power.max() or 1.0), 10 ** (_FLOOR / 10)))
    marks = [(v, hertz_label(v)) for v in (response.nyquist * k / 4 for k in range(5))]
    times = tuple((length * k / 4, f"{length * k / 4:.3g}") for k in range(5))
    return (
        Chart(
            "Waveform",
            Axis("time (ms)", (0.0, length), times),
            Axis("weight", (-1.1 * top, 1.1 * top), ((0.0, "0"), (top, f"{top:.2g}"))),
            (Series("weight", "tuned", seconds, taps, line=True),),
        ),
        Chart(
            "Spectrum, dB below the peak",
            Axis("frequency", (0.0, response.nyquist), tuple(marks)),
            Axis("dB", (_FLOOR, 2.0), tuple((float(v), str(v)) for v in range(-60, 1, 20))),
            (Series("power", "tuned", response.frequencies.numpy(), decibels, line=True),),
        ),
    )


def _kernel_picture(study: BankStudy, index: int) -> Component:
    """Return a filter over time and frequency as a picture of its weights."""
    if study.kernels is None:
        raise InvalidValueError("filters in time are no pictures")
    kernel = study.kernels[index].numpy()
    rows, columns = kernel.shape
    return html.Figure(
        [
            html.Img(
                src=signed_uri(kernel),
                alt=f"Weights of filter {index}, {rows} bins by {columns} frames",
                className="kernel",
            ),
            html.Figcaption(
                "Weights: red is positive, blue negative; time runs to the right, frequency up.",
                className="quiet",
            ),
        ]
    )


def _graph(drawn: Any, **more: Any) -> Component:  # noqa: ANN401
    graph: Component = dcc.Graph(
        figure=drawn,
        config=_CONFIG,
        responsive=True,
        style={"height": f"{drawn.layout.height}px"},
        **more,
    )
    return graph


def sounds_of(
    service: Service, view: View, study: BankStudy, model: str, index: int
) -> dict[str, Any]:
    """Return what the players need for one filter; none for untrained ones over time and frequency.

    Parameters
    ----------
    service : Service
    view : View
        Whose song is heard.
    study : BankStudy
    model : str
        The network's name.
    index : int
        Of the filter.
    """
    if study.in_time:
        song = service.excerpt(View(model=model, song=view.song, start=view.start))
        heard = {"source": song, **filter_sounds(study, index, song)}
        key = [model, study.untrained, index, view.song, view.start, service.card(model)["sha256"]]
        sounds = service.sounds(view, heard, filter=key)
        rows = [
            _row("source", "Song", "s", "as the network hears it", sounds["source"]),
            _row("song", "Filtered", "a", "the song through the filter", sounds["song"]),
            _row("noise", "Noise", "n", "white noise through it", sounds["noise"]),
            _row("clicks", "Clicks", "c", "four clicks a second", sounds["clicks"]),
        ]
        return {"sounds": rows, "maps": [], "hertz": False, "from": 0}
    if study.untrained:
        return {"sounds": [], "maps": [], "hertz": False, "from": 0}
    layer = study.layer.partition(".")[0]
    unit = View(model=model, song=view.song, start=view.start, layer=layer, unit=index, at="whole")
    rendered = service.render(unit)
    rows = [
        _row("source", "Song", "s", "as the network hears it", rendered.source),
        _row("song", "Unit", "a", f"{rendered.unit} in the song", rendered.auralised),
    ]
    return {"sounds": rows, "maps": [], "hertz": False, "from": 0}


def _row(key: str, label: str, letter: str, note: str, sound: Sound) -> dict[str, Any]:
    return {
        "key": key,
        "label": label,
        "letter": letter.upper(),
        "note": note,
        **sound.played,
        "main": key == "song",
    }
