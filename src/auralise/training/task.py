"""One network's training as Lightning runs it: loss, optimiser, schedule, validation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.nn import functional

from auralise.errors import TrainingError
from auralise.frontends.base import Frontend
from auralise.training.augment import mask, seed_of
from auralise.training.batches import Batch
from auralise.training.metrics import macro_roc_auc
from auralise.training.options import FitOptions


@dataclass(frozen=True, slots=True)
class Validation:
    """How good a network is on the clips that choose the epoch.

    Attributes
    ----------
    loss : float
        In nats.
    score : float
        Accuracy; of tags the mean ROC-AUC, or minus the loss where no tag can be measured.
    """

    loss: float
    score: float


class Task(LightningModule):
    """Fits a network behind a frontend.

    Parameters
    ----------
    network : nn.Module
        Takes the frontend's values, gives (batch, labels) logits.
    frontend : Frontend
        Not trained; what is learned of a frontend is part of the network.
    options : FitOptions
    steps : int
        Of the whole training.
    multilabel : bool
        Independent tags rather than one label.
    label_weights : Tensor, shape (labels,), optional
        Of each label in the loss.

    Attributes
    ----------
    losses : list of float
        Of this epoch's steps, on this process.
    validation : Validation or None
        Of the epoch that has ended last.
    """

    def __init__(
        self,
        network: nn.Module,
        frontend: Frontend,
        options: FitOptions,
        steps: int,
        *,
        multilabel: bool = False,
        label_weights: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.module_of_frontend = frontend.module
        self.options, self.steps, self.multilabel = options, steps, multilabel
        self.label_weights = label_weights
        self.losses: list[float] = []
        self.validation: Validation | None = None
        self._answers: list[tuple[Tensor, Tensor]] = []

    def values_of(self, samples: Tensor) -> Tensor:
        """Return the network's input, in full precision and without gradient."""
        with torch.no_grad(), torch.autocast(samples.device.type, enabled=False):
            values = self.module_of_frontend(samples)
        if not isinstance(values, Tensor):
            raise TrainingError(f"the frontend gave a {type(values).__name__}, not a tensor")
        return values

    def losses_of(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return each clip's loss in nats, shape (clips,)."""
        weights = None if self.label_weights is None else self.label_weights.to(logits.device)
        if not self.multilabel:
            return functional.cross_entropy(logits, targets, weights, reduction="none")
        each = functional.binary_cross_entropy_with_logits(
            logits, targets, pos_weight=weights, reduction="none"
        )
        return each.mean(1)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the mean loss of a batch; Lightning calls backward on it."""
        options = self.options
        torch.manual_seed(seed_of(2, options.seed, self.global_step, self.global_rank))
        values = self.values_of(batch.samples)
        if options.mask_time or options.mask_frequency:
            values = mask(values, batch.numbers, options.mask_time, options.mask_frequency)
        logits = self.network(values).float()
        loss = (self.losses_of(logits, batch.targets) * batch.weights).sum()
        if not torch.isfinite(loss):
            raise TrainingError(
                f"the loss became {loss.item()} at step {self.global_step + 1}; lower the learning "
                "rate or set clip_norm"
            )
        self.losses.append(loss.item())
        return loss

    def validation_step(self, batch: Batch | None, batch_idx: int) -> None:
        """Keep the answers to a batch of validation clips; None has none that can be read."""
        if batch is None:
            return
        logits = self.network(self.values_of(batch.samples)).float()
        self._answers.append((logits.cpu(), batch.targets.cpu()))

    def on_validation_epoch_end(self) -> None:
        """Measure all answers at once."""
        if not self._answers:
            raise TrainingError("none of the validation clips can be read")
        logits, targets = (torch.cat(part) for part in zip(*self._answers, strict=True))
        self._answers.clear()
        self.validation = measure(logits, targets, self.losses_of(logits, targets).mean().item())

    def configure_optimizers(self) -> Any:  # noqa: ANN401 (Lightning's own union)
        """Return optimiser and schedule."""
        groups = parameter_groups(self.network, self.options)
        rates = [group["lr"] for group in groups]
        if self.options.optimizer == "sgd":
            optimizer: torch.optim.Optimizer = torch.optim.SGD(
                groups,
                momentum=self.options.momentum,
                weight_decay=self.options.weight_decay,
                nesterov=self.options.momentum > 0,
            )
        else:
            optimizer = torch.optim.AdamW(groups, weight_decay=self.options.weight_decay)
        if self.options.schedule == "constant":
            return optimizer
        cycled = self.options.optimizer != "sgd" or self.options.momentum > 0
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, rates, total_steps=self.steps, cycle_momentum=cycled
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def on_train_start(self) -> None:
        """Bring an optimiser's restored state to its parameters' layout in memory.

        Kept values come back in the standard layout; the same numbers in another layout may be
        rounded differently.
        """
        for optimizer in self.trainer.optimizers:
            for parameter, state in optimizer.state.items():
                for name, value in state.items():
                    if isinstance(value, Tensor) and value.shape == parameter.shape:
                        state[name] = torch.empty_like(parameter).copy_(value)


def measure(logits: Tensor, targets: Tensor, loss: float) -> Validation:
    """Return loss and score of answers to validation clips."""
    if targets.ndim == 1:
        return Validation(loss, float((logits.argmax(1) == targets).double().mean()))
    usable = (targets > 0).any(0) & ~(targets > 0).all(0)
    if not usable.any():
        return Validation(loss, -loss)
    truth = targets[:, usable].numpy() > 0
    shares = logits[:, usable].double().sigmoid().numpy()
    weights = torch.ones(1, len(truth), dtype=torch.float64).numpy()
    return Validation(loss, float(macro_roc_auc(truth, shares)(weights)[0]))


def parameter_groups(network: nn.Module, options: FitOptions) -> list[dict[str, Any]]:
    """Return the parameters with their learning rates; the first module's may have its own."""
    if not options.first_layer_rate:
        return [{"params": list(network.parameters()), "lr": options.learning_rate}]
    first = list(_first_with_parameters(network).parameters())
    own = {id(parameter) for parameter in first}
    rest = [parameter for parameter in network.parameters() if id(parameter) not in own]
    groups = [(first, options.first_layer_rate), (rest, options.learning_rate)]
    return [{"params": params, "lr": rate} for params, rate in groups if params]


def _first_with_parameters(network: nn.Module) -> nn.Module:
    children: Sequence[nn.Module] = list(network.children())
    found = (child for child in children if next(child.parameters(), None) is not None)
    return next(found, network)
