"""Million Song Dataset: features of songs in HDF5 files, no sound.

A file has the groups ``/analysis``, ``/metadata`` and ``/musicbrainz``, each with a table
``songs``; ``/analysis`` has arrays of segments, beats and bars. Timbre is twelve coefficients of
the shape of a segment's spectrum (the first of them loudness), pitches the strength of the twelve
pitch classes, the strongest 1.

Sources:

- T. Bertin-Mahieux, D. P. W. Ellis, B. Whitman, P. Lamere, "The Million Song Dataset", ISMIR
  2011; field list at millionsongdataset.com/pages/field-list.
- S. Dieleman, P. Brakel, B. Schrauwen, "Audio-based music classification with a pretrained
  convolutional network", ISMIR 2011: features per beat.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from auralise.datasets.base import DATASETS, Dataset, Track, require_folder
from auralise.datasets.clips import Clip
from auralise.datasets.lastfm import read_tags, top_tags
from auralise.errors import AudioFileError, InvalidValueError

LICENCE = "Million Song Dataset: for research; features by The Echo Nest, tags by Last.fm's users"
TAGS = "lastfm_tags.db"


@dataclass(frozen=True, slots=True, eq=False)
class Song:
    """What is read of one song.

    Attributes
    ----------
    track_id, song_id, artist_id, artist_name, title, release : str
    year : int
        0 if not known.
    duration, tempo, loudness : float
        In seconds, beats per minute and dB.
    key, mode : int
        0 is C; 1 is major.
    segments_start : array, shape (segments,)
        In seconds, rising, as are ``beats_start`` (beats,) and ``bars_start`` (bars,).
    segments_timbre, segments_pitches : array, shape (segments, 12)
    """

    track_id: str
    song_id: str
    artist_id: str
    artist_name: str
    title: str
    release: str
    year: int
    duration: float
    tempo: float
    loudness: float
    key: int
    mode: int
    segments_start: NDArray[np.float64]
    segments_timbre: NDArray[np.float64]
    segments_pitches: NDArray[np.float64]
    beats_start: NDArray[np.float64]
    bars_start: NDArray[np.float64]


_ARRAYS = ("segments_start", "segments_timbre", "segments_pitches", "beats_start", "bars_start")


def read_song(path: Path, number: int = 0) -> Song:
    """Read one song.

    Parameters
    ----------
    path : Path
        Of one song, or of several as in the aggregate files.
    number : int
        Which of them, from 0.

    Raises
    ------
    AudioFileError
        If the file cannot be read, or lacks something.
    InvalidValueError
        If it has no song of that number.
    """
    h5py = _h5py()
    try:
        with h5py.File(path, "r") as file:
            count = len(file["analysis/songs"])
            if not 0 <= number < count:
                raise InvalidValueError(f"{path} has {count} songs, there is no number {number}")
            return _read(file, number, last=number + 1 == count)
    except (OSError, KeyError, ValueError) as error:
        if isinstance(error, InvalidValueError):
            raise
        raise AudioFileError(f"{path} is no file of the Million Song Dataset: {error}") from error


def _h5py() -> Any:  # noqa: ANN401 - a module without types
    try:
        import h5py
    except ImportError as error:
        raise InvalidValueError(
            "the Million Song Dataset needs h5py: pip install 'auralise[train]'"
        ) from error
    return h5py


def _read(file: Any, number: int, *, last: bool) -> Song:  # noqa: ANN401
    analysis, metadata = (file[f"{group}/songs"][number] for group in ("analysis", "metadata"))
    arrays = {}
    for name in _ARRAYS:
        column = f"idx_{name}"
        end = None if last else int(file["analysis/songs"][number + 1][column])
        values = file[f"analysis/{name}"][int(analysis[column]) : end]
        arrays[name] = np.asarray(values, np.float64)
    for name in ("segments_timbre", "segments_pitches"):
        if arrays[name].shape != (len(arrays["segments_start"]), 12):
            raise ValueError(f"{name} has shape {arrays[name].shape}")
    return Song(
        track_id=_text(analysis["track_id"]),
        song_id=_text(metadata["song_id"]),
        artist_id=_text(metadata["artist_id"]),
        artist_name=_text(metadata["artist_name"]),
        title=_text(metadata["title"]),
        release=_text(metadata["release"]),
        year=int(file["musicbrainz/songs"][number]["year"]),
        duration=float(analysis["duration"]),
        tempo=float(analysis["tempo"]),
        loudness=float(analysis["loudness"]),
        key=int(analysis["key"]),
        mode=int(analysis["mode"]),
        **arrays,
    )


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def beat_features(song: Song) -> torch.Tensor:
    """Return timbre and pitches of each beat: means over the segments in it.

    A segment counts by the time it shares with the beat. What is before the first beat is left
    out; the last one ends with the song.

    Parameters
    ----------
    song : Song

    Returns
    -------
    Tensor, shape (24, beats), float32
        Timbre in rows 0 to 11, in the dataset's own units, pitches in 12 to 23, from 0 to 1.

    Raises
    ------
    InvalidValueError
        If the song has no beats or no segments.
    """
    if not len(song.beats_start) or not len(song.segments_start):
        raise InvalidValueError(
            f"{song.track_id} has {len(song.beats_start)} beats and {len(song.segments_start)} "
            "segments; there is nothing to take a mean of"
        )
    starts = np.unique(song.beats_start)
    beats = np.append(starts, max(song.duration, starts[-1] + 1e-3))
    edges = np.append(song.segments_start, max(song.duration, beats[-1]))
    edges[0] = min(edges[0], beats[0])
    start = np.maximum(beats[:-1, None], edges[None, :-1])
    stop = np.minimum(beats[1:, None], edges[None, 1:])
    shared = np.maximum(stop - start, 0.0)
    shared /= shared.sum(1, keepdims=True)
    values = np.concatenate([song.segments_timbre, song.segments_pitches], axis=1)
    return torch.from_numpy((shared @ values).T.astype(np.float32))


def feature_clips(tracks: Iterable[Track]) -> Iterator[Clip]:
    """Read the tracks of an "msd" collection as clips of (24, beats); see `beat_features`.

    Raises
    ------
    AudioFileError
        If a file cannot be read.
    """
    for track in tracks:
        yield Clip(beat_features(read_song(track.path)), track)


@DATASETS.register("msd")
def msd(folder: Path) -> Dataset:
    """Read songs in ``folder``, one a file, with the 50 most frequent of their Last.fm tags.

    Songs with none of these are left out. A group is one song, of which there may be several
    tracks; artists are known.

    Parameters
    ----------
    folder : Path
        With ``.h5`` files, in folders of any depth, and ``lastfm_tags.db``.

    Raises
    ------
    InvalidValueError
        If there is no such folder, there are no songs, or no tags.
    AudioFileError
        If a song cannot be read.
    """
    require_folder(folder, "msd")
    paths = sorted(folder.rglob("*.h5"))
    if not paths:
        raise InvalidValueError(f"{folder} has no files that end in .h5")
    songs = [(path, *_identity(path)) for path in paths]
    tags = read_tags(folder / TAGS, {track for _, track, _, _ in songs})
    top = top_tags(tags)
    tracks = []
    for path, track, song, artist in songs:
        own = tuple(tag for tag in top if tag in tags.get(track, ()))
        if own:
            tracks.append(Track(path, "", song, own, artist))
    return Dataset("msd", tuple(tracks), LICENCE, "one song", kind="msd", tags=top)


def _identity(path: Path) -> tuple[str, str, str]:
    song = read_song(path)
    return song.track_id, song.song_id, song.artist_id
