"""From times and frequencies in a song to places on a map, and back."""

import pytest
import torch
from torch import nn

from auralise.activations import receptive_field
from auralise.audio import Waveform
from auralise.errors import InvalidValueError
from auralise.frontends import RawFrontend
from auralise.models import tiny_network, wrap
from auralise.positions import parse_at, place_of, position_of

TINY = tiny_network()
FEATURES = TINY.card.frontend.analyse(Waveform(torch.zeros(1, 8000), 8000))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("peak", "peak"), ("whole", "whole"), ("1.5", 1.5), ("0.25,440", (0.25, 440.0))],
)
def test_positions_are_read(text, expected):
    assert parse_at(text) == expected


@pytest.mark.parametrize("text", ["", "loudest", "1,2,3", "nan", "-1", "1,inf", "1;2"])
def test_other_positions_are_refused(text):
    with pytest.raises(InvalidValueError, match="a position is peak, whole"):
        parse_at(text)


def test_time_and_frequency_by_hand():
    """Frames are 8 ms, bins 31.25 Hz; behind the 2x2 pooling one step is 2 of each.

    0.4 s is frame 50 and 1 kHz is bin 32; pool1 index i covers 2i, 2i + 1 and one more on either
    side through conv1, so its centre is 2i + 0.5: frame 50 is nearest to i = 25, bin 32 to 16.
    """
    assert position_of(TINY, FEATURES, "conv1", (0.4, 1000.0)) == (32, 50)
    assert position_of(TINY, FEATURES, "pool1", (0.4, 1000.0)) == (16, 25)
    assert position_of(TINY, FEATURES, "pool1", 0.4) == (None, 25)
    assert position_of(TINY, FEATURES, "pool1", "whole") == "whole"


def test_the_ends_of_the_song_are_places_too():
    assert position_of(TINY, FEATURES, "pool1", 1.0) == (None, 62)
    assert position_of(TINY, FEATURES, "pool1", 0.0) == (None, 0)


@pytest.mark.parametrize("layer", ["conv1", "pool1", "conv2"])
def test_the_place_of_a_position_holds_the_time_it_was_asked_for(layer):
    field = receptive_field(TINY.module, FEATURES.values, layer)
    position = position_of(TINY, FEATURES, layer, (0.4, 1000.0))
    place = place_of(TINY.card.frontend, field, position, FEATURES.values.shape[1:])
    assert place.start <= 0.4 <= place.end
    assert place.low <= 1000 <= place.high


def test_outside_is_refused():
    with pytest.raises(InvalidValueError, match=r"1\.1 s is outside the excerpt of 1\.00 s"):
        position_of(TINY, FEATURES, "conv1", 1.1)
    with pytest.raises(InvalidValueError, match="above half the sample rate"):
        position_of(TINY, FEATURES, "conv1", (0.5, 4001.0))


def test_a_layer_that_sees_everything_has_no_time():
    with pytest.raises(InvalidValueError, match="can only be peak or whole"):
        position_of(TINY, FEATURES, "output", 0.5)


def test_raw_audio_has_times_and_no_frequencies():
    network = wrap(nn.Sequential(nn.Conv1d(1, 2, 16, 8)).eval(), RawFrontend(8000))
    features = network.card.frontend.analyse(Waveform(torch.zeros(1, 8000), 8000))
    assert position_of(network, features, "0", 0.5) == (499,)
    with pytest.raises(InvalidValueError, match="no frequency axis"):
        position_of(network, features, "0", (0.5, 100.0))
