"""Collections in shards, as `auralise.datasets.shards` writes them: opened, read clip by clip."""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections import defaultdict
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch

from auralise.datasets.base import DATASETS, Dataset, Track, require_folder
from auralise.datasets.clips import Clip
from auralise.datasets.shards import TRACKS, read_numbered, read_table, track_of
from auralise.errors import AudioFileError, InvalidValueError

ALTERED = "its samples are not those that were written"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a clip's samples are.

    Attributes
    ----------
    number : int
        In the order of writing.
    shard : str
    offset : int
        Of the first sample in the shard, in bytes.
    shape : tuple of int
    sha256 : str
        Of the samples.
    """

    number: int
    shard: str
    offset: int
    shape: tuple[int, ...]
    sha256: str


def _lines(folder: Path) -> list[dict[str, Any]]:
    try:
        text = (folder / TRACKS).read_text("utf-8")
        return [json.loads(line) for line in text.splitlines()]
    except (OSError, ValueError) as error:
        raise InvalidValueError(
            f"{folder} has no whole {TRACKS}; write its shards again: {error}"
        ) from error


@DATASETS.register("shards")
def sharded(path: Path) -> Dataset:
    """Open a folder of shards; the tracks have the paths that they had when they were written.

    Raises
    ------
    InvalidValueError
        If the shards are not whole.
    """
    require_folder(path, "shards")
    about = read_table(path).get("about", {})
    return Dataset(
        about.get("name", path.name),
        tuple(track_of(line) for line in _lines(path)),
        about.get("licence", "unknown"),
        about.get("grouping", "as when the shards were written"),
        kind="shards",
        tags=tuple(about.get("tags", ())),
        root=path,
    )


class ShardClips(Sequence[Clip]):
    """Some clips of a folder of shards; nothing is read before it is asked for.

    One clip is read from its place; `stream` reads shards from front to back, which is what disks
    and networks are fast at.

    Parameters
    ----------
    folder : Path
    tracks : sequence of Track, optional
        Those of the clips, in order; all if not given.
    strict : bool
        Raise at a clip whose samples were altered, rather than leave it out.

    Raises
    ------
    InvalidValueError
        If the shards are not whole, or have no such track.
    """

    def __init__(
        self, folder: Path, tracks: Sequence[Track] | None = None, *, strict: bool = False
    ) -> None:
        self.folder, self.table = folder, read_table(folder)
        known: dict[Path, tuple[Track, Place]] = {}
        for line in _lines(folder):
            track = track_of(line)
            place = Place(
                line["key"], line["shard"], line["offset"], tuple(line["shape"]), line["sha256"]
            )
            known[track.path] = (track, place)
        wanted = [track.path for track in tracks] if tracks is not None else list(known)
        lost = [path for path in wanted if path not in known]
        if lost:
            raise InvalidValueError(f"the shards in {folder} have no clip {lost[0]}")
        self.tracks = tuple(tracks) if tracks is not None else tuple(t for t, _ in known.values())
        self.places = tuple(known[path][1] for path in wanted)
        self._index = {place.number: index for index, place in enumerate(self.places)}
        self.strict = strict
        # Shared with a process that reads ahead.
        self._damaged = torch.zeros(len(self.tracks), dtype=torch.bool)
        self._damaged.share_memory_()  # type: ignore[no-untyped-call]

    @property
    def sample_rate(self) -> int:
        """Of the clips, in Hz."""
        return int(self.table["sample_rate"])

    @property
    def skipped(self) -> list[tuple[str, str]]:
        """Names of the clips that have been left out, and why."""
        numbers = self._damaged.nonzero()[:, 0].tolist()
        return [(self.tracks[number].path.name, ALTERED) for number in numbers]

    def __len__(self) -> int:
        return len(self.tracks)

    @overload
    def __getitem__(self, index: int) -> Clip: ...
    @overload
    def __getitem__(self, index: slice) -> list[Clip]: ...
    def __getitem__(self, index: int | slice) -> Clip | list[Clip]:
        """Return a clip, or several.

        Raises
        ------
        AudioFileError
            If the samples are not those that were written.
        """
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        place = self.places[index]
        count = int(np.prod(place.shape))
        samples = np.fromfile(self.folder / place.shard, "<f4", count, offset=place.offset)
        samples = samples.astype(np.float32, copy=False).reshape(place.shape)
        clip = Clip(torch.from_numpy(samples), self.tracks[index])
        if not self._whole(index, clip):
            raise self._error(index)
        return clip

    def take(self, index: int) -> Clip | None:
        """Return a clip; None, and listed in `skipped`, if it was altered.

        Raises
        ------
        AudioFileError
            If ``strict`` and it was altered.
        """
        try:
            return self[index]
        except AudioFileError:
            if self.strict:
                raise
            self._damaged[index] = True
            return None

    def __iter__(self) -> Iterator[Clip]:
        """Yield one clip after another, without those that were altered; see `take`."""
        for index in range(len(self)):
            if (clip := self.take(index)) is not None:
                yield clip

    def whole(self) -> ShardClips:
        """Read all clips once; return those that are as they were written."""
        tracks = [clip.track for clip in self]
        return ShardClips(self.folder, tracks, strict=self.strict)

    def _whole(self, index: int, clip: Clip) -> bool:
        data = clip.samples.numpy().astype("<f4", copy=False)
        return hashlib.sha256(data.tobytes()).hexdigest() == self.places[index].sha256

    def _error(self, index: int) -> AudioFileError:
        shard = self.folder / self.places[index].shard
        return AudioFileError(f"{self.tracks[index].path.name} in {shard}: {ALTERED}")

    def stream(
        self, seed: int, part: tuple[int, int] = (0, 1)
    ) -> Generator[tuple[int, Clip], None, None]:
        """Read clips from front to back of shards that are taken in a random order, forever.

        Parameters
        ----------
        seed : int
            Of the order of the shards, and of the clips among some hundred.
        part : tuple of int
            ``(i, n)`` takes every n-th shard from the i-th on, for the i-th of n processes.

        Yields
        ------
        int, Clip
            The clip's index here, and the clip. After the last one, all again in another order.
            Clips whose samples were altered are left out; `skipped` lists them.

        Raises
        ------
        InvalidValueError
            If the part has none of the clips.
        AudioFileError
            If ``strict`` and a clip was altered, or if a shard cannot be read as one or none of its
            clips is whole.
        """
        number, of = part
        names = sorted({place.shard for place in self.places})[number::of]
        if not names:
            raise InvalidValueError(
                f"{of} processes need a shard each, and the training clips are in fewer; write "
                "smaller shards"
            )
        turn = 0
        while True:
            random = np.random.default_rng([seed, turn])
            shuffled = [names[i] for i in random.permutation(len(names))]
            found = 0
            with closing(read_numbered(self.folder, shuffled, int(random.integers(2**31)))) as read:
                for index, clip in self._wanted(read):
                    found += 1
                    yield index, clip
            if not found:
                raise AudioFileError(f"no clip of {', '.join(names)} in {self.folder} is whole")
            turn += 1

    def _wanted(self, read: Iterator[tuple[int, Clip]]) -> Iterator[tuple[int, Clip]]:
        try:
            for key, clip in read:
                index = self._index.get(key)
                if index is None:
                    continue
                if self._whole(index, clip):
                    yield index, Clip(clip.samples, self.tracks[index])
                    continue
                self._damaged[index] = True
                if self.strict:
                    raise self._error(index)
        except (tarfile.TarError, KeyError, ValueError) as error:
            raise AudioFileError(
                f"a shard in {self.folder} cannot be read as one ({error}); write the shards again"
            ) from error


def take(clips: Sequence[Clip], index: int) -> Clip | None:
    """Return one of some clips; None if it has to be left out, as one in shards may have."""
    return clips.take(index) if isinstance(clips, ShardClips) else clips[index]


def same_samples(folder: Path, tracks: Sequence[Track]) -> tuple[tuple[Track, ...], ...]:
    """Find clips of the same samples, as `auralise.datasets.duplicates.find_duplicates` does files.

    Returns
    -------
    tuple of tuples of Track
    """
    clips = ShardClips(folder, tracks)
    groups: Mapping[str, list[Track]] = defaultdict(list)
    for track, place in zip(clips.tracks, clips.places, strict=True):
        groups[place.sha256].append(track)
    return tuple(tuple(group) for group in groups.values() if len(group) > 1)
