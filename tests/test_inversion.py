"""Inversion of units: against explicit references, by relations between methods, and hygiene."""

import gc
import time

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from auralise.activations import Unit, receptive_field
from auralise.errors import (
    InvalidValueError,
    NetworkError,
    UnknownNameError,
    UnsupportedActivationError,
)
from auralise.inversion import INVERTERS, Inversion, InversionOptions, invert_layer
from auralise.inversion.relu_rules import RULES

from .oracles import explicit, explicit_inversion

METHODS = ["gradient", "deconvnet", "guided"]
POOLS = [(2, 2, 0), (3, 3, 0), (3, 2, 0), (3, 2, 1), (3, 1, 1)]
INDEPENDENT = "input-independent: no max-pooling below"


@pytest.fixture(autouse=True)
def _float64():
    torch.manual_seed(0)
    before = torch.get_default_dtype(), torch.get_num_threads()
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    yield
    torch.set_default_dtype(before[0])
    torch.set_num_threads(before[1])


def invert(method, network, features, layer, channel=0, **choices):
    return INVERTERS[method](network, features, Unit(layer, channel), **choices)


def assert_same(found, expected, atol=1e-12):
    torch.testing.assert_close(found, expected, rtol=0, atol=atol)


def pooled(kernel, stride, padding):
    """Two blocks with pooling, and a convolution in front of the last ReLU."""
    pool = nn.MaxPool2d(kernel, stride, padding)
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.ReLU(),
        pool,
        nn.Conv2d(4, 5, 3, padding=1),
        nn.ReLU(inplace=True),
        pool,
        nn.Conv2d(5, 3, 3, padding=1),
    ).eval()
    for parameter in network.parameters():
        parameter.data.normal_(0, 0.5)
    network[6].bias.data.fill_(2)
    return network


class TwoLayer(nn.Sequential):
    """Two linear layers around a ReLU, with weights small enough to follow on paper."""

    def __init__(self):
        super().__init__()
        self.add_module("lin1", nn.Linear(2, 3, bias=False))
        self.add_module("relu1", nn.ReLU())
        self.add_module("lin2", nn.Linear(3, 2, bias=False))
        self.lin1.weight.data = torch.tensor([[1.0, -2.0], [3.0, 1.0], [0.0, 2.0]])
        self.lin2.weight.data = torch.tensor([[1.0, 1.0, -1.0], [0.0, -1.0, 0.0]])
        self.eval()


# x = (1, 1): lin1 gives (-1, 4, 2), relu1 (0, 4, 2), lin2 (2, -4).
# Unit 0 sends 2 * (1, 1, -1) to relu1, where the first is closed and the third negative.
BY_HAND = {
    "gradient": (6.0, -2.0),  # 2 * (3, 1) - 2 * (0, 2): the open ones
    "deconvnet": (8.0, -2.0),  # 2 * (1, -2) + 2 * (3, 1): the positive ones
    "guided": (6.0, 2.0),  # 2 * (3, 1): the one that is both
}
# Unit 1 has -4: the gradient keeps the sign and sends -4 * (0, -1, 0) to relu1, thus 4 * (3, 1).
BY_HAND_NEGATIVE = {"gradient": (12.0, 4.0), "deconvnet": (0.0, 0.0), "guided": (0.0, 0.0)}


@pytest.mark.parametrize("method", METHODS)
def test_relevance_matches_the_pencil_answer(method):
    found = invert(method, TwoLayer(), torch.ones(2), "lin2")
    assert found.activation == 2.0
    assert found.position == ()
    assert_same(found.relevance, torch.tensor(BY_HAND[method]), atol=0)


@pytest.mark.parametrize("method", METHODS)
def test_a_negative_value_keeps_its_sign_for_the_gradient_and_is_inactive_for_the_others(method):
    found = invert(method, TwoLayer(), torch.ones(2), "lin2", 1)
    assert found.activation == -4.0
    assert ("inactive" in found.flags) == (method != "gradient")
    assert_same(found.relevance, torch.tensor(BY_HAND_NEGATIVE[method]), atol=0)


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("method", METHODS)
def test_t1_overlapping_pools_add_up_at_their_switches_as_in_the_explicit_reference(method, pool):
    """max_unpool, which assigns where it should add, fails here for overlapping windows."""
    network, features = pooled(*pool), torch.randn(1, 19, 23)
    expected, value = explicit_inversion(explicit(network), features, 1, method)
    found = invert(method, network, features, "6", 1)
    assert found.activation == pytest.approx(value, rel=0, abs=1e-12)
    assert expected.abs().max() > 1e-3
    assert_same(found.relevance, expected)


