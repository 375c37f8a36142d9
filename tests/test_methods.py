"""What every inversion method promises, and known answers of those that are no backward rules."""

import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from auralise.activations.layers import Unit
from auralise.errors import (
    AuraliseError,
    InvalidValueError,
    MissingPackageError,
    NetworkError,
    UnknownNameError,
    UnsupportedActivationError,
)
from auralise.inversion import INVERTERS, InversionOptions, invert_layer
from auralise.inversion.captum_methods import DeepLift, Occlusion
from auralise.inversion.integrated import IntegratedGradients
from auralise.inversion.optimise import ActivationMaximisation, FeatureInversion
from auralise.inversion.products import GradCam, GuidedGradCam
from auralise.inversion.progress import reporting
from auralise.inversion.scalars import gradients_of, in_groups, scalars_of

BACKWARD = ("gradient", "deconvnet", "guided")
SEARCHED = ("feature-inversion", "activation-maximisation")
NEEDS_CAPTUM = ("deeplift", "occlusion")
EVERY = sorted(INVERTERS)


@pytest.fixture(autouse=True)
def _captum():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        pytest.importorskip("captum")


def method_of(name):
    """The registered method; searches are short, so that tests are."""
    if name == "feature-inversion":
        return FeatureInversion(steps=15)
    if name == "activation-maximisation":
        return ActivationMaximisation(steps=15)
    return INVERTERS[name]


def planes(seed=0):
    torch.manual_seed(seed)
    return (
        nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(4, 3, 3, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(3 * 6 * 8, 5),
        )
        .double()
        .eval()
    )


def waves(seed=0):
    torch.manual_seed(seed)
    return (
        nn.Sequential(nn.Conv1d(1, 4, 5), nn.ReLU(), nn.MaxPool1d(2), nn.Conv1d(4, 3, 3), nn.ReLU())
        .double()
        .eval()
    )


def features_of(kind, seed=1):
    generator = torch.Generator().manual_seed(seed)
    shape = (1, 12, 16) if kind == "planes" else (1, 40)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


NETWORKS = {"planes": planes, "waves": waves}


def live(network, features, layer):
    """The most active channel of a layer."""
    with torch.no_grad():
        output = network[: int(layer) + 1](features[None])[0]
    return Unit(layer, int(output.flatten(1).amax(1).argmax()))


# What all methods promise


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("position", ["peak", "whole"])
@pytest.mark.parametrize("name", EVERY)
def test_a_map_has_the_shape_of_the_input_and_says_what_was_followed(name, kind, position):
    network, features = NETWORKS[kind](), features_of(kind)
    before = features.clone()
    unit = live(network, features, "4")
    found = method_of(name)(network, features, unit, position=position)
    values = network[:5](features[None])[0, unit.channel].detach()
    assert found.relevance.shape == features.shape
    assert found.relevance.dtype == features.dtype
    assert not found.relevance.requires_grad
    assert found.relevance.isfinite().all()
    assert found.relevance.any()
    assert (found.method, found.unit) == (name, unit)
    assert (found.position is None) == (position == "whole")
    expected = values.sum() if position == "whole" else values.max()
    assert found.activation == pytest.approx(float(expected), abs=1e-12)
    assert all(isinstance(flag, str) for flag in found.flags)
    assert "inactive" not in found.flags
    assert torch.equal(features, before)
    again = method_of(name)(network, features, unit, position=position)
    assert torch.equal(again.relevance, found.relevance)
    assert again.flags == found.flags


@pytest.mark.parametrize("name", EVERY)
def test_a_place_is_followed_where_it_was_asked_for(name):
    network, features = planes(), features_of("planes")
    unit = live(network, features, "4")
    found = method_of(name)(network, features, unit, position=(None, 3))
    column = network[:5](features[None])[0, unit.channel, :, 3].detach()
    assert found.position == (int(column.argmax()), 3)
    assert found.activation == pytest.approx(float(column.max()), abs=1e-12)


@pytest.mark.parametrize("name", EVERY)
def test_a_unit_that_does_not_answer_gets_a_zero_map_with_a_flag(name):
    network, features = planes(), features_of("planes")
    with torch.no_grad():
        network[3].bias.fill_(-100.0)
    found = method_of(name)(network, features, Unit("4", 0))
    assert not found.relevance.any()
    assert "inactive" in found.flags


