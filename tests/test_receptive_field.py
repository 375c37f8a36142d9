"""Receptive fields against hand arithmetic.

A chain of windows with reach k (dilation counted), stride s and padding p has the field
size = 1 + sum (k_i - 1) S_i, stride = prod s_i, start = - sum p_i S_i, with S_i the product of
the strides before window i.
"""

import random

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from auralise.activations import ReceptiveField, receptive_field
from auralise.errors import InvalidValueError, NetworkError, UnknownNameError


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def field_of(modules, shape, layer=None):
    network = nn.Sequential(*modules).eval()
    return receptive_field(
        network, torch.zeros(shape), str(len(modules) - 1 if layer is None else layer)
    )


def assert_field(field, size, stride, start):
    assert (field.size, field.stride, field.start) == (size, stride, start)


CHAINS_1D = {
    # reach, stride, padding of every window, in order
    "strided": ([nn.Conv1d(1, 2, 5, stride=2, padding=2)], [(5, 2, 2)]),
    "raw audio": (
        [nn.Conv1d(1, 2, 64, stride=16), nn.ReLU(), nn.Conv1d(2, 2, 8), nn.ReLU(), nn.MaxPool1d(4)],
        [(64, 16, 0), (8, 1, 0), (4, 4, 0)],
    ),
    "dilated": (
        [nn.Conv1d(1, 2, 3, dilation=d, padding=d) for d in (1,)]
        + [nn.Conv1d(2, 2, 3, dilation=d, padding=d) for d in (2, 4)],
        [(3, 1, 1), (5, 1, 2), (9, 1, 4)],
    ),
    "overlapping pools": (
        [nn.Conv1d(1, 2, 3), nn.MaxPool1d(3, 2, 1), nn.Conv1d(2, 2, 3, 2), nn.AvgPool1d(3, 2, 1)],
        [(3, 1, 0), (3, 2, 1), (3, 2, 0), (3, 2, 1)],
    ),
    "ceil mode": (
        [
            nn.MaxPool1d(3, 2, ceil_mode=True),
            nn.Conv1d(1, 1, 3),
            nn.MaxPool1d(2, 2, ceil_mode=True),
        ],
        [(3, 2, 0), (3, 1, 0), (2, 2, 0)],
    ),
    "dilated pool": ([nn.MaxPool1d(3, 2, 1, dilation=2)], [(5, 2, 1)]),
    "grouped": (
        [nn.Conv1d(1, 4, 3, padding=1), nn.Conv1d(4, 4, 5, groups=4, stride=3)],
        [(3, 1, 1), (5, 3, 0)],
    ),
}


def by_hand(windows):
    size, jump, start = 1, 1, 0
    for reach, stride, padding in windows:
        size += (reach - 1) * jump
        start -= padding * jump
        jump *= stride
    return (size,), (jump,), (start,)


@pytest.mark.parametrize("length", [600, 597, 601])
@pytest.mark.parametrize("chain", CHAINS_1D)
def test_chains_along_one_axis_equal_the_closed_form(chain, length):
    modules, windows = CHAINS_1D[chain]
    assert_field(field_of(modules, (1, length)), *by_hand(windows))


