"""Layer runs that go on where they were stopped: each finished unit is kept on disk."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import secrets
import shutil
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from auralise import __version__
from auralise.activations.layers import Unit
from auralise.audio.waveform import Waveform
from auralise.auralisation import Auralisation, auralise_layer
from auralise.errors import OutputError
from auralise.inversion import Inversion
from auralise.models.base import MusicNetwork
from auralise.settings import Settings


@dataclass(frozen=True, slots=True)
class Unfinished:
    """Where the finished units of a run lie until all of them are.

    The folder's name holds a checksum of all that the results depend on (sound, network, layer,
    settings, version), so that no unit of another run is ever taken.

    Attributes
    ----------
    folder : Path
        Made when the first unit is kept.
    layer : str
    """

    folder: Path
    layer: str

    @staticmethod
    def of(
        out: str | os.PathLike[str],
        network: MusicNetwork,
        source: Waveform,
        layer: str,
        settings: Settings,
    ) -> Unfinished:
        """Return the place beside ``out`` for a run.

        Parameters
        ----------
        out : str or path-like
            Folder that the results are for.
        network, source, layer, settings
            As for `auralise_layer`.
        """
        told = {
            "auralise": __version__,
            "model": [network.card.name, network.card.sha256],
            "layer": layer,
            "settings": asdict(settings),
            "rate": source.sample_rate,
        }
        digest = hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode())
        digest.update(source.samples.detach().cpu().numpy().tobytes())
        place = Path(out).absolute()
        name = f".{place.name}-{digest.hexdigest()[:16]}.unfinished"
        return Unfinished(place.with_name(name), layer)

    def file_of(self, channel: int) -> Path:
        """Return the file that a unit is kept in."""
        return self.folder / f"{channel}.npz"

    def keep(self, result: Auralisation) -> None:
        """Keep a finished unit; whole or not at all.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        inversion = result.inversion
        told = {
            "method": inversion.method,
            "activation": inversion.activation,
            "position": inversion.position,
            "flags": inversion.flags,
            "scores": dict(result.scores),
        }
        place = self.file_of(inversion.unit.channel)
        aside = place.with_name(f"{place.name}.{secrets.token_hex(4)}.part")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with aside.open("wb") as file:
                np.savez(
                    file,
                    allow_pickle=False,
                    relevance=inversion.relevance.detach().cpu().numpy(),
                    samples=result.waveform.samples.detach().cpu().numpy(),
                    told=np.frombuffer(json.dumps(told).encode(), np.uint8),
                )
            aside.replace(place)
        except OSError as error:
            with contextlib.suppress(OSError):
                aside.unlink()
            raise OutputError(
                f"cannot keep unit {inversion.unit} in {str(self.folder)!r}: "
                f"{error.strerror or error}"
            ) from error

    def kept(self, channel: int) -> dict[str, Any] | None:
        """Return what was kept of a unit; None if nothing was, or it was cut off."""
        try:
            content = io.BytesIO(self.file_of(channel).read_bytes())
            with np.load(content, allow_pickle=False) as file:
                told: dict[str, Any] = json.loads(file["told"].tobytes())
                return {**told, "relevance": file["relevance"], "samples": file["samples"]}
        except (OSError, KeyError, ValueError, zipfile.BadZipFile):
            return None

    def done(self, channels: Sequence[int]) -> int:
        """Return how many of the units are there already."""
        return sum(self.kept(channel) is not None for channel in channels)

    def clear(self) -> None:
        """Remove all that was kept; for when the results are where they belong."""
        shutil.rmtree(self.folder, ignore_errors=True)


def resume_layer(
    network: MusicNetwork,
    source: Waveform,
    layer: str,
    channels: Sequence[int],
    unfinished: Unfinished,
    *,
    settings: Settings,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[Auralisation]:
    """Let units of one layer be heard; those that an earlier run has finished are read back.

    Parameters
    ----------
    network, source, layer, settings, report
        As for `auralise_layer`.
    channels : sequence of int
        Which units, in this order.
    unfinished : Unfinished
        Of these arguments. What it has is left untouched, what is made is added.

    Yields
    ------
    Auralisation
        The same as from `auralise_layer`, sample by sample.

    Raises
    ------
    AuraliseError
        As `auralise_layer`.
    OutputError
        If a unit cannot be kept.
    """
    kept = {channel: unfinished.kept(channel) for channel in channels}
    missing = [channel for channel in channels if kept[channel] is None]
    # One unit is always inverted: it brings source, round trip and features for those read back.
    made = auralise_layer(
        network, source, layer, missing or channels[:1], settings=settings, report=report
    )
    common = None
    fresh: dict[int, Auralisation] = {}
    for channel in channels:
        found = kept[channel]
        if common is None or (found is None and channel not in fresh):
            common = next(made)
            if found is None or common.inversion.unit.channel != channel:
                unfinished.keep(common)
            fresh[common.inversion.unit.channel] = common
        yield fresh.pop(channel) if found is None else _read_back(found, channel, layer, common)


def _read_back(
    found: dict[str, Any], channel: int, layer: str, common: Auralisation
) -> Auralisation:
    """Return a unit that was kept, with what all units have in common."""
    position = found["position"]
    like = common.inversion.relevance
    inversion = Inversion(
        torch.from_numpy(found["relevance"]).to(like.device),
        Unit(layer, channel),
        found["method"],
        found["activation"],
        None if position is None else tuple(position),
        tuple(found["flags"]),
    )
    waveform = Waveform(torch.from_numpy(found["samples"]), common.waveform.sample_rate)
    return replace(common, waveform=waveform, inversion=inversion, scores=found["scores"])