@pytest.mark.parametrize("method", METHODS)
def test_t1_a_raw_audio_network_equals_the_explicit_reference(method):
    network = nn.Sequential(
        nn.Conv1d(1, 6, 16, stride=8),
        nn.BatchNorm1d(6),
        nn.ReLU(),
        nn.MaxPool1d(3, 2, 1),
        nn.Conv1d(6, 5, 3, dilation=2),
        nn.ReLU(),
        nn.AvgPool1d(2),
    ).eval()
    network[1].weight.data.uniform_(-1, 1)
    features = torch.randn(1, 403)
    expected, _ = explicit_inversion(explicit(network), features, 2, method)
    assert expected.abs().max() > 1e-3
    assert_same(invert(method, network, features, "6", 2).relevance, expected)


@pytest.mark.parametrize("size", [(37, 41), (64, 50), (33, 29)])
@pytest.mark.parametrize("method", METHODS)
def test_t2_the_way_back_is_the_adjoint_of_a_strided_dilated_network_on_odd_sizes(method, size):
    """<A v, u> = <v, D u> where A is the network on the pattern of switches of x."""
    network = nn.Sequential(
        nn.Conv2d(2, 3, (5, 3), stride=(2, 3), padding=(2, 0), bias=False),
        nn.MaxPool2d(3, 2, 1, ceil_mode=True),
        nn.Conv2d(3, 4, 3, dilation=(2, 1), padding=1, bias=False),
    ).eval()
    x, v = torch.randn(2, *size), torch.randn(2, *size)
    with torch.no_grad():
        first = network[0](torch.stack([x, v]))
        _, switches = F.max_pool2d(first[:1], 3, 2, 1, 1, True, return_indices=True)
        routed = first[1:].flatten(2).gather(2, switches.flatten(2)).reshape(switches.shape)
        answer = network[2](routed)[0]
        u = network(x[None])[0]
    for channel in range(4):
        found = invert(method, network, x, "2", channel, position="whole").relevance
        seed = u[channel] if method == "gradient" else u[channel].clamp(min=0)
        assert abs((answer[channel] * seed).sum() - (v * found).sum()) < 1e-11


def test_t3_without_a_relu_all_methods_are_the_derivative_and_central_differences_agree():
    network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.MaxPool2d(2), nn.Conv2d(3, 2, 3)).eval()
    x, step = torch.randn(1, 12, 14), 1e-6
    found = {method: invert(method, network, x, "2") for method in METHODS}
    peak = (0, 0, *found["gradient"].position)
    slopes = torch.zeros_like(x)
    with torch.no_grad():
        for place in torch.cartesian_prod(torch.arange(12), torch.arange(14)):
            bump = torch.zeros_like(x)
            bump[0, place[0], place[1]] = step
            up, down = network((x + bump)[None])[peak], network((x - bump)[None])[peak]
            slopes[0, place[0], place[1]] = (up - down) / (2 * step)
    assert_same(found["gradient"].relevance, slopes * found["gradient"].activation, atol=1e-8)
    assert found["gradient"].activation > 0
    assert_same(found["deconvnet"].relevance, found["gradient"].relevance, atol=0)
    assert_same(found["guided"].relevance, found["gradient"].relevance, atol=0)


class Spelled(nn.Module):
    """One function with its ReLUs spelled in different ways."""

    def __init__(self, spelling):
        super().__init__()
        self.spelling = spelling
        self.conv1, self.conv2 = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3)
        self.conv3 = nn.Conv2d(4, 2, 3)
        self.relu = nn.ReLU()
        self.inplace = nn.ReLU(inplace=True)

    def rectify(self, x):
        return SPELLINGS[self.spelling](self, x)

    def forward(self, x):
        x = F.max_pool2d(self.rectify(self.conv1(x)), 2)
        return self.conv3(self.rectify(self.conv2(x)))


