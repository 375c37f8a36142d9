"""Which part of the input a layer's positions see, found by sending supports backwards."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node
from torch.nn import functional as F

from auralise.activations.graph import nodes_behind, operation
from auralise.activations.recorder import stop_at
from auralise.errors import InvalidValueError, NetworkError

GROWTH = (2, 4, 8)
"""How much longer the input is made, at most, to see a field whole that the given one cuts off."""

Window = tuple[int, int]
"""First and last place of an axis that a position sees."""


@dataclass(frozen=True, slots=True)
class ReceptiveField:
    """What the positions of a layer see along each axis of the input behind the channel axis.

    Position ``p`` sees the ``size`` places from ``floor(start + p * stride)`` on, those in the
    padding included.

    Attributes
    ----------
    size : tuple of int
        Places seen by one position.
    stride : tuple of float
        Step from one position to the next, in places of the input; a whole number unless the
        network upsamples; 0 where all positions see the same places.
    start : tuple of int
        First place that position 0 sees; negative where it lies in the padding.
    axes : tuple of int or None
        The layer's axis (behind its channel axis) along which the field moves; None where the
        layer has no such axis, as behind a dense layer.

    Examples
    --------
    >>> field = ReceptiveField(size=(5,), stride=(2,), start=(-2,), axes=(0,))
    >>> field.extent((0,), (9,)), field.extent((3,), (9,))
    ((slice(0, 3, None),), (slice(4, 9, None),))
    """

    size: tuple[int, ...]
    stride: tuple[float, ...]
    start: tuple[int, ...]
    axes: tuple[int | None, ...]

    def extent(self, position: Sequence[int], input_shape: Sequence[int]) -> tuple[slice, ...]:
        """Return the stretch of the input that a position sees, without the padding.

        Parameters
        ----------
        position : sequence of int
            Index behind the channel axis of the layer's output.
        input_shape : sequence of int
            Lengths of the input behind its channel axis: ``features.shape[1:]``.

        Returns
        -------
        tuple of slice
            One for each input axis, within it.

        Raises
        ------
        InvalidValueError
            If ``position`` or ``input_shape`` has too few entries.
        """
        wanted = max((axis + 1 for axis in self.axes if axis is not None), default=0)
        if len(position) < wanted or len(input_shape) != len(self.size):
            raise InvalidValueError(
                f"this field needs a position with {wanted} entries and an input with "
                f"{len(self.size)} axes behind the channels; got position {tuple(position)} "
                f"and shape {tuple(input_shape)}"
            )
        stretches = []
        for axis, length in enumerate(input_shape):
            driver = self.axes[axis]
            steps = 0 if driver is None else position[driver]
            first = math.floor(self.start[axis] + steps * self.stride[axis])
            stop = min(first + self.size[axis], length)
            stretches.append(slice(max(first, 0), max(stop, 0)))
        return tuple(stretches)


def receptive_field(network: nn.Module, features: Tensor, layer: str) -> ReceptiveField:
    """Measure what the positions of a layer see.

    The forward pass runs on positive random numbers with positive random weights in place of the
    network's own, so that nothing cancels and no filter is dead; on the way back activation
    functions let everything through, max-pooling answers to its whole window, and every
    operation's answer is reduced to where it is not zero. What comes out depends on the
    architecture alone. Where the field is cut off by the ends of the input, longer inputs are
    tried (up to eight times, axis by axis); where it still fills them, or the network takes no
    other length, the layer sees the whole input.

    Parameters
    ----------
    network : nn.Module
        In evaluation mode. Left as it was found.
    features : Tensor, shape (channels, ...)
        One example without a batch axis; only its shape and dtype matter.
    layer : str
        Name as in ``network.named_modules()``.

    Returns
    -------
    ReceptiveField
        Exact where positions step by a whole number of places; where they do not (upsampling,
        adaptive pooling to several positions), wide enough for all positions that were probed.
        A layer that sees the whole input has its length as size, at stride 0 from place 0.

    Raises
    ------
    UnknownNameError
        If there is no such layer.
    NetworkError
        If the network is in training mode, or the layer's output is not a tensor made from the
        input by differentiable operations.

    References
    ----------
    .. [1] A. Araujo, W. Norris, J. Sim, "Computing receptive fields of convolutional neural
       networks", Distill, 2019 (the closed form for chains of layers).

    Examples
    --------
    >>> network = nn.Sequential(nn.Conv1d(1, 2, 5, stride=2, padding=2), nn.ReLU()).eval()
    >>> receptive_field(network, torch.zeros(1, 20), "1")
    ReceptiveField(size=(5,), stride=(2,), start=(-2,), axes=(0,))
    """
    probe = _Probe(network, layer, features)
    first = probe.windows(tuple(features.shape[1:]))
    fields = [_axis(probe, first, axis) for axis in range(features.ndim - 1)]
    size, stride, start, axes = zip(*fields, strict=True) if fields else ((), (), (), ())
    return ReceptiveField(size, stride, start, axes)


_Field = tuple[int, float, int, int | None]


@dataclass(frozen=True, slots=True)
class _Windows:
    """What was seen on one input: its lengths, the layer's, and windows by (layer axis, position).

    Each entry holds one window for every input axis.
    """

    lengths: tuple[int, ...]
    positions: tuple[int, ...]
    seen: Mapping[tuple[int, int], tuple[Window, ...]]

    def along(self, driver: int, axis: int) -> dict[int, Window]:
        """Return position -> window on an input axis, for positions along a layer's axis."""
        return {p: windows[axis] for (d, p), windows in self.seen.items() if d == driver}