@pytest.mark.parametrize("name", EVERY)
def test_the_network_is_left_as_it_was_found(name):
    network, features = planes(), features_of("planes")
    unit = live(network, features, "4")
    network[0].weight.requires_grad_(False)

    def state():
        hooks = [
            (len(m._forward_hooks), len(m._forward_pre_hooks), len(m._backward_hooks))
            for m in network.modules()
        ]
        asks = [(p.requires_grad, p.grad) for p in network.parameters()]
        return hooks, asks, [m.training for m in network.modules()]

    before, weights = state(), {k: v.clone() for k, v in network.state_dict().items()}
    method_of(name)(network, features, unit)
    for layer, channel, error in (("nowhere", 0, UnknownNameError), ("4", 99, InvalidValueError)):
        with pytest.raises(error):
            method_of(name)(network, features, Unit(layer, channel))
    assert state() == before
    assert all(torch.equal(v, weights[k]) for k, v in network.state_dict().items())


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("position", [(99, 0), (0,), (-1, 0), "nowhere"])
def test_a_place_outside_the_map_is_refused(name, position):
    network, features = planes(), features_of("planes")
    with pytest.raises(InvalidValueError, match="position"):
        method_of(name)(network, features, Unit("4", 0), position=position)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_features_that_are_not_finite_are_refused(name, value):
    features = features_of("planes")
    features[0, 3, 3] = value
    with pytest.raises(InvalidValueError, match="NaN or infinity"):
        method_of(name)(planes(), features, Unit("4", 0))


@pytest.mark.parametrize("name", EVERY)
def test_weights_that_are_not_finite_are_named(name):
    network = planes()
    with torch.no_grad():
        network[3].weight[0, 0, 0, 0] = float("nan")
    with pytest.raises(NetworkError, match=r"parameters 3\.weight"):
        method_of(name)(network, features_of("planes"), Unit("4", 0))


@pytest.mark.parametrize("name", EVERY)
def test_training_mode_is_refused(name):
    with pytest.raises(NetworkError, match="training mode"):
        method_of(name)(planes().train(), features_of("planes"), Unit("4", 0))


class _Pair(nn.Module):
    def forward(self, x):
        return x, x