def _in_place_on_a_view(net, x):
    F.relu_(x.flatten(2))
    return x


SPELLINGS = {
    "reused module": lambda net, x: net.relu(x),
    "in place, reused": lambda net, x: net.inplace(x),
    "function": lambda net, x: F.relu(x),
    "function in place": lambda net, x: F.relu_(x),
    "torch": lambda net, x: torch.relu(x),
    "method": lambda net, x: x.relu(),
    "in place on a view": _in_place_on_a_view,
    "in place, original used later": lambda net, x: (torch.relu_(x), x)[1],
    "threshold": lambda net, x: F.threshold(x, 0.0, 0.0),
    "clamp": lambda net, x: x.clamp(min=0),
    "clamp by a tensor": lambda net, x: torch.clamp(x, min=torch.zeros(())),
    "clamp in place": lambda net, x: x.clamp_(min=0),
    "clamp_min": lambda net, x: x.clamp_min(0),
    "maximum": lambda net, x: torch.maximum(x, torch.zeros_like(x)),
    "maximum, turned round": lambda net, x: torch.maximum(torch.zeros(()), x),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("method", METHODS)
def test_t5_every_spelling_of_relu_gets_the_rule(method, spelling):
    """Hooks on modules see none of the functions, and reused modules only in part."""
    network = Spelled(spelling).eval()
    chain = explicit(
        [network.conv1, nn.ReLU(), nn.MaxPool2d(2), network.conv2, nn.ReLU(), network.conv3]
    )
    x = torch.randn(1, 17, 16)
    expected, value = explicit_inversion(chain, x, 1, method)
    found = invert(method, network, x, "conv3", 1)
    assert found.activation == pytest.approx(value, rel=0, abs=1e-12)
    assert_same(found.relevance, expected)


def test_t5_the_target_is_what_the_layer_gave_before_a_relu_changed_it_in_place():
    network = nn.Sequential(nn.Conv1d(1, 1, 1, bias=False), nn.ReLU(inplace=True)).eval()
    network[0].weight.data.fill_(-2.0)
    found = invert("gradient", network, torch.ones(1, 3), "0")
    assert found.activation == -2.0
    assert invert("gradient", network, torch.ones(1, 3), "1").flags == ("inactive",)


def test_t5_a_network_that_changes_its_input_in_place_leaves_the_features_alone():
    class Rude(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv1d(1, 2, 3)

        def forward(self, x):
            return self.conv(x.mul_(2).sub_(1))

    x = torch.randn(1, 9)
    before = x.clone()
    assert invert("guided", Rude().eval(), x, "conv", position="whole").relevance.any()
    assert_same(x, before, atol=0)


def test_t6_guided_is_not_the_overlap_of_the_two_other_maps():
    network, x = pooled(2, 2, 0), torch.randn(1, 20, 20)
    gradient, deconvnet, guided = (invert(m, network, x, "6").relevance for m in METHODS)
    overlap = torch.where((gradient > 0) & (deconvnet > 0), gradient, 0)
    assert (guided - overlap).norm() > 0.3 * guided.norm()


@pytest.mark.parametrize("layer", ["2", "4"])
def test_t7_deconvnet_is_the_same_for_all_inputs_without_max_pooling_and_says_so(layer):
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.AvgPool2d(2), nn.BatchNorm2d(4)
    ).eval()
    network[2].bias.data.fill_(0.3)  # now on, now off
    shape = network[: int(layer) + 1](torch.zeros(1, 1, 16, 16)).shape
    place = tuple(n // 2 for n in shape[2:])
    maps = []
    for _ in range(20):
        found = invert("deconvnet", network, torch.randn(1, 16, 16), layer, position=place)
        assert INDEPENDENT in found.flags
        if found.activation > 0:
            maps.append(found.relevance / found.activation)
    assert len(maps) > 2
    for other in maps[1:]:
        assert_same(other, maps[0])
    assert not invert("guided", network, torch.randn(1, 16, 16), layer).flags


def test_t7_with_max_pooling_deconvnet_differs_between_inputs():
    network = pooled(2, 2, 0)
    maps = []
    for _ in range(10):
        found = invert("deconvnet", network, torch.randn(1, 16, 16), "6", position=(2, 2))
        assert INDEPENDENT not in found.flags
        if found.activation > 0:
            maps.append(found.relevance / found.activation)
    assert len(maps) > 1
    assert (maps[0] - maps[1]).norm() > 0.1 * maps[0].norm()


def test_t8_with_non_negative_weights_guided_is_the_gradient_and_deconvnet_too_if_all_is_open():
    network = pooled(3, 2, 1)
    for parameter in network.parameters():
        parameter.data.abs_()
    x = torch.rand(1, 15, 15) - 0.3
    gradient, deconvnet, guided = (invert(m, network, x, "6").relevance for m in METHODS)
    assert_same(guided, gradient, atol=0)
    gradient, deconvnet, guided = (invert(m, network, x.abs(), "6").relevance for m in METHODS)
    assert_same(guided, gradient, atol=0)
    assert_same(deconvnet, gradient, atol=0)


def folded(conv, norm):
    """The convolution that does what ``norm`` behind ``conv`` does."""
    factor = norm.weight / (norm.running_var + norm.eps).sqrt()
    result = nn.Conv2d(conv.in_channels, conv.out_channels, conv.kernel_size)
    result.weight.data = conv.weight.detach() * factor[:, None, None, None].detach()
    result.bias.data = ((conv.bias - norm.running_mean) * factor + norm.bias).detach()
    return result


@pytest.mark.parametrize("method", METHODS)
def test_t9_batch_normalisation_equals_the_folded_network_with_negative_factors_too(method):
    conv, norm = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)
    norm.weight.data = torch.tensor([1.5, -0.7, 0.2, -2.0])
    norm.bias.data.normal_()
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2)
    last = nn.Conv2d(4, 2, 3)
    plain = nn.Sequential(conv, norm, nn.ReLU(), nn.MaxPool2d(2), last).eval()
    twin = nn.Sequential(folded(conv, norm), nn.Identity(), nn.ReLU(), nn.MaxPool2d(2), last).eval()
    x = torch.randn(1, 14, 14)
    found, expected = (invert(method, net, x, "4", 1).relevance for net in (plain, twin))
    assert_same(found, expected)