def _axis(probe: _Probe, first: _Windows, axis: int) -> _Field:
    """Return size, stride, start and driving axis for one input axis, on longer inputs if needed."""
    field = _fit(first, axis)
    if field is not None:
        return field
    length = first.lengths[axis]
    whole = (length, 0, 0, None)
    for factor in GROWTH if first.positions else ():
        lengths = list(first.lengths)
        lengths[axis] = factor * length
        try:
            grown = probe.windows(tuple(lengths))
        except RuntimeError:  # torch's answer where a layer takes one length only
            break
        field = _fit(grown, axis)
        if field is not None:
            return field
        if grown.positions == first.positions:  # adaptive: more input gives no more positions
            break
    return _fixed(first, axis) or whole


def _fixed(windows: _Windows, axis: int) -> _Field | None:
    """Return the field where one window serves all positions and ends inside the input."""
    found = {w[axis] for w in windows.seen.values()}
    low, high = min(w[0] for w in found), max(w[1] for w in found)
    inside = low > 0 and high < windows.lengths[axis] - 1
    return (high - low + 1, 0, low, None) if len(found) == 1 and inside else None


def _fit(windows: _Windows, axis: int) -> _Field | None:
    """Fit first places that step evenly to the windows that the input's ends do not cut off."""
    last = windows.lengths[axis] - 1
    drivers = [
        driver
        for driver in range(len(windows.positions))
        if len(set(windows.along(driver, axis).values())) > 1
    ]
    if len(drivers) != 1:
        return None
    along = windows.along(drivers[0], axis)
    lows = {p: low for p, (low, _) in along.items() if low > 0}
    highs = {p: high for p, (_, high) in along.items() if high < last}
    if not lows or not highs or max(len(lows), len(highs)) < 2:
        return None
    ends = max(lows, highs, key=lambda places: max(places) - min(places))
    p, q = min(ends), max(ends)
    slope = (ends[q] - ends[p]) / (q - p)
    stride = int(slope) if slope.is_integer() else slope
    start = math.floor(min(low - p * stride for p, low in lows.items()))
    end = math.ceil(max(high - p * stride for p, high in highs.items()))
    return end - start + 1, stride, start, drivers[0]


class _Probe:
    """Runs a network up to a layer on inputs of any length and sends supports back."""

    def __init__(self, network: nn.Module, layer: str, features: Tensor) -> None:
        self.network = network
        self.layer = layer
        self.features = features
        self.random = torch.Generator().manual_seed(0)
        self.weights = {
            name: self.positive(p) / (p[0].numel() if p.ndim > 1 else 1)
            for name, p in network.named_parameters()
            if p.is_floating_point()
        }

    def positive(self, like: Tensor, shape: Sequence[int] | None = None) -> Tensor:
        """Return numbers in [0.5, 1.5) of the dtype and on the device of ``like``."""
        shape = like.shape if shape is None else shape
        return (torch.rand(shape, generator=self.random) + 0.5).to(like.device, like.dtype)

    def windows(self, lengths: tuple[int, ...]) -> _Windows:
        """Return what positions at both ends and in the middle of each layer axis see."""
        with torch.inference_mode(False), torch.enable_grad():
            leaf = self.positive(self.features, (1, self.features.shape[0], *lengths))
            leaf.requires_grad_()
            output = stop_at(self.network, self.layer, lambda: self._forward(leaf.clone()))
            if output.grad_fn is None or output.ndim < 2:
                raise NetworkError(
                    f"layer {self.layer!r} has no channel axis, or its output of shape "
                    f"{tuple(output.shape)} is not made from the input by differentiable operations"
                )
            for node in nodes_behind(output):
                node.register_hook(_supporting(node, self.positive))
            positions = tuple(output.shape[2:])
            seen = {
                (axis, p): self._seen(leaf, output, axis, p)
                for axis, length in enumerate(positions)
                for p in _probed(length)
            }
            if not positions:
                seen[0, 0] = self._seen(leaf, output, None, 0)
        return _Windows(lengths, positions, seen)

    def _forward(self, batch: Tensor) -> object:
        return torch.func.functional_call(self.network, self.weights, (batch,))

    def _seen(self, leaf: Tensor, output: Tensor, axis: int | None, p: int) -> tuple[Window, ...]:
        """Return the window on each input axis that position ``p`` along a layer's axis sees."""
        seed = torch.ones_like(output)
        if axis is not None:
            seed.zero_().select(axis + 2, p).fill_(1)
        (support,) = torch.autograd.grad(output, leaf, seed, retain_graph=True, allow_unused=True)
        if support is None or not support.any():
            raise NetworkError(f"layer {self.layer!r} does not depend on the input")
        places = support[0].nonzero()[:, 1:]
        low, high = places.amin(0).tolist(), places.amax(0).tolist()
        return tuple(zip(low, high, strict=True))


