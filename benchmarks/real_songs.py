"""Every pretrained network, layer and method on songs nobody prepared: one row each.

Run ``python benchmarks/real_songs.py --data FOLDER``; the folder has ``open/`` and
``gtzan_mini/``. Prints a summary table per network, method and sonification, writes every row
to a CSV file, and ends with status 1 if any sound is not finite, clips, or is silent although its
unit is active.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from auralise.audio.files import read_audio
from auralise.audio.levels import apply_level
from auralise.auralisation import Auralisation, auralise_layer, strongest_units
from auralise.frontends import SpectrogramFrontend
from auralise.inversion import INVERTERS
from auralise.models import MusicNetwork, load_model
from auralise.settings import Settings

LAYERS = {
    "choi2016-instruments": ("conv2", "conv3", "conv5"),
    "dieleman2014-raw-instruments": ("frames", "conv1", "conv2"),
}
GENRES = 10


@dataclass(frozen=True)
class Row:
    """One sound."""

    song: str
    model: str
    unit: str
    method: str
    sonification: str
    phase: str
    activation: float
    activation_source: float
    activation_auralised: float
    spectral_convergence_db: float | None
    round_trip_convergence_db: float | None
    peak_db: float | None
    rms_db: float | None
    finite: bool
    flags: str


def main() -> None:
    """Run everything and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__)
    default = os.environ.get("AURALISE_DATA", "")
    parser.add_argument("--data", type=Path, default=default, help="folder with real audio")
    parser.add_argument("--out", type=Path, default=Path("real_songs.csv"))
    parser.add_argument("--units", type=int, default=2, help="strongest units of each layer")
    arguments = parser.parse_args()
    torch.set_flush_denormal(True)
    torch.set_num_threads(os.cpu_count() or 1)
    songs = songs_of(Path(arguments.data))
    networks = [load_model(name) for name in LAYERS]
    rows = []
    for number, song in enumerate(songs, 1):
        print(f"{number}/{len(songs)} {song.name}", file=sys.stderr)
        for network in networks:
            rows.extend(rows_of(network, song, arguments.units))
    with arguments.out.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(Row.__annotations__))
        writer.writeheader()
        writer.writerows(vars(row) for row in rows)
    summary(rows)
    bad = [row for row in rows if not fine(row)]
    print(f"\n{len(rows)} sounds of {len(songs)} songs; {len(bad)} not as they should be")
    for row in bad:
        print(row)
    sys.exit(bool(bad))


def songs_of(data: Path) -> list[Path]:
    """Return every open song and the first clip of each genre."""
    songs = sorted((data / "open").iterdir())
    genres = sorted((data / "gtzan_mini" / "genres").iterdir())[:GENRES]
    return songs + [sorted(genre.iterdir())[0] for genre in genres]


def rows_of(network: MusicNetwork, song: Path, count: int) -> Iterator[Row]:
    """Auralise the strongest units of each layer with each method, from the middle of a song."""
    whole = read_audio(song)
    seconds = network.card.seconds or 4.0
    start = max(0.0, (whole.total_seconds - seconds) / 2)
    sound = read_audio(song, start=start, seconds=seconds).waveform
    spectral = isinstance(network.card.frontend, SpectrogramFrontend)
    for layer in LAYERS[network.card.name]:
        units = strongest_units(network, sound, layer, count)
        for method in INVERTERS:
            for sonification in ("mask", "magnitude") if spectral else (None,):
                for at in ("peak", "whole"):
                    settings = Settings(method=method, sonification=sonification, at=at)
                    channels = [unit.channel for unit, _ in units]
                    for result in auralise_layer(
                        network, sound, layer, channels, settings=settings
                    ):
                        yield row_of(song, result, method)


def row_of(song: Path, result: Auralisation, method: str) -> Row:
    """Measure one sound at the level it is heard at."""
    heard = apply_level(result.waveform, result.source, "source-rms")
    scores = result.scores
    return Row(
        song=song.stem,
        model=result.model,
        unit=str(result.inversion.unit),
        method=method,
        sonification=result.sonification,
        phase=result.phase,
        activation=result.inversion.activation,
        activation_source=float(scores["activation_source"] or 0),
        activation_auralised=float(scores["activation_auralised"] or 0),
        spectral_convergence_db=scores["spectral_convergence_db"],
        round_trip_convergence_db=scores["round_trip_convergence_db"],
        peak_db=heard.peak_db,
        rms_db=heard.rms_db,
        finite=bool(torch.isfinite(heard.waveform.samples).all()),
        flags="; ".join(result.inversion.flags),
    )


def fine(row: Row) -> bool:
    """Say whether a sound is finite, does not clip, and is silent only where its unit is."""
    numbers = [row.activation, row.activation_source, row.activation_auralised]
    if not (row.finite and all(math.isfinite(number) for number in numbers)):
        return False
    if row.peak_db is None:
        return "inactive" in row.flags
    return row.peak_db <= -1 + 1e-6


def summary(rows: list[Row]) -> None:
    """Print medians for each network, layer, method and sonification."""
    groups: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        layer = row.unit.split(":")[0]
        groups[row.model, layer, row.method, row.sonification].append(row)
    head = (
        "network", "layer", "method", "sonification", "sounds", "activation kept",
        "convergence (dB)", "floor (dB)", "peak (dBFS)", "RMS (dBFS)", "inactive",
    )  # fmt: skip
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for key, group in groups.items():
        kept = [r.activation_auralised / r.activation_source for r in group if r.activation_source]
        cells = [
            *key,
            str(len(group)),
            median(kept, ".2f"),
            median([row.spectral_convergence_db for row in group]),
            median([row.round_trip_convergence_db for row in group]),
            median([row.peak_db for row in group]),
            median([row.rms_db for row in group]),
            str(sum("inactive" in row.flags for row in group)),
        ]
        print("| " + " | ".join(cells) + " |")


def median(values: list[float] | list[float | None], form: str = ".1f") -> str:
    """Return the median of the values there are, or a dash."""
    known = [value for value in values if value is not None]
    return format(statistics.median(known), form) if known else "-"


if __name__ == "__main__":
    main()
