"""A first layer for the page Filters: its filters with what they are tuned to, and its control."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from auralise.audio.waveform import Waveform
from auralise.errors import InvalidValueError
from auralise.filters.bank import FilterBank, effective_bank
from auralise.filters.orientation import count_classes, first_kernels, orientation_classes
from auralise.filters.response import BankResponse, respond
from auralise.filters.untrained import untrained_networks
from auralise.filters.verdict import Verdict, judge_scale
from auralise.models.base import MusicNetwork
from auralise.output.charts import ChartFigure
from auralise.output.filter_axes import axis_figure
from auralise.output.filter_figures import orientation_figure

CLICKS_PER_SECOND = 4.0


@dataclass(frozen=True, slots=True, eq=False)
class BankStudy:
    """What was found of a first layer.

    Attributes
    ----------
    name : str
        Of the network.
    layer : str
        Name of the first layer's module.
    untrained : bool
        Whether it is the architecture before training.
    sentence : str
        The finding in words.
    notes : tuple of str
    classes : tuple of str
        Of each filter over time and frequency; empty for filters in time.
    kernels : Tensor or None, shape (filters, bins, frames)
        Filters over time and frequency.
    counts : tuple
        Of `auralise.filters.orientation.ClassCount`; empty for filters in time.
    bank, response, controls, verdict
        Of filters in time; None, None, an empty tuple and None for others.
    """

    name: str
    layer: str
    untrained: bool
    sentence: str
    notes: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    kernels: Tensor | None = None
    counts: tuple[Any, ...] = ()
    bank: FilterBank | None = None
    response: BankResponse | None = None
    controls: tuple[BankResponse, ...] = ()
    verdict: Verdict | None = None

    @property
    def in_time(self) -> bool:
        """Whether the filters are impulse responses, not patches of a spectrogram."""
        return self.bank is not None

    @property
    def filters(self) -> int:
        """How many there are."""
        if self.bank is not None:
            return len(self.bank.impulse_responses)
        return 0 if self.kernels is None else len(self.kernels)

    def order(self) -> list[int]:
        """Return the filters by centre frequency; those over time and frequency by class."""
        if self.response is not None:
            return [int(i) for i in torch.argsort(self.response.peak.nan_to_num(torch.inf))]
        return sorted(range(self.filters), key=lambda i: (self.classes[i], i))

    def figure(self, axis: str) -> ChartFigure:
        """Return the charts of the layer; ``axis`` is one of `auralise.output.filter_axes.AXES`."""
        if self.response is None or self.verdict is None:
            return orientation_figure(self.name, self.layer, self.counts)
        return axis_figure(self.name, self.response, self.controls, self.verdict, axis)


def study_bank(network: MusicNetwork, *, untrained: bool = False) -> BankStudy:
    """Study a network's first layer beside the same architecture untrained.

    Parameters
    ----------
    network : MusicNetwork
    untrained : bool
        Study the first of the controls instead, beside the others.

    Raises
    ------
    NetworkError
        If the first layer is not a convolution that can be analysed, or the architecture is not
        one that could be built anew.
    """
    controls = untrained_networks(network.card)
    if untrained:
        network, controls = controls[0], controls[1:]
    if network.card.frontend.axes == ("channel", "time"):
        bank = effective_bank(network)
        responses = tuple(respond(effective_bank(control)) for control in controls)
        response = respond(bank)
        verdict = judge_scale(response, responses)
        layer = bank.names[0].rpartition(":")[0]
        return BankStudy(
            network.card.name,
            layer,
            untrained,
            verdict.sentence,
            bank.notes,
            bank=bank,
            response=response,
            controls=responses,
            verdict=verdict,
        )
    layer, kernels = first_kernels(network)
    counts = count_classes(kernels, [first_kernels(control)[1] for control in controls])
    return BankStudy(
        network.card.name,
        layer,
        untrained,
        _words(counts),
        classes=_classes(kernels),
        kernels=kernels,
        counts=tuple(counts),
    )


def _classes(kernels: Tensor) -> tuple[str, ...]:
    """Name the class of each kernel; one that is zero has none."""
    sounding = (kernels != 0).flatten(1).any(1)
    names = iter(orientation_classes(kernels[sounding]))
    return tuple(next(names) if heard else "silent" for heard in sounding.tolist())


def _words(counts: tuple[Any, ...]) -> str:
    found = [entry for entry in counts if entry.count]
    parts = [
        f"{entry.count} {entry.name} ({entry.share}; untrained {entry.untrained:.0%})"
        for entry in sorted(found, key=lambda entry: -entry.count)
    ]
    return f"What {sum(entry.count for entry in counts)} filters look for: {', '.join(parts)}."


def filter_numbers(study: BankStudy, index: int) -> Mapping[str, str]:
    """Return what is known of one filter, in words.

    Raises
    ------
    InvalidValueError
        If there is no such filter.
    """
    check_filter(study, index)
    if study.kernels is not None:
        kernel = study.kernels[index]
        rows, columns = kernel.shape
        return {
            "Looks for": study.classes[index],
            "Size": f"{rows} bins x {columns} frames",
            "Norm": f"{float(torch.linalg.vector_norm(kernel)):.3g}",
            "Mean": f"{float(kernel.mean()):.3g}",
        }
    response, verdict = study.response, study.verdict
    if response is None:
        raise InvalidValueError("this layer has no filters")
    if bool(response.silent[index]):
        return {"Filter": "silent: it adds nothing to the layer"}
    tuned = verdict is not None and bool(response.selective(verdict.gate)[index])
    return {
        "Centre": _hertz(response.peak[index]),
        "Width (-3 dB)": _hertz(response.bandwidth[index]),
        "Equivalent rectangular width": _hertz(response.erb[index]),
        "Quality": f"{float(response.quality[index]):.2g}",
        "Energy near the centre": f"{float(response.peak_fraction[index]):.0%}",
        "Tuned": "yes" if tuned else "no: as broad as untrained filters",
        **({"Below fs / L": "yes"} if bool(response.unresolved[index]) else {}),
        **({"Copy of another": "yes"} if bool(response.duplicate[index]) else {}),
    }


def filter_sounds(study: BankStudy, index: int, song: Waveform) -> dict[str, Waveform]:
    """Let a filter in time be heard: a song, noise and clicks as it lets them through.

    Parameters
    ----------
    study : BankStudy
        Of filters in time.
    index : int
    song : Waveform
        At the network's rate, one channel.

    Returns
    -------
    dict of str to Waveform
        ``song``, ``noise`` (white, the same for every filter) and ``clicks``, filtered, each of the
        song's length. Filters may delay by up to their length. Of complex ones, the real part.
    """
    check_filter(study, index)
    if study.bank is None:
        raise InvalidValueError("filters over time and frequency have no sound of their own")
    taps = study.bank.impulse_responses[index]
    taps = (taps.real if taps.is_complex() else taps).to(torch.float64)
    length, rate = song.n_samples, song.sample_rate
    noise = torch.randn(length, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    clicks = torch.zeros(length, dtype=torch.float64)
    clicks[:: round(rate / CLICKS_PER_SECOND)] = 1.0
    heard = {"song": song.samples[0].double(), "noise": noise, "clicks": clicks}
    return {
        name: Waveform(_filtered(values, taps)[None].float(), rate)
        for name, values in heard.items()
    }


def check_filter(study: BankStudy, index: int) -> None:
    """Refuse a filter that a layer does not have."""
    if not 0 <= index < study.filters:
        raise InvalidValueError(
            f"the first layer of {study.name!r} has filters 0 to {study.filters - 1}, got {index}"
        )


def _filtered(values: Tensor, taps: Tensor) -> Tensor:
    """Convolve in the order of time, cut to the length of the input."""
    size = len(values) + len(taps) - 1
    product = torch.fft.rfft(values, size) * torch.fft.rfft(taps, size)
    filtered: Tensor = torch.fft.irfft(product, size)
    return filtered[: len(values)]


def _hertz(value: Tensor) -> str:
    return f"{float(value):.0f} Hz" if float(value) < 10_000 else f"{float(value) / 1000:.1f} kHz"
