"""What first layers are tuned to: filters, their responses, and the scale they lie on."""

from auralise.filters.bank import FilterBank, effective_bank, untrained_banks
from auralise.filters.pairs import PhasePairs, phase_pairs
from auralise.filters.response import (
    BankResponse,
    cumulative_response,
    respond,
    respond_to_magnitudes,
)

__all__ = [
    "BankResponse",
    "FilterBank",
    "PhasePairs",
    "cumulative_response",
    "effective_bank",
    "phase_pairs",
    "respond",
    "respond_to_magnitudes",
    "untrained_banks",
]
