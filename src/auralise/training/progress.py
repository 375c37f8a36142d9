"""Where a training stands: told after each step, kept after each epoch."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from torch import Tensor

from auralise.errors import TrainingError
from auralise.training.batches import Batch
from auralise.training.checkpoints import LAST
from auralise.training.logs import write_table
from auralise.training.task import Task


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a training stands, after each step.

    Attributes
    ----------
    epoch, epochs, step, steps : int
        Counted from 1.
    loss : float
        Of this step, in nats.
    valid_accuracy : float or None
        After the last step of an epoch; of tags the mean ROC-AUC.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    valid_accuracy: float | None


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch that has ended.

    Attributes
    ----------
    epoch : int
        Counted from 1.
    loss : float
        Mean of its steps, in nats.
    valid_loss, valid_score : float
        As `task.Validation`.
    learning_rate : float
        Of its last step, for the last group of parameters.
    seconds : float
        That it took, with validation.
    """

    epoch: int
    loss: float
    valid_loss: float
    valid_score: float
    learning_rate: float
    seconds: float


class Keeper(Checkpoint):  # type: ignore[misc, unused-ignore]
    """Reports, remembers the best epoch's weights, stops early, writes state and table.

    Parameters
    ----------
    identity : mapping
        What a checkpoint is of; kept in it.
    folder : Path or None
        Where to keep the state; nowhere if None.
    patience : int
        Epochs without a better score after which to stop; 0 never stops.
    report : callable
        Told where the training stands.
    """

    def __init__(
        self,
        identity: Mapping[str, Any],
        folder: Path | None,
        patience: int,
        report: Callable[[Progress], None],
    ) -> None:
        self.identity, self.folder = identity, folder
        self.patience, self.report = patience, report
        self.history: list[Epoch] = []
        self.best_epoch = 0
        self.best: dict[str, Tensor] = {}
        self.why = ""
        self.interrupted = False
        self._start = time.perf_counter()

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return {
            "identity": dict(self.identity),
            "history": [asdict(epoch) for epoch in self.history],
            "best_epoch": self.best_epoch,
            "best": self.best,
            "why": self.why,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take what a checkpoint kept."""
        self.history = [Epoch(**epoch) for epoch in state_dict["history"]]
        self.best_epoch, self.best = state_dict["best_epoch"], state_dict["best"]
        self.why = state_dict["why"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._start = time.perf_counter()

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,  # noqa: ANN401
        batch: Batch,
        batch_idx: int,
    ) -> None:
        """Tell of a step; of the last one when the epoch has been validated."""
        if batch_idx + 1 < int(trainer.num_training_batches):
            self._tell(trainer, _task(pl_module).losses[-1], batch_idx + 1, None)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measure, compare with the best, keep."""
        task = _task(pl_module)
        if task.validation is None:
            raise TrainingError("an epoch ended without validation")
        losses = torch.tensor(task.losses, dtype=torch.float64, device=task.device)
        mean = trainer.strategy.reduce(losses, reduce_op="mean").mean().item()
        last = task.losses[-1]
        task.losses.clear()
        score = task.validation.score
        if not self.history or score > self.history[self.best_epoch - 1].valid_score:
            self.best_epoch = len(self.history) + 1
            state = task.network.state_dict()
            self.best = {key: value.detach().cpu().clone() for key, value in state.items()}
        now = time.perf_counter()
        rate = trainer.optimizers[0].param_groups[-1]["lr"]
        self.history.append(
            Epoch(
                len(self.history) + 1,
                mean,
                task.validation.loss,
                score,
                float(rate),
                now - self._start,
            )
        )
        self._start = now
        plain = asdict(self.history[-1])
        for logger in trainer.loggers:
            logger.log_metrics({key: plain[key] for key in plain if key != "epoch"}, plain["epoch"])
        self._decide(trainer)
        if self.folder is not None:
            trainer.save_checkpoint(self.folder / LAST)
            if trainer.is_global_zero:
                write_table(self.history, self.folder / "log.csv")
        self._tell(trainer, last, int(trainer.num_training_batches), score)

    def _decide(self, trainer: Trainer) -> None:
        waited = len(self.history) - self.best_epoch
        if self.patience and waited >= self.patience:
            self.why = f"no better validation score in {waited} epochs"
            trainer.should_stop = True
        elif len(self.history) == trainer.max_epochs:
            self.why = f"all {trainer.max_epochs} epochs are done"

    def _tell(self, trainer: Trainer, loss: float, step: int, score: float | None) -> None:
        if trainer.is_global_zero:
            epoch = len(self.history) + (score is None)
            steps = int(trainer.num_training_batches)
            self.report(Progress(epoch, trainer.max_epochs or 0, step, steps, loss, score))

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Remember that it was the user who stopped the training."""
        self.interrupted = isinstance(exception, KeyboardInterrupt)


def _task(module: LightningModule) -> Task:
    if not isinstance(module, Task):
        raise TrainingError(f"the trainer runs a {type(module).__name__}, not a Task")
    return module
