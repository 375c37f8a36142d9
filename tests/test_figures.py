"""Figures: one description, drawn twice; what is shown is where the axes say."""

import io
import json

import numpy as np
import pytest
import torch

from auralise.audio.waveform import Waveform
from auralise.errors import InvalidValueError, ShapeError
from auralise.output.figures import (
    FLOOR_DB,
    Figure,
    Panel,
    decibels,
    display_spec,
    hertz_label,
    hertz_ticks,
    place_in_words,
    relevance_panels,
    unit_figure,
)
from auralise.output.interactive import COLUMNS, draw, height_of, themes
from auralise.output.png import encode_png
from auralise.output.reduction import envelope, strongest_columns
from auralise.positions import Place

KINDS = ("linear", "mel", "raw")


def panel(rows=4, columns=10, hertz=None, kind="image", limits=(-1.0, 1.0)):
    heights = np.arange(rows) * 100.0 if hertz is None and kind == "image" else hertz
    values = np.zeros((rows, columns)) if kind == "image" else np.zeros(columns)
    return Panel(kind, "A", np.arange(columns) / 10, values, heights, "signed", "units", limits)


def test_a_spectrogram_network_shows_five_panels_on_one_axis(hand_made):
    figure = unit_figure(hand_made("linear"))
    assert [p.title for p in figure.panels] == [
        "Source",
        "Source, spectrogram",
        "Relevance",
        "Auralised sound, spectrogram",
        "Auralised sound",
    ]
    assert figure.duration == 1.0


def test_a_raw_audio_network_shows_its_relevance_as_the_sound_it_is(hand_made):
    titles = [p.title for p in unit_figure(hand_made("raw")).panels]
    assert titles == ["Source", "Source, spectrogram", "Relevance", "Relevance, spectrogram"]


def test_a_tone_is_drawn_at_its_time_and_frequency(hand_made):
    """1 kHz from 0.25 s: the strongest row and the first loud column say so."""
    image = unit_figure(hand_made("linear")).panels[1]
    assert image.hertz[image.values.max(axis=1).argmax()] == 1000.0
    loud = image.seconds[image.values.max(axis=0) > -20]
    assert loud.min() == pytest.approx(0.25, abs=0.05)


def test_relevance_is_on_the_axes_of_the_frontend(hand_made):
    result = hand_made("mel")
    shown = unit_figure(result).panels[2]
    frontend = result.frontend
    assert shown.hertz[7] == frontend.hertz_of(7)
    assert shown.seconds[9] == frontend.seconds_of(9)
    assert not shown.even


def test_relevance_keeps_its_sign_and_is_one_at_its_strongest(hand_made):
    values = torch.tensor([[[1.0, -4.0], [2.0, 0.0]]])
    (shown,) = relevance_panels(values, hand_made("linear").frontend)
    np.testing.assert_array_equal(shown.values, [[0.25, -1.0], [0.5, 0.0]])
    assert shown.limits[0] == -shown.limits[1]


def test_every_input_channel_gets_a_panel(hand_made):
    panels = list(relevance_panels(torch.ones(2, 3, 4), hand_made("linear").frontend))
    assert [p.title for p in panels] == ["Relevance, input channel 0", "Relevance, input channel 1"]


def test_an_empty_map_is_shown_as_nothing_not_as_an_error(hand_made):
    (shown,) = relevance_panels(torch.zeros(1, 3, 4), hand_made("linear").frontend)
    assert shown.values.max() == 0
    assert shown.limits == (-1.0, 1.0)


def test_levels_are_relative_to_the_strongest_and_end_at_the_floor():
    levels = decibels(np.array([4.0, 0.4, 1e-9, 0.0]))
    np.testing.assert_allclose(levels, [0.0, -20.0, FLOOR_DB, FLOOR_DB], rtol=0, atol=1e-12)
    assert decibels(np.zeros(3)).tolist() == [FLOOR_DB] * 3


