"""The table of a training's epochs, and Lightning kept from talking."""

from __future__ import annotations

import csv
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, fields
from pathlib import Path
from typing import TYPE_CHECKING

from auralise.training.checkpoints import write_atomically

if TYPE_CHECKING:
    from auralise.training.progress import Epoch

_REMARKS = (
    ".*does not have many workers.*",
    ".*available but not used.*",
    ".*number of training batches.*",
    ".*is deprecated.*",
    ".*_pytree.*",
    ".*lr_scheduler.step.*before.*optimizer.step.*",
    ".*torch.distributed.*",
    ".*to use the `tensorboard.*",
)


def write_table(history: Sequence[Epoch], path: Path) -> None:
    """Write the epochs as CSV: a head, then a row each.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if history:
        writer.writerow(field.name for field in fields(history[0]))
    writer.writerows(astuple(epoch) for epoch in history)
    write_atomically(text.getvalue().encode(), path)


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Lightning's remarks about its set-up; errors and torch's own warnings stay."""
    loggers = [
        logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric", "lightning")
    ]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        for remark in _REMARKS:
            warnings.filterwarnings("ignore", message=remark)
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
