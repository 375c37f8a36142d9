"""Collecting what layers put out."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from auralise.activations import record, run_to
from auralise.errors import NetworkError, UnknownNameError


class Twice(nn.Module):
    """Calls one in-place ReLU twice and fails behind it if told to."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv1d(1, 2, 3), nn.Conv1d(2, 3, 3)
        self.relu = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool1d(2, return_indices=True)
        self.reached = []
        self.fail = False

    def forward(self, x):
        x = self.relu(self.conv1(x))
        self.reached.append(1)
        x = self.relu(self.conv2(x))
        self.reached.append(2)
        self.pool(x)
        if self.fail:
            raise ValueError("this network fails")
        return x


@pytest.fixture
def twice():
    torch.manual_seed(0)
    return Twice().eval()


def hooks(network):
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in network.modules())


def test_outputs_are_what_the_layers_gave_before_in_place_operations_changed_them(twice):
    x = torch.randn(2, 1, 9)
    with torch.no_grad(), record(twice, ["conv1", "relu", "conv2", "relu@2"]) as outputs:
        result = twice(x)
    with torch.no_grad():
        first = F.conv1d(x, twice.conv1.weight, twice.conv1.bias)
        second = F.conv1d(first.relu(), twice.conv2.weight, twice.conv2.bias)
    assert (first < 0).any()
    for name, expected in [
        ("conv1", first),
        ("relu", first.relu()),
        ("conv2", second),
        ("relu@2", second.relu()),
    ]:
        torch.testing.assert_close(outputs[name], expected, rtol=0, atol=0)
    torch.testing.assert_close(result, second.relu(), rtol=0, atol=0)


def test_each_pass_counts_its_calls_anew_and_replaces_the_last_ones_outputs(twice):
    with record(twice, ["relu@2"]) as outputs:
        twice(torch.zeros(1, 1, 9))
        first = outputs["relu@2"]
        twice(torch.ones(1, 1, 9))
    assert not torch.equal(outputs["relu@2"], first)


def test_a_layer_that_was_not_reached_is_absent(twice):
    with record(twice, ["relu@3"]) as outputs:
        twice(torch.zeros(1, 1, 9))
    assert dict(outputs) == {}


def test_the_mapping_cannot_be_written_to(twice):
    with record(twice, ["relu"]) as outputs, pytest.raises(TypeError):
        outputs["relu"] = torch.zeros(1)


@pytest.mark.parametrize("layer", ["conv1", "relu", "conv2", "relu@2"])
def test_running_to_a_layer_gives_what_recording_gives(twice, layer):
    x = torch.randn(1, 1, 9)
    with torch.no_grad():
        with record(twice, [layer]) as outputs:
            twice(x)
        torch.testing.assert_close(run_to(twice, x, layer), outputs[layer], rtol=0, atol=0)


@pytest.mark.parametrize(
    ("layer", "reached"), [("conv1", []), ("relu", []), ("conv2", [1]), ("relu@2", [1])]
)
def test_nothing_behind_the_target_runs(twice, layer, reached):
    run_to(twice, torch.zeros(1, 1, 9), layer)
    assert twice.reached == reached


def test_a_network_that_catches_exceptions_does_not_swallow_the_stop():
    class Catching(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv1d(1, 1, 1)

        def forward(self, x):
            try:
                return self.conv(x)
            except Exception:
                return x

    network = Catching().eval()
    assert run_to(network, torch.zeros(1, 1, 3), "conv").shape == (1, 1, 3)


def test_gradients_flow_to_the_batch_and_the_batch_stays_as_it_was():
    network = nn.Sequential(nn.ReLU(inplace=True), nn.Conv1d(1, 1, 1, bias=False)).eval()
    network[1].weight.data.fill_(3.0)
    x = torch.tensor([[[-1.0, 2.0]]], requires_grad=True)
    (slope,) = torch.autograd.grad(run_to(network, x, "1").sum(), x)
    assert slope.tolist() == [[[0.0, 3.0]]]
    assert x.tolist() == [[[-1.0, 2.0]]]


def test_the_result_does_not_share_memory_with_the_batch():
    network = nn.Sequential(nn.Identity()).eval()
    x = torch.zeros(1, 1, 3)
    run_to(network, x, "0").add_(1)
    assert not x.any()


def test_no_hook_is_left_behind_on_errors(twice):
    x = torch.zeros(1, 1, 9)
    with (
        pytest.raises(UnknownNameError, match="did you mean 'relu'"),
        record(twice, ["conv1", "rel"]),
    ):
        pass
    twice.fail = True
    with pytest.raises(ValueError, match="this network fails"), record(twice, ["conv1"]):
        twice(x)
    twice.fail = False
    with pytest.raises(NetworkError, match=r"without reaching layer 'relu@3'.*2 times"):
        run_to(twice, x, "relu@3")
    with pytest.raises(RuntimeError, match="Kernel size can't be greater"):
        run_to(twice, torch.zeros(1, 1, 2), "relu")
    with pytest.raises(KeyError), record(twice, ["conv1", "relu@2"]):
        raise KeyError
    assert hooks(twice) == 0


def test_an_output_that_is_not_a_tensor_is_refused(twice):
    x = torch.zeros(1, 1, 9)
    with pytest.raises(NetworkError, match=r"layer 'pool' \(MaxPool1d\) gives a tuple"):
        run_to(twice, x, "pool")
    with pytest.raises(NetworkError, match="gives a tuple"), record(twice, ["pool"]):
        twice(x)
    assert hooks(twice) == 0


def test_training_mode_is_refused(twice):
    twice.conv2.train()
    with pytest.raises(NetworkError, match="part 'conv2' of the network is in training mode"):
        run_to(twice, torch.zeros(1, 1, 9), "conv1")
    with pytest.raises(NetworkError, match="training mode"), record(twice, ["conv1"]):
        pass