class _TuplesInside(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.pair, self.last = nn.Conv2d(1, 2, 3), _Pair(), nn.ReLU()

    def forward(self, x):
        return self.last(self.pair(self.first(x))[0])


@pytest.mark.parametrize("name", EVERY)
def test_a_layer_that_gives_a_tuple_is_refused_and_passed_through(name):
    torch.manual_seed(0)
    network, features = _TuplesInside().double().eval(), features_of("planes")
    with pytest.raises(NetworkError, match="gives a tuple, not a tensor"):
        method_of(name)(network, features, Unit("pair", 0))
    assert method_of(name)(network, features, Unit("last", 0)).relevance.shape == features.shape


class _NoStatistics(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(2, track_running_stats=False)
        self.conv, self.act = nn.Conv2d(1, 2, 3), nn.ReLU()

    def forward(self, x):
        return self.act(self.norm(self.conv(x)))


@pytest.mark.parametrize("name", EVERY)
def test_batch_normalisation_without_statistics_is_refused(name):
    """It would mix the examples of a batch, so that one input's map hangs on the others'."""
    network = _NoStatistics().double().eval()
    with pytest.raises(NetworkError, match=r"norm.*running statistics"):
        method_of(name)(network, features_of("planes"), Unit("act", 0))


@pytest.mark.parametrize(
    "name", [name for name in EVERY if name not in (*BACKWARD, "guided-grad-cam")]
)
def test_choices_of_the_backward_rules_are_refused_elsewhere(name):
    with pytest.raises(InvalidValueError, match="no rule for activations"):
        INVERTERS[name](
            planes(),
            features_of("planes"),
            Unit("4", 0),
            options=InversionOptions(dead_windows="block"),
        )


@pytest.mark.parametrize("name", EVERY)
def test_layers_are_inverted_by_every_method(name):
    network, features = waves(), features_of("waves")
    if name in SEARCHED:
        found = invert_layer(network, features, "4", [1], method=name)
        assert next(found).unit == Unit("4", 1)
        return
    found = list(invert_layer(network, features, "4", method=name))
    assert [str(f.unit) for f in found] == ["4:0", "4:1", "4:2"]
    for inversion in found:
        alone = method_of(name)(network, features, inversion.unit)
        torch.testing.assert_close(inversion.relevance, alone.relevance, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["input-x-gradient", "integrated-gradients", "occlusion"])
def test_units_share_the_passes_of_a_layer(name):
    network, features = waves(), features_of("waves")
    with torch.no_grad():
        network[3].bias.fill_(5)
        network[3].weight[1], network[3].bias[1] = 0, 0  # a unit that is dead among two that live
    count, told = 0, []

    def counting(*_):
        nonlocal count
        count += 1

    network[0].register_forward_hook(counting)

    def passes(channels):
        nonlocal count
        count = 0
        with reporting(lambda done, total: told.append((done, total))):
            found = list(invert_layer(network, features, "4", channels, name))
        return found, count

    (_, alone), (found, shared) = passes([0]), passes([0, 1, 2])
    assert found[1].flags == ("inactive",)
    assert not found[1].relevance.any()
    extra = 2 * 2 if name == "integrated-gradients" else 0  # the one unit more is checked by sum
    assert shared <= alone + extra
    if name != "input-x-gradient":
        assert told[-1][0] == told[-1][1] == max(done for done, _ in told)
    for inversion in found:
        single = method_of(name)(network, features, inversion.unit)
        torch.testing.assert_close(inversion.relevance, single.relevance, rtol=0, atol=1e-12)


def test_nothing_is_left_switched_on_between_two_gradients():
    network, features = waves(), features_of("waves")
    scalars = scalars_of(network, features, [Unit("4", 0), Unit("4", 1)], "whole")
    with torch.no_grad():
        found = gradients_of(scalars, features[None])
        first = next(found)
        assert not torch.is_grad_enabled()
        second = next(found)
    assert first.shape == second.shape == features[None].shape


def test_units_are_divided_so_that_their_maps_fit():
    units = [Unit("4", channel) for channel in range(5)]
    assert [len(group) for group in in_groups(units, torch.zeros(1, 10), 20)] == [2, 2, 1]
    assert [len(group) for group in in_groups(units, torch.zeros(1, 100), 20)] == [1] * 5


def test_a_misspelt_method_is_answered_with_the_close_one():
    with pytest.raises(UnknownNameError, match="integrated-gradients"):
        invert_layer(waves(), features_of("waves"), "4", method="integrated-gradient")


# Known answers


def linear():
    """A sum with weights 1, -2, 3 over three samples; no bias."""
    network = nn.Sequential(nn.Conv1d(1, 1, 3, bias=False)).double().eval()
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([[[1.0, -2.0, 3.0]]]))
    return network


@pytest.mark.parametrize("name", ["input-x-gradient", "integrated-gradients", "deeplift"])
def test_on_a_linear_network_each_input_gets_its_product_with_its_weight(name):
    features = torch.tensor([[2.0, 0.5, 1.0]], dtype=torch.float64)
    found = INVERTERS[name](linear(), features, Unit("0", 0))
    expected = torch.tensor([[2.0, -1.0, 3.0]], dtype=torch.float64)
    torch.testing.assert_close(found.relevance, expected, rtol=0, atol=1e-12)
    assert found.activation == pytest.approx(4.0)


def test_occlusion_of_a_linear_network_is_the_sum_that_is_taken_away():
    network = nn.Sequential(nn.Conv1d(1, 1, 4, bias=False)).double().eval()
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([[[1.0, 2.0, 3.0, 4.0]]]))
    found = Occlusion("stretches", parts=4)(network, torch.ones(1, 4).double(), Unit("0", 0))
    assert found.relevance[0].tolist() == [1.0, 2.0, 3.0, 4.0]
    halves = Occlusion("stretches", parts=2)(network, torch.ones(1, 4).double(), Unit("0", 0))
    # Stretches 0-1, 1-2, 2-3 hold 3, 5, 7; inner places are in two of them.
    assert halves.relevance[0].tolist() == [3.0, 4.0, 6.0, 7.0]


