"""Which filters of two first layers are alike, and how far filters are from where they began."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from auralise.errors import InvalidValueError, NetworkError, ShapeError
from auralise.filters.bank import FilterBank, effective_bank
from auralise.filters.orientation import first_kernels
from auralise.filters.resampling import Interval, percentiles
from auralise.filters.response import BankResponse, respond
from auralise.models.base import MusicNetwork

_ROWS = 2048  # steps between frequencies that two responses are compared at


@dataclass(frozen=True, slots=True, eq=False)
class FirstLayer:
    """The filters of a first layer, in time or over time and frequency.

    Attributes
    ----------
    name : str
        Of the network.
    names : tuple of str
        One for each filter, ``layer:channel``.
    filters : Tensor, shape (filters, length) or (filters, bins, frames)
        float64, or complex128 in time.
    response : BankResponse or None
        Of filters in time; None for those over time and frequency.
    frontend : str
        What the network takes, in words; equal for those that can be compared.
    """

    name: str
    names: tuple[str, ...]
    filters: Tensor
    response: BankResponse | None
    frontend: str

    @property
    def sounding(self) -> Tensor:
        """Which filters are not silent: bool, (filters,)."""
        if self.response is not None:
            return ~self.response.silent
        return (self.filters != 0).flatten(1).any(1)


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """Filters of one layer with those of another that are most like them.

    Attributes
    ----------
    first, second : Tensor, shape (pairs,), int64
        Into the filters of either; each filter is in at most one pair. The most alike first.
    similarity : Tensor, shape (pairs,), float64
        Cosine of power responses, in [0, 1]; of filters over time and frequency in [-1, 1].
    """

    first: Tensor
    second: Tensor
    similarity: Tensor

    def typical(self, draws: int = 1000, seed: int = 0) -> Interval:
        """Return the median similarity, with an interval by drawing pairs again."""
        generator = torch.Generator().manual_seed(seed)
        index = torch.randint(
            len(self.similarity), (draws, len(self.similarity)), generator=generator
        )
        medians = torch.quantile(self.similarity[index], 0.5, dim=1)
        return percentiles(float(torch.quantile(self.similarity, 0.5)), medians)


@dataclass(frozen=True, slots=True, eq=False)
class Drift:
    """How far filters are from where their training began.

    Attributes
    ----------
    own : Tensor, shape (filters,), float64
        Cosine of each filter with itself before training, in [-1, 1]; 0 for silent ones.
    other : float
        Median cosine, without its sign, with other filters before training: what no relation is.
    response : Tensor, shape (filters,), or None
        Cosine of the power responses; None over time and frequency.
    shift : Tensor, shape (filters,), or None
        How far the peak has moved, in Hz; None over time and frequency.
    """

    own: Tensor
    other: float
    response: Tensor | None
    shift: Tensor | None

    @property
    def related(self) -> bool:
        """Whether filters are more like their own beginning than like those of others.

        If not, training has left nothing of it, or the network began from other random numbers.
        """
        return float(torch.quantile(self.own.abs(), 0.5)) > 2.0 * self.other


def first_layer(network: MusicNetwork) -> FirstLayer:
    """Read the filters of a network's first layer.

    Raises
    ------
    NetworkError
        If it begins with none that can be read, or all of them are zero.
    """
    frontend, name = network.card.frontend, network.card.name
    words = f"{' x '.join(frontend.axes)} at {frontend.sample_rate} Hz"
    if frontend.axes == ("channel", "time"):
        layer = _in_time(name, effective_bank(network), words)
    else:
        named, kernels = first_kernels(network)
        names = tuple(f"{named}:{channel}" for channel in range(len(kernels)))
        # Mean and deviation are of the clips that a network was trained on, not of what it takes.
        seen = {k: v for k, v in frontend.describe().items() if k not in ("mean", "deviation")}
        layer = FirstLayer(name, names, kernels, None, str(seen))
    if not bool(layer.sounding.any()):
        raise NetworkError(
            f"every filter of the first layer of network {name!r} is zero; nothing to compare"
        )
    return layer


def require_comparable(first: FirstLayer, second: FirstLayer) -> None:
    """Refuse two layers whose filters are of different kinds.

    Raises
    ------
    InvalidValueError
        Says in what they differ.
    """
    names = f"networks {first.name!r} and {second.name!r} cannot be compared"
    if (first.response is None) != (second.response is None):
        kinds = [
            "filters over time and frequency" if layer.response is None else "filters in time"
            for layer in (first, second)
        ]
        raise InvalidValueError(f"{names}: one has {kinds[0]}, the other {kinds[1]}")
    if first.frontend != second.frontend:
        raise InvalidValueError(
            f"{names}: one takes {first.frontend}, the other {second.frontend}; a filter means "
            "the same only behind the same input"
        )
    if first.response is None and first.filters.shape[1:] != second.filters.shape[1:]:
        sizes = [" x ".join(map(str, layer.filters.shape[1:])) for layer in (first, second)]
        raise InvalidValueError(
            f"{names}: their filters have {sizes[0]} and {sizes[1]} bins and frames; they must "
            "have one size"
        )


def similarities(first: FirstLayer, second: FirstLayer) -> Tensor:
    """Compare each filter of one layer with each of another.

    In time it is the cosine of the power responses, blind to delay, sign and phase: filters of
    any lengths can be compared. Over time and frequency, the cosine of the filters themselves.

    Parameters
    ----------
    first, second : FirstLayer

    Returns
    -------
    Tensor, shape (filters of first, filters of second), float64
        0 for silent filters.

    Raises
    ------
    InvalidValueError
        If they cannot be compared.
    """
    require_comparable(first, second)
    one, two = (_features(layer) for layer in (first, second))
    return one @ two.T


def match_filters(first: FirstLayer, second: FirstLayer) -> Match:
    """Pair the filters of two layers so that the sum of similarities is largest.

    Silent filters are left out. Of layers with different numbers of filters, some of the larger
    one stay alone.

    Raises
    ------
    InvalidValueError
        If they cannot be compared.

    References
    ----------
    .. [1] D. F. Crouse, "On implementing 2D rectangular assignment algorithms", IEEE Transactions
       on Aerospace and Electronic Systems 52(4), 2016: the algorithm of SciPy.
    """
    table = similarities(first, second)
    rows, columns = (torch.nonzero(layer.sounding)[:, 0] for layer in (first, second))
    inner = table[rows][:, columns]
    one, two = (torch.from_numpy(part) for part in linear_sum_assignment(-inner.numpy()))
    values = inner[one, two]
    order = torch.argsort(values, descending=True, stable=True)
    return Match(rows[one[order]], columns[two[order]], values[order])


def chance_matches(
    firsts: Sequence[MusicNetwork],
    seconds: Sequence[MusicNetwork],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Match]:
    """Match untrained networks in the same way: what pairing alone makes of chance.

    Parameters
    ----------
    firsts, seconds : sequences of MusicNetwork
        Untrained, of both architectures, one each; no two with the same random numbers.
    progress : callable
        Called with the pairs that are done, and their number.
    """
    found = []
    for number, (one, two) in enumerate(zip(firsts, seconds, strict=True), 1):
        found.append(match_filters(first_layer(one), first_layer(two)))
        progress(number, len(firsts))
    return found


def drift(layer: FirstLayer, beginning: FirstLayer) -> Drift:
    """Compare each filter with itself before training.

    Parameters
    ----------
    layer : FirstLayer
    beginning : FirstLayer
        The same layer before training.

    Raises
    ------
    ShapeError
        If they are not of one shape.
    """
    if layer.filters.shape != beginning.filters.shape:
        raise ShapeError(
            f"filters have shape {tuple(layer.filters.shape)} but had "
            f"{tuple(beginning.filters.shape)} before training; it is another layer"
        )
    one, two = (_unit(part.filters.flatten(1)) for part in (layer, beginning))
    table = (one @ two.conj().T).real
    apart = ~torch.eye(len(table), dtype=torch.bool)
    other = float(torch.quantile(table[apart].abs(), 0.5)) if len(table) > 1 else 0.0
    if layer.response is None or beginning.response is None:
        return Drift(table.diagonal().clone(), other, None, None)
    powers = (_features(layer) * _features(beginning)).sum(1)
    shift = layer.response.peak - beginning.response.peak
    return Drift(table.diagonal().clone(), other, powers, shift)


def _in_time(name: str, bank: FilterBank, words: str) -> FirstLayer:
    return FirstLayer(name, bank.names, bank.impulse_responses, respond(bank), words)


def _features(layer: FirstLayer) -> Tensor:
    """Return what is compared, scaled to unit norm: (filters, numbers)."""
    if layer.response is None:
        return _unit(layer.filters.flatten(1))
    power = layer.response.power
    step = (power.shape[1] - 1) / _ROWS
    if step <= 1.0:
        return _unit(power)
    # Grids are powers of two apart: every so many bins are the same frequencies.
    return _unit(power[:, :: round(step)])


def _unit(values: Tensor) -> Tensor:
    tiny = torch.finfo(torch.float64).tiny
    norm: Tensor = torch.linalg.vector_norm(values, dim=1, keepdim=True)
    return values / norm.clamp_min(tiny)