@pytest.mark.parametrize("method", METHODS)
def test_t9_a_network_with_any_part_in_training_mode_is_refused(method):
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU()).eval()
    network[1].train()
    with pytest.raises(NetworkError, match=r"part '1' of the network is in training mode"):
        invert(method, network, torch.randn(1, 6, 6), "2")


@pytest.mark.parametrize("method", METHODS)
def test_t10_a_scaled_network_output_scales_the_map_twice_over(method):
    """The seed is the value: three times the weights behind the last ReLU give nine times."""
    network, x = pooled(3, 2, 1), torch.randn(1, 15, 15)
    single = invert(method, network, x, "6").relevance
    network[6].weight.data *= 3
    network[6].bias.data *= 3
    assert_same(invert(method, network, x, "6").relevance, 9 * single, atol=1e-11)


@pytest.mark.parametrize("method", METHODS)
def test_t10_only_the_gradient_adds_up_over_positions(method):
    network, x = pooled(2, 2, 0), torch.randn(1, 16, 16)
    network[6].bias.data += 5  # all values positive, so that no seed is cut
    whole = invert(method, network, x, "6", position="whole")
    assert whole.position is None
    parts = torch.zeros_like(x)
    for i in range(4):
        for j in range(4):
            parts += invert(method, network, x, "6", position=(i, j)).relevance
    if method == "gradient":
        assert_same(parts, whole.relevance, atol=1e-11)
    else:
        assert (parts - whole.relevance).norm() > 0.05 * whole.relevance.norm()