@pytest.mark.parametrize(
    ("rate", "length", "n_fft"), [(16000, 16000, 1024), (8000, 100, 64), (8000, 3, None)]
)
def test_the_transform_for_display_fits_the_sound(rate, length, n_fft):
    spec = display_spec(Waveform(torch.zeros(1, length), rate))
    assert (spec and spec.n_fft) == n_fft


def test_a_sound_too_short_for_any_transform_still_gives_a_figure(hand_made):
    frontend = hand_made("raw").frontend
    panels = list(relevance_panels(torch.ones(1, 1), frontend))
    encode_png(Figure("one sample", tuple(panels), 1 / 8000))
    draw(Figure("one sample", tuple(panels), 1 / 8000))


def test_ticks_are_round_numbers_inside_the_axis():
    even = panel(rows=129, hertz=np.arange(129) * 31.25)
    assert [label for _, label in hertz_ticks(even)] == ["0 Hz", "1 kHz", "2 kHz", "3 kHz", "4 kHz"]
    uneven = panel(rows=4, hertz=np.array([100.0, 250.0, 500.0, 1500.0]))
    assert hertz_ticks(uneven) == [
        (pytest.approx(1 / 6), "125 Hz"),
        (1.0, "250 Hz"),
        (2.0, "500 Hz"),
        (2.5, "1 kHz"),
    ]


def test_frequencies_are_written_short():
    assert [hertz_label(x) for x in (50, 62.5, 1000, 2500)] == [
        "50 Hz",
        "62.5 Hz",
        "1 kHz",
        "2.5 kHz",
    ]


def test_a_panel_refuses_values_that_do_not_fit_its_axes():
    with pytest.raises(ShapeError, match=r"must have shape \(4, 10\), got \(4, 9\)"):
        Panel("image", "A", np.arange(10.0), np.zeros((4, 9)), np.arange(4.0), "signed", "", (0, 1))


def test_a_panel_refuses_limits_that_do_not_rise():
    with pytest.raises(InvalidValueError, match=r"limits must rise, got \(1.0, 1.0\)"):
        panel(limits=(1.0, 1.0))


def test_an_image_without_frequencies_is_refused():
    with pytest.raises(InvalidValueError, match="an image needs hertz"):
        Panel("image", "A", np.arange(3.0), np.zeros(3), None, "signed", "", (0.0, 1.0))


def test_a_figure_without_panels_is_refused():
    with pytest.raises(InvalidValueError, match="at least one panel"):
        Figure("empty", (), 1.0)


def test_an_envelope_keeps_every_peak():
    rng = np.random.default_rng(0)
    values = rng.normal(size=10_007)
    seconds = np.arange(10_007) / 100
    short, kept = envelope(seconds, values, 50)
    assert len(kept) == 100
    assert kept.max() == values.max()
    assert kept.min() == values.min()
    assert np.all(np.diff(short) >= 0)
    assert set(zip(short, kept, strict=True)) <= set(zip(seconds, values, strict=True))


def test_joined_columns_keep_the_strongest_value_with_its_sign():
    values = np.array([[1.0, -5.0, 2.0, 3.0, -1.0]])
    seconds, kept = strongest_columns(np.arange(5.0), values, 3)
    np.testing.assert_array_equal(kept, [[-5.0, 3.0, -1.0]])
    np.testing.assert_array_equal(seconds, [0.5, 2.5, 4.5])


def test_reduction_to_no_columns_is_refused():
    with pytest.raises(InvalidValueError, match="at least 1, got 0"):
        envelope(np.zeros(3), np.zeros(3), 0)


@pytest.mark.parametrize("kind", KINDS)
def test_both_drawings_hold_every_panel(hand_made, kind):
    """The interactive one has a trace for each; the still one grows with each."""
    figure = unit_figure(hand_made(kind))
    assert len(draw(figure).data) == len(figure.panels)
    fewer = Figure(figure.title, figure.panels[:-1], figure.duration)
    assert image_height(encode_png(figure)) > image_height(encode_png(fewer))
    assert height_of(figure) > height_of(fewer)


def image_height(png):
    from matplotlib.image import imread

    return imread(io.BytesIO(png)).shape[0]


