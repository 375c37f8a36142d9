"""Clips decoded once, kept in one memory-mapped file for each collection and rate.

A cache is two files in a folder: ``clips-16000.f32`` has the samples one clip after another,
``clips-16000.index`` a line for each file, written after its samples. A process that is killed
leaves at most samples that no line speaks of, or half a line; the next one goes on behind them.
Samples are float32, so that a clip from the cache is the clip `read_clips` gives.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import overload

import numpy as np
import torch
from filelock import FileLock

from auralise.datasets.base import Track
from auralise.datasets.clips import Clip
from auralise.datasets.decoding import decoded, key_of
from auralise.datasets.index import Entry
from auralise.datasets.store import Files, Writer, touched, unchanged, whole_entries
from auralise.errors import AudioFileError, AuraliseError, InvalidValueError, OutputError


@dataclass(frozen=True, slots=True)
class Skipped:
    """A track that could not be read.

    Attributes
    ----------
    path : Path
    label : str
    reason : str
    """

    path: Path
    label: str
    reason: str


class ClipCache(Sequence[Clip]):
    """Clips on disk; nothing is read before it is asked for. Made by `open_cache`.

    Attributes
    ----------
    tracks : tuple of Track
        Of the clips, in order.
    skipped : tuple of Skipped
        Tracks that are left out because they cannot be read.
    """

    def __init__(
        self,
        path: Path,
        tracks: Sequence[Track],
        places: Sequence[tuple[int, int]],
        skipped: Sequence[Skipped],
    ) -> None:
        self.path, self.tracks, self.skipped = path, tuple(tracks), tuple(skipped)
        self._places = tuple(places)
        self._number = {track.path: number for number, track in enumerate(self.tracks)}
        # "c" lets torch have an array it may write to; what is written stays in this process.
        self._samples = np.memmap(path, np.float32, "c") if tracks else np.zeros(0, np.float32)

    def __reduce__(self) -> tuple[object, ...]:
        """Let another process open the same file rather than be sent its samples."""
        return type(self), (self.path, self.tracks, self._places, self.skipped)

    def __len__(self) -> int:
        return len(self.tracks)

    @overload
    def __getitem__(self, index: int) -> Clip: ...
    @overload
    def __getitem__(self, index: slice) -> list[Clip]: ...
    def __getitem__(self, index: int | slice) -> Clip | list[Clip]:
        """Return a clip whose samples lie in the file, or several."""
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        start, length = self._places[index]
        samples = np.asarray(self._samples[start : start + length])
        return Clip(torch.from_numpy(samples), self.tracks[index])

    def clips_of(self, tracks: Iterable[Track]) -> list[Clip]:
        """Return the clips of some of the tracks, in their order; skipped ones are left out.

        Raises
        ------
        InvalidValueError
            If a track is not one that the cache was opened for.
        """
        unreadable = {skipped.path for skipped in self.skipped}
        clips = []
        for track in tracks:
            if track.path in self._number:
                clips.append(replace(self[self._number[track.path]], track=track))
            elif track.path not in unreadable:
                raise InvalidValueError(f"the cache was not opened for {track.path}")
        return clips


def open_cache(
    tracks: Sequence[Track],
    sample_rate: int,
    folder: Path,
    *,
    strict: bool = False,
    workers: int = 1,
    check: bool = True,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> ClipCache:
    """Open the cache of a collection, decoding what is not in it yet or has changed since.

    Two processes may open one cache at once: the second waits for the first. One that is ended at
    any moment can be called again and goes on.

    Parameters
    ----------
    tracks : sequence of Track
        All or some of a collection; others that are in the cache stay there.
    sample_rate : int
        Of the clips, in Hz.
    folder : Path
        Of the collection's cache; made if it does not exist.
    strict : bool
        Raise on the first track that cannot be read, instead of leaving it out.
    workers : int
        Processes that decode, this one among them, each with one thread.
    check : bool
        Compare the samples with their checksums, which reads them all; altered ones are decoded
        again. Without it only their number is checked, of those written since the machine was
        started.
    progress : callable
        Called with the files that are done and how many there are to do.

    Returns
    -------
    ClipCache

    Raises
    ------
    AudioFileError
        If none of the tracks can be read, or, with ``strict``, one of them.
    InvalidValueError
        If there are no tracks, or ``workers`` is below 1.
    OutputError
        If the cache cannot be written, as on a full disk: what was decoded is kept. Also if a
        process that decoded was ended from outside.
    """
    if not tracks or workers < 1:
        raise InvalidValueError(
            f"a cache needs tracks and at least one worker, got {len(tracks)} and {workers}"
        )
    files = Files.of(folder, sample_rate)
    wanted = {key_of(track): track for track in tracks}
    with _said_plainly(files):
        entries = whole_entries(files, wanted, check)
        if not all(key in entries and unchanged(entries[key]) for key in wanted):
            decoding = partial(decoded, sample_rate=sample_rate, workers=workers)
            entries = _fill(files, wanted, decoding, check, strict, progress)
    return _collect(files, tracks, entries, strict)


@contextmanager
def _said_plainly(files: Files) -> Iterator[None]:
    """Say what a full disk, or the end of a process, means for the cache."""
    try:
        yield
    except BrokenProcessPool as error:
        raise OutputError(
            "a process that decoded was ended from outside, perhaps for want of memory; what was "
            "decoded is kept, call again with fewer workers"
        ) from error
    except OSError as error:
        if isinstance(error, AuraliseError):
            raise
        raise OutputError(
            f"cannot write the cache {files.samples}: {error.strerror}; what was decoded is kept, "
            "make room, or name another folder, and call again"
        ) from error


def _collect(
    files: Files, tracks: Sequence[Track], entries: Mapping[str, Entry], strict: bool
) -> ClipCache:
    read, places, skipped = [], [], []
    for track in tracks:
        entry = entries[key_of(track)]
        if entry.reason:
            skipped.append(Skipped(track.path, track.label, entry.reason))
        else:
            read.append(track)
            places.append((entry.start, entry.length))
    if skipped and (strict or not read):
        raise AudioFileError(
            f"{len(skipped)} of {len(tracks)} tracks cannot be read; the first is "
            f"{skipped[0].path}: {skipped[0].reason}"
        )
    return ClipCache(files.samples, read, places, skipped)


def _fill(
    files: Files,
    wanted: Mapping[str, Track],
    decoding: Callable[..., Generator[list[Entry], None, None]],
    check: bool,
    strict: bool,
    progress: Callable[[int, int], None],
) -> dict[str, Entry]:
    """Decode what is missing while no other process does; return all entries."""
    files.lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(files.lock), Writer(files) as writer:
        entries = whole_entries(files, wanted, check)
        for key, entry in entries.items():
            if not unchanged(entry) and (again := touched(entry)) is not None:
                writer.record([again])
                entries[key] = again
        entries = {k: entry for k, entry in entries.items() if unchanged(entry)}
        missing = [track for key, track in wanted.items() if key not in entries]
        done = 0
        with closing(decoding(missing, appender=writer.appender)) as lots:
            for lot in lots:
                writer.record(lot)
                for entry in lot:
                    entries[entry.path] = entry
                    done += 1
                    progress(done, len(missing))
                    if strict and entry.reason:
                        raise AudioFileError(f"{entry.path} cannot be read: {entry.reason}")
    return entries
