"""Collecting what layers put out, with the network left as it was found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import MappingProxyType
from typing import TypeVar

from torch import Tensor, nn

from auralise.activations.layers import find_layer, require_evaluation_mode
from auralise.errors import NetworkError

Hook = Callable[..., None]
T = TypeVar("T")


class _Reached(BaseException):
    """Ends a forward pass at its target.

    Not an `Exception`, so that a network which catches those does not swallow it.
    """


@contextmanager
def record(network: nn.Module, layers: Iterable[str]) -> Iterator[Mapping[str, Tensor]]:
    """Collect what the named layers put out while the block runs.

    The network is left exactly as it was found, also when the block raises.

    Parameters
    ----------
    network : nn.Module
        In evaluation mode.
    layers : iterable of str
        Names as in ``network.named_modules()``; ``relu@2`` is the second call in each pass.

    Yields
    ------
    Mapping from layer name to Tensor, shape (batch, channels, ...)
        Filled anew by each forward pass of ``network``; copies, so that an in-place operation
        behind the layer cannot change them. A layer that was not reached is absent.

    Raises
    ------
    UnknownNameError
        If a layer does not exist; nothing has been hooked by then.
    NetworkError
        If the network is in training mode, or a layer gives something else than a tensor.

    Examples
    --------
    >>> import torch
    >>> network = nn.Sequential(nn.Linear(2, 3), nn.ReLU(inplace=True)).eval()
    >>> with record(network, ["0"]) as outputs:
    ...     result = network(torch.ones(1, 2))
    >>> outputs["0"].shape
    torch.Size([1, 3])
    """
    with record_reduced(network, layers, Tensor.clone) as outputs:
        yield outputs


@contextmanager
def record_reduced(
    network: nn.Module, layers: Iterable[str], keep: Callable[[Tensor], T]
) -> Iterator[Mapping[str, T]]:
    """Do as `record`, and keep what a function makes of each output rather than the output.

    Parameters
    ----------
    network, layers
        As for `record`.
    keep : callable
        Called at once with a layer's output, which must not be kept itself: an in-place operation
        behind the layer may change it.
    """
    require_evaluation_mode(network)
    found = {name: find_layer(network, name) for name in layers}
    outputs: dict[str, T] = {}
    calls: Counter[str] = Counter()

    def begin(*_: object) -> None:
        outputs.clear()
        calls.clear()

    with ExitStack() as undo:
        undo.callback(network.register_forward_pre_hook(begin).remove)
        for name, (module, call) in found.items():
            hook = _keeping(outputs, name, call, calls, keep)
            undo.callback(module.register_forward_hook(hook).remove)
        yield MappingProxyType(outputs)


def run_to(network: nn.Module, batch: Tensor, layer: str) -> Tensor:
    """Run the forward pass as far as one layer and return what the layer put out.

    Nothing behind the layer runs, so early layers cost little time and memory. Gradients flow
    from the result to ``batch`` where they are enabled.

    Parameters
    ----------
    network : nn.Module
        In evaluation mode. Left as it was found.
    batch : Tensor, shape (batch, channels, ...)
        Not changed, even if the network begins with an in-place operation.
    layer : str
        A name as in ``network.named_modules()``; ``relu@2`` is the second call in the pass.

    Returns
    -------
    Tensor, shape (batch, channels, ...)
        The layer's output.

    Raises
    ------
    UnknownNameError
        If the layer does not exist.
    NetworkError
        If the network is in training mode, the layer gives something else than a tensor, or the
        pass ends without reaching it.
    """
    return stop_at(network, layer, lambda: network(batch.clone()))


def stop_at(network: nn.Module, layer: str, forward: Callable[[], object]) -> Tensor:
    """Do as `run_to` with a forward pass that the caller writes, which must call ``network``."""
    require_evaluation_mode(network)
    module, call = find_layer(network, layer)
    outputs: dict[str, Tensor] = {}
    calls: Counter[str] = Counter()
    keep = _keeping(outputs, layer, call, calls, _as_it_is)  # nothing runs that could change it

    def stop(target: nn.Module, inputs: object, output: object) -> None:
        keep(target, inputs, output)
        if layer in outputs:
            raise _Reached

    handle = module.register_forward_hook(stop)
    try:
        forward()
    except _Reached:
        return outputs[layer]
    finally:
        handle.remove()
    raise NetworkError(
        f"the forward pass ended without reaching layer {layer!r}: the network calls this module "
        f"{calls[layer]} times; list_layers shows the layers that a pass reaches"
    )


def _as_it_is(output: Tensor) -> Tensor:
    return output


def _keeping(
    outputs: dict[str, T], name: str, call: int, calls: Counter[str], keeper: Callable[[Tensor], T]
) -> Hook:
    """Return a forward hook that keeps of call number ``call`` what ``keeper`` makes of it."""

    def keep(module: nn.Module, _inputs: object, output: object) -> None:
        calls[name] += 1
        if calls[name] != call:
            return
        if not isinstance(output, Tensor):
            raise NetworkError(
                f"layer {name!r} ({type(module).__name__}) gives a {type(output).__name__}, "
                "not a tensor; choose a layer inside it or behind it"
            )
        outputs[name] = keeper(output)

    return keep
