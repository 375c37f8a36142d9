"""Hear what a neural network listens for."""

__version__ = "0.1.0"
