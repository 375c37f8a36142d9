"""Cropped ways back: equal to the whole one, whatever stands on the way and wherever it starts."""

import itertools

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from auralise.activations.recorder import run_to
from auralise.inversion import InversionOptions
from auralise.inversion.cropping import crop
from auralise.inversion.relu_rules import RULES, BackwardRules

from .oracles import explicit, explicit_inversion

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


class Functional(nn.Module):
    """A network given by a function of itself and its input."""

    def __init__(self, forward, **parts):
        super().__init__()
        self.function = forward
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, x):
        return self.function(self, x)


def normalisation(channels):
    """A batch normalisation whose numbers all matter, one factor negative."""
    norm = nn.BatchNorm2d(channels)
    norm.weight.data.uniform_(0.5, 1.5)[0] *= -1
    norm.bias.data.normal_()
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2)
    return norm


def residual(net, x):
    x = F.relu(net.first(x))
    x = F.max_pool2d(x + net.second(F.relu(net.norm(x))), 2)
    return net.third(x) - net.short(x) * 0.5


def dense(net, x):
    x = F.relu(net.first(x))
    x = torch.cat([x, F.relu_(net.second(x))], 1)
    return net.third(F.avg_pool2d(x, 2))


def two_scales(net, x):
    """Branches of different size that meet again."""
    x = F.relu(net.first(x))
    return net.second(F.max_pool2d(x, 3, 2, 1)) + net.third(F.pad(x, (1, 2, 0, 1)))[:, :, ::1]


def turned(net, x):
    """Mel bins as channels of a normalisation, as some audio networks do."""
    x = net.norm(x.transpose(1, 2)).permute(0, 2, 1, 3)
    return net.second(F.relu(net.first(x / 3 + net.table)))


def dropped_ends(net, x):
    """A causal convolution that is cut off behind."""
    return F.relu(net.second(F.relu(net.first(x)[:, :, :-4])[:, :, :-4]))


def turned_network():
    network = Functional(
        turned, norm=normalisation(23), first=nn.Conv2d(1, 4, 3), second=nn.Conv2d(4, 3, 3)
    )
    network.register_buffer("table", torch.randn(1, 1, 23, 1))
    return network


def conv(*numbers, **more):
    return nn.Conv2d(*numbers, **more)


NETWORKS = {
    "padding and pooling": lambda: nn.Sequential(
        conv(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), conv(4, 3, 3, padding=1), nn.ReLU()
    ),
    "batch norm": lambda: nn.Sequential(
        conv(1, 4, 3, padding=1), normalisation(4), nn.ReLU(), conv(4, 3, 3), normalisation(3)
    ),
    "strides": lambda: nn.Sequential(
        conv(1, 4, (5, 3), stride=(2, 3), padding=(2, 0)), nn.ReLU(), conv(4, 3, 3, 2, 1)
    ),
    "dilation": lambda: nn.Sequential(
        conv(1, 4, 3, dilation=(2, 3), padding=(2, 1)), nn.ReLU(), conv(4, 3, 2, dilation=2)
    ),
    "groups": lambda: nn.Sequential(
        conv(1, 4, 3, padding=2), nn.ReLU(), conv(4, 4, 3, groups=4), nn.ReLU(), conv(4, 3, 1)
    ),
    "many channels below": lambda: nn.Sequential(
        conv(1, 9, 4, padding=3), nn.ReLU(), conv(9, 3, 5, stride=2, padding=4)
    ),
    "ceil_mode": lambda: nn.Sequential(
        conv(1, 4, 3), nn.ReLU(), nn.MaxPool2d(3, 2, 1, ceil_mode=True), conv(4, 3, 3, padding=1)
    ),
    "overlapping pooling": lambda: nn.Sequential(
        conv(1, 4, 3),
        nn.ReLU(),
        nn.MaxPool2d(3, 1, 1),
        conv(4, 3, 3, padding=1),
        nn.MaxPool2d(3, 2),
    ),
    "dilated pooling": lambda: nn.Sequential(
        conv(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2, 1, 1, dilation=3), conv(4, 3, 3)
    ),
    "average pooling": lambda: nn.Sequential(
        conv(1, 4, 3), nn.ReLU(), nn.AvgPool2d(3, 2, 1), conv(4, 3, 3, padding=1)
    ),
    "average pooling that counts no padding": lambda: nn.Sequential(
        conv(1, 4, 3),
        nn.ReLU(),
        nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False),
        conv(4, 3, 3, padding=1),
    ),
    "average pooling with a divisor": lambda: nn.Sequential(
        conv(1, 4, 3), nn.ReLU(), nn.AvgPool2d((2, 3), 2, divisor_override=5), conv(4, 3, 3)
    ),
    "average pooling with ceil_mode": lambda: nn.Sequential(
        conv(1, 4, 3), nn.ReLU(), nn.AvgPool2d(3, 2, 1, ceil_mode=True), conv(4, 3, 3, padding=1)
    ),
    "padding of the same size": lambda: nn.Sequential(
        conv(1, 4, 4, padding="same"), nn.ReLU(inplace=True), conv(4, 3, (2, 5), padding="same")
    ),
    "zero padding as a layer": lambda: nn.Sequential(
        nn.ZeroPad2d((3, 1, 0, 2)), conv(1, 4, 3), nn.ReLU(), nn.ZeroPad2d(-1), conv(4, 3, 3)
    ),
    "residual": lambda: Functional(
        residual,
        first=conv(1, 4, 3, padding=1),
        norm=normalisation(4),
        second=conv(4, 4, 3, padding=1),
        third=conv(4, 3, 3, padding=1),
        short=conv(4, 3, 1),
    ),
    "dense": lambda: Functional(
        dense,
        first=conv(1, 4, 3, padding=1),
        second=conv(4, 5, 3, padding=1),
        third=conv(9, 3, 3, padding=1),
    ),
    "axes turned": turned_network,
    "threshold": lambda: nn.Sequential(
        conv(1, 4, 3), nn.Threshold(0.0, 0.0), nn.Dropout(), conv(4, 3, 3), nn.ReLU()
    ),
    "larger than the input": lambda: nn.Sequential(
        conv(1, 4, 9, padding=4), nn.ReLU(), nn.MaxPool2d(2), conv(4, 3, 9, padding=4)
    ),
    "larger along one axis": lambda: nn.Sequential(
        conv(1, 4, (25, 3), padding=(12, 0)), nn.ReLU(), nn.MaxPool2d(2), conv(4, 3, 3, padding=1)
    ),
}
NETWORKS_1D = {
    "raw audio": lambda: nn.Sequential(
        nn.Conv1d(1, 6, 16, stride=8, padding=5),
        nn.BatchNorm1d(6),
        nn.ReLU(),
        nn.MaxPool1d(3, 2, 1, ceil_mode=True),
        nn.Conv1d(6, 5, 3, dilation=2, padding=2),
        nn.ReLU(),
        nn.AvgPool1d(2),
    ),
    "causal": lambda: Functional(
        dropped_ends,
        first=nn.Conv1d(1, 4, 3, dilation=2, padding=4),
        second=nn.Conv1d(4, 3, 5, padding=4),
    ),
}


