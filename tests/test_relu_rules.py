"""Rules at single ReLUs, policies at other activation functions and at dead pooling windows."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from auralise.activations import Unit
from auralise.errors import UnsupportedActivationError
from auralise.inversion import INVERTERS, InversionOptions
from auralise.inversion.relu_rules import RULES

METHODS = ["gradient", "deconvnet", "guided"]
GRADIENT, RECTIFY = InversionOptions("gradient"), InversionOptions("rectify")
BLOCK = InversionOptions(dead_windows="block")


@pytest.fixture(autouse=True)
def _float64():
    torch.manual_seed(0)
    before = torch.get_default_dtype(), torch.get_num_threads()
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    yield
    torch.set_default_dtype(before[0])
    torch.set_num_threads(before[1])


def assert_same(found, expected, atol=0.0):
    torch.testing.assert_close(found, expected, rtol=0, atol=atol)


class Around(nn.Module):
    """A function between the input and fixed weights; signals of both signs arrive."""

    def __init__(self, function, weights=(1.0, 1.0, -1.0, -1.0), bias=9.0):
        super().__init__()
        self.function = function
        self.last = nn.Linear(len(weights), 1)
        self.last.weight.data = torch.tensor([weights])
        self.last.bias.data.fill_(bias)
        self.eval()

    def forward(self, x):
        return self.last(self.function(x))


def invert(method, network, x, options=None, layer="last"):
    return INVERTERS[method](network, x, Unit(layer, 0), options=options or InversionOptions())


# Inputs open and closed, under signals of both signs; a closed one stands exactly at zero.
CASES = torch.tensor([2.0, 0.0, 3.0, -1.0], dtype=torch.float64)
EXPECTED = {
    "gradient": [1.0, 0.0, -1.0, 0.0],
    "deconvnet": [1.0, 1.0, 0.0, 0.0],
    "guided": [1.0, 0.0, 0.0, 0.0],
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("relu", [F.relu, F.relu_, lambda x: F.threshold(x, 0, 0)])
def test_t6_each_sign_of_input_and_signal_follows_the_rule(method, relu):
    """The value is 9 + 2 - 3 = 8; it multiplies the map."""
    found = invert(method, Around(relu), CASES)
    assert found.activation == 8.0
    assert_same(found.relevance, 8 * torch.tensor(EXPECTED[method]))


@pytest.mark.parametrize("method", ["deconvnet", "guided"])
@pytest.mark.parametrize(
    "relu",
    [
        lambda x: x.clamp(min=0),
        lambda x: x.clamp_min(0),
        lambda x: x.clamp(min=torch.zeros(4)),
        lambda x: torch.maximum(x, torch.zeros(4)),
        lambda x: torch.maximum(torch.zeros(()), x),
    ],
)
def test_relus_in_disguise_follow_the_rule_at_zero_too(method, relu):
    """Their own derivatives at zero are 1 and 1/2."""
    assert_same(invert(method, Around(relu), CASES).relevance, 8 * torch.tensor(EXPECTED[method]))


def test_a_zero_of_another_dtype_does_not_matter():
    network = Around(lambda x: torch.maximum(x, torch.zeros(4)).float()).float()
    for method in ("deconvnet", "guided"):
        found = invert(method, network, CASES.float())
        assert_same(found.relevance, 8 * torch.tensor(EXPECTED[method], dtype=torch.float32))


NAMED = [
    ("LeakyReLU", nn.LeakyReLU()),
    ("ReLU6", nn.ReLU6()),
    ("Hardtanh", nn.Hardtanh()),
    ("Hardsigmoid", nn.Hardsigmoid()),
    ("Hardswish", nn.Hardswish()),
    ("ELU", nn.ELU()),
    ("CELU", nn.CELU()),
    ("SELU", nn.SELU()),
    ("SiLU", nn.SiLU()),
    ("GELU", nn.GELU()),
    ("Mish", nn.Mish()),
    ("Sigmoid", nn.Sigmoid()),
    ("Tanh", nn.Tanh()),
    ("Softplus", nn.Softplus()),
    ("PReLU", nn.PReLU().double()),
    ("RReLU", nn.RReLU()),
    ("LogSigmoid", nn.LogSigmoid()),
    ("Softshrink", nn.Softshrink()),
    ("Hardshrink", nn.Hardshrink()),
    ("Tanh", nn.Tanhshrink()),
    ("abs", nn.Softsign()),
    ("Sigmoid", lambda x: x * torch.sigmoid(x)),
    ("LeakyReLU", lambda x: F.leaky_relu_(x.view(2, 2)).view(1, 4)),
    (r"threshold\(1\)", nn.Threshold(1.0, 0.0)),
    ("GLU", lambda x: F.glu(torch.cat([x, x], -1))),
    ("clamp with an upper bound", lambda x: x.clamp(0, 6)),
    ("clamp with an upper bound", lambda x: x.clamp(max=6)),
    ("maximum with a constant", lambda x: torch.maximum(x, torch.ones(4))),
    ("minimum with a constant", lambda x: torch.minimum(x, torch.ones(4))),
    ("where with a constant", lambda x: torch.where(x > 0, x, 0.0)),
    ("masked_fill", lambda x: x.masked_fill(x < 0, 0.0)),
    ("multiplication by a mask", lambda x: x * (x > 0)),
    ("multiplication by a mask", lambda x: (x > 0).double() * x),
    ("assignment through an index", lambda x: x.index_put((x < 0,), torch.zeros(()))),
    ("erf", torch.erf),
    ("sin", torch.sin),
]


@pytest.mark.parametrize(("name", "function"), NAMED)
@pytest.mark.parametrize("method", ["deconvnet", "guided"])
def test_t13_an_activation_without_a_rule_raises_with_its_name_unless_a_policy_is_given(
    method, name, function
):
    network = Around(function, bias=90.0)
    with pytest.raises(UnsupportedActivationError, match=rf"^.*\b{name}.*is not a ReLU"):
        invert(method, network, CASES)
    expected = invert("gradient", network, CASES)
    assert expected.flags == ()
    found = invert(method, network, CASES, GRADIENT)
    assert_same(found.relevance, expected.relevance)
    assert any(flag.startswith("no rule for") and "gradient" in flag for flag in found.flags)


@pytest.mark.parametrize(
    "function", [F.leaky_relu, F.silu, lambda x: x.clamp(-5, 6), nn.PReLU().double()]
)
def test_t13_rectify_puts_the_rule_on_top_of_the_derivative(function):
    network = Around(function)
    slope = invert("gradient", network, CASES)
    signal = slope.activation * torch.tensor([1.0, 1.0, -1.0, -1.0])
    assert_same(invert("guided", network, CASES, RECTIFY).relevance, slope.relevance.clamp(min=0))
    assert_same(invert("deconvnet", network, CASES, RECTIFY).relevance, signal.clamp(min=0))


def test_t13_what_cannot_be_rectified_says_so():
    network = Around(lambda x: F.glu(torch.cat([x, x], -1)))
    with pytest.raises(UnsupportedActivationError, match="GLU cannot be rectified"):
        invert("deconvnet", network, CASES, RECTIFY)


class Secret(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx, signal):
        (x,) = ctx.saved_tensors
        return signal * torch.sigmoid(x)


@pytest.mark.parametrize("options", [InversionOptions(), RECTIFY])
def test_t13_custom_autograd_functions_cannot_be_looked_into(options):
    with pytest.raises(UnsupportedActivationError, match="the custom autograd function Secret"):
        invert("guided", Around(Secret.apply), CASES, options)
    assert invert("guided", Around(Secret.apply), CASES, GRADIENT).relevance.any()


def test_t13_a_fused_recurrent_layer_raises():
    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.out = nn.LSTM(3, 4, batch_first=True), nn.Identity()

        def forward(self, x):
            return self.out(self.rnn(x)[0])

    for dtype in (torch.float32, torch.float64):
        network = Recurrent().eval().to(dtype)
        with pytest.raises(UnsupportedActivationError, match=r"recurrent|Tanh|Sigmoid"):
            invert("guided", network, torch.randn(5, 3, dtype=dtype), layer="out")


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.softmax(-1),
        lambda x: F.layer_norm(x, (4,)),
        lambda x: F.group_norm(x.reshape(1, 2, 2), 2).reshape(1, 4),
        lambda x: F.normalize(x, dim=-1),
        lambda x: torch.log(x.clamp(min=1e-3)),
        lambda x: torch.maximum(x, x.flip(-1)),
        lambda x: x * torch.tensor([0.5, 1.0, 2.0, 0.0]),
        lambda x: x * 0.0 + x * 1.0,
        lambda x: F.dropout(x, training=False),
    ],
)
@pytest.mark.parametrize("method", ["deconvnet", "guided"])
def test_what_is_not_an_activation_is_differentiated(method, function):
    network = Around(function)
    expected = invert("gradient", network, CASES)
    assert_same(invert(method, network, CASES).relevance, expected.relevance)


def test_the_gradient_takes_every_activation_as_it_is():
    x = CASES.clone().requires_grad_()
    for _, function in NAMED:
        network = Around(function)
        value = network(x[None].clone())
        (slope,) = torch.autograd.grad(value.sum(), x)
        assert_same(invert("gradient", network, CASES).relevance, slope * value.item(), atol=1e-12)


def test_every_rule_belongs_to_a_registered_method():
    assert set(RULES) <= set(INVERTERS)


# Flags -------------------------------------------------------------------------------------

INDEPENDENT = "input-independent: no max-pooling below"


@pytest.mark.parametrize(
    ("function", "flagged"),
    [
        (F.relu, True),
        (lambda x: x.clamp(min=0), True),
        (lambda x: F.pad(F.avg_pool1d(x.relu(), 2), (0, 2)), True),
        (lambda x: x * 3 + x / 2, True),
        (lambda x: F.pad(F.max_pool1d(x, 2), (0, 2)), False),
        (lambda x: F.pad(x.relu().amax(-1, keepdim=True), (0, 3)), False),
        (lambda x: x * x.relu(), False),
        (lambda x: x.softmax(-1), False),
        (lambda x: x.relu() / x.norm(), False),
        (lambda x: F.layer_norm(x, (4,)), False),
    ],
)
def test_the_flag_for_input_independence_tells_the_truth(function, flagged):
    network = Around(function, bias=90.0)
    maps = []
    for x in (CASES, torch.tensor([-1.0, 1.0, 2.0, 4.0])):
        found = invert("deconvnet", network, x)
        assert (INDEPENDENT in found.flags) == flagged
        maps.append(found.relevance / found.activation)
    same = torch.allclose(maps[0], maps[1], rtol=0, atol=1e-12)
    assert same == flagged
    assert invert("gradient", network, CASES).flags == ()


# Dead windows ------------------------------------------------------------------------------


class Pooled(nn.Module):
    """ReLU, pooling, and a sum over everything, so that each window sends 1."""

    def __init__(self, pool):
        super().__init__()
        self.pool, self.last = pool, nn.Identity()
        self.eval()

    def forward(self, x):
        return self.last(9 + self.pool(F.relu(x)).flatten(1).sum(1, keepdim=True))


def test_t15_a_dead_window_sends_its_signal_to_the_first_place_or_nowhere():
    network, x = Pooled(nn.MaxPool2d(2)), -torch.ones(1, 4, 6)
    first = torch.zeros(1, 4, 6)
    first[:, ::2, ::2] = 9
    assert_same(invert("deconvnet", network, x).relevance, first)
    assert not invert("guided", network, x).relevance.any()
    for method in METHODS:
        assert not invert(method, network, x, BLOCK).relevance.any()


POOLS = {
    "1-D": (nn.MaxPool1d(3, 2, 1), (2, 11)),
    "2-D": (nn.MaxPool2d(3, 2, 1), (2, 11, 9)),
    "2-D dilated": (nn.MaxPool2d(2, 1, dilation=2), (2, 11, 9)),
    "2-D ceil": (nn.MaxPool2d(2, 2, ceil_mode=True), (2, 7, 9)),
    "3-D": (nn.MaxPool3d(2), (2, 4, 6, 4)),
    "3-D ceil": (nn.MaxPool3d(2, ceil_mode=True), (2, 5, 5, 5)),
    "adaptive 1-D": (nn.AdaptiveMaxPool1d(3), (2, 11)),
    "adaptive 2-D": (nn.AdaptiveMaxPool2d((3, 2)), (2, 10, 7)),
    "adaptive 3-D": (nn.AdaptiveMaxPool3d(2), (2, 4, 5, 4)),
}


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("method", METHODS)
def test_t15_blocking_changes_dead_windows_only(method, pool):
    """A window with any value left passes its signal as before; where all are alive none is cut."""
    module, shape = POOLS[pool]
    network = Pooled(module)
    alive = torch.rand(shape) + 0.1
    expected = invert(method, network, alive).relevance
    assert_same(invert(method, network, alive, BLOCK).relevance, expected)
    x = torch.randn(shape) - 0.8
    for axis in range(1, x.ndim):  # windows of one place, which have no tie, stand at the end
        x.select(axis, -1).abs_()
    blocked = invert(method, network, x, BLOCK)
    open_places = (x > 0) | (blocked.relevance == 0)
    assert open_places.all()  # nothing arrives where the ReLU is closed
    kept = torch.where(x > 0, invert(method, network, x).relevance, 0)
    assert_same(blocked.relevance, kept)
    assert kept.any()
    assert (x.clamp(min=0) == 0).any()


def test_t15_a_window_with_one_place_has_no_tie():
    """In ceil mode the last window of five has one place; kernel 1 has windows of one only."""
    for pool in (nn.MaxPool1d(2, ceil_mode=True), nn.MaxPool1d(1)):
        network, x = Pooled(pool), torch.tensor([[-1.0, -1.0, -1.0, -1.0, -1.0]])
        plain = invert("deconvnet", network, x).relevance
        assert plain[0, 4] == 9
        assert invert("deconvnet", network, x, BLOCK).relevance[0, 4] == 9


def test_blocked_windows_hold_through_in_place_relus_too():
    network = Pooled(nn.MaxPool1d(2))
    network.forward = lambda x: network.last(9 + F.max_pool1d(F.relu_(x), 2).sum(2))
    x = torch.tensor([[-1.0, -1.0, 1.0, 2.0]])
    found = invert("deconvnet", network, x, BLOCK)
    assert_same(found.relevance, torch.tensor([[0.0, 0.0, 0.0, found.activation]]))
