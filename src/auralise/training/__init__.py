"""Fitting a network to a collection, and measuring what it learned."""

from auralise.training.evaluate import Evaluation, evaluate
from auralise.training.fit import FitOptions, Fitted, Machine, Progress, fit

__all__ = ["Evaluation", "FitOptions", "Fitted", "Machine", "Progress", "evaluate", "fit"]
