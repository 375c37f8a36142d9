"""Whether a raw first layer is frequency-selective, low, and spaced like the mel scale."""

from __future__ import annotations

import numpy as np
import torch

from auralise.audio.arrangements import Bar
from auralise.audio.stimuli import tone
from auralise.audio.waveform import Waveform
from auralise.claims.base import Claim, Curve, Evidence, Need, NotApplicable, Panel, Part, Sound
from auralise.claims.context import Context
from auralise.claims.factors import twin_curve
from auralise.claims.statistics import Array, share_interval, twin_p
from auralise.errors import NetworkError
from auralise.filters.bank import effective_bank
from auralise.filters.resampling import percentiles, resample
from auralise.filters.response import BankResponse, respond
from auralise.filters.scales import SCALES, warp_to_unit, wasserstein_to_uniform
from auralise.filters.selectivity import selectivity_gate
from auralise.filters.verdict import judge_scale

HALF = 0.5
LOW_SHARE = 0.5
"""The low frequencies: the lower half of the band, from 0 to half the sample rate."""

FEWEST = 16
AUDITORY = ("mel-htk", "mel-slaney", "bark", "erb-rate")


def try_mel(context: Context) -> Evidence:
    """Measure the filters of the first layer beside those of untrained networks."""
    try:
        banks = [respond(effective_bank(network)) for network in context.networks]
    except NetworkError as error:
        raise NotApplicable(str(error)) from error
    own, controls = banks[0], banks[1:]
    gate = selectivity_gate(controls)
    parts = [_selective(banks, gate), _low(banks, gate)]
    spaced = _spaced(own, controls, gate, context.seed)
    notes = [judge_scale(own, controls, fewest=FEWEST).sentence]
    if spaced is not None:
        parts.append(spaced)
    notes.append(_music_words(context, own, gate))
    return Evidence(
        tuple(part for part in parts if part is not None),
        (_centres(banks, gate), _distances(banks, gate)),
        tuple(_sounds(context, own, gate)),
        tuple(notes),
    )


def _selective(banks: list[BankResponse], gate: float) -> Part:
    counts = [(int(bank.selective(gate).sum()), len(bank.peak)) for bank in banks]
    shares = [hits / total for hits, total in counts]
    return Part(
        "selective",
        "Share of filters that hold more of their energy near their peak than 99 % of untrained "
        "ones",
        share_interval(*counts[0]),
        "filters",
        counts[0][1],
        "above",
        HALF,
        tuple(shares[1:]),
        "untrained networks",
        twin_p(shares[0], shares[1:], "above"),
    )


def _heard(bank: BankResponse, gate: float | None) -> Array:
    """Return the peak frequencies of filters that pass the gate; of all resolved ones if None."""
    chosen = ~bank.unresolved if gate is None else bank.selective(gate)
    return bank.peak[chosen].double().numpy()


def _low(banks: list[BankResponse], gate: float) -> Part | None:
    own = _heard(banks[0], gate)
    if not len(own):
        return None
    limit = LOW_SHARE * banks[0].nyquist
    shares = [float(np.mean(_heard(bank, None) < limit)) for bank in banks[1:]]
    value = share_interval(int((own < limit).sum()), len(own))
    return Part(
        "low",
        f"Share of the selective filters whose peak lies in the lower half of the band, below "
        f"{limit:.0f} Hz",
        value,
        "filters",
        len(own),
        "above",
        HALF,
        tuple(shares),
        "untrained networks",
        twin_p(value.value, shares, "above"),
    )


def _spaced(own: BankResponse, controls: list[BankResponse], gate: float, seed: int) -> Part | None:
    """Return whether the filters are spread more evenly on an auditory scale than on others."""
    peaks = torch.from_numpy(_heard(own, gate))
    band = (own.resolution, own.nyquist)
    peaks = peaks[(peaks >= band[0]) & (peaks <= band[1])]
    if len(peaks) < FEWEST:
        return None
    values, index = resample(peaks, 1000, seed)
    gains = _gain(values[index], band)
    value = percentiles(float(_gain(values[None], band)[0]), gains)
    twins = []
    for bank in controls:
        other = torch.from_numpy(_heard(bank, None))
        other = other[(other >= band[0]) & (other <= band[1])].sort().values
        twins.append(float(_gain(other[None], band)[0]))
    return Part(
        "mel-like",
        "Distance (W1) of the selective filters' frequencies from being spread evenly on the "
        "linear or the octave scale, whichever is nearer, less that on the mel scale",
        value,
        "filters",
        len(peaks),
        "above",
        0.0,
        tuple(twins),
        "untrained networks",
        twin_p(value.value, twins, "above"),
    )


