"""What the units of any layer are tuned to: their activation against tones of every frequency.

As in physiology, a unit is characterised by what it answers to simple sounds [1]_, played through
the whole network up to its layer. No sound is longer than the layer needs: a little more than
its receptive field, of which only the positions are kept that see neither padding nor an edge of
the sound, so that the answer is the one to a sound that lasts.

References
----------
.. [1] E. de Boer, H. R. de Jongh, "On cochlear encoding: potentialities and limitations of the
   reverse-correlation technique", J. Acoust. Soc. Am. 63(1), 1978.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import batched
from typing import Literal

import torch
from torch import Tensor, nn

from auralise.activations.recorder import run_to
from auralise.audio.stimuli import LEVEL_DB, chirp, clicks, harmonic_tone, noise_band, silence, tone
from auralise.audio.waveform import Waveform
from auralise.errors import InvalidValueError, NetworkError, ShapeError
from auralise.filters.excerpt import Excerpt, plan_excerpt
from auralise.models.base import MusicNetwork
from auralise.registry import Registry