def test_bands_and_stretches_are_those_of_sound():
    network, features = planes(), features_of("planes")
    unit = live(network, features, "4")
    bands = Occlusion("bands", parts=4)(network, features, unit, position="whole").relevance[0]
    assert torch.equal(bands, bands[:, :1].expand_as(bands))
    stretches = Occlusion("stretches", parts=4)(network, features, unit, position="whole")
    row = stretches.relevance[0][:1]
    assert torch.equal(stretches.relevance[0], row.expand_as(stretches.relevance[0]))
    sound = features_of("waves")
    audible = live(waves(), sound, "4")
    with pytest.raises(InvalidValueError, match="no bands"):
        Occlusion("bands")(waves(), sound, audible)


def difference(network, features, unit, baseline):
    """The unit's whole map on the features, minus that on the baseline."""
    zero = torch.zeros((), dtype=torch.float64)
    nothing = {
        "silence": features.min() if features.ndim == 3 else zero,
        "zero": zero,
        "mean": features.mean(),
    }[baseline].expand_as(features)
    with torch.no_grad():
        values = [network[:5](x[None])[0, unit.channel].sum() for x in (features, nothing)]
    return float(values[0] - values[1])


@pytest.mark.parametrize("baseline", ["silence", "zero", "mean"])
@pytest.mark.parametrize("kind", NETWORKS)
def test_integrated_gradients_add_up_to_the_difference(kind, baseline):
    network, features = NETWORKS[kind](), features_of(kind)
    unit = live(network, features, "4")
    found = IntegratedGradients(baseline, steps=400)(network, features, unit, position="whole")
    expected = difference(network, features, unit, baseline)
    assert float(found.relevance.sum()) == pytest.approx(expected, rel=0.01)
    assert found.flags == ()


@pytest.mark.parametrize("baseline", ["silence", "zero", "mean"])
@pytest.mark.parametrize("kind", NETWORKS)
def test_deeplift_adds_up_without_pooling_and_says_where_captum_s_does_not(kind, baseline):
    network, features = NETWORKS[kind](), features_of(kind)
    unit = live(network, features, "4")
    pooled = DeepLift(baseline)(network, features, unit, position="whole")
    wanted = difference(network, features, unit, baseline)
    assert bool(pooled.flags) == (abs(float(pooled.relevance.sum()) / wanted - 1) > 0.01)
    network[2] = nn.Identity().eval()
    unit = live(network, features, "4")
    found = DeepLift(baseline)(network, features, unit, position="whole")
    expected = difference(network, features, unit, baseline)
    assert float(found.relevance.sum()) == pytest.approx(expected, rel=1e-9)
    assert found.flags == ()


def test_integrated_gradients_say_by_how_much_they_miss():
    """The unit opens at 0.9 of the way, and one step looks at half of it: nothing is seen."""
    network = nn.Sequential(nn.Conv1d(1, 1, 1), nn.ReLU()).double().eval()
    with torch.no_grad():
        network[0].weight.fill_(1.0)
        network[0].bias.fill_(-0.9)
    found = IntegratedGradients(steps=1)(network, torch.ones(1, 1).double(), Unit("1", 0))
    assert found.flags == ("misses the difference by 100 %",)


def test_grad_cam_is_the_weighted_sum_of_the_layer_below():
    """Two maps, weighted 1 and -1 by a dense layer over their sums; resized from equal size."""

    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.maps, self.act, self.out = nn.Conv1d(1, 2, 1), nn.ReLU(), nn.Linear(2, 1)

        def forward(self, x):
            return self.out(self.act(self.maps(x)).sum(2))

    network = Two().double().eval()
    with torch.no_grad():
        network.maps.weight.copy_(torch.tensor([[[2.0]], [[-3.0]]]))
        network.maps.bias.zero_()
        network.out.weight.copy_(torch.tensor([[1.0, -1.0]]))
        network.out.bias.fill_(50.0)
    features = torch.tensor([[1.0, -1.0, 4.0]], dtype=torch.float64)
    found = GradCam()(network, features, Unit("out", 0))
    assert found.flags == ("interpolated from act",)
    assert found.relevance[0].tolist() == [2.0, 0.0, 8.0]
    both = GuidedGradCam()(network, features, Unit("out", 0))
    guided = INVERTERS["guided"](network, features, Unit("out", 0)).relevance
    assert torch.equal(both.relevance, guided * found.relevance)


