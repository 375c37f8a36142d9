"""Slow explicit re-implementations that tests compare with: nothing here uses autograd.

A network is a list of steps. Going forward, each step keeps what its way back needs (the sign of
a ReLU's input, the switch of every pooling window); going back, filters are applied transposed,
tap by tap, and what a window received is added at its switch.
"""

from dataclasses import dataclass, field
from itertools import product

import torch


def relu_backward(method, signal, values):
    """What a ReLU with input ``values`` sends on, written out from the papers."""
    if method == "gradient":
        return signal * (values > 0)
    if method == "deconvnet":
        return signal * (signal > 0)
    return signal * (values > 0) * (signal > 0)


def out_length(length, kernel, stride, padding, dilation, ceil_mode=False):
    reach = dilation * (kernel - 1) + 1
    steps = (length + 2 * padding - reach) / stride
    count = int(-(-steps // 1)) + 1 if ceil_mode else int(steps // 1) + 1
    if ceil_mode and (count - 1) * stride >= length + padding:
        count -= 1  # a window must begin in the input or its left padding
    return count


@dataclass
class Windows:
    """Sliding windows over (channels, ...): the part that filters and pooling share."""

    kernel: tuple
    stride: tuple
    padding: tuple
    dilation: tuple
    ceil_mode: bool = False

    def start(self, values, fill):
        """Pad with ``fill``, generously at the right, and return with the output's lengths."""
        self.lengths = values.shape[1:]
        rows = zip(self.lengths, self.kernel, self.stride, self.padding, self.dilation, strict=True)
        self.out = [out_length(*row, self.ceil_mode) for row in rows]
        wide = [n + 2 * p + k * d + s for n, k, s, p, d in self._rows()]
        padded = torch.full((len(values), *wide), fill, dtype=values.dtype)
        padded[self._inside()] = values
        return padded

    def taps(self, padded):
        """Yield (tap, view of ``padded`` with what that tap of every window sees)."""
        for tap in product(*(range(k) for k in self.kernel)):
            rows = zip(tap, self.dilation, self.stride, self.out, strict=True)
            slices = [slice(t * d, t * d + (n - 1) * s + 1, s) for t, d, s, n in rows]
            yield tap, padded[(slice(None), *slices)]

    def crop(self, padded):
        return padded[self._inside()].clone()

    def _rows(self):
        return zip(self.lengths, self.kernel, self.stride, self.padding, self.dilation, strict=True)

    def _inside(self):
        rows = zip(self.padding, self.lengths, strict=True)
        return (slice(None), *(slice(p, p + n) for p, n in rows))


def _all(number, count):
    return (number,) * count if isinstance(number, int) else tuple(number)


class Conv:
    def __init__(self, weight, bias=None, stride=1, padding=0, dilation=1):
        self.weight, self.bias = weight, bias
        n = weight.ndim - 2
        self.windows = Windows(
            tuple(weight.shape[2:]), _all(stride, n), _all(padding, n), _all(dilation, n)
        )

    def forward(self, x):
        padded = self.windows.start(x, 0.0)
        out = torch.zeros(len(self.weight), *self.windows.out, dtype=x.dtype)
        for tap, seen in self.windows.taps(padded):
            out += torch.einsum("oc,c...->o...", self.weight[(..., *tap)], seen)
        if self.bias is not None:
            out += self.bias.reshape(-1, *(1 for _ in self.windows.out))
        self.padded_shape, self.in_channels = padded.shape[1:], len(x)
        return out

    def backward(self, signal, _method):
        padded = torch.zeros(self.in_channels, *self.padded_shape, dtype=signal.dtype)
        for tap, seen in self.windows.taps(padded):
            seen += torch.einsum("oc,o...->c...", self.weight[(..., *tap)], signal)
        return self.windows.crop(padded)


class MaxPool:
    def __init__(self, kernel, stride=None, padding=0, dilation=1, ceil_mode=False, axes=2):
        k = _all(kernel, axes)
        self.windows = Windows(
            k, _all(stride or kernel, axes), _all(padding, axes), _all(dilation, axes), ceil_mode
        )

    def forward(self, x):
        padded = self.windows.start(x, -torch.inf)
        best = switch = None
        for number, (_, seen) in enumerate(self.windows.taps(padded)):
            if best is None:
                best, switch = seen.clone(), torch.zeros(seen.shape, dtype=torch.int64)
            better = seen > best  # strictly: the first of equals keeps the switch
            best = torch.where(better, seen, best)
            switch[better] = number
        self.switch, self.shape = switch, padded.shape
        return best

    def backward(self, signal, _method):
        padded = torch.zeros(self.shape, dtype=signal.dtype)
        for number, (_, seen) in enumerate(self.windows.taps(padded)):
            seen += signal * (self.switch == number)
        return self.windows.crop(padded)


class AvgPool:
    def __init__(self, kernel, axes=2):
        self.kernel = _all(kernel, axes)
        zeros = (0,) * axes
        self.windows = Windows(self.kernel, self.kernel, zeros, (1,) * axes)

    def forward(self, x):
        padded = self.windows.start(x, 0.0)
        self.shape = padded.shape
        seen = [values for _, values in self.windows.taps(padded)]
        return sum(seen) / len(seen)

    def backward(self, signal, _method):
        padded = torch.zeros(self.shape, dtype=signal.dtype)
        taps = list(self.windows.taps(padded))
        for _, seen in taps:
            seen += signal / len(taps)
        return self.windows.crop(padded)


class Scale:
    """Batch normalisation in evaluation mode: per channel, a factor and an offset."""

    def __init__(self, module):
        self.factor = module.weight / (module.running_var + module.eps).sqrt()
        self.offset = module.bias - self.factor * module.running_mean

    def forward(self, x):
        shape = (-1, *(1 for _ in x.shape[1:]))
        return x * self.factor.reshape(shape) + self.offset.reshape(shape)

    def backward(self, signal, _method):
        return signal * self.factor.reshape(-1, *(1 for _ in signal.shape[1:]))


class ReLU:
    def forward(self, x):
        self.values = x
        return x.clamp(min=0)

    def backward(self, signal, method):
        return relu_backward(method, signal, self.values)


@dataclass
class Chain:
    """Steps one after another."""

    steps: list = field(default_factory=list)

    def forward(self, x):
        for step in self.steps:
            x = step.forward(x)
        return x

    def backward(self, signal, method):
        for step in reversed(self.steps):
            signal = step.backward(signal, method)
        return signal


@dataclass
class Residual:
    """x + branch(x): on the way back the signals of both paths add up."""

    branch: Chain

    def forward(self, x):
        return x + self.branch.forward(x)

    def backward(self, signal, method):
        return signal + self.branch.backward(signal, method)


@dataclass
class Dense:
    """Concatenation of x and branch(x): on the way back each part takes its own channels."""

    branch: Chain

    def forward(self, x):
        self.own = len(x)
        return torch.cat([x, self.branch.forward(x)])

    def backward(self, signal, method):
        return signal[: self.own] + self.branch.backward(signal[self.own :], method)


@dataclass
class Parallel:
    """Branches from one input, added up."""

    branches: list

    def forward(self, x):
        return sum(branch.forward(x) for branch in self.branches)

    def backward(self, signal, method):
        return sum(branch.backward(signal, method) for branch in self.branches)


def explicit(modules):
    """Translate a list of torch modules into steps."""
    steps = []
    for module in modules:
        name = type(module).__name__
        if name in {"Conv1d", "Conv2d"}:
            steps.append(
                Conv(
                    module.weight.detach(),
                    None if module.bias is None else module.bias.detach(),
                    module.stride,
                    module.padding,
                    module.dilation,
                )
            )
        elif name in {"MaxPool1d", "MaxPool2d"}:
            steps.append(
                MaxPool(
                    module.kernel_size,
                    module.stride,
                    module.padding,
                    module.dilation,
                    module.ceil_mode,
                    axes=int(name[-2]),
                )
            )
        elif name in {"AvgPool1d", "AvgPool2d"}:
            steps.append(AvgPool(module.kernel_size, axes=int(name[-2])))
        elif name in {"BatchNorm1d", "BatchNorm2d"}:
            steps.append(Scale(module))
        elif name == "ReLU":
            steps.append(ReLU())
        else:
            raise TypeError(f"no explicit step for {name}")
    return Chain(steps)


def explicit_inversion(chain, features, channel, method):
    """Return (map, value) of a unit of the chain's output, seeded with its value at its peak."""
    with torch.no_grad():
        maps = chain.forward(features)
        values = maps[channel]
        place = torch.unravel_index(values.argmax(), values.shape)
        signal = torch.zeros_like(maps)
        value = values[place].item()
        signal[(channel, *place)] = value if method == "gradient" else max(value, 0.0)
        return chain.backward(signal, method), value