@pytest.mark.parametrize("method", METHODS)
def test_t10_zero_activation_gives_a_zero_map_and_the_flag(method):
    """DeconvNet seeded with 1 in place of the value would draw something."""
    network = nn.Sequential(nn.Conv1d(1, 2, 3), nn.ReLU()).eval()
    network[0].bias.data.fill_(-1e3)
    for position in ("peak", "whole"):
        found = invert(method, network, torch.randn(1, 9), "1", position=position)
        assert found.activation == 0
        assert not found.relevance.any()
        assert "inactive" in found.flags


@pytest.mark.parametrize("method", METHODS)
def test_t10_units_of_a_layer_do_not_depend_on_company_or_order(method):
    network, x = pooled(3, 2, 1), torch.randn(1, 15, 15)
    alone = {c: invert(method, network, x, "6", c) for c in range(3)}
    for channels in (None, [2, 0, 1], [1], [0, 0]):
        for found in invert_layer(network, x, "6", channels, method):
            expected = alone[found.unit.channel]
            assert_same(found.relevance, expected.relevance, atol=0)
            assert found.position == expected.position
            assert found.flags == expected.flags
    assert [f.unit.channel for f in invert_layer(network, x, "6", [2, 0], method)] == [2, 0]


@pytest.mark.parametrize("method", METHODS)
def test_t11_the_map_is_zero_outside_the_receptive_field_and_a_crop_gives_the_same(method):
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3), nn.ReLU()
    ).eval()
    x = torch.randn(1, 30, 40)
    network[3].bias.data.fill_(1)
    whole = invert(method, network, x, "4", 1, position=(5, 7))
    assert whole.activation > 0
    rows, columns = receptive_field(network, x, "4").extent((5, 7), (30, 40))
    assert (rows, columns) == (slice(10, 18), slice(14, 22))
    outside = whole.relevance.clone()
    outside[:, rows, columns] = 0
    assert not outside.any()
    crop = invert(method, network, x[:, rows, columns], "4", 1)
    assert_same(crop.relevance, whole.relevance[:, rows, columns])


class Failing(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.after = nn.Conv1d(1, 2, 3), nn.ReLU()

    def forward(self, x):
        x = self.conv(x)
        if x.shape[-1] < 5:
            raise RuntimeError("too short for this network")
        return self.after(x)


def state(network):
    return (
        [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in network.modules()],
        [(len(m._backward_hooks), len(m._backward_pre_hooks)) for m in network.modules()],
        [(p.requires_grad, p.grad is None, p._version) for p in network.parameters()],
        [m.training for m in network.modules()],
    )


@pytest.mark.parametrize("method", METHODS)
def test_t12_the_network_is_left_as_it_was_after_success_and_after_every_error(method):
    network = Failing().eval()
    network.conv.bias.requires_grad_(False)
    before = state(network)
    x = torch.randn(1, 9)
    invert(method, network, x, "after")
    for units in (invert_layer(network, x, "after", method=method),):
        next(units)
        assert state(network) == before
    with pytest.raises(UnknownNameError, match="did you mean 'conv'"):
        invert(method, network, x, "conb")
    with pytest.raises(InvalidValueError, match="channels 0 to 1, got 2"):
        invert(method, network, x, "conv", 2)
    with pytest.raises(RuntimeError, match="too short for this network"):
        invert(method, network, torch.randn(1, 4), "after")
    with pytest.raises(NetworkError, match=r"without reaching layer 'after@2'.*1 times"):
        invert(method, network, x, "after@2")
    assert state(network) == before
    assert not x.requires_grad


@pytest.mark.parametrize("method", METHODS)
def test_t12_two_hundred_calls_take_constant_time_and_keep_nothing(method):
    network, x = pooled(2, 2, 0), torch.randn(1, 16, 16)

    def call():
        start = time.process_time()
        invert(method, network, x, "6")
        return time.process_time() - start

    def block():
        quickest = min(call() for _ in range(50))
        gc.collect()
        return quickest, sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects())

    call()
    blocks = [block() for _ in range(4)]
    assert blocks[-1][1] == blocks[0][1]
    assert blocks[-1][0] < 2 * blocks[0][0]
    assert not any(m._forward_hooks or m._backward_hooks for m in network.modules())