def test_grad_cam_agrees_with_captum():
    from captum.attr import LayerGradCam

    network, features = planes(), features_of("planes")
    expected = LayerGradCam(network, network[4]).attribute(
        features[None], 2, relu_attributions=True
    )
    found = GradCam("4")(network, features, Unit("6", 2))
    wide = F.interpolate(expected, features.shape[1:], mode="bilinear")[0]
    torch.testing.assert_close(found.relevance, wide.detach(), rtol=0, atol=1e-12)


def test_input_times_gradient_agrees_with_captum():
    from captum.attr import InputXGradient

    network, features = planes(), features_of("planes")
    expected = InputXGradient(network).attribute(features[None].requires_grad_(), 3)[0]
    found = INVERTERS["input-x-gradient"](network, features, Unit("6", 3))
    torch.testing.assert_close(found.relevance, expected.detach(), rtol=0, atol=1e-12)


def test_integrated_gradients_agree_with_captum():
    from captum.attr import IntegratedGradients as Theirs

    network, features = planes().float(), features_of("planes").float()
    nothing = features.min().expand_as(features)
    expected = Theirs(network).attribute(features[None], nothing[None], 3, n_steps=32)[0]
    found = IntegratedGradients()(network, features, Unit("6", 3))
    torch.testing.assert_close(found.relevance, expected.detach(), rtol=0, atol=1e-6)


def test_grad_cam_needs_a_layer_below_with_maps():
    network, features = planes(), features_of("planes")
    with pytest.raises(InvalidValueError, match="no layer below 0:1 gives maps"):
        GradCam()(network, features, Unit("0", 1))
    with pytest.raises(InvalidValueError, match="no layer 'nowhere'"):
        GradCam("nowhere")(network, features, Unit("6", 1))
    with pytest.raises(InvalidValueError, match="gives no maps"):
        GradCam("5")(network, features, Unit("6", 1))
    with pytest.raises(InvalidValueError, match="runs 0 times"):
        GradCam("3")(network, features, Unit("1", 1), position="whole")


# Where captum's DeepLIFT would be wrong


class _Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.after = nn.Conv2d(1, 3, 3), nn.Conv2d(3, 2, 3)

    def forward(self, x):
        return self.after(F.relu(self.conv(x)))


class _Reused(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.after, self.act = nn.Conv2d(1, 3, 3), nn.Conv2d(3, 2, 3), nn.ReLU()

    def forward(self, x):
        return self.act(self.after(self.act(self.conv(x))))


def pooled(**pooling):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.MaxPool2d(**pooling), nn.Conv2d(3, 2, 3))


@pytest.mark.parametrize(
    ("network", "layer", "message"),
    [
        (_Functional(), "after", "not as modules"),
        (_Reused(), "act@2", "called 2 times"),
        (pooled(kernel_size=3, stride=2), "2", "overlap"),
        (pooled(kernel_size=3, stride=2, padding=1), "2", "overlap"),
        (nn.Sequential(nn.Conv2d(1, 3, 3), nn.SiLU(), nn.Conv2d(3, 2, 3)), "2", "no rule for Silu"),
        (nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU6(), nn.Conv2d(3, 2, 3)), "2", "Hardtanh"),
    ],
)
def test_networks_of_which_deeplift_would_miss_something_are_refused(network, layer, message):
    with pytest.raises(UnsupportedActivationError, match=message):
        INVERTERS["deeplift"](network.double().eval(), features_of("planes"), Unit(layer, 0))


