"""What first layers are tuned to: filters, their responses, and the scale they lie on."""

from auralise.filters.bank import FilterBank, effective_bank, untrained_banks
from auralise.filters.orientation import count_classes, first_kernels, orientation_classes
from auralise.filters.pairs import PhasePairs, phase_pairs
from auralise.filters.resampling import Interval
from auralise.filters.response import BankResponse, respond, respond_to_magnitudes
from auralise.filters.scales import SCALES, cumulative_response, fit_family
from auralise.filters.selectivity import bandwidth_slope, selectivity_gate
from auralise.filters.verdict import Finding, ScaleDistance, Verdict, judge_scale

__all__ = [
    "SCALES",
    "BankResponse",
    "FilterBank",
    "Finding",
    "Interval",
    "PhasePairs",
    "ScaleDistance",
    "Verdict",
    "bandwidth_slope",
    "count_classes",
    "cumulative_response",
    "effective_bank",
    "first_kernels",
    "fit_family",
    "judge_scale",
    "orientation_classes",
    "phase_pairs",
    "respond",
    "respond_to_magnitudes",
    "selectivity_gate",
    "untrained_banks",
]