def test_the_interactive_image_has_the_values_at_their_seconds_and_hertz(hand_made):
    figure = unit_figure(hand_made("linear"))
    source, relevance = draw(figure).data[1:3]
    shown = figure.panels[2]
    np.testing.assert_allclose(relevance.z, shown.values, rtol=0, atol=1e-7)
    assert (relevance.x0, relevance.y0) == (0.0, 0.0)
    assert relevance.dx == pytest.approx(64 / 8000)
    assert relevance.dy == pytest.approx(8000 / 256)
    np.testing.assert_allclose(source.z, figure.panels[1].values, rtol=0, atol=0.5)


def test_loud_columns_survive_the_reduction_of_long_images():
    values = np.full((2, 5 * COLUMNS), FLOOR_DB)
    values[1, 1234] = 0.0
    seconds = np.arange(5 * COLUMNS) / 100
    long = Panel("image", "A", seconds, values, np.arange(2.0), "magnitude", "dB", (FLOOR_DB, 0.0))
    image = draw(Figure("long", (long,), 30.0)).data[0]
    assert image.z.shape == (2, COLUMNS)
    assert image.z.max() == 0
    row, column = np.unravel_index(image.z.argmax(), image.z.shape)
    assert row == 1
    assert image.x0 + column * image.dx == pytest.approx(12.34, abs=0.05)


def test_all_panels_share_one_time_axis(hand_made):
    drawn = draw(unit_figure(hand_made("linear")))
    assert {trace.xaxis for trace in drawn.data} == {None}
    assert tuple(drawn.layout.xaxis.range) == (0, 1.0)
    assert len({trace.yaxis for trace in drawn.data}) == 5


def test_mel_rows_are_named_in_hertz(hand_made):
    result = hand_made("mel")
    rows = draw(unit_figure(result)).data[2].y
    assert rows[7] == f"{result.frontend.hertz_of(7):.1f} Hz"
    assert len(set(rows)) == 40


def test_markup_in_names_is_shown_not_obeyed(hand_made):
    figure = unit_figure(hand_made("linear"))
    odd = Panel("waveform", "<b>x</b>", np.arange(3.0), np.zeros(3), None, "signed", "<i>", (0, 1))
    captions = [a.text for a in draw(Figure("t", (odd, *figure.panels), 1.0)).layout.annotations]
    assert captions[0] == "<b>&lt;b&gt;x&lt;/b&gt;</b> (&lt;i&gt;)"


def test_dollar_signs_are_no_formulas():
    waveform = panel(kind="waveform")
    assert encode_png(Figure("$\\frac{$", (waveform,), 1.0))


def test_the_same_figure_gives_the_same_png(hand_made):
    figure = unit_figure(hand_made("linear"))
    assert encode_png(figure) == encode_png(figure)


def test_the_png_leaves_no_global_figure_behind(hand_made):
    from matplotlib import _pylab_helpers

    encode_png(unit_figure(hand_made("linear")))
    assert not _pylab_helpers.Gcf.figs


def test_a_followed_place_is_drawn_at_both_ends_and_told_in_words(hand_made):
    place = Place(0.25, 0.5, 400.0, 2000.0)
    shapes = draw(unit_figure(hand_made("linear"), place=place)).layout.shapes
    assert [shape.x0 for shape in shapes] == [0.25, 0.5]
    assert place_in_words(place) == "0.25 to 0.50 s, 400 Hz to 2 kHz"
    assert place_in_words(Place(0.0, 1.0, None, None)) == "0.00 to 1.00 s"


def test_drawings_are_strict_json(hand_made):
    def refuse(word):
        raise AssertionError(word)

    json.loads(draw(unit_figure(hand_made("mel"))).to_json(), parse_constant=refuse)
    json.loads(json.dumps(themes(), allow_nan=False))


def test_the_figure_in_words_names_all_panels(hand_made):
    words = unit_figure(hand_made("raw")).describe()
    assert words.startswith("conv3:17 of by-hand, guided. Over 1.00 seconds")
    assert words.endswith("Source; Source, spectrogram; Relevance; Relevance, spectrogram.")