def _gain(values: torch.Tensor, band: tuple[float, float]) -> torch.Tensor:
    """Return how much nearer sorted frequencies, (draws, n), are to the mel scale, (draws,)."""
    distance = {
        name: wasserstein_to_uniform(warp_to_unit(values, SCALES[name], band))
        for name in ("linear", "log2", "mel-htk", "mel-slaney")
    }
    others = torch.minimum(distance["linear"], distance["log2"])
    return others - torch.minimum(distance["mel-htk"], distance["mel-slaney"])


def _centres(banks: list[BankResponse], gate: float) -> Panel:
    top = banks[0].nyquist
    edges = np.linspace(0.0, top, 9)
    rows = []
    for i, bank in enumerate(banks):
        peaks = _heard(bank, gate if i == 0 else None)
        rows.append(np.histogram(peaks, edges)[0] / max(1, len(peaks)))
    shares = np.array(rows, dtype=float)
    return Panel(
        "Where filters have their peak",
        "kHz",
        "share of filters",
        tuple(f"to {edge / 1000:.1f}" for edge in edges[1:]),
        (twin_curve(shares[1:]), Curve("selective filters", tuple(shares[0].tolist()))),
    )


def _distances(banks: list[BankResponse], gate: float) -> Panel:
    band = (banks[0].resolution, banks[0].nyquist)
    rows = []
    for i, bank in enumerate(banks):
        peaks = _heard(bank, gate if i == 0 else None)
        inside = torch.from_numpy(np.sort(peaks[(peaks >= band[0]) & (peaks <= band[1])]))
        rows.append(
            [
                float(wasserstein_to_uniform(warp_to_unit(inside, warp, band)))
                if len(inside)
                else np.nan
                for warp in SCALES.values()
            ]
        )
    table = np.array(rows)
    return Panel(
        "Distance from an even spread",
        "scale",
        "W1, parts of the band",
        tuple(SCALES),
        (twin_curve(table[1:]), Curve("selective filters", tuple(table[0].tolist()))),
    )


def _music_words(context: Context, own: BankResponse, gate: float) -> str:
    """Say how much of the energy of music lies in the low quarter of the band."""
    length = round(context.seconds * context.sample_rate)
    if context.collection is None:
        samples = torch.cat(
            [Bar(root, drums=drums).render(context.seconds, context.sample_rate).samples
             for root in ("A", "Eb") for drums in ("none", "eight-beat")]
        )  # fmt: skip
        what = "synthesised music"
    else:
        samples, what = context.collection.excerpts(length), "the collection"
    power = torch.fft.rfft(samples.double()).abs().square().mean(0)
    hertz = torch.fft.rfftfreq(length, 1 / context.sample_rate)
    low = float(power[hertz < LOW_SHARE * own.nyquist].sum() / power.sum())
    peaks = _heard(own, gate)
    share = float(np.mean(peaks < LOW_SHARE * own.nyquist)) if len(peaks) else float("nan")
    return (
        f"Control: {low:.0%} of the energy of {what} lies in the lower half of the band, and "
        f"{share:.0%} of the selective filters: filters follow the spectrum of music anyway, so "
        "the part on low frequencies says little of hearing."
    )


def _sounds(context: Context, own: BankResponse, gate: float) -> list[Sound]:
    peaks = np.sort(_heard(own, gate))
    if not len(peaks):
        return []
    rate, seconds = context.sample_rate, 0.25
    chosen = peaks[np.linspace(0, len(peaks) - 1, min(8, len(peaks))).astype(int)]
    even = np.linspace(own.nyquist / 8, 0.95 * own.nyquist, 8)
    return [
        Sound("filters", "the frequencies of eight filters, from low to high",
              _row(chosen, seconds, rate)),
        Sound("linear", "eight frequencies an equal number of Hz apart", _row(even, seconds, rate)),
    ]  # fmt: skip


def _row(frequencies: Array, seconds: float, rate: int) -> Waveform:
    parts = [
        tone(float(min(f, 0.49 * rate)), seconds, rate, ramp=0.02).samples for f in frequencies
    ]
    return Waveform(torch.cat(parts, 1), rate)


CLAIM = Claim(
    "mel",
    "First-layer filters on raw audio are frequency-selective, sit in the low frequencies and "
    "resemble the mel scale.",
    "Dieleman, Schrauwen 2014, ICASSP",
    "The frequency response of every filter is measured. Only filters count that are sharper than "
    "99 % of untrained ones; their frequencies are compared with an even spread on the mel, "
    "linear and octave scales.",
    (Need.RAW, Need.TWINS),
    try_mel,
    plain="{0:.0%} of the filters pick out a frequency, and {1:.0%} of those do so in the lower"
    " half of the band.",
)
