"""How loops are compiled by numba; imported on first use only, because numba takes its time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

Function = TypeVar("Function", bound=Callable[..., object])

# Divisions need no check for zero here, and products may be fused with sums. What would change
# with the order of a sum, or assumes that there is no NaN, stays off: same samples everywhere.
_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"contract", "nsz"}}


def compiled(function: Function) -> Function:
    """Compile a function, and keep the result on disk where numba finds a folder to write to."""
    try:
        made = njit(cache=True, **_OPTIONS)(function)
    except RuntimeError:  # all that numba raises when no such folder exists
        made = njit(**_OPTIONS)(function)
    return cast(Function, made)