def network_named(name):
    network = {**NETWORKS, **NETWORKS_1D}[name]().eval()
    features = torch.randn(1, 203) if name in NETWORKS_1D else torch.randn(1, 23, 29)
    return network.requires_grad_(False), features


def passed(network, features):
    """The leaf and the network's output."""
    leaf = features.clone().requires_grad_()
    return leaf, run_to(nn.Sequential(network).eval(), leaf[None], "0")


def edges_and_middle(shape):
    """Positions at all edges and corners, beside them, and in the middle."""
    axes = [sorted({0, 1, n // 2, n - 2, n - 1} & set(range(n))) for n in shape]
    return list(itertools.product(*axes))


def whole_way(output, leaf, rule, options, channel, place):
    signal = torch.zeros_like(output)
    signal[(0, channel, *place)] = 1
    with BackwardRules(rule, options):
        return torch.autograd.grad(output, leaf, signal, retain_graph=True)[0]


def both_ways(network, features, method, options=InversionOptions()):
    """Maps of all channels at the positions above: cropped in one batch, and whole."""
    leaf, output = passed(network, features)
    rule = RULES[method]
    plan = crop(output, leaf, rule, options)
    assert plan is not None
    starts = list(itertools.product(range(output.shape[1]), edges_and_middle(output.shape[2:])))
    channels, places = zip(*starts, strict=True)
    with torch.no_grad():
        pieces = plan.send(channels, places, torch.ones(len(places)))
        found = torch.stack([plan.place(p, at) for p, at in zip(pieces, places, strict=True)])
    expected = [whole_way(output, leaf, rule, options, *start) for start in starts]
    return found, torch.stack(expected)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("name", [*NETWORKS, *NETWORKS_1D])
@pytest.mark.parametrize("method", METHODS)
def test_a_cropped_map_equals_the_whole_one_at_every_edge(method, name):
    """Padding at an edge of the crop, or a crop off the grid of a stride or pooling, fails."""
    found, expected = both_ways(*network_named(name), method)
    assert expected.abs().max() > 1e-3
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["padding and pooling", "overlapping pooling", "ceil_mode"])
def test_dead_windows_are_blocked_as_on_the_whole_way(method, name):
    network, features = network_named(name)
    for parameter in network.parameters():
        parameter.sub_(0.05)  # more that is dead
    found, expected = both_ways(network, features, method, InversionOptions(dead_windows="block"))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    if method == "deconvnet":
        assert (both_ways(network, features, method)[1] - expected).abs().max() > 1e-3


@pytest.mark.parametrize("method", METHODS)
def test_a_cropped_map_equals_the_explicit_reference(method):
    network, features = network_named("ceil_mode")
    expected, _ = explicit_inversion(explicit(network), features, 1, method)
    leaf, output = passed(network, features)
    values = output[0, 1].detach()
    place = tuple(int(i) for i in torch.unravel_index(values.argmax(), values.shape))
    plan = crop(output, leaf, RULES[method], InversionOptions())
    with torch.no_grad():
        (piece,) = plan.send([1], [place], values[place][None])
    assert expected.abs().max() > 1e-3
    torch.testing.assert_close(plan.place(piece, place), expected, rtol=0, atol=1e-12)


def test_windows_are_as_large_as_the_receptive_field_by_hand():
    """Three places by a 3-tap filter; 4 behind pooling; 6 by the first filter."""
    network = nn.Sequential(
        nn.Conv1d(1, 2, 3), nn.ReLU(), nn.MaxPool1d(2), nn.Conv1d(2, 2, 2, padding=1)
    ).eval()
    leaf, output = passed(network.requires_grad_(False), torch.randn(1, 60))
    plan = crop(output, leaf, RULES["guided"], InversionOptions())
    _, window = plan.boxes[plan.source]
    assert (window.step, window.start, window.size) == (2, -2, 6)


def test_an_axis_that_is_seen_as_a_whole_is_not_cut():
    network, features = network_named("larger along one axis")
    leaf, output = passed(network, features)
    plan = crop(output, leaf, RULES["guided"], InversionOptions())
    _, bins, frames = plan.boxes[plan.source]
    assert bins is None
    assert frames.size == 8


UNCOVERED = {
    "dense layer": lambda: nn.Sequential(conv(1, 2, 3), nn.Flatten(), nn.Linear(2 * 21 * 27, 3)),
    "adaptive pooling": lambda: nn.Sequential(conv(1, 2, 3), nn.AdaptiveAvgPool2d(4)),
    "adaptive max-pooling": lambda: nn.Sequential(conv(1, 2, 3), nn.AdaptiveMaxPool2d(4)),
    "upsampling": lambda: nn.Sequential(conv(1, 2, 3), nn.Upsample(scale_factor=2)),
    "transposed convolution": lambda: nn.Sequential(nn.ConvTranspose2d(1, 2, 3, 2)),
    "reflection padding": lambda: nn.Sequential(nn.ReflectionPad2d(1), conv(1, 2, 3)),
    "layer normalisation": lambda: nn.Sequential(conv(1, 2, 3), nn.GroupNorm(1, 2)),
    "mean over an axis": lambda: Functional(
        lambda net, x: net.first(x).mean(3), first=conv(1, 2, 3)
    ),
    "product of two maps": lambda: Functional(
        lambda net, x: net.first(x) * net.first(x), first=conv(1, 2, 3)
    ),
    "reshaping": lambda: Functional(
        lambda net, x: net.first(x).reshape(1, 2, -1), first=conv(1, 2, 3)
    ),
    "another activation": lambda: nn.Sequential(conv(1, 2, 3), nn.GELU()),
    "broadcasting": lambda: Functional(
        lambda net, x: net.first(x)[:, :, :1] + net.first(x), first=conv(1, 2, 3)
    ),
    "every second place": lambda: Functional(
        lambda net, x: net.first(x)[:, :, ::2], first=conv(1, 2, 3)
    ),
    "another dtype": lambda: Functional(
        lambda net, x: net.first(x).float().double(), first=conv(1, 2, 3)
    ),
    "statistics of the example": lambda: nn.Sequential(
        conv(1, 2, 3), nn.InstanceNorm2d(2, affine=True)
    ),
}


@pytest.mark.parametrize("name", UNCOVERED)
def test_what_cannot_be_cropped_exactly_is_not_cropped(name):
    network = UNCOVERED[name]().eval().requires_grad_(False)
    leaf, output = passed(network, torch.randn(1, 23, 29))
    assert crop(output, leaf, RULES["gradient"], InversionOptions()) is None


def test_random_chains_equal_the_whole_way():
    """Sizes, strides, paddings and dilations drawn at random, on inputs of odd sizes."""
    generator = torch.Generator().manual_seed(3)

    def draw(low, high):
        return int(torch.randint(low, high + 1, (), generator=generator))

    for _ in range(20):
        layers, channels = [], 1
        for _ in range(draw(1, 3)):
            kernel = (draw(1, 4), draw(1, 4))
            dilation, padding = (draw(1, 2), draw(1, 2)), (draw(0, 2), draw(0, 2))
            layers += [
                conv(channels, 3, kernel, (draw(1, 2), draw(1, 3)), padding, dilation),
                nn.ReLU(),
            ]
            channels = 3
            pool = (nn.MaxPool2d, nn.AvgPool2d)[draw(0, 1)]
            size = draw(1, 3)
            layers.append(pool(size, draw(1, 2), draw(0, size // 2), ceil_mode=bool(draw(0, 1))))
        network = nn.Sequential(*layers).eval().requires_grad_(False)
        features = torch.randn(1, draw(60, 75), draw(90, 110))
        found, expected = both_ways(network, features, METHODS[draw(0, 2)])
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12, msg=str(network))
