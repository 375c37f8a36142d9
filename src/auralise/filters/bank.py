"""The filters of a first convolution on raw audio, with what stands directly around it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from auralise.errors import InvalidValueError, NetworkError, ShapeError
from auralise.filters.trace import Trace, trace_first_convolution
from auralise.models.base import MusicNetwork
from auralise.models.kernels import KernelBank

PAIRS = 8192
"""How many pairs of filters are compared at a time."""

_SILENT = 1e-6  # of the largest norm in the bank
_COPY = 1e-9  # how far from 1 the correlation of two copies may be
_LINEAR = 1e-3  # relative deviation that float32 leaves when a bank is compared with its network


@dataclass(frozen=True, slots=True, eq=False)
class FilterBank:
    """Impulse responses that are analysed together.

    Attributes
    ----------
    impulse_responses : Tensor, shape (filters, length), float64 or complex128
        In the order of time: the first column answers first.
    sample_rate : int
        Of the signal that is filtered, in Hz.
    stride : int
        Samples between outputs. The response is that of the signal before it is thinned out.
    names : tuple of str
        One for each filter, ``layer:channel``.
    notes : tuple of str
        What one has to know when reading results, in sentences.

    Examples
    --------
    >>> bank = FilterBank(torch.eye(3, dtype=torch.float64)[:2], sample_rate=8000)
    >>> bank.names, bank.resolution
    (('filter:0', 'filter:1'), 2666.6666666666665)
    """

    impulse_responses: Tensor
    sample_rate: int
    stride: int = 1
    names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        taps = self.impulse_responses
        if taps.ndim != 2 or 0 in taps.shape:
            raise ShapeError(
                f"impulse_responses must have shape (filters, length), got {tuple(taps.shape)}"
            )
        if taps.dtype not in (torch.float64, torch.complex128):
            raise InvalidValueError(
                f"impulse_responses must be float64 or complex128, got {taps.dtype}; "
                "convert them with .double()"
            )
        if self.sample_rate <= 0:
            raise InvalidValueError(f"sample_rate must be positive, got {self.sample_rate} Hz")
        if self.stride <= 0:
            raise InvalidValueError(f"stride must be positive, got {self.stride} samples")
        broken = int((~torch.isfinite(taps)).any(1).sum())
        if broken:
            raise InvalidValueError(
                f"{broken} of {len(taps)} filters hold values that are not finite; "
                "a network that diverged in training has no filters to analyse"
            )
        names = self.names or tuple(f"filter:{index}" for index in range(len(taps)))
        if len(names) != len(taps):
            raise ShapeError(f"got {len(names)} names for {len(taps)} filters; give one for each")
        object.__setattr__(self, "names", names)

    @property
    def resolution(self) -> float:
        """The frequency below which a filter of this length resolves nothing, fs / L in Hz."""
        return self.sample_rate / self.impulse_responses.shape[1]

    @property
    def silent(self) -> Tensor:
        """Which filters are a million times weaker than the strongest: bool, (filters,)."""
        norms: Tensor = torch.linalg.vector_norm(self.impulse_responses, dim=1)
        return norms <= _SILENT * norms.max()

    @property
    def duplicate(self) -> Tensor:
        """Which filters copy an earlier one, up to scale and sign: bool, (filters,)."""
        norms = torch.linalg.vector_norm(self.impulse_responses, dim=1, keepdim=True)
        unit = self.impulse_responses / norms.clamp_min(torch.finfo(torch.float64).tiny)
        # Copies have the same part along any direction: only those that agree are compared.
        direction = torch.randn(unit.shape[1], generator=torch.Generator().manual_seed(0)).to(unit)
        parts = (unit @ direction).abs() / torch.linalg.vector_norm(direction)
        first, second = neighbours(parts, ~self.silent, math.sqrt(2.0 * _COPY))
        copies = torch.zeros(len(unit), dtype=torch.bool)
        for one, two in zip(torch.split(first, PAIRS), torch.split(second, PAIRS), strict=True):
            alike = (unit[one] * unit[two].conj()).sum(1).abs() > 1.0 - _COPY
            copies[torch.maximum(one, two)[alike]] = True
        return copies

    @property
    def dead(self) -> int:
        """How many filters add nothing: silent ones and copies."""
        return int((self.silent | self.duplicate).sum())


def effective_bank(
    network: MusicNetwork | nn.Module,
    layer: str | None = None,
    *,
    sample_rate: int | None = None,
) -> FilterBank:
    """Return the filters that a network's first convolution applies to the samples.

    Folded in are the scale (with its sign) of a batch normalisation that directly follows, and
    convolutions from one channel to one before it (pre-emphasis, for instance). Offsets are left
    out. The result is compared with the network's own answer to noise, so that a step that is not
    a convolution cannot be overlooked.

    Parameters
    ----------
    network : MusicNetwork or nn.Module
        In evaluation mode; takes (batch, 1, time). Left as it was found.
    layer : str, optional
        Name of the convolution. If not given, the first one with more than one output channel.
    sample_rate : int, optional
        In Hz; needed for an nn.Module, while a `MusicNetwork` knows its own.

    Returns
    -------
    FilterBank

    Raises
    ------
    InvalidValueError
        If the sample rate is not known, or contradicts the network's.
    NetworkError
        If the first layer is not a convolution on raw audio, is grouped or complex, or if
        something on the way to it is not a convolution.

    Examples
    --------
    >>> network = nn.Sequential(nn.Conv1d(1, 4, 64, stride=16), nn.ReLU()).eval()
    >>> bank = effective_bank(network, sample_rate=16000)
    >>> bank.impulse_responses.shape, bank.names[0]
    (torch.Size([4, 64]), '0:0')
    >>> bank.notes  # doctest: +ELLIPSIS
    ('stride 16: the outputs come at 1000 Hz, and what a filter passes above 500 Hz is aliased...',)
    """
    rate = _sample_rate(network, sample_rate)
    module = network.module if isinstance(network, MusicNetwork) else network
    trace = trace_first_convolution(module, layer)
    taps, stride, padding = _compose(trace)
    _compare(trace, taps, stride, padding)
    if trace.norm is not None:
        taps = taps * _scale(trace.norm)[:, None]
    names = tuple(f"{trace.layer}:{channel}" for channel in range(len(taps)))
    # A network's layer correlates: its weights are the impulse response, last tap first.
    return FilterBank(taps.flip(1), rate, stride, names, _notes(trace, rate, stride, taps.shape[1]))


def untrained_banks(
    network: MusicNetwork | nn.Module,
    layer: str | None = None,
    *,
    sample_rate: int | None = None,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
) -> list[FilterBank]:
    """Return the filters of the same architecture before training, once for each seed.

    Every module that has ``reset_parameters`` is initialised anew, in a copy; the state of
    PyTorch's random numbers is kept.

    Parameters
    ----------
    network, layer, sample_rate
        As in `effective_bank`.
    seeds : sequence of int
        One control each; five show how much they differ.

    Raises
    ------
    InvalidValueError
        If there are no seeds.
    NetworkError
        If the convolution has no ``reset_parameters`` of its own, or is parametrised: then its
        weights would stay as they were trained.
    """
    if not seeds:
        raise InvalidValueError("seeds must not be empty; give one for each control")
    rate = _sample_rate(network, sample_rate)
    module = deepcopy(network.module if isinstance(network, MusicNetwork) else network)
    banks = []
    with torch.random.fork_rng(devices=[]):
        for seed in seeds:
            torch.manual_seed(seed)
            for part in module.modules():
                reset = getattr(part, "reset_parameters", None)
                if callable(reset) and not nn.utils.parametrize.is_parametrized(part):
                    reset()
            trace = trace_first_convolution(module, layer)
            if nn.utils.parametrize.is_parametrized(trace.convolution):
                raise NetworkError(
                    f"layer {trace.layer!r} is parametrised, so its untrained weights cannot be "
                    "drawn here; build the network anew for each seed and pass it to effective_bank"
                )
            banks.append(effective_bank(module, layer, sample_rate=rate))
    return banks


def neighbours(numbers: Tensor, allowed: Tensor, tolerance: float) -> tuple[Tensor, Tensor]:
    """Return the indices of all allowed pairs of numbers at most ``tolerance`` apart."""
    index = torch.nonzero(allowed)[:, 0]
    order = torch.argsort(numbers[index], stable=True)
    index, in_order = index[order], numbers[index][order]
    end = torch.searchsorted(in_order, in_order + tolerance, right=True)
    start = torch.arange(len(index))
    count = end - start - 1
    left = torch.repeat_interleave(start, count)
    offset = torch.arange(len(left)) - torch.repeat_interleave(count.cumsum(0) - count, count)
    return index[left], index[left + 1 + offset]


def _sample_rate(network: MusicNetwork | nn.Module, given: int | None) -> int:
    if not isinstance(network, MusicNetwork):
        if given is None:
            raise InvalidValueError(
                "the sample rate is unknown: pass sample_rate, in Hz, with an nn.Module"
            )
        return given
    frontend = network.card.frontend
    if frontend.axes != ("channel", "time"):
        raise NetworkError(
            f"network {network.card.name!r} takes {' x '.join(frontend.axes)}, not raw audio; its "
            "first layer has no filters in time (2-D filters: auralise.filters.orientation)"
        )
    if given is not None and given != frontend.sample_rate:
        raise InvalidValueError(
            f"sample_rate is {given} Hz but network {network.card.name!r} works at "
            f"{frontend.sample_rate} Hz; leave sample_rate out"
        )
    return frontend.sample_rate


def _compose(trace: Trace) -> tuple[Tensor, int, int]:
    """Fold the steps before a convolution into it: weights, stride and left padding in samples."""
    total = torch.ones(1, 1, dtype=torch.float64)
    stride, padding = 1, 0
    for step in (*trace.before, trace.convolution):
        if isinstance(step, nn.BatchNorm1d):
            total = total * _scale(step)[:, None]
            continue
        taps = _spread(_double(step.weight.detach().cpu()[:, 0]), step.dilation[0] * stride)
        # Correlating one after the other correlates with the convolution of the weights.
        width = taps.shape[1] + total.shape[1] - 1
        if taps.is_complex():
            total = torch.fft.ifft(torch.fft.fft(taps, width) * torch.fft.fft(total, width))
        else:
            product = torch.fft.rfft(taps, width) * torch.fft.rfft(total, width)
            total = torch.fft.irfft(product, width)
        padding += stride * _left_padding(step)
        stride *= step.stride[0]
    return total, stride, padding


def _spread(taps: Tensor, step: int) -> Tensor:
    """Put ``step - 1`` zeros between taps."""
    wide = taps.new_zeros(len(taps), (taps.shape[1] - 1) * step + 1)
    wide[:, ::step] = taps
    return wide


def _double(values: Tensor) -> Tensor:
    return values.to(torch.complex128) if values.is_complex() else values.double()


def _left_padding(convolution: nn.Conv1d | KernelBank) -> int:
    """Return the padding before the first sample."""
    if convolution.padding == "same":
        return convolution.dilation[0] * (convolution.kernel_size[0] - 1) // 2
    return 0 if isinstance(convolution.padding, str) else convolution.padding[0]


def _scale(norm: nn.BatchNorm1d) -> Tensor:
    """Return what a batch normalisation in evaluation mode multiplies each channel with."""
    if norm.running_var is None:
        raise NetworkError(
            "a batch normalisation without running statistics has no fixed scale to fold in; "
            "build it with track_running_stats=True"
        )
    scale = (norm.running_var.detach().double().cpu() + norm.eps).rsqrt()
    return scale if norm.weight is None else scale * norm.weight.detach().double().cpu()


def _compare(trace: Trace, taps: Tensor, stride: int, padding: int) -> None:
    """Refuse a bank that does not do what the network does to noise."""
    frames = trace.answer.shape[-1]
    right = max(0, (frames - 1) * stride + taps.shape[1] - padding - trace.noise.shape[-1])
    padded = nn.functional.pad(trace.noise.double().cpu()[None, None], (padding, right)).to(taps)
    expected = nn.functional.conv1d(padded, taps[:, None], stride=stride)[0, :, :frames]
    size = expected.abs().max().item()
    deviation = (_double(trace.answer.cpu()) - expected).abs().max().item()
    if not deviation <= _LINEAR * max(size, torch.finfo(torch.float32).tiny):
        ratio = deviation / size if size else math.inf
        raise NetworkError(
            f"what stands before layer {trace.layer!r} is not only convolutions (its answer to "
            f"noise deviates by {ratio:.1%} from that of its folded filters); analyse the part of "
            "the network that begins at this layer"
        )


def _notes(trace: Trace, rate: int, stride: int, length: int) -> tuple[str, ...]:
    notes = []
    if stride > 1:
        notes.append(
            f"stride {stride}: the outputs come at {rate / stride:g} Hz, and what a filter passes "
            f"above {rate / stride / 2:g} Hz is aliased; the response is that before thinning out"
        )
    if trace.before:
        notes.append(f"{len(trace.before)} linear steps before layer {trace.layer!r} are folded in")
    if trace.norm is not None:
        notes.append("the scale of the batch normalisation is folded in, its offset is not")
    if length < 8:
        notes.append(f"{length} taps resolve {rate / length:g} Hz: too short to be told apart")
    return tuple(notes)
