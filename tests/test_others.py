"""Networks that others wrote go through inversion, each against a reference with another mechanism.

The reference replaces functions while the forward pass runs, where auralise works on the recorded
graph: every ReLU, however it is called, becomes a function with a rule of its own, every
max-pooling one that adds what a window received at the place that won. The packages are for tests
only; without them these tests are skipped.
"""

import importlib.util
import sys
import types

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from auralise.activations import Unit
from auralise.errors import UnsupportedActivationError
from auralise.inversion import INVERTERS, invert_layer

METHODS = ["gradient", "deconvnet", "guided"]


class _RuledReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values, method):
        ctx.save_for_backward(values)
        ctx.method = method
        return values * (values > 0)

    @staticmethod
    def backward(ctx, signal):
        (values,) = ctx.saved_tensors
        if ctx.method != "deconvnet":
            signal = signal * (values > 0)
        if ctx.method != "gradient":
            signal = signal * (signal > 0)
        return signal, None


class _AddingPool(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values, pool, args, kwargs):
        kwargs = {**kwargs, "return_indices": True}
        pooled, won = pool(values, *args, **kwargs)
        ctx.save_for_backward(won)
        ctx.shape = values.shape
        return pooled

    @staticmethod
    def backward(ctx, signal):
        (won,) = ctx.saved_tensors
        sent = signal.new_zeros(*ctx.shape[:2], ctx.shape[2:].numel())
        sent.scatter_add_(2, won.flatten(2), signal.flatten(2))
        return sent.reshape(ctx.shape), None, None, None


RELUS = {F.relu, F.relu_, torch.relu, torch.relu_, torch.Tensor.relu, torch.Tensor.relu_}
POOLS = {F.max_pool1d: F.max_pool1d, F.max_pool2d: F.max_pool2d}


class Reference(TorchFunctionMode):
    def __init__(self, method):
        super().__init__()
        self.method = method
        self.met = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func in RELUS:
            self.met += 1
            return _RuledReLU.apply(args[0], self.method)
        if func in POOLS and not kwargs.get("return_indices"):
            return _AddingPool.apply(args[0], func, args[1:], kwargs)
        return func(*args, **kwargs)


def reference(network, features, layer, channel, method):
    """The strongest value of a unit, sent back; also how many ReLUs were called."""
    kept = []
    handle = network.get_submodule(layer).register_forward_hook(
        lambda _module, _inputs, output: kept.append(output)
    )
    leaf = features[None].clone().requires_grad_()
    try:
        with Reference(method) as rules:
            network(leaf)
    finally:
        handle.remove()
    values = kept[-1][0, channel]
    strongest = values.reshape(-1)[values.argmax()]
    seed = strongest.detach() if method == "gradient" else strongest.detach().clamp(min=0)
    (relevance,) = torch.autograd.grad(strongest, leaf, seed)
    return relevance[0], rules.met


def randomised(network, seed=0):
    """Random weights and statistics of normalisation, in double precision and evaluation mode."""
    generator = torch.Generator().manual_seed(seed)
    network = network.double().eval()
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            n = module.num_features
            module.running_mean.copy_(0.1 * torch.randn(n, generator=generator).double())
            module.running_var.copy_(0.5 + torch.rand(n, generator=generator).double())
            if module.affine:
                with torch.no_grad():
                    module.weight.copy_(0.5 + torch.rand(n, generator=generator).double())
                    module.bias.copy_(0.1 * torch.randn(n, generator=generator).double())
    return network.requires_grad_(False)


def monai():
    return pytest.importorskip("monai.networks.nets", reason="monai is not installed")


def panns():
    """The package's model code alone: importing the package itself looks for files to download."""
    spec = importlib.util.find_spec("panns_inference")
    if spec is None:
        pytest.skip("panns-inference is not installed")
    if "panns_inference" not in sys.modules:
        package = types.ModuleType("panns_inference")
        package.__spec__ = spec
        package.__path__ = list(spec.submodule_search_locations)
        sys.modules["panns_inference"] = package
    return importlib.import_module("panns_inference.models")


def residual():
    return monai().ResNet("basic", [1, 1, 1, 1], [4, 6, 8, 8], spatial_dims=2, n_input_channels=1)


