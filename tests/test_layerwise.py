"""Many units at once: the same inversions as one by one, and the whole way where that is due."""

import copy

import pytest
import torch
from torch import nn

from auralise.activations import Unit
from auralise.errors import LessMemoryWarning, NetworkError, UnsupportedActivationError
from auralise.inversion import INVERTERS, InversionOptions, backprop, invert_layer, layerwise

METHODS = ["gradient", "deconvnet", "guided"]


@pytest.fixture(autouse=True)
def _float64():
    torch.manual_seed(0)
    before = torch.get_default_dtype(), torch.get_num_threads()
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    yield
    torch.set_default_dtype(before[0])
    torch.set_num_threads(before[1])


@pytest.fixture
def sent(monkeypatch):
    """The channels that went the whole way, in order."""
    channels = []
    whole_way = backprop._send

    def counting(passed, channel, place, values):
        channels.append(channel)
        return whole_way(passed, channel, place, values)

    monkeypatch.setattr(backprop, "_send", counting)
    return channels


def network(channels=6, last=8):
    return nn.Sequential(
        nn.Conv2d(1, channels, 3, padding=1),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(channels, last, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
    ).eval()


@pytest.mark.parametrize("position", ["peak", "whole", (0, 0), (2, None), (None, 6), (5, 6)])
@pytest.mark.parametrize("method", METHODS)
def test_a_layer_gives_the_same_inversions_as_its_units_one_by_one(method, position, sent):
    net, features = network(), torch.randn(1, 23, 29)
    net[4].bias.data[2] = -100  # never active
    found = list(invert_layer(net, features, "6", method=method, position=position))
    assert len(sent) == 1  # the one that is looked at both ways
    assert any(inversion.relevance.any() for inversion in found)
    for channel, inversion in enumerate(found):
        alone = INVERTERS[method](net, features, Unit("6", channel), position=position)
        torch.testing.assert_close(inversion.relevance, alone.relevance, rtol=0, atol=1e-12)
        assert inversion.relevance.shape == features.shape
        for name in ("unit", "method", "activation", "position", "flags"):
            assert getattr(inversion, name) == getattr(alone, name), name
    assert found[2].flags == ("inactive",)
    assert len(sent) == 1 + len(found)


def test_the_same_graph_is_confirmed_once_and_another_anew(sent):
    net = network()
    counts = []
    for method, size in [("guided", 29), ("guided", 29), ("gradient", 29), ("guided", 31)]:
        sent.clear()
        list(invert_layer(net, torch.randn(1, 23, size), "6", method=method))
        counts.append(len(sent))
    assert counts == [1, 0, 1, 1]


def test_silence_confirms_nothing(sent):
    net, features = network(), torch.randn(1, 23, 29)
    net[4].bias.data.sub_(1000)
    assert {f.flags for f in invert_layer(net, features, "6")} == {("inactive",)}
    net[4].bias.data.add_(1000)
    sent.clear()
    list(invert_layer(net, features, "6"))
    assert len(sent) == 1


def test_flags_of_the_graph_are_kept():
    net = nn.Sequential(nn.Conv1d(1, 4, 3), nn.ReLU(), nn.Conv1d(4, 4, 3)).eval()
    net[2].bias.data.fill_(9)
    found = list(invert_layer(net, torch.randn(1, 50), "2", method="deconvnet"))
    assert {f.flags for f in found} == {("input-independent: no max-pooling below",)}


def test_units_come_in_the_order_wanted_and_may_come_twice(sent):
    net, features = network(), torch.randn(1, 23, 29)
    found = list(invert_layer(net, features, "6", [5, 0, 5, 3]))
    assert [f.unit.channel for f in found] == [5, 0, 5, 3]
    assert len(sent) == 1
    torch.testing.assert_close(found[0].relevance, found[2].relevance, rtol=0, atol=0)


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_the_size_of_the_chunks_changes_nothing(size, monkeypatch):
    net, features = network(), torch.randn(1, 23, 29)
    expected = list(invert_layer(net, features, "6"))
    monkeypatch.setattr(layerwise, "chunk_size", lambda _plan: size)
    found = list(invert_layer(net, features, "6"))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.relevance, other.relevance, rtol=0, atol=1e-12)


