"""The state of a training on disk: safetensors with JSON in the header; nothing is unpickled."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import CheckpointIO
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from auralise.errors import InvalidValueError, OutputError, WeightsError

LAST = "last.safetensors"


class SafeCheckpoints(CheckpointIO):
    """Writes and reads Lightning's checkpoints by `write_state` and `read_state`."""

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: str | Path,
        storage_options: Any = None,  # noqa: ANN401
    ) -> None:
        """Write a checkpoint; see `write_state`."""
        write_state(checkpoint, Path(path))

    def load_checkpoint(
        self,
        path: str | Path,
        map_location: Callable[..., Any] | None = None,
        weights_only: bool | None = None,
    ) -> dict[str, Any]:
        """Read a checkpoint to the CPU; see `read_state`."""
        state = read_state(Path(path))
        if not isinstance(state, dict):
            raise WeightsError(f"{path} holds no checkpoint")
        return state

    def remove_checkpoint(self, path: str | Path) -> None:
        """Delete a checkpoint."""
        Path(path).unlink(missing_ok=True)


def write_state(state: Mapping[str, Any], path: Path) -> None:
    """Write nested plain values and tensors as one file, whole or not at all.

    The file is written beside its place, brought to the disk and then renamed, so that a process
    killed at any moment leaves the old one or the new one.

    Parameters
    ----------
    state : mapping
        Of None, bool, int, float, str, lists, tuples, mappings with str or int keys, tensors.
    path : Path
        Its folder exists.

    Raises
    ------
    OutputError
        If it cannot be written; the old file stays.
    InvalidValueError
        If something in it is of another type.
    """
    tensors: dict[str, Tensor] = {}
    plain = _encode(state, tensors)
    data = save(tensors, metadata={"state": json.dumps(plain)})
    write_atomically(data, path)


def write_atomically(data: bytes, path: Path) -> None:
    """Write a file whole or not at all.

    Raises
    ------
    OutputError
        If it cannot be written; the old file stays.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        kept = "; the one written before is kept" if path.exists() else ""
        raise OutputError(
            f"cannot write {path}: {error.strerror} ({len(data) / 2**20:.1f} MiB are needed){kept}"
        ) from error


def read_state(path: Path) -> Any:  # noqa: ANN401 (what write_state was given)
    """Return what `write_state` wrote, tensors on the CPU.

    Raises
    ------
    WeightsError
        If there is no such file, or it is damaged.
    """
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            plain = json.loads((file.metadata() or {})["state"])
    except FileNotFoundError:
        raise WeightsError(f"there is no checkpoint {path}") from None
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise WeightsError(f"checkpoint {path} cannot be read: {error}") from error
    return _decode(plain, tensors)


def _encode(value: Any, tensors: dict[str, Tensor]) -> Any:  # noqa: ANN401
    """Return ``value`` as JSON can hold it; tensors go into ``tensors`` and leave their name."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Tensor):
        name = str(len(tensors))
        # A copy: safetensors refuses tensors that share memory, as tied weights do.
        tensors[name] = value.detach().cpu().clone(memory_format=torch.contiguous_format)
        return {"tensor": name}
    if isinstance(value, list | tuple):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {kind: [_encode(item, tensors) for item in value]}
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str | int):
                raise InvalidValueError(f"keys of a state must be str or int, got {key!r}")
        return {"map": [[key, _encode(item, tensors)] for key, item in value.items()]}
    raise InvalidValueError(f"a {type(value).__name__} cannot be kept in a checkpoint: {value!r}")


def _decode(value: Any, tensors: Mapping[str, Tensor]) -> Any:  # noqa: ANN401
    if not isinstance(value, dict):
        return value
    ((kind, held),) = value.items()
    if kind == "tensor":
        return tensors[held]
    if kind == "map":
        return {key: _decode(item, tensors) for key, item in held}
    items = [_decode(item, tensors) for item in held]
    return tuple(items) if kind == "tuple" else items


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Say in what two descriptions of a training differ, one line each; empty if in nothing."""
    keys = dict.fromkeys((*old, *new))
    return [
        f"{key}: {_short(old.get(key))} then, {_short(new.get(key))} now"
        for key in keys
        if old.get(key) != new.get(key)
    ]


def _short(value: Any) -> str:  # noqa: ANN401
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