def test_integrated_gradients_need_no_modules():
    torch.manual_seed(0)
    network, features = _Functional().double().eval(), features_of("planes")
    twin = nn.Sequential(network.conv, nn.ReLU(), network.after).eval()
    own = INVERTERS["integrated-gradients"](network, features, Unit("after", 0))
    other = INVERTERS["integrated-gradients"](twin, features, Unit("2", 0))
    torch.testing.assert_close(own.relevance, other.relevance, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", NEEDS_CAPTUM)
def test_without_captum_it_is_said_how_to_get_it(name, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "captum", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'auralise\[captum\]'"):
        INVERTERS[name](planes(), features_of("planes"), live(planes(), features_of("planes"), "4"))


# Searches


@pytest.mark.parametrize("kind", NETWORKS)
def test_an_inverted_feature_has_the_unit_s_answer_and_less_of_everything_else(kind):
    network, features = NETWORKS[kind](), features_of(kind)
    unit = live(network, features, "4")
    found = FeatureInversion(steps=300)(network, features, unit)
    with torch.no_grad():
        answer = network[:5](found.relevance[None])[0, unit.channel][found.position]
    assert float(answer) == pytest.approx(found.activation, rel=0.15)
    silence = features.min() if kind == "planes" else 0.0
    assert (found.relevance - silence).abs().mean() < 0.5 * (features - silence).abs().mean()
    assert found.relevance.min() >= -features.abs().max()
    assert found.relevance.max() <= features.abs().max()
    assert "no part of the source" in found.flags[0]


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_maximised_activation_is_above_the_source_s(kind):
    network, features = NETWORKS[kind](), features_of(kind)
    unit = live(network, features, "4")
    found = ActivationMaximisation(steps=150, jitter=1)(network, features, unit)
    with torch.no_grad():
        answer = network[:5](found.relevance[None])[0, unit.channel][found.position]
    assert float(answer) > 1.2 * found.activation
    assert found.relevance.abs().max() <= features.abs().max()


@pytest.mark.parametrize("make", [FeatureInversion, ActivationMaximisation])
def test_a_search_tells_how_far_it_is_and_stops_early(make):
    network, features = planes(), features_of("planes")
    told = []
    with reporting(lambda done, total: told.append((done, total))):
        make(steps=400, patience=5)(network, features, live(network, features, "4"))
    done = [step for step, _ in told]
    assert done[:3] == [1, 2, 3]
    assert len(told) < 400  # it ended before
    assert told[-1] == (400, 400)


@pytest.mark.parametrize("make", [FeatureInversion, ActivationMaximisation])
def test_another_seed_begins_elsewhere(make):
    network, features = planes(), features_of("planes")
    unit = live(network, features, "4")
    one, other = (make(steps=5, seed=s)(network, features, unit).relevance for s in (0, 1))
    assert not torch.equal(one, other)


@pytest.mark.parametrize("make", [FeatureInversion, ActivationMaximisation])
def test_constant_features_have_no_range_to_search_in(make):
    network = planes()
    with torch.no_grad():
        network[3].bias.fill_(100.0)
    with pytest.raises(InvalidValueError, match="all features are equal"):
        make(steps=5)(network, torch.zeros(1, 12, 16).double(), Unit("4", 0))


def test_where_noise_gives_no_gradient_the_search_begins_at_the_source():
    """The unit opens only where the input is far above what noise reaches."""
    network = nn.Sequential(nn.Conv1d(1, 1, 1), nn.ReLU()).double().eval()
    features = torch.zeros(1, 200).double()
    features[0, 50] = 10.0
    with torch.no_grad():
        network[0].weight.fill_(1.0)
        network[0].bias.fill_(-9.0)
    found = FeatureInversion(steps=5)(network, features, Unit("1", 0), position="whole")
    assert any("begun at the source" in flag for flag in found.flags)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: IntegratedGradients("nothing"), "baseline must be one of"),
        (lambda: IntegratedGradients(steps=0), "steps must be at least 1"),
        (lambda: Occlusion("words"), "occluder must be one of"),
        (lambda: Occlusion(parts=1), "parts must be at least 2"),
        (lambda: FeatureInversion(steps=0), "steps must be at least 1"),
        (lambda: FeatureInversion(rate=0), "rate must be positive"),
        (lambda: FeatureInversion(energy=-1), "energy must be at least 0"),
        (lambda: ActivationMaximisation(jitter=-1), "jitter must be at least 0"),
        (lambda: ActivationMaximisation(rate=float("nan")), "rate must be positive"),
        (lambda: ActivationMaximisation(seed=-1), "seed must be at least 0"),
    ],
)
def test_options_out_of_range_are_refused(make, message):
    with pytest.raises(InvalidValueError, match=message):
        make()


def test_errors_are_ours():
    assert issubclass(MissingPackageError, AuraliseError)
    assert issubclass(MissingPackageError, ImportError)
