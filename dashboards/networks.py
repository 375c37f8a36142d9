"""The networks that a dashboard serves, each loaded a few times so that visitors need not wait."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch

from auralise.activations import list_layers, receptive_field
from auralise.activations.receptive_field import ReceptiveField
from auralise.audio import Waveform
from auralise.cli.defaults import DEFAULT_MODEL
from auralise.errors import AuraliseError, UnknownNameError
from auralise.filters.untrained import untrained_networks
from auralise.models import MusicNetwork, load_model, read_manifest

PATIENCE = 20.0
"""Seconds that a request waits for its turn before it is sent away."""

_BUSY = f"the server is busy: your turn did not come within {PATIENCE:.0f} s; try again"
_WORKERS = "heavy"

UNTRAINED = ".untrained"
"""Ends the name of a network as it was before training, with one seed."""

T = TypeVar("T")

_settings = threading.local()


class BusyError(AuraliseError, RuntimeError):
    """The server has more to do than it can; the same request may work a moment later."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer as a page lists it.

    Attributes
    ----------
    name, kind : str
        As in the network; class of the module.
    channels : int
        Number of units.
    shape : tuple of int
        Of its output for the network's own length: (channels, ...).
    parameters : int
    """

    name: str
    kind: str
    channels: int
    shape: tuple[int, ...]
    parameters: int


class NetworkPool:
    """Networks by name; each thread that borrows one has it to itself.

    Hooks sit on the modules while a network is looked into, so two threads must not share one.

    Parameters
    ----------
    folders : sequence of Path
        Folders of networks, beside those that come with the package.
    copies : int
        How often each is loaded at most; not more than cores are of use.
    """

    def __init__(self, folders: Sequence[Path] = (), copies: int = 2) -> None:
        entries = read_manifest()
        own = sorted(entries, key=lambda name: (name != DEFAULT_MODEL, name))
        self._where: dict[str, Path | None] = dict.fromkeys(own)
        self._entries = dict(entries)  # as they are now: networks are loaded once, too
        for folder in folders:
            entries = read_manifest(folder)
            self._where.update(dict.fromkeys(sorted(entries), folder))
            self._entries.update(entries)
        for name, entry in list(self._entries.items()):
            if entry.get("architecture"):
                self._entries[name + UNTRAINED] = {
                    **entry,
                    "sha256": f"untrained {entry['sha256']}",
                }
                self._where[name + UNTRAINED] = self._where[name]
        self._copies = copies
        self._workers = ThreadPoolExecutor(copies, _WORKERS)
        self._lock = threading.Lock()
        self._turn = threading.BoundedSemaphore(copies)
        self._idle: dict[str, queue.SimpleQueue[MusicNetwork]] = {}
        self._layers: dict[str, tuple[Layer, ...]] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all networks, the given folders' first, without those before training."""
        trained = [name for name in self._where if not name.endswith(UNTRAINED)]
        given = [name for name in trained if self._where[name] is not None]
        return (*given, *(name for name in trained if name not in given))

    @property
    def untrained(self) -> tuple[str, ...]:
        """Names under which networks are found as they were before training, in the same order."""
        return tuple(name + UNTRAINED for name in self.names if name + UNTRAINED in self._where)

    def entry(self, name: str) -> Mapping[str, Any]:
        """Return what the manifest says of a network.

        Raises
        ------
        UnknownNameError
            If there is no such network.
        """
        self._folder(name)
        return self._entries[name]

    def takes_spectrograms(self, name: str) -> bool:
        """Say whether a network takes spectrograms; no network is loaded for that."""
        return bool(self.entry(name)["frontend"]["kind"] == "spectrogram")

    def sample_rate(self, name: str) -> int:
        """Return the rate at which a network hears, in Hz."""
        frontend = self.entry(name)["frontend"]
        return int(frontend.get("sample_rate") or frontend["spec"]["sample_rate"])

    def fresh(self, name: str) -> MusicNetwork:
        """Load a network anew, for work that takes long and shall keep nobody waiting."""
        setup_thread()
        folder = self._folder(name)
        if not name.endswith(UNTRAINED):
            return load_model(name, folder)
        card = load_model(name.removesuffix(UNTRAINED), folder).card
        untrained = untrained_networks(card, (0,))[0]
        return MusicNetwork(untrained.module, replace(untrained.card, name=name))

    @contextmanager
    def borrow(self, name: str) -> Iterator[MusicNetwork]:
        """Have a network for oneself while the block runs.

        Raises
        ------
        UnknownNameError
            If there is no such network.
        BusyError
            If it is not one's turn within `PATIENCE` seconds.
        """
        self._folder(name)
        setup_thread()
        if not self._turn.acquire(timeout=PATIENCE):
            raise BusyError(_BUSY)
        try:
            with self._lock:
                idle = self._idle.setdefault(name, queue.SimpleQueue())
            network = self.fresh(name) if idle.empty() else idle.get()
            try:
                yield network
            finally:
                idle.put(network)
        finally:
            self._turn.release()

    def work(self, task: Callable[[], T]) -> T:
        """Do something heavy in one of a few threads that are there for it, and return its result.

        So no more of it is done at a time than there are networks to lend, and memory that one
        task has used is used again by the next.

        Raises
        ------
        BusyError
            If it is not begun within `PATIENCE` seconds.
        """
        if threading.current_thread().name.startswith(_WORKERS):
            return task()
        begun = threading.Event()

        def run() -> T:
            begun.set()
            return task()

        future = self._workers.submit(run)
        if not begun.wait(PATIENCE) and future.cancel():
            raise BusyError(_BUSY)
        return future.result()

    def close(self) -> None:
        """End the threads that do what is heavy."""
        self._workers.shutdown(cancel_futures=True)

    def layers(self, name: str) -> tuple[Layer, ...]:
        """Return a network's layers, without the parts of layers, in the order of a pass."""
        with self._lock:
            if name in self._layers:
                return self._layers[name]
        with self.borrow(name) as network:
            found = list_layers(network.module, silence(network))
        layers = tuple(
            Layer(info.name, info.kind, info.channels, info.shape, info.parameters)
            for info in found
            if "." not in info.name
        )
        with self._lock:
            self._layers[name] = layers
        return layers

    def layer(self, name: str, layer: str) -> Layer:
        """Return one layer of a network.

        Raises
        ------
        UnknownNameError
            If there is no such network or layer.
        """
        known = {entry.name: entry for entry in self.layers(name)}
        if layer not in known:
            raise UnknownNameError("layer", layer, known)
        return known[layer]

    def _folder(self, name: str) -> Path | None:
        if name not in self._where:
            raise UnknownNameError("model", name, self._where)
        return self._where[name]


def setup_thread() -> None:
    """Make a thread's computing quick: one core each, no denormal numbers."""
    if not getattr(_settings, "done", False):
        torch.set_num_threads(1)
        torch.set_flush_denormal(True)
        _settings.done = True


def silence(network: MusicNetwork) -> torch.Tensor:
    """Return the network's input for silence of its own length."""
    frontend = network.card.frontend
    length = round((network.card.seconds or 4.0) * frontend.sample_rate)
    return frontend.analyse(Waveform(torch.zeros(1, length), frontend.sample_rate)).values


def field_values(network: MusicNetwork, features: torch.Tensor, layer: str) -> dict[str, Any]:
    """Return a layer's receptive field as plain values."""
    return asdict(receptive_field(network.module, features, layer))


def field_of(values: Mapping[str, Any]) -> ReceptiveField:
    """Return the receptive field that plain values stand for."""
    return ReceptiveField(**{name: tuple(value) for name, value in values.items()})