def test_a_chunk_is_as_large_as_memory_allows_and_at_least_one(monkeypatch):
    net, features = network(), torch.randn(1, 23, 29)
    plans = []
    pays = layerwise._pays
    monkeypatch.setattr(layerwise, "_pays", lambda plan, n: plans.append(plan) or pays(plan, n))
    list(invert_layer(net, features, "6"))
    # Behind pooling 1 x 1, then 3 x 3 of 8 channels; 5 x 5 and 10 x 10 of 6; 12 x 12 of 1.
    assert plans[0].largest == 600
    monkeypatch.setattr(layerwise, "CHUNK_BYTES", {"cpu": 600 * 8 * 5 + 7, "cuda": 1})
    assert layerwise.chunk_size(plans[0]) == 5
    monkeypatch.setattr(layerwise, "CHUNK_BYTES", {"cpu": 10, "cuda": 1})
    assert layerwise.chunk_size(plans[0]) == 1


def test_chunks_are_made_when_they_are_asked_for(monkeypatch):
    net, features = network(), torch.randn(1, 23, 29)
    made = []
    pieces = layerwise._pieces
    monkeypatch.setattr(layerwise, "chunk_size", lambda _plan: 2)
    monkeypatch.setattr(
        layerwise,
        "_pieces",
        lambda plan, targets: made.append(len(targets)) or pieces(plan, targets),
    )
    found = invert_layer(net, features, "6")
    assert made == []
    next(found)
    assert made == [1, 2]  # the witness and the first chunk
    assert len(list(found)) == 7
    assert made == [1, 2, 2, 2, 2]


def test_a_map_does_not_keep_its_chunk_in_memory():
    net, features = network(), torch.randn(1, 23, 29)
    for found in invert_layer(net, features, "6"):
        assert found.relevance.untyped_storage().nbytes() == features.numel() * 8


def test_a_wrong_crop_is_noticed_and_everything_goes_the_whole_way(sent, monkeypatch):
    net, features = network(), torch.randn(1, 23, 29)
    expected = list(invert_layer(net, features, "6"))
    send = layerwise.Crop.send
    monkeypatch.setattr(layerwise.Crop, "send", lambda self, *args: send(self, *args).mul_(1.001))
    sent.clear()
    found = list(invert_layer(copy.deepcopy(net), features, "6"))
    assert sent[1:] == list(range(8))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.relevance, other.relevance, rtol=0, atol=1e-12)


