"""What a training runs on."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from auralise.errors import InvalidValueError


@dataclass(frozen=True, slots=True)
class Machine:
    """What a training runs on.

    Attributes
    ----------
    device : str
        "cpu", "cuda" or "cuda:1".
    devices, nodes : int
        Processes on each of ``nodes`` machines, by distributed data parallelism.
    workers : int
        Processes that prepare batches, for each of those.
    tensorboard : bool
        Also write events for TensorBoard into the folder.
    """

    device: str = "cpu"
    devices: int = 1
    nodes: int = 1
    workers: int = 0
    tensorboard: bool = False

    def __post_init__(self) -> None:
        if min(self.devices, self.nodes) < 1 or self.workers < 0:
            raise InvalidValueError(
                f"devices and nodes must be at least 1 and workers at least 0, got "
                f"{self.devices}, {self.nodes} and {self.workers}"
            )
        if self.device.startswith("cuda") and not torch.cuda.is_available():
            raise InvalidValueError("there is no CUDA device here; take --device cpu")

    @property
    def processes(self) -> int:
        """On all nodes."""
        return self.devices * self.nodes