def _probed(length: int) -> list[int]:
    """Return the positions to look from: two at each end and three in the middle."""
    middle = length // 2
    wanted = {0, 1, middle - 1, middle, middle + 1, length - 2, length - 1}
    return sorted(p for p in wanted if 0 <= p < length)


Grads = tuple[Tensor | None, ...]
Spread = Callable[[Tensor, Tensor], Tensor]
"""From the support of an operation's output and a tensor like its input to the input's support."""


def _supporting(node: Node, positive: Callable[[Tensor], Tensor]) -> Callable[[Grads, Grads], Grads]:
    """Return a hook that replaces a node's gradients by positive numbers where its support is."""
    spread = _spread_of(node)

    def hook(inputs: Grads, outputs: Grads) -> Grads:
        signal = outputs[0]
        replaced = []
        for grad in inputs:
            if grad is not None and signal is not None and spread is not None:
                grad = spread((signal != 0).to(signal), grad)
            replaced.append(None if grad is None else torch.where(grad != 0, positive(grad), 0))
        return tuple(replaced)

    return hook


_POINTWISE = frozenset(
    "Abs Celu Clamp ClampMin ClampMax Elu Gelu Hardshrink Hardsigmoid Hardswish Hardtanh LeakyRelu"
    " LogSigmoid Maximum Minimum Mish PreluKernel Relu RreluWithNoise Sigmoid Silu Softplus"
    " Softshrink Tanh Threshold".split()
)


def _spread_of(node: Node) -> Spread | None:
    """Return what replaces the derivative of operations that depend on the data; else None."""
    name = operation(node)
    if name in _POINTWISE:
        return lambda signal, grad: signal if signal.shape == grad.shape else grad
    if name.startswith("MaxPool"):
        return _max_pool(node)
    if name.startswith("AdaptiveMaxPool"):
        return _adaptive_max_pool
    if name in {"Max", "Min", "Amax", "Amin", "Median", "Kthvalue", "Topk", "Sort"}:
        return _reduction(node)
    return None


def _max_pool(node: Node) -> Spread:
    """Spread over all windows: the transposed convolution with a kernel of ones."""
    kernel, stride, padding, dilation = (
        list(getattr(node, f"_saved_{name}"))
        for name in ("kernel_size", "stride", "padding", "dilation")
    )
    dimensions = len(kernel)
    transposed = (F.conv_transpose2d, F.conv_transpose3d)[dimensions - 2]

    def spread(signal: Tensor, grad: Tensor) -> Tensor:
        batch = signal.flatten(0, -dimensions - 1)[:, None]
        ones = torch.ones((1, 1, *kernel), dtype=signal.dtype, device=signal.device)
        wide = transposed(batch, ones, stride=stride or kernel, dilation=dilation)
        sizes = grad.shape[-dimensions:]
        crop = []
        for size, before, length in zip(sizes, padding, wide.shape[2:], strict=True):
            crop = [-before, size + before - length, *crop]
        return F.pad(wide, crop).reshape(grad.shape)

    return spread


def _adaptive_max_pool(signal: Tensor, grad: Tensor) -> Tensor:
    """Spread over the windows, which average-pooling to the same size has too."""
    pool = F.adaptive_avg_pool3d if "3" in str(signal.ndim - 2) else F.adaptive_avg_pool2d
    with torch.enable_grad():
        ones = torch.ones_like(grad, requires_grad=True)
        pooled = pool(ones, signal.shape[2:])
        (spread,) = torch.autograd.grad(pooled, ones, signal)
    return spread


def _reduction(node: Node) -> Spread:
    """Spread over the reduced axes: each of their places may have been the chosen one."""
    dims = getattr(node, "_saved_dim", ())
    dims = [dims] if isinstance(dims, int) else list(dims)
    kept = getattr(node, "_saved_keepdim", operation(node) in {"Topk", "Sort"})

    def spread(signal: Tensor, grad: Tensor) -> Tensor:
        places = sorted(_signed(dim) % grad.ndim for dim in dims) or list(range(grad.ndim))
        for place in () if kept or signal.ndim == grad.ndim else places:
            signal = signal.unsqueeze(place)
        return signal.sum(places, keepdim=True).expand_as(grad)

    return spread


def _signed(number: int) -> int:
    """Undo the wrap-around with which autograd shows a negative axis."""
    return number - 2**64 if number >= 2**63 else number
