"""What `recognition.py` and `audit.py` share: excerpts, runs that go on where they stopped, tables.

Results are lines of JSON, one for each network, layer and excerpt, written when it is done. Runs
whose line is there are not made again.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from auralise.audio.files import read_audio
from auralise.audio.waveform import Waveform
from auralise.models.base import MusicNetwork
from auralise.preparation import prepare

RESULTS = Path(__file__).parent / "results"
GENRES = (
    "blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock",
)  # fmt: skip
CLIPS = range(5, 10)
"""Of each genre. The method was developed on the clips 0 to 4."""

INSTEAD = {("jazz", 9): 11}
"""Where the small collection has no clip of the number."""

START = 10.0
LAYERS = {
    "choi2016-instruments": ("conv2", "conv3", "conv4", "conv5"),
    "dieleman2014-raw-instruments": ("conv1", "conv2"),
}
"""Layers 2 to 5 of the one network and 2 and 3, all there are, of the other, whose first
convolution is called ``frames``."""

Line = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A stretch of a clip of GTZAN."""

    genre: str
    clip: int

    @property
    def name(self) -> str:
        """As results call it."""
        return f"{self.genre}.{self.clip:05d}"

    def read(self, data: Path, network: MusicNetwork) -> Waveform:
        """Read what the network takes of it, from ten seconds on."""
        path = data / "genres" / self.genre / f"{self.name}.wav"
        sound = read_audio(path, start=START, seconds=network.card.seconds).waveform
        return prepare(network, sound)[0]


def excerpts(clips: Iterable[int] = CLIPS) -> list[Excerpt]:
    """Return the excerpts, clip by clip through all genres."""
    return [Excerpt(g, INSTEAD.get((g, clip), clip)) for clip in clips for g in GENRES]


def lines_of(path: Path) -> list[Line]:
    """Read results; a last line that was cut off is left out."""
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line[-1:] == "}"]


def keep(path: Path, line: Line) -> None:
    """Append one result."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(rounded(line), allow_nan=False, separators=(",", ":"))
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(file, (text + "\n").encode())
    finally:
        os.close(file)


def rounded(value: Any) -> Any:  # noqa: ANN401
    """Return the same with numbers of four digits behind the point."""
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, Mapping):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list | tuple) else value


def work_off(
    path: Path, jobs: Iterable[tuple[Line, Callable[[], Line]]], minutes: float
) -> Iterator[Line]:
    """Do what has no line yet, until the time is over; what was begun is finished."""
    keys = {_key(line) for line in lines_of(path)}
    end = time.monotonic() + 60 * minutes
    for name, job in jobs:
        if _key(name) in keys:
            continue
        if time.monotonic() > end:
            return
        begun = time.process_time()
        line = {**name, **job(), "seconds": time.process_time() - begun}
        keep(path, line)
        yield line


def pending(path: Path, jobs: Iterable[tuple[Line, Callable[[], Line]]]) -> int:
    """Return how many jobs have no line yet."""
    keys = {_key(line) for line in lines_of(path)}
    return sum(_key(name) not in keys for name, _ in jobs)


def _key(line: Line) -> tuple[str, ...]:
    return tuple(str(line.get(name, "")) for name in ("network", "layer", "excerpt", "kind"))


def interval(values: Sequence[float], draws: int = 2000) -> tuple[float, float, float]:
    """Return the mean over excerpts and its 95 % bootstrap interval."""
    found = np.asarray(values, dtype=np.float64)
    random = np.random.default_rng(0)
    means = found[random.integers(0, len(found), (draws, len(found)))].mean(1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(found.mean()), float(low), float(high)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table in Markdown."""
    lines = ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)]
    return "\n".join(lines)


def put(page: Path, name: str, text: str) -> None:
    """Put text between a page's marks of that name."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, rest = page.read_text("utf-8").split(begin)
    _, after = rest.split(end)
    page.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", encoding="utf-8", newline="\n")


def parser(text: str) -> argparse.ArgumentParser:
    """Return a parser with the options of both programs."""
    made = argparse.ArgumentParser(description=text.splitlines()[0])
    made.add_argument("--data", type=Path, help="folder of GTZAN, with genres/ in it")
    made.add_argument("--minutes", type=float, default=9.0, help="begin nothing new after these")
    made.add_argument("--report", type=Path, help="page to write the tables to, in place of runs")
    made.add_argument("--networks", nargs="*", default=list(LAYERS))
    made.add_argument("--layers", nargs="*", help="only these")
    return made