def test_a_hook_in_the_network_that_changes_gradients_is_obeyed():
    """The recorded operations do not show it; the witness does."""

    class Hooked(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Conv1d(1, 4, 3), nn.Conv1d(4, 4, 3)

        def forward(self, x):
            x = self.first(x)
            if x.requires_grad:
                x.register_hook(lambda gradient: gradient * 3)
            return self.second(x)

    net, features = Hooked().eval(), torch.randn(1, 50)
    for found in invert_layer(net, features, "second", method="gradient"):
        alone = INVERTERS["gradient"](net, features, found.unit)
        torch.testing.assert_close(found.relevance, alone.relevance, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("layer", "position", "channels"),
    [("6", "whole", [0, 1, 2]), ("8", "peak", None), ("6", "peak", [3]), ("6", "whole", [4])],
)
def test_few_whole_maps_dense_layers_and_single_units_go_the_whole_way(
    layer, position, channels, sent
):
    net = nn.Sequential(*network(), nn.Flatten(), nn.Linear(8 * 6 * 7, 5)).eval()
    found = list(invert_layer(net, torch.randn(1, 23, 29), layer, channels, position=position))
    assert sent == [f.unit.channel for f in found]


def test_windows_no_smaller_than_the_maps_are_not_worth_it(sent):
    net = nn.Sequential(nn.Conv1d(1, 4, 15, padding=7), nn.ReLU(), nn.Conv1d(4, 4, 15, padding=7))
    assert len(list(invert_layer(net.eval(), torch.randn(1, 20), "2"))) == 4
    assert len(sent) == 4


def test_no_units_give_no_inversions():
    assert list(invert_layer(network(), torch.randn(1, 23, 29), "6", [])) == []


def test_half_precision_goes_the_whole_way(sent):
    net = network().to(torch.bfloat16)
    found = list(invert_layer(net, torch.randn(1, 23, 29).bfloat16(), "6"))
    assert len(sent) == 8
    assert found[0].relevance.dtype == torch.bfloat16


def test_single_precision_agrees_to_its_rounding(sent):
    net, features = network().float(), torch.randn(1, 23, 29).float()
    found = list(invert_layer(net, features, "6"))
    assert len(sent) == 1
    for inversion in found:
        alone = INVERTERS["guided"](net, features, inversion.unit).relevance
        torch.testing.assert_close(inversion.relevance, alone, rtol=0, atol=1e-5)


def test_an_activation_without_a_rule_still_raises():
    net = nn.Sequential(nn.Conv1d(1, 4, 3), nn.GELU(), nn.Conv1d(4, 4, 3)).eval()
    with pytest.raises(UnsupportedActivationError, match="GELU"):
        next(invert_layer(net, torch.randn(1, 50), "2"))
    options = InversionOptions(activations="gradient")
    for found in invert_layer(net, torch.randn(1, 50), "2", options=options):
        assert "no rule for GELU: gradient" in found.flags


def test_an_infinite_weight_is_an_error_on_the_cropped_way_too():
    net = network()
    net[1].running_var.fill_(0.0)
    net[1].eps = 0.0
    net[1].weight.data.zero_()  # 0 / 0 in one factor, 0 in the forward pass
    net[0].weight.data.zero_()
    with pytest.raises(NetworkError):
        list(invert_layer(net, torch.randn(1, 23, 29), "6"))


def test_it_works_inside_inference_mode_and_gives_plain_tensors():
    net, features = network(), torch.randn(1, 23, 29)
    with torch.inference_mode():
        found = list(invert_layer(net, features, "6"))
    assert not any(f.relevance.is_inference() or f.relevance.requires_grad for f in found)


def test_the_witness_is_the_active_unit_nearest_to_an_edge():
    class Plan:
        output = torch.zeros(1, 3, 10, 12)

    def target(channel, place, value):
        return layerwise.Target(channel, place, torch.tensor(value))

    targets = [
        target(0, (4, 6), 1.0),
        target(1, (0, 3), 0.0),
        target(2, (5, 10), 1.0),
    ]
    assert layerwise._witness(Plan, targets).channel == 2


# Too little memory, and networks that change


def failing(limit, error):
    """`_pieces` of a machine that has memory for ``limit`` units at a time."""
    real = layerwise._pieces

    def pieces(plan, targets):
        if len(targets) > limit:
            raise error
        return real(plan, targets)

    return pieces


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate"),
        MemoryError(),
    ],
)
def test_out_of_memory_halves_the_chunk_and_says_so(monkeypatch, error):
    net, features = network(), torch.randn(1, 23, 29)
    expected = list(invert_layer(net, features, "6"))
    monkeypatch.setattr(layerwise, "_pieces", failing(2, error))
    with pytest.warns(LessMemoryWarning, match=r"did not suffice for \d+ units at a time; going"):
        found = list(invert_layer(net, features, "6"))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.relevance, other.relevance, rtol=0, atol=1e-5)


def test_too_little_memory_for_one_unit_says_what_to_do(monkeypatch):
    net, features = network(), torch.randn(1, 23, 29)
    list(invert_layer(net, features, "6"))  # the self-check is behind it
    monkeypatch.setattr(layerwise, "_pieces", failing(0, torch.OutOfMemoryError("CUDA")))
    with (
        pytest.warns(LessMemoryWarning),
        pytest.raises(NetworkError, match="not enough memory for one unit"),
    ):
        list(invert_layer(net, features, "6"))


def test_another_error_is_no_lack_of_memory(monkeypatch):
    net, features = network(), torch.randn(1, 23, 29)
    list(invert_layer(net, features, "6"))
    monkeypatch.setattr(layerwise, "_pieces", failing(0, RuntimeError("shapes differ")))
    with pytest.raises(RuntimeError, match="shapes differ"):
        list(invert_layer(net, features, "6"))


def test_a_hook_that_comes_later_and_changes_gradients_is_noticed():
    """The self-check is remembered for the network as it was, not with one hook more."""
    net, features = network(), torch.randn(1, 23, 29)
    plain = [f.relevance for f in invert_layer(net, features, "6", method="gradient")]

    def double(_module, _inputs, output):
        output.register_hook(lambda gradient: 2 * gradient)

    handle = net[0].register_forward_hook(double)
    hooked = [f.relevance for f in invert_layer(net, features, "6", method="gradient")]
    handle.remove()
    assert any(relevance.any() for relevance in plain)
    for one, other in zip(hooked, plain, strict=True):
        torch.testing.assert_close(one, 2 * other, rtol=1e-4, atol=1e-6)