def test_t12_nothing_behind_the_layer_runs():
    network = nn.Sequential(nn.Conv1d(1, 2, 3), nn.ReLU(), nn.Conv1d(99, 1, 1)).eval()
    network[0].bias.data.fill_(3)
    assert invert("guided", network, torch.randn(1, 9), "1", position="whole").relevance.any()


@pytest.mark.parametrize("method", METHODS)
def test_results_do_not_depend_on_the_callers_gradient_mode(method):
    network, x = pooled(2, 2, 0), torch.randn(1, 16, 16)
    expected = invert(method, network, x, "6").relevance
    for mode in (torch.no_grad(), torch.inference_mode()):
        with mode:
            found = invert(method, network, x, "6")
            units = list(invert_layer(network, x.clone(), "6", [0], method))
        assert_same(found.relevance, expected, atol=0)
        assert_same(units[0].relevance, expected, atol=0)
        assert not found.relevance.requires_grad
        assert not found.relevance.is_inference()


def test_one_convolution_pool_and_relu_in_either_order_differ_for_deconvnet_only():
    """Dead windows have tied switches once the ReLU stands in front of the pooling."""
    conv, last = nn.Conv2d(1, 6, 3), nn.Conv2d(6, 2, 3)
    last.bias.data.fill_(1)
    before = nn.Sequential(conv, nn.ReLU(), nn.MaxPool2d(2), last).eval()
    after = nn.Sequential(conv, nn.MaxPool2d(2), nn.ReLU(), last).eval()
    x = torch.randn(1, 20, 20) - 1.0
    difference = {}
    for method in METHODS:
        one, two = (invert(method, net, x, "3", position=(4, 4)) for net in (before, after))
        assert one.activation == pytest.approx(two.activation, rel=0, abs=1e-12)
        difference[method] = (one.relevance - two.relevance).norm() / two.relevance.norm()
    assert difference["gradient"] == 0
    assert difference["guided"] == 0
    assert difference["deconvnet"] > 0.1


# Positions ---------------------------------------------------------------------------------


def test_none_in_a_position_means_the_strongest_along_that_axis():
    network = nn.Sequential(nn.Identity()).eval()
    x = torch.tensor([[[1.0, 5.0, 2.0], [7.0, 0.5, 3.0]]])
    for position, place, value in [
        ("peak", (1, 0), 7.0),
        ((None, None), (1, 0), 7.0),
        ((0, None), (0, 1), 5.0),
        ((None, 1), (0, 1), 5.0),
        ((None, 2), (1, 2), 3.0),
        ((1, 1), (1, 1), 0.5),
    ]:
        found = invert("gradient", network, x, "0", position=position)
        assert found.position == place
        assert found.activation == value
        expected = torch.zeros_like(x)
        expected[(0, *place)] = value
        assert_same(found.relevance, expected, atol=0)


def test_the_whole_map_is_followed_with_its_values_as_seeds():
    x = torch.tensor([[1.0, -2.0, 3.0]])
    network = nn.Sequential(nn.Identity()).eval()
    assert_same(invert("gradient", network, x, "0", position="whole").relevance, x, atol=0)
    found = invert("guided", network, x, "0", position="whole")
    assert found.activation == 2.0
    assert_same(found.relevance, x.clamp(min=0), atol=0)


@pytest.mark.parametrize("position", [(3, 0), (0,), (0, 0, 0), (-1, 0), "best"])
def test_a_position_outside_the_map_is_refused(position):
    network = nn.Sequential(nn.Identity()).eval()
    with pytest.raises(InvalidValueError, match="position"):
        invert("guided", network, torch.ones(1, 3, 4), "0", position=position)


# Bad input ---------------------------------------------------------------------------------


def test_nan_in_a_weight_is_an_error_that_names_it():
    network = pooled(2, 2, 0)
    network[3].weight.data[0, 0, 0, 0] = torch.nan
    with pytest.raises(NetworkError, match=r"gives NaN or infinity, as do its parameters 3.weight"):
        invert("guided", network, torch.randn(1, 16, 16), "6")


