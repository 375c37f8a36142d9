"""The graph that autograd recorded behind a tensor."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor
from torch.autograd.graph import Node


def nodes_behind(output: Tensor) -> Iterator[Node]:
    """Yield every operation that ``output`` was made by, each once, from the output down.

    Parameters
    ----------
    output : Tensor
        The result of recorded operations; a leaf has none.

    Examples
    --------
    >>> import torch
    >>> x = torch.ones(3, requires_grad=True)
    >>> [operation(node) for node in nodes_behind(x.relu() * 2)]
    ['Mul', 'Relu', 'AccumulateGrad']
    """
    found: set[Node] = set()
    waiting = [output.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in found:
            continue
        found.add(node)
        yield node
        waiting.extend(behind for behind, _ in node.next_functions)


def operation(node: Node) -> str:
    """Return the name of a node's operation: ``Relu`` for ``ReluBackward0``."""
    name = node.name().rpartition("::")[2].rstrip("0123456789")
    return name.removesuffix("Backward")


def saved(node: Node, name: str) -> object:
    """Return what a node keeps under ``name`` for its derivative; None if nothing."""
    return getattr(node, f"_saved_{name}", None)
