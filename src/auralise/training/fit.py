"""Fitting one network to one collection, repeatably; it can be stopped at any moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader

from auralise.datasets.clips import Clip
from auralise.errors import AudioFileError, InvalidValueError, TrainingError, WeightsError
from auralise.models.base import Architecture
from auralise.training.batches import Excerpts, Order, Plan, Stream, collate_whole, plan
from auralise.training.checkpoints import LAST, SafeCheckpoints, differences, read_state
from auralise.training.identity import identity_of, tracks_of
from auralise.training.logs import quiet
from auralise.training.machine import Machine
from auralise.training.options import FitOptions
from auralise.training.progress import Epoch, Keeper, Progress
from auralise.training.statistics import label_weights, spread_of, standardised
from auralise.training.task import Task

__all__ = ["FitOptions", "Fitted", "Machine", "Progress", "fit", "spread_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A network that has been fitted.

    Attributes
    ----------
    module : nn.Module
        As it was after its best epoch; on the CPU, in evaluation mode.
    architecture : Architecture
        With the frontend that the module was fitted behind, which may have been standardised.
    history : tuple of Epoch
    best_epoch : int
        Counted from 1: the first with the highest validation score.
    why : str
        Why it ended there.
    leader : bool
        False in all but one of several processes; only the leader writes.
    """

    module: nn.Module
    architecture: Architecture
    history: tuple[Epoch, ...]
    best_epoch: int
    why: str
    leader: bool


def fit(
    architecture: Architecture,
    labels: Sequence[str],
    train: Sequence[Clip],
    valid: Sequence[Clip],
    options: FitOptions,
    *,
    folder: Path | None = None,
    resume: bool = True,
    device: str = "cpu",
    machine: Machine | None = None,
    multilabel: bool = False,
    start: Mapping[str, Tensor] | None = None,
    report: Callable[[Progress], None] = lambda _: None,
) -> Fitted:
    """Train a network and return it as it was after its best epoch on the validation clips.

    With a folder, the state is kept there after each epoch (``last.safetensors``), with a table of
    the epochs (``log.csv``). A training that was stopped, however it was, goes on from there,
    and on a CPU ends with the same weights, bit for bit, as one that was not stopped.

    Parameters
    ----------
    architecture : Architecture
    labels : sequence of str
        In the order of the outputs.
    train, valid : sequences of Clip
        At the rate of the architecture's frontend; taken one at a time. Training clips in shards
        are read from front to back.
    options : FitOptions
    folder : Path, optional
        Made if it does not exist; nothing is kept without one.
    resume : bool
        Go on from the state in the folder, if there is one; else it is replaced.
    device : str
        As torch names it; of ``machine`` if that is not given.
    machine : Machine, optional
        Devices, processes and logs.
    multilabel : bool
        Tracks have tags rather than a label.
    start : mapping of str to Tensor, optional
        Weights to start from, such as a pretraining's; those not named are drawn.
    report : callable
        Called after each step.

    Raises
    ------
    InvalidValueError
        If there are no clips, or a clip's label is not among ``labels``.
    WeightsError
        If the state in the folder is of another training: says what differs.
    TrainingError
        If the loss is not finite, or memory is used up; the last state is kept.
    OutputError
        If the state cannot be written, as on a full disk; the one before is kept.
    KeyboardInterrupt
        If interrupted; the state after the last whole epoch is kept.
    """
    _check(labels, train, valid, multilabel)
    check_kind(architecture, first_of(train))
    machine = machine or Machine(device)
    torch.set_flush_denormal(True)
    torch.manual_seed(options.seed)
    network = architecture.build(len(labels))
    if start:
        _take_weights(network, start)
    architecture = standardised(architecture, network, train, options)
    amount = plan(len(train), options, machine.processes)
    identity = identity_of(architecture, labels, train, valid, options, machine, start)
    keeper = Keeper(identity, folder, options.patience, report)
    state = _prepare(folder, resume, identity)
    if state is not None and state["why"]:
        keeper.load_state_dict(state)
        return _finish(network, architecture, keeper, leader=True)
    order = Order(len(train), options.batch_size, amount.taken, options.seed)
    loaders = _loaders(architecture, labels, (train, valid), options, machine, order, multilabel)
    weights = label_weights(labels, train, multilabel) if options.balance else None
    steps = amount.epochs * amount.steps
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    frontend = architecture.frontend()
    task = Task(network, frontend, options, steps, multilabel=multilabel, label_weights=weights)
    if options.compile:
        network.compile()
    trainer = _trainer(machine, options, amount, keeper)
    order.epoch = lambda: trainer.current_epoch
    order.process = lambda: (trainer.global_rank, trainer.world_size)
    with quiet(), _said_plainly(keeper, options):
        path = str(folder / LAST) if folder is not None and state is not None else None
        trainer.fit(task, *loaders, ckpt_path=path)
    return _finish(network, architecture, keeper, leader=trainer.is_global_zero)


def _check(
    labels: Sequence[str], train: Sequence[Clip], valid: Sequence[Clip], multilabel: bool
) -> None:
    if not train or not valid:
        raise InvalidValueError(f"got {len(train)} training and {len(valid)} validation clips")
    tracks = [track for clips in (train, valid) for track in tracks_of(clips)]
    strange = {track.label for track in tracks} - set(labels)
    if strange and not multilabel:
        raise InvalidValueError(f"label {min(strange)!r} is not among {', '.join(labels)}")


