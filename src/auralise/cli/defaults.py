"""Defaults that several commands share."""

DEFAULT_MODEL = "choi2016-instruments"
DEFAULT_LAYER = "conv3"
