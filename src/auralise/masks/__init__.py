"""Parts of a sound that make one unit answer and not its neighbours, found by search."""

from auralise.masks.options import MASK, MaskOptions, native_bfloat16
from auralise.masks.search import UnitMask, find_masks, unmasked

__all__ = ["MASK", "MaskOptions", "UnitMask", "find_masks", "native_bfloat16", "unmasked"]