def first_of(clips: Sequence[Clip]) -> Clip:
    """Return the first clip that can be read.

    Raises
    ------
    AudioFileError
        If none can.
    """
    for clip in clips:
        return clip
    raise AudioFileError(f"none of the {len(clips)} clips can be read")


def check_kind(architecture: Architecture, clip: Clip) -> None:
    """Refuse sounds for a network that takes features, and the reverse.

    Raises
    ------
    InvalidValueError
        If the clip is of the other kind.
    """
    wants = "features" if "feature" in architecture.frontend().axes else "sounds"
    has = "sounds" if clip.samples.ndim == 1 else "features"
    if wants != has:
        raise InvalidValueError(
            f"the network takes {wants} and the collection has {has} ({clip.track.path.name} of "
            f"shape {tuple(clip.samples.shape)}); take another network or collection"
        )


def _take_weights(network: nn.Module, start: Mapping[str, Tensor]) -> None:
    try:
        found = network.load_state_dict(dict(start), strict=False)
    except RuntimeError as error:
        raise WeightsError(f"the weights to start from do not fit the network: {error}") from error
    if found.unexpected_keys:
        raise WeightsError(f"the network has no {', '.join(found.unexpected_keys)} to start from")


def _prepare(
    folder: Path | None, resume: bool, identity: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Make the folder and return what a training in it that can be continued has kept."""
    if folder is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LAST
    if not path.exists():
        return None
    if not resume:
        path.unlink()
        return None
    kept = read_state(path)["callbacks"]["Keeper"]
    found = differences(kept["identity"], identity)
    if found:
        raise WeightsError(
            f"{path} is of another training: {'; '.join(found)}. Start again without resuming, or "
            "take another folder"
        )
    return dict(kept)


def _loaders(
    architecture: Architecture,
    labels: Sequence[str],
    parts: tuple[Sequence[Clip], Sequence[Clip]],
    options: FitOptions,
    machine: Machine,
    order: Order,
    multilabel: bool,
) -> tuple[DataLoader[Any], DataLoader[Any]]:
    frontend = architecture.frontend()
    rate = frontend.sample_rate
    length = round(architecture.seconds * rate)
    train, valid = (Excerpts(clips, labels, multilabel, length, rate, options) for clips in parts)
    shared: dict[str, Any] = {
        "num_workers": machine.workers,
        "collate_fn": collate_whole,
        "pin_memory": machine.device.startswith("cuda"),
        "persistent_workers": machine.workers > 0,
    }
    validation = DataLoader(valid, batch_size=options.batch_size, **shared)
    if not hasattr(parts[0], "stream"):
        return DataLoader(train, batch_sampler=order, **shared), validation
    # One process at most reads ahead, started anew for each epoch, whose number it has to know.
    ahead = {"num_workers": min(1, machine.workers), "pin_memory": shared["pin_memory"]}
    steps = Stream(parts[0], train, order)
    return DataLoader(steps, batch_size=None, **ahead), validation


def _trainer(machine: Machine, options: FitOptions, amount: Plan, keeper: Keeper) -> Trainer:
    device, _, index = machine.device.partition(":")
    logger: Any = False
    if machine.tensorboard:
        if keeper.folder is None:
            raise InvalidValueError("TensorBoard's events need a folder to be written into")
        from lightning.pytorch.loggers import TensorBoardLogger

        logger = TensorBoardLogger(keeper.folder, name="", version="tensorboard")
    with quiet():
        return Trainer(
            accelerator="gpu" if device == "cuda" else device,
            devices=[int(index)] if index else machine.devices,
            num_nodes=machine.nodes,
            strategy="ddp" if machine.processes > 1 else "auto",
            precision="bf16-mixed" if options.bfloat16 else "32-true",
            max_epochs=amount.epochs,
            limit_train_batches=amount.steps,
            gradient_clip_val=options.clip_norm or None,
            callbacks=[keeper],
            plugins=[SafeCheckpoints()],
            logger=logger,
            use_distributed_sampler=False,
            num_sanity_val_steps=0,
            log_every_n_steps=1,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=keeper.folder,
        )


@contextmanager
def _said_plainly(keeper: Keeper, options: FitOptions) -> Iterator[None]:
    """Turn what ends a training early into the errors that auralise raises."""
    try:
        yield
    except SystemExit:
        if not keeper.interrupted:
            raise
        raise KeyboardInterrupt from None
    except TrainingError as error:
        if keeper.history:
            error.add_note(f"the state after epoch {len(keeper.history)} is kept")
        raise
    except (RuntimeError, MemoryError) as error:
        if not _memory_is_used_up(error):
            raise
        raise TrainingError(
            f"memory is used up; lower batch_size (now {options.batch_size}) or the network's "
            f"width, or set bfloat16: {str(error).splitlines()[0] if str(error) else 'no memory'}"
        ) from error


def _memory_is_used_up(error: BaseException) -> bool:
    words = ("can't allocate memory", "out of memory", "not enough memory")
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(
        word in str(error) for word in words
    )


def _finish(
    network: nn.Module, architecture: Architecture, keeper: Keeper, *, leader: bool
) -> Fitted:
    network.to("cpu").to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    network.load_state_dict(keeper.best)
    return Fitted(
        network.eval(),
        architecture,
        tuple(keeper.history),
        keeper.best_epoch,
        keeper.why,
        leader,
    )
