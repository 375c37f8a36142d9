"""A support vector machine as a module: plain numbers in buffers, so that it saves like weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SupportVectorMachine(nn.Module):
    """One machine with radial basis functions for each label, with calibrated probabilities.

    What each machine decides, ``d = sum_i dual_i exp(-gamma |x - support_i|^2) + intercept``, gives
    the probability ``1 / (1 + exp(slope d + offset))`` (Platt), and the labels' probabilities are
    divided by their sum. All is computed in float64. Without support vectors, or before it
    is filled, all labels are equally probable.

    Parameters
    ----------
    n_labels : int
    support : int
        Number of support vectors; all labels' machines share them.
    features : int
        Numbers that describe one thing to classify.

    Attributes
    ----------
    mean, scale : Tensor, shape (features,)
        Features are standardised by these first.
    vectors : Tensor, shape (support, features)
        Standardised.
    dual : Tensor, shape (labels, support)
        0 where a vector supports only others.
    intercept, slope, offset : Tensor, shape (labels,)
    gamma : Tensor, shape ()
    """

    mean: Tensor
    scale: Tensor
    vectors: Tensor
    dual: Tensor
    intercept: Tensor
    slope: Tensor
    offset: Tensor
    gamma: Tensor

    def __init__(self, n_labels: int, support: int, features: int) -> None:
        super().__init__()
        shapes = {
            "mean": (features,),
            "vectors": (support, features),
            "dual": (n_labels, support),
            "intercept": (n_labels,),
            "slope": (n_labels,),
            "offset": (n_labels,),
        }
        for name, shape in shapes.items():
            self.register_buffer(name, torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("scale", torch.ones(features, dtype=torch.float64))
        self.register_buffer("gamma", torch.ones((), dtype=torch.float64))

    def decide(self, features: Tensor) -> Tensor:
        """Return what each machine decides, (batch, labels), of (batch, features)."""
        standard = (features.double() - self.mean) / self.scale
        distance = (
            standard.square().sum(1, keepdim=True)
            - 2 * standard @ self.vectors.T
            + self.vectors.square().sum(1)
        )
        return torch.exp(-self.gamma * distance.clamp(min=0)) @ self.dual.T + self.intercept

    def log_probabilities(self, features: Tensor) -> Tensor:
        """Return the logarithms of the labels' probabilities.

        Parameters
        ----------
        features : Tensor, shape (batch, features)

        Returns
        -------
        Tensor, shape (batch, labels), float64
        """
        each = nn.functional.logsigmoid(-(self.slope * self.decide(features) + self.offset))
        return each.log_softmax(1)  # of logarithms: divides by the sum

    def forward(self, features: Tensor) -> Tensor:
        """Return `log_probabilities`."""
        return self.log_probabilities(features)