def test_an_infinite_weight_that_the_forward_pass_hides_is_an_error_on_the_way_back():
    network = nn.Sequential(nn.Conv1d(1, 2, 1), nn.ReLU(), nn.Conv1d(2, 1, 1)).eval()
    network[0].weight.data = torch.tensor([[[-torch.inf]], [[1.0]]])
    network[2].weight.data.fill_(1.0)
    network[2].bias.data.fill_(1.0)
    with pytest.raises(NetworkError, match=r"way back from 2:0 gives NaN .* 0.weight"):
        invert("deconvnet", network, torch.ones(1, 4), "2")


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_features_that_are_not_finite_are_refused(value):
    x = torch.ones(1, 16, 16)
    x[0, 3, 3] = value
    with pytest.raises(InvalidValueError, match="features hold NaN or infinity"):
        invert("guided", pooled(2, 2, 0), x, "6")


def test_features_must_be_floating():
    with pytest.raises(InvalidValueError, match=r"torch\.int64"):
        invert("guided", pooled(2, 2, 0), torch.ones(1, 16, 16, dtype=torch.int64), "6")


class Odd(nn.Module):
    """Layers that cannot be followed."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(3, 4)
        self.flat, self.folded, self.cut = nn.Identity(), nn.Identity(), nn.Identity()
        self.spare = nn.ReLU()

    def forward(self, x):
        self.flat(x.sum((1, 2)))
        self.folded(x.transpose(0, 1))
        self.cut(x.detach())
        return self.rnn(x)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("rnn", "gives a tuple, not a tensor"),
        ("flat", r"gives shape \(1,\) for one example"),
        ("folded", r"gives shape \(2, 1, 3\) for one example"),
        ("cut", "does not depend on the input by differentiable operations"),
        ("spare", "without reaching layer 'spare': the network calls this module 0 times"),
    ],
)
def test_layers_that_cannot_be_followed_say_why(layer, message):
    with pytest.raises(NetworkError, match=message):
        invert("gradient", Odd().eval(), torch.randn(2, 3), layer)


def test_unknown_methods_are_answered_with_close_ones():
    with pytest.raises(UnknownNameError, match="did you mean 'guided'"):
        invert_layer(pooled(2, 2, 0), torch.zeros(1, 16, 16), "6", method="guide")


def test_options_are_checked():
    with pytest.raises(InvalidValueError, match=r"activations must be one of .* got 'ignore'"):
        InversionOptions(activations="ignore")


# Every registered method ----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("method", sorted(RULES))
def test_every_method_keeps_the_contract(method, dtype):
    network = pooled(2, 2, 0).to(dtype)
    before, x = state(network), torch.randn(1, 16, 18, dtype=dtype)
    copy = x.clone()
    found = INVERTERS[method](network, x, Unit("6", 2))
    again = INVERTERS[method](network, x, Unit("6", 2))
    assert isinstance(found, Inversion)
    assert found.relevance.shape == x.shape
    assert found.relevance.dtype == dtype
    assert not found.relevance.requires_grad
    assert found.relevance.isfinite().all()
    assert found.unit == Unit("6", 2)
    assert found.method == method
    with torch.no_grad():
        maps = network(x[None])[0]
    assert found.activation == maps[2].max().item()
    assert maps[(2, *found.position)] == maps[2].max()
    assert_same(again.relevance, found.relevance, atol=0)
    assert_same(x, copy, atol=0)
    assert state(network) == before
    INVERTERS[method](network, x, Unit("4", 0), position="whole", options=InversionOptions())
    INVERTERS[method](network, x, Unit("4", 0), position=(None, 3))
    with pytest.raises(UnknownNameError):
        INVERTERS[method](network, x, Unit("nowhere", 0))
    with pytest.raises(InvalidValueError):
        INVERTERS[method](network, x, Unit("6", 3))
    with pytest.raises(NetworkError):
        INVERTERS[method](network.train(), x, Unit("6", 0))


def test_an_activation_without_a_rule_raises_also_for_a_unit_that_is_inactive():
    network = nn.Sequential(nn.Conv1d(1, 1, 1), nn.GELU(), nn.Conv1d(1, 1, 1)).eval()
    network[2].bias.data.fill_(-100.0)
    with pytest.raises(UnsupportedActivationError, match="GELU"):
        invert("guided", network, torch.randn(1, 4), "2")
