"""What the commands share: progress on stderr, JSON and tables on stdout, torch's settings."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from auralise.datasets import Dataset


def setup_torch(threads: int = 0) -> None:
    """Use the cores there are and flush denormal numbers, which slow spectral code greatly.

    Parameters
    ----------
    threads : int
        How many, if not as many as there are cores (0).
    """
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    torch.set_flush_denormal(True)
    torch.set_num_threads(threads or cores)


def print_json(value: Any) -> None:  # noqa: ANN401 (anything that JSON can hold)
    """Write a result for programs to stdout."""
    typer.echo(json.dumps(value, indent=2, sort_keys=True, allow_nan=False))


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write a table to stdout: aligned columns, two spaces between them, no wrapping."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    rule = ["-" * width for width in widths]
    for row in [head, rule, *rows]:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo("  ".join(cells).rstrip())


def note(text: str) -> None:
    """Write a remark for people to stderr."""
    typer.echo(f"auralise: {text}", err=True)


def open_collection(text: str) -> Dataset:
    """Open a collection written ``kind:path``; what it warns of is said on stderr."""
    import warnings

    from auralise.datasets import EmptyLabelWarning, open_dataset

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", EmptyLabelWarning)
        dataset = open_dataset(text)
    for warning in caught:
        note(str(warning.message))
    return dataset


def _log_tenths(stage: str, done: int, total: int, text: str = "") -> None:
    """Write a line when another tenth of a stage is done."""
    if done * 10 // total != (done - 1) * 10 // total:
        note(f"{stage}: {done} of {total}{', ' if text else ''}{text}")


@contextmanager
def progress_bar() -> Iterator[Callable[..., None]]:
    """Show stages of long work on stderr, with the time left; in a log file, a line per tenth.

    Yields
    ------
    callable
        ``bar(stage, done, total, text="")``.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[text]}"),
    )
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _log_tenths
        return
    with Progress(*columns, console=console) as progress:
        tasks: dict[str, Any] = {}

        def bar(stage: str, done: int, total: int, text: str = "") -> None:
            if stage not in tasks:
                tasks[stage] = progress.add_task(stage, total=total, text="")
            progress.update(tasks[stage], completed=done, text=text)

        yield bar