def bottleneck():
    """Along one axis, as for raw audio."""
    return monai().ResNet(
        "bottleneck", [1, 2, 1, 1], [4, 4, 4, 4], spatial_dims=1, n_input_channels=1
    )


def resnet18():
    return monai().resnet18(spatial_dims=2, n_input_channels=1, num_classes=4)


def dense(axes):
    return monai().DenseNet(
        spatial_dims=axes,
        in_channels=1,
        out_channels=3,
        init_features=6,
        growth_rate=4,
        block_config=(2, 2),
    )


def dilated():
    parameters = [
        {"name": "conv_0", "n_features": 4, "kernel_size": 3},
        {"name": "res_1", "n_features": 4, "kernels": (3, 3), "repeat": 2},
        {"name": "res_2", "n_features": 6, "kernels": (3, 3), "repeat": 1},
        {"name": "conv_1", "n_features": 8, "kernel_size": 1},
        {"name": "conv_2", "kernel_size": 1},
    ]
    return monai().HighResNet(2, 1, 3, norm_type="batch", layer_params=parameters)


def skipping():
    return monai().UNet(2, 1, 2, channels=(4, 6, 8), strides=(2, 2), act="RELU", norm="BATCH")


def audio_blocks():
    """Blocks of the audio-tagging networks, whose ReLUs are functions in place."""
    made = panns()
    return nn.Sequential(made.ConvBlock(1, 4), made.ConvBlock(4, 6), made.ConvBlock(6, 8))


PLANE, WAVE = (1, 48, 64), (1, 512)
# name: network, shape of its input, layer that is inverted, ReLUs that are called on the way
NETWORKS = {
    "residual": (residual, PLANE, "layer4"),
    "residual, 18 layers": (resnet18, PLANE, "layer2"),
    "residual with bottlenecks, one axis": (bottleneck, WAVE, "layer2"),
    "dense": (lambda: dense(2), PLANE, "features.denseblock2"),
    "dense, one axis": (lambda: dense(1), WAVE, "features.denseblock2"),
    "dilated residual": (dilated, PLANE, "blocks.3"),
    "skips and transposed convolution": (skipping, PLANE, "model.2"),
    "functional ReLUs in place": (audio_blocks, (1, 64, 40), "2"),
}


def made(name):
    make, shape, layer = NETWORKS[name]
    torch.manual_seed(0)
    network = randomised(make())
    features = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return network, features, layer


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_by_others_get_the_map_of_the_reference(name, method):
    network, features, layer = made(name)
    for found in invert_layer(network, features, layer, [1, 0], method):
        expected, met = reference(network, features, layer, found.unit.channel, method)
        assert met > 0
        assert expected.any() or found.flags
        scale = expected.abs().max().clamp(min=1e-300)
        assert ((found.relevance - expected).abs().max() / scale) < 1e-10


@pytest.mark.parametrize("name", NETWORKS)
def test_all_units_of_a_layer_are_those_one_by_one(name):
    network, features, layer = made(name)
    for found in invert_layer(network, features, layer, [1, 0], "guided"):
        alone = INVERTERS["guided"](network, features, found.unit)
        torch.testing.assert_close(found.relevance, alone.relevance, rtol=0, atol=1e-12)


@pytest.mark.parametrize("method", ["deconvnet", "guided"])
@pytest.mark.parametrize(
    ("make", "layer", "message"),
    [
        (lambda: monai().UNet(2, 1, 2, channels=(4, 6), strides=(2,)), "model.2", "PReLU"),
        (
            lambda: monai().SENet(
                2, 1, "se_resnet_bottleneck", [1, 1, 1, 1], 1, 4, inplanes=16, num_classes=2,
                dropout_prob=None, input_3x3=False, downsample_kernel_size=1,
            ),
            "layer1",
            "Sigmoid",
        ),
    ],
    ids=["PReLU", "squeeze and excitation"],
)  # fmt: skip
def test_networks_by_others_with_other_activations_are_refused(make, layer, message, method):
    network = randomised(make())
    features = torch.randn(PLANE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    with pytest.raises(UnsupportedActivationError, match=message):
        INVERTERS[method](network, features, Unit(layer, 0))
    assert any(f.relevance.any() for f in invert_layer(network, features, layer, None, "gradient"))
