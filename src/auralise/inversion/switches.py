"""A layer's way back, written down: maps can be made again without the network.

Which places won each max-pooling (its switches), which ReLUs were open, the filters on the way and
the layer's own map are all that deconvnet, guided backpropagation and the gradient need. They are
kept in one file of plain arrays. Without the network, the same map comes out, and what a method
leaves open, what windows that overlap do at a place that won several of them, and what dead windows
send, can be tried afterwards.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn

from auralise.activations.layers import Unit
from auralise.activations.recorder import run_to
from auralise.errors import InvalidValueError, NetworkError
from auralise.inversion.base import DeadWindowPolicy, Inversion, Position
from auralise.inversion.cropping import ordered, shape_of
from auralise.inversion.relu_rules import RULES
from auralise.inversion.replay import REPLAYS, keep, send_back
from auralise.inversion.steps import Overlap, Policies, Step
from auralise.inversion.targets import (
    INACTIVE,
    check_features,
    find_place,
    frozen,
    map_of,
    require_map,
)

SCHEMA = "auralise.switches.1"


@dataclass(frozen=True, slots=True, eq=False)
class Switches:
    """What one layer needs to send its units back, for one input.

    Attributes
    ----------
    layer : str
    output : Tensor, shape (1, channels, ...)
        The layer's output.
    shape : tuple of int
        Of the features.
    steps : tuple of Step
        Operations from the layer down to the input.
    """

    layer: str
    output: Tensor
    shape: tuple[int, ...]
    steps: tuple[Step, ...]

    def invert(
        self,
        channel: int,
        method: Literal["gradient", "deconvnet", "guided"] = "deconvnet",
        *,
        position: Position = "peak",
        overlap: Overlap = "sum",
        dead_windows: DeadWindowPolicy = "first",
    ) -> Inversion:
        """Make a unit's map, without the network.

        Parameters
        ----------
        channel : int
        method : {"gradient", "deconvnet", "guided"}
        position : "peak", "whole" or tuple
            Where on the unit's map.
        overlap : {"sum", "mean", "largest"}
            What a place gets that won several max-pooling windows: the sum of their signals, which
            is what the transpose of the pooling gives; their mean; the largest.
        dead_windows : {"first", "block"}
            For windows whose values are all equal: to the first of them, or nothing.

        Returns
        -------
        Inversion
            For ``overlap="sum"`` the same as from the network. Another policy is named in a flag.

        Raises
        ------
        InvalidValueError
            If there is no such channel, position or policy.
        UnknownNameError
            If the method is none of the three.
        """
        rule = RULES[method]
        for name, value, known in (
            ("overlap", overlap, get_args(Overlap)),
            ("dead_windows", dead_windows, get_args(DeadWindowPolicy)),
        ):
            if value not in known:
                raise InvalidValueError(f"{name} must be one of {', '.join(known)}; got {value!r}")
        unit = Unit(self.layer, channel)
        values = map_of(self.output, unit)
        place = None if position == "whole" else find_place(values, self.layer, position)
        followed = values if place is None else values[place]
        kept = followed if rule is None else followed.clamp(min=0)
        signal = torch.zeros_like(self.output[0])
        signal[(channel, *(place or ()))] = kept
        policies = Policies(method, overlap, dead_windows)
        relevance = send_back(self.steps, signal, self.shape, policies)
        flags: tuple[str, ...] = () if kept.any() else (INACTIVE,)
        if overlap != "sum":
            flags += (f"overlapping windows: {overlap}",)
        return Inversion(relevance, unit, method, float(followed.sum()), place, flags)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all of it to one file, without pickle; whole or not at all.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        arrays: dict[str, Any] = {"output": self.output.cpu().numpy()}
        told = []
        for number, step in enumerate(self.steps):
            arrays |= {f"{number}.{n}": a.detach().cpu().numpy() for n, a in step.arrays.items()}
            told.append(
                [step.kind, step.shape, step.below, step.below_shapes, step.values,
                 sorted(step.arrays)]
            )  # fmt: skip
        head = {"schema": SCHEMA, "layer": self.layer, "shape": self.shape, "steps": told}
        arrays["head"] = np.frombuffer(json.dumps(head).encode(), np.uint8)
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **arrays)
        place = Path(path)
        aside = place.with_name(place.name + ".part")
        aside.write_bytes(buffer.getvalue())
        aside.replace(place)


def record_switches(network: nn.Module, features: Tensor, layer: str) -> Switches:
    """Run the network up to a layer, and write down the way back from it.

    Parameters
    ----------
    network : nn.Module
        In evaluation mode. Left as it was found.
    features : Tensor, shape (channels, ...)
        One example without a batch axis.
    layer : str

    Raises
    ------
    UnknownNameError, InvalidValueError
        As `Inverter`.
    NetworkError
        As `Inverter`, or if an operation cannot be written down; its name is in the message.

    Examples
    --------
    >>> network = nn.Sequential(nn.Conv1d(1, 2, 3), nn.ReLU(), nn.MaxPool1d(2)).eval()
    >>> switches = record_switches(network, torch.ones(1, 8), "2")
    >>> switches.invert(0).relevance.shape
    torch.Size([1, 8])
    """
    check_features(features)
    with torch.inference_mode(False), torch.enable_grad(), frozen(network):
        leaf = features.detach().clone().requires_grad_()
        output = run_to(network, leaf[None], layer)
        order = ordered(output)
        sources = [node for node in order if getattr(node, "variable", None) is leaf]
        require_map(network, layer, output, connected=bool(sources))
        shapes = {node: shape_of(node, leaf) for node in order}
        numbers = {node: i for i, node in enumerate(n for n in order if n not in sources)}
        numbers |= dict.fromkeys(sources, -1)
        steps = []
        for node in order:
            if node in sources:
                continue
            kind, values, arrays = keep(node)
            below = [b for b, _ in node.next_functions if b is not None]
            sides = [shapes[node], *(shapes[b] for b in below)]
            if any(side is None for side in sides):
                raise NetworkError(f"what {node.name()} makes has no batch axis of one example")
            made, *inputs = (side or () for side in sides)
            kept = {name: array.detach().clone() for name, array in arrays.items()}
            places = tuple(numbers[b] for b in below)
            steps.append(Step(kind, made, places, tuple(inputs), values, kept))
    return Switches(layer, output.detach().clone(), tuple(features.shape), tuple(steps))


def load_switches(path: str | os.PathLike[str]) -> Switches:
    """Read what `Switches.save` wrote.

    Raises
    ------
    InvalidValueError
        If the file is none of that kind, or is cut off or damaged.
    OSError
        If it cannot be read.
    """
    content = io.BytesIO(Path(path).read_bytes())
    try:
        with np.load(content, allow_pickle=False) as file:
            arrays = {name: torch.from_numpy(file[name]) for name in file.files}
        head = json.loads(arrays.pop("head").numpy().tobytes())
        if head["schema"] != SCHEMA:
            raise ValueError(head["schema"])
        steps = tuple(
            Step(
                kind,
                tuple(shape),
                tuple(below),
                tuple(tuple(s) for s in inputs),
                values,
                {name: arrays[f"{number}.{name}"] for name in names},
            )
            for number, (kind, shape, below, inputs, values, names) in enumerate(head["steps"])
        )
        if any(step.kind not in REPLAYS for step in steps):
            raise ValueError("unknown step")
        return Switches(head["layer"], arrays["output"], tuple(head["shape"]), steps)
    except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise InvalidValueError(
            f"{os.fspath(path)!r} holds no switches, or is damaged: {error}; record them again"
        ) from error
