"""The command line; only this package prints. Heavy imports happen inside the commands."""

from auralise.cli.main import main

__all__ = ["main"]
