"""The way back from single positions, within what they can answer to.

One position of a layer sees a small part of the input, and of every map on the way. So its signal
is followed through the recorded graph in windows of that size: the recorded values (which ReLUs
were open, which places won a pooling) are cut out of the maps of the one full forward pass. Nothing
is computed anew from a cropped input, hence no edge is ever padded that is not an edge of the whole
map, and strides and pooling grids keep their alignment. Windows of one layer have one size, so many
units' signals go back as one batch.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from torch import Tensor
from torch.autograd.graph import Node

from auralise.activations.graph import nodes_behind, operation
from auralise.inversion import strided, transposed
from auralise.inversion.base import InversionOptions
from auralise.inversion.relu_rules import Rule
from auralise.inversion.transposed import Answer, Asked
from auralise.inversion.windows import (
    Box,
    Place,
    Window,
    clear_outside,
    lay,
    settle,
    sizes,
    union,
)

ANSWERS = {**transposed.ANSWERS, **strided.ANSWERS}
"""The operations that a way back in windows may pass."""


@dataclass(frozen=True, slots=True)
class _Step:
    """One operation's turn: where its signal lies, and how it goes on to which operations."""

    node: Node
    lengths: tuple[int, ...]
    answer: Answer
    below: tuple[Node, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Crop:
    """A way back through a recorded graph in windows; see `crop`.

    Attributes
    ----------
    output : Tensor, shape (1, channels, ...)
        The layer's, with the graph behind it.
    leaf : Tensor, shape (channels, ...)
        The input.
    steps : tuple of _Step
        Operations from the output down.
    boxes : dict from Node to Box
        Where the signal lies at each operation; the leaf's under its own node.
    shapes : dict from Node to tuple of int
        Of the maps there, without the batch axis.
    source : Node
        The leaf's.
    """

    output: Tensor
    leaf: Tensor
    steps: tuple[_Step, ...]
    boxes: dict[Node, Box]
    shapes: dict[Node, tuple[int, ...]]
    source: Node

    @property
    def signature(self) -> Hashable:
        """What plans of equal graphs on equal inputs have in common."""
        made = tuple((operation(step.node), step.lengths) for step in self.steps)
        windows = tuple(self.boxes[step.node] for step in self.steps)
        return made, windows, self.leaf.shape, self.leaf.dtype, self.leaf.device

    @property
    def elements(self) -> int:
        """Numbers in the windows of one position, over all operations."""
        return sum(math.prod(sizes(self.boxes[n], self.shapes[n])) for n in self.boxes)

    @property
    def largest(self) -> int:
        """Numbers in the windows of one position, at the operation where they are most."""
        return max(math.prod(sizes(self.boxes[n], self.shapes[n])) for n in self.boxes)

    @property
    def whole(self) -> int:
        """Numbers in the whole maps, over all operations."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    def send(self, channels: Sequence[int], places: Sequence[Place], values: Tensor) -> Tensor:
        """Send what units have at their positions, or their whole maps, back to the input.

        Parameters
        ----------
        channels : sequence of int
            The units.
        places : sequence of Place
            Their positions; empty ones for whole maps.
        values : Tensor, shape (units,) or (units, ...)
            What is sent: one value from each position, or the maps.

        Returns
        -------
        Tensor, shape (units, channels, ...)
            In the box of the leaf; `place` puts each into the input's shape.
        """
        first, lengths = self.steps[0].node, self.steps[0].lengths
        box = self.boxes[first][1:]
        seeds = values.new_zeros(len(places), *sizes(self.boxes[first], lengths))
        for i, (channel, place) in enumerate(zip(channels, places, strict=True)):
            inside = zip(place, box[: len(place)], strict=True)
            seeds[(i, channel, *(p - w.first(place) if w else p for p, w in inside))] = values[i]
        signals: dict[Node, Tensor] = {first: seeds}
        del seeds  # as every signal, needed until it has been passed on
        for step in self.steps:
            self._pass_on(signals, step, places)
        return signals[self.source]

    def _pass_on(self, signals: dict[Node, Tensor], step: _Step, places: Sequence[Place]) -> None:
        """Replace the signal at one operation by what it sends to those below."""
        sent = step.answer.send(self._arrived(signals, step, places), places)
        for node, box, part in zip(step.below, step.answer.boxes, sent, strict=True):
            laid = lay(part, box, self.boxes[node], self.shapes[node], places)
            signals[node] = signals[node] + laid if node in signals else laid

    def _arrived(self, signals: dict[Node, Tensor], step: _Step, places: Sequence[Place]) -> Tensor:
        """Return the sum of what came to an operation, with nothing beyond the map's edges."""
        box = self.boxes[step.node]
        signal = signals.pop(step.node)
        clear_outside(signal, box, step.lengths, places)
        return lay(signal, box, step.answer.box, step.lengths, places)

    def place(self, piece: Tensor, place: Place) -> Tensor:
        """Return one position's relevance in the shape of the input.

        Parameters
        ----------
        piece : Tensor, shape (channels, ...)
            One of those that `send` returned.
        place : Place
            Its position.
        """
        box = self.boxes[self.source]
        if not any(box):
            return piece.clone()  # a batch would be kept in memory for any one of it
        whole: Box = (None,) * len(box)
        return lay(piece[None], box, whole, tuple(self.leaf.shape), [place])[0]


def crop(
    output: Tensor,
    leaf: Tensor,
    rule: Rule | None,
    options: InversionOptions,
    *,
    whole: bool = False,
) -> Crop | None:
    """Plan the way back from single positions of a layer, or from whole maps.

    Parameters
    ----------
    output : Tensor, shape (1, channels, ...)
        The layer's output, with its recorded graph.
    leaf : Tensor, shape (channels, ...)
        What the graph begins with.
    rule : Rule or None
        Of the method.
    options : InversionOptions
        Choices that the method leaves open; only ``dead_windows`` matters here.
    whole : bool
        Leave nothing out; for units that are followed on all of their maps.

    Returns
    -------
    Crop or None
        None where an operation's answer is not known window by window: dense layers, adaptive
        pooling, upsampling, reshaping, other activation functions and whatever else is not
        in `ANSWERS`.
    """
    order = ordered(output)
    shapes = {node: shape_of(node, leaf) for node in order}
    known = {node: shape for node, shape in shapes.items() if shape is not None}
    source = [node for node in order if getattr(node, "variable", None) is leaf]
    if len(known) < len(order) or len(source) != 1 or order[0] is not output.grad_fn:
        return None
    single = [None if whole else Window(axis, 1, 0, 1) for axis in range(output.ndim - 2)]
    boxes: dict[Node, Box] = {order[0]: settle((None, *single), known[order[0]])}
    steps = []
    for node in order:
        if node is source[0]:
            continue
        step = _step(node, boxes, known, rule, options)
        if step is None:
            return None
        steps.append(step)
        for below, box in zip(step.below, step.answer.boxes, strict=True):
            together = union(boxes[below], box) if below in boxes else box
            boxes[below] = settle(together, known[below])
    return Crop(output, leaf, tuple(steps), boxes, known, source[0])


def _step(
    node: Node,
    boxes: dict[Node, Box],
    shapes: dict[Node, tuple[int, ...]],
    rule: Rule | None,
    options: InversionOptions,
) -> _Step | None:
    """Ask an operation for its answer."""
    inputs = [(i, below) for i, (below, _) in enumerate(node.next_functions) if below is not None]
    if any(number for below, number in node.next_functions if below is not None):
        return None  # one of several outputs
    asked = Asked(
        node,
        boxes[node],
        shapes[node],
        tuple(i for i, _ in inputs),
        tuple(shapes[below] for _, below in inputs),
        rule,
        options,
    )
    find = ANSWERS.get(operation(node))
    found = None if find is None else find(asked)
    below = tuple(below for _, below in inputs)
    return None if found is None else _Step(node, shapes[node], found, below)


def shape_of(node: Node, leaf: Tensor) -> tuple[int, ...] | None:
    """Return the shape of what a node made, without the batch axis; None if it does not fit."""
    if getattr(node, "variable", None) is leaf:
        return tuple(leaf.shape)
    made = getattr(node, "_input_metadata", None)
    if not made or made[0].dtype != leaf.dtype or len(made[0].shape) < 2:
        return None
    return tuple(made[0].shape[1:]) if made[0].shape[0] == 1 else None


def ordered(output: Tensor) -> list[Node]:
    """Return the operations behind ``output``, each after all that use what it made."""
    users = Counter(
        below for node in nodes_behind(output) for below, _ in node.next_functions if below
    )
    ready, order = [output.grad_fn] if output.grad_fn else [], []
    while ready:
        node = ready.pop()
        order.append(node)
        for below, _ in node.next_functions:
            if below is not None:
                users[below] -= 1
                if not users[below]:
                    ready.append(below)
    return order
