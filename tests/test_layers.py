"""Naming layers and units, and listing them."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from auralise.activations import Unit, find_layer, list_layers
from auralise.errors import InvalidValueError, NetworkError, UnknownNameError


class Small(nn.Module):
    """A container, a module that is called twice, and one that is never called."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv1d(1, 4, 3), nn.BatchNorm1d(4))
        self.relu = nn.ReLU(inplace=True)
        self.unused = nn.Linear(2, 2)
        self.lstm = nn.LSTM(5, 3)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        x = self.relu(self.body(x))
        x = self.relu(F.max_pool1d(x, 2))
        self.lstm(x)
        return self.head(x.mean(-1))


@pytest.fixture
def small():
    return Small().eval()


def test_layers_are_listed_in_the_order_in_which_they_are_completed(small):
    listed = list_layers(small, torch.zeros(1, 12))
    assert [(n.name, n.kind, n.channels, n.shape, n.calls, n.parameters) for n in listed] == [
        ("body.0", "Conv1d", 4, (4, 10), 1, 4 * 3 + 4),
        ("body.1", "BatchNorm1d", 4, (4, 10), 1, 8),
        ("body", "Sequential", 4, (4, 10), 1, 24),
        ("relu", "ReLU", 4, (4, 10), 2, 0),
        ("head", "Linear", 2, (2,), 1, 10),
    ]


def test_listing_leaves_network_and_features_alone(small):
    features = torch.zeros(1, 12)
    list_layers(small, features)
    with pytest.raises(RuntimeError, match="Expected"):
        list_layers(small, torch.zeros(7, 7, 7, 7))
    assert not any(m._forward_hooks for m in small.modules())
    assert not any(m.training for m in small.modules())
    assert not features.any()


def test_layers_that_fold_other_axes_into_the_batch_are_left_out():
    class Folded(nn.Module):
        def __init__(self):
            super().__init__()
            self.per_frame, self.scalar = nn.Linear(3, 3), nn.Identity()

        def forward(self, x):
            return self.scalar(self.per_frame(x[0].T).sum(1))

    assert list_layers(Folded().eval(), torch.zeros(3, 5)) == []


def test_a_network_in_training_mode_is_refused(small):
    with pytest.raises(NetworkError, match=r"the network is in training mode.*call network.eval"):
        list_layers(small.train(), torch.zeros(1, 12))


@pytest.mark.parametrize(
    ("name", "path", "call"),
    [("relu", "relu", 1), ("relu@1", "relu", 1), ("relu@2", "relu", 2), ("body.0", "body.0", 1)],
)
def test_a_name_means_a_module_and_one_of_its_calls(small, name, path, call):
    assert find_layer(small, name) == (small.get_submodule(path), call)


def test_a_module_under_two_names_is_found_under_both():
    relu = nn.ReLU()
    network = nn.Sequential(relu, nn.Identity(), relu)
    assert find_layer(network, "2") == (relu, 1)


@pytest.mark.parametrize("name", ["rleu", "relu@0", "relu@", "relu@two", "rel@2"])
def test_an_unknown_layer_is_answered_with_the_close_one(small, name):
    with pytest.raises(UnknownNameError, match=f"no layer named '{name}'; did you mean 'relu'"):
        find_layer(small, name)


def test_the_network_itself_is_not_a_layer(small):
    with pytest.raises(UnknownNameError):
        find_layer(small, "")


@pytest.mark.parametrize("text", ["conv3:17", "features.0:5", "relu@2:0"])
def test_units_are_read_and_written_alike(text):
    assert str(Unit.parse(text)) == text


@pytest.mark.parametrize("text", ["conv3", "conv3:", ":3", "conv3:-1", "conv3:x", "a b:1", "a:1:2"])
def test_other_texts_are_not_units(text):
    with pytest.raises(InvalidValueError, match="as in conv3:17"):
        Unit.parse(text)


def test_a_negative_channel_is_refused():
    with pytest.raises(InvalidValueError, match="-1"):
        Unit("conv", -1)
