"""Cepstra: the cosine transform of log spectra."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from auralise.errors import InvalidValueError


def cosine_transform(coefficients: int, bins: int) -> Tensor:
    r"""Return the first rows of the orthonormal discrete cosine transform (type II).

    .. math:: D[k, n] = \sqrt{\tfrac{2 - \delta_{k0}}{N}}\;
              \cos\Bigl(\tfrac{\pi k (2n + 1)}{2N}\Bigr)

    Applied to log mel spectra it gives mel-frequency cepstral coefficients. The rows are
    orthonormal, so its transpose is its pseudo-inverse: what comes back is the log spectrum
    smoothed over frequency.

    Parameters
    ----------
    coefficients : int
        Rows, at most ``bins``.
    bins : int
        Of the spectrum.

    Returns
    -------
    Tensor, shape (coefficients, bins), float32

    Raises
    ------
    InvalidValueError
        If there would be more coefficients than bins.

    References
    ----------
    .. [1] S. Davis, P. Mermelstein, "Comparison of parametric representations for monosyllabic word
       recognition in continuously spoken sentences", IEEE Trans. ASSP 28(4), 1980.

    Examples
    --------
    >>> rows = cosine_transform(13, 40)
    >>> torch.allclose(rows @ rows.T, torch.eye(13), atol=1e-6)
    True
    """
    if not 1 <= coefficients <= bins:
        raise InvalidValueError(
            f"a cosine transform of {bins} bins has 1 to {bins} coefficients, got {coefficients}"
        )
    k = torch.arange(coefficients, dtype=torch.float64)[:, None]
    n = torch.arange(bins, dtype=torch.float64)
    rows = (math.pi * k * (2 * n + 1) / (2 * bins)).cos() * math.sqrt(2 / bins)
    rows[0] /= math.sqrt(2)
    return rows.float()