def random_chain(generator):
    """Any mixture of strides, holes and padding; windows may leave tails of the input unseen."""
    modules, windows = [], []
    for _ in range(generator.randint(1, 4)):
        kernel, stride = generator.randint(1, 5), generator.randint(1, 3)
        dilation, ceil_mode = generator.randint(1, 4), generator.random() < 0.3
        kind = generator.choice(["convolution", "convolution", "max", "average"])
        if kind == "convolution":
            reach = dilation * (kernel - 1) + 1
            padding = generator.randint(0, reach - 1)
            modules.append(nn.Conv1d(1, 1, kernel, stride, padding, dilation))
        elif kind == "max":
            reach, padding = 2 * (kernel - 1) + 1, generator.randint(0, kernel // 2)
            modules.append(nn.MaxPool1d(kernel, stride, padding, 2, ceil_mode=ceil_mode))
        else:
            reach, padding = kernel, generator.randint(0, kernel // 2)
            modules.append(nn.AvgPool1d(kernel, stride, padding, ceil_mode=ceil_mode))
        windows.append((reach, stride, padding))
    return modules, windows


@pytest.mark.parametrize("seed", range(60))
def test_random_chains_equal_the_closed_form(seed):
    generator = random.Random(seed)
    modules, windows = random_chain(generator)
    size, stride, start = by_hand(windows)
    least = max(size[0] + 2 * start[0], size[0] // 2)  # the padding may hold the rest of a field
    length = least + 2 * stride[0] + generator.randint(0, 50)
    assert_field(field_of(modules, (1, length)), size, stride, start)


@pytest.mark.parametrize("length", [16, 19, 26])
def test_dilated_windows_that_begin_in_the_padding_are_not_taken_for_shorter_ones(length):
    modules, windows = CHAINS_1D["dilated"]
    assert_field(field_of(modules, (1, length)), *by_hand(windows))


@pytest.mark.parametrize("length", [81, 90, 300])
def test_an_input_that_cuts_all_fields_off_is_made_longer(length):
    """Field of 101, padded by 10: at 90 samples the last of ten positions begins at -1."""
    modules = [nn.Conv1d(1, 2, 101, padding=10), nn.ReLU()]
    assert_field(field_of(modules, (1, length)), (101,), (1,), (-10,))


@pytest.mark.parametrize("normalise", [nn.Softmax(1), nn.InstanceNorm1d(2, affine=True)])
def test_normalisation_over_channels_or_time_sends_supports_back(normalise):
    """A constant signal would vanish in it."""
    field = field_of([nn.Conv1d(1, 2, 3), normalise], (1, 20))
    if isinstance(normalise, nn.Softmax):
        assert_field(field, (3,), (1,), (0,))
    else:
        assert_field(field, (20,), (0,), (0,))


def blocks(channels, count, last=()):
    modules = []
    for i in range(count):
        modules += [
            nn.Conv2d(channels if i else 1, channels, 3, padding=1),
            nn.BatchNorm2d(channels),
        ]
        modules += [nn.ReLU(inplace=True), nn.MaxPool2d(2)]
    return [*modules, *last]


@pytest.mark.parametrize(
    ("layer", "size", "stride", "start"),
    [(2, 3, 1, -1), (3, 4, 2, -1), (6, 8, 2, -3), (10, 18, 4, -7), (14, 38, 8, -15)],
)
def test_blocks_of_a_spectrogram_network_equal_the_closed_form(layer, size, stride, start):
    field = field_of(blocks(2, 4), (1, 48, 64), layer)
    assert_field(field, (size, size), (stride, stride), (start, start))
    assert field.axes == (0, 1)


def test_axes_have_fields_of_their_own():
    modules = [
        nn.Conv2d(1, 2, (3, 5), stride=(1, 2), padding=(1, 0)),
        nn.MaxPool2d((4, 1)),
        nn.Conv2d(2, 2, (1, 3), dilation=(1, 2)),
    ]
    field = field_of(modules, (1, 40, 50))
    assert_field(field, (6, 13), (4, 2), (-1, 0))
    assert field.shape == (10, 19)


def test_the_wider_branch_of_a_residual_counts():
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(
                nn.Conv1d(1, 1, 5, padding=2), nn.ReLU(), nn.Conv1d(1, 1, 3, padding=1)
            )
            self.out = nn.Identity()

        def forward(self, x):
            return self.out(F.relu(x - self.body(x)))

    assert_field(receptive_field(Residual().eval(), torch.zeros(1, 30), "out"), (7,), (1,), (-3,))


def test_what_the_network_learned_does_not_matter():
    """Dead filters, cancelling weights, closed ReLUs and NaN: the architecture is asked."""
    modules = [nn.Conv1d(1, 2, 3), nn.ReLU(), nn.Conv1d(2, 1, 3), nn.ReLU(), nn.MaxPool1d(2)]
    for fill in (0.0, -1.0, float("nan")):
        for module in (modules[0], modules[2]):
            module.weight.data.fill_(fill)
            module.bias.data.fill_(-5.0)
        assert_field(field_of(modules, (1, 20)), (6,), (2,), (0,))


@pytest.mark.parametrize(
    "kind", [nn.Sigmoid, nn.GELU, nn.Hardtanh, nn.LeakyReLU, nn.ReLU6, nn.PReLU]
)
def test_saturated_activations_let_everything_through(kind):
    modules = [nn.Conv1d(1, 1, 3), kind(), nn.Conv1d(1, 1, 3)]
    assert_field(field_of(modules, (1, 20)), (5,), (1,), (0,))


@pytest.mark.parametrize(
    "head",
    [
        [nn.AdaptiveAvgPool2d(1)],
        [nn.AdaptiveMaxPool2d(1)],
        [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 3)],
        [nn.Flatten(), nn.Linear(2 * 6 * 8, 3)],
        [nn.GroupNorm(1, 2)],
    ],
)
def test_layers_that_see_everything_have_the_input_as_their_field(head):
    field = field_of(blocks(2, 2, head), (1, 24, 32))
    assert_field(field, (24, 32), (0, 0), (0, 0))
    position = tuple(0 for _ in field.shape)
    assert field.extent(position, (24, 32)) == (slice(0, 24), slice(0, 32))


@pytest.mark.parametrize(
    "reduce",
    [
        lambda x: x.mean(-1),
        lambda x: x.amax(-1),
        lambda x: x.max(-1).values,
        lambda x: x.max(-1, keepdim=True).values,
        lambda x: x.softmax(-1),
        lambda x: F.layer_norm(x, x.shape[1:]),
        lambda x: x.topk(3).values,
        lambda x: x.flip(-1).cumsum(-1).flip(-1) + x.cumsum(-1),
    ],
)
def test_functions_over_the_whole_axis_have_the_input_as_their_field(reduce):
    class Reducing(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.out = nn.Conv1d(1, 2, 3, padding=1), nn.Identity()

        def forward(self, x):
            return self.out(reduce(F.relu(self.conv(x))))

    assert_field(receptive_field(Reducing().eval(), torch.zeros(1, 20), "out"), (20,), (0,), (0,))


def test_a_frequency_axis_that_is_folded_away_is_seen_whole():
    class Folding(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.conv2 = nn.Conv2d(1, 2, 3, padding=1), nn.Conv1d(2 * 16, 4, 3, 2)

        def forward(self, x):
            return self.conv2(F.relu(self.conv1(x)).flatten(1, 2))

    field = receptive_field(Folding().eval(), torch.zeros(1, 16, 40), "conv2")
    assert_field(field, (16, 5), (0, 2), (0, -1))
    assert field.axes == (None, 0)
    assert field.extent((0,), (16, 40)) == (slice(0, 16), slice(0, 4))


def test_upsampling_has_half_a_step_and_a_field_wide_enough():
    """Position p sees up-sampled places p - 1 to p + 1, thus floor((p - 1) / 2) to (p + 1) // 2."""
    field = field_of([nn.Upsample(scale_factor=2), nn.Conv1d(1, 1, 3, padding=1)], (1, 20))
    assert field.stride == (0.5,)
    for p in range(40):
        (seen,) = field.extent((p,), (20,))
        assert seen.start <= max((p - 1) // 2, 0)
        assert seen.stop >= min((p + 1) // 2, 19) + 1
        assert seen.stop - seen.start <= 3


@pytest.mark.parametrize("position", range(12))
def test_extents_are_where_the_derivative_can_be(position):
    """Exhaustive: the derivative over many inputs covers the extent, and nothing else."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv1d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool1d(3, 2, 1),
        nn.Conv1d(8, 1, 3, padding=1),
    ).eval()
    field = receptive_field(network, torch.zeros(1, 23), "3")
    assert_field(field, (9,), (2,), (-4,))
    (seen,) = field.extent((position,), (23,))
    x = torch.randn(300, 1, 23, requires_grad=True)
    (slope,) = torch.autograd.grad(network(x)[:, 0, position].sum(), x)
    places = slope.abs().sum((0, 1)).nonzero()[:, 0]
    assert (seen.start, seen.stop) == (places.min().item(), places.max().item() + 1)


@pytest.mark.parametrize("length", [40, 80, 300])
def test_pooling_to_a_number_of_positions_steps_with_the_length(length):
    """Short inputs would show other steps."""
    field = field_of([nn.Conv1d(1, 2, 3, padding=1), nn.AdaptiveAvgPool1d(4)], (1, length))
    assert_field(field, (length // 4 + 2,), (length // 4,), (-1,))


def test_the_part_of_the_input_that_a_network_cuts_out_is_found_on_long_inputs_too():
    class Cutting(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv1d(1, 2, 3)

        def forward(self, x):
            return self.conv(x[..., -50:])

    for length in (60, 500):
        field = receptive_field(Cutting().eval(), torch.zeros(1, length), "conv")
        assert_field(field, (3,), (1,), (length - 50,))


def test_a_shape_that_is_known_spares_the_pass_that_would_find_it():
    network = nn.Sequential(nn.Conv1d(1, 2, 5, stride=2, padding=2), nn.ReLU()).eval()
    passes = []
    network[0].register_forward_pre_hook(lambda _module, inputs: passes.append(inputs[0].shape[-1]))
    fields = [
        receptive_field(network, torch.zeros(1, 400), "1", shape=shape)
        for shape in [None, (2, 200)]
    ]
    assert fields[0] == fields[1]
    assert fields[0].shape == (200,)
    assert passes == [400, 32, 32]


def test_the_network_is_left_as_it_was():
    network = nn.Sequential(*blocks(2, 2)).eval()
    weights = {name: value.clone() for name, value in network.state_dict().items()}
    receptive_field(network, torch.zeros(1, 24, 32), "6")
    with pytest.raises(RuntimeError, match="expected input"):
        receptive_field(network, torch.zeros(3, 24, 32), "6")
    for name, value in network.state_dict().items():
        assert torch.equal(value, weights[name])
    assert all(p.requires_grad and p.grad is None for p in network.parameters())
    assert not any(m._forward_hooks for m in network.modules())


def test_errors_say_what_is_wrong():
    network = nn.Sequential(nn.Conv1d(1, 2, 3), nn.ReLU()).eval()
    with pytest.raises(UnknownNameError):
        receptive_field(network, torch.zeros(1, 9), "relu")
    with pytest.raises(NetworkError, match="training mode"):
        receptive_field(nn.Sequential(nn.ReLU()).train(), torch.zeros(1, 9), "0")
    field = ReceptiveField((3, 3), (1, 1), (0, 0), (4, 4), (0, 1))
    with pytest.raises(InvalidValueError, match="a position with 2 entries"):
        field.extent((1,), (6, 6))
    with pytest.raises(InvalidValueError, match="2 axes behind the channels"):
        field.extent((1, 1), (1, 6, 6))


def test_a_layer_apart_from_the_input_is_refused():
    class Apart(nn.Module):
        def __init__(self):
            super().__init__()
            self.out = nn.Identity()

        def forward(self, x):
            return self.out(torch.zeros_like(x))

    with pytest.raises(NetworkError, match="differentiable"):
        receptive_field(Apart().eval(), torch.zeros(1, 9), "out")


def test_a_product_of_two_factors_made_of_the_input_sees_what_either_does():
    """Also where one of them is 0 for the numbers that the probe takes."""

    class Product(nn.Module):
        def forward(self, values):
            high = (values - 5).relu()  # nothing of the probe's numbers
            return high @ values.transpose(1, 2)

    field = receptive_field(nn.Sequential(Product()).eval(), torch.zeros(3, 7), "0")
    assert (field.size, field.stride) == ((7,), (0,))


def test_an_operator_of_ones_own_says_what_it_sees():
    class Neighbour(torch.autograd.Function):
        @staticmethod
        def forward(ctx, values):
            ctx.support = lambda signal: torch.nn.functional.pad(signal, (2, 0))
            return values[..., 2:].round()

        @staticmethod
        def backward(ctx, signal):
            return torch.nn.functional.pad(signal * 0, (2, 0))

    class Layer(nn.Module):
        def forward(self, values):
            return Neighbour.apply(values)

    field = receptive_field(nn.Sequential(Layer()).eval(), torch.zeros(1, 9), "0")
    assert (field.size, field.stride, field.start) == ((1,), (1,), (2,))
