"""GTZAN: 1000 clips of 30 s in ten genres, divided by the lists without its known faults.

The lists leave out repetitions, distortions and wrong labels, and no artist is in two of them:
443 clips for training, 197 for validation, 290 for testing. Which artist made a clip is not in
them. Of a copy that has some of the files only, the lists hold for those.

Sources:

- G. Tzanetakis, P. Cook, "Musical genre classification of audio signals", IEEE Transactions
  on Speech and Audio Processing 10(5), 2002.
- B. L. Sturm, "The GTZAN dataset: its contents, its faults, their effects on evaluation, and
  its future use", arXiv 1306.1461, 2013.
- C. Kereliuk, B. L. Sturm, J. Larsen, "Deep learning and music adversaries", IEEE
  Transactions on Multimedia 17(11), 2015: the lists.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from pathlib import Path

from auralise.audio.files import read_audio
from auralise.datasets.base import DATASETS, Dataset, Track, require_folder
from auralise.datasets.folder import SUFFIXES
from auralise.errors import AudioFileError, InvalidValueError

GENRES = (
    "blues",
    "classical",
    "country",
    "disco",
    "hiphop",
    "jazz",
    "metal",
    "pop",
    "reggae",
    "rock",
)
KNOWN_BAD = {"jazz.00054": "unreadable in a copy that is widely passed on"}
"""Clips that are left out where they cannot be read, and what is known of them."""

LICENCE = "commercial recordings without a licence, not to be passed on."


@cache
def filtered_lists() -> dict[str, str]:
    """Return the part of each clip on the lists, by names like ``jazz.00054``."""
    parts = {}
    for part in ("train", "valid", "test"):
        name = f"lists/gtzan_{part}_filtered.txt"
        text = resources.files("auralise.datasets").joinpath(name).read_text("utf-8")
        parts.update(dict.fromkeys((Path(line).stem for line in text.split()), part))
    return parts


@DATASETS.register("gtzan")
def gtzan(folder: Path) -> Dataset:
    """Read clips named ``genre/genre.00000.wav``.

    Parameters
    ----------
    folder : Path
        With the folders of genres in it, or with ``genres`` or ``genres_original`` that has them.

    Raises
    ------
    InvalidValueError
        If there is no such folder, or no such clips in it.
    """
    require_folder(folder, "gtzan")
    inner = (folder / "genres", folder / "genres_original", folder / "Data" / "genres_original")
    root = next((place for place in inner if place.is_dir()), folder)
    parts = filtered_lists()
    tracks, left_out = [], []
    for path in sorted(path for genre in GENRES for path in (root / genre).glob(f"{genre}.*")):
        if path.suffix.lower() not in SUFFIXES | {".au"}:
            continue
        if path.stem in KNOWN_BAD and not _readable(path):
            left_out.append(f"{path.stem} ({KNOWN_BAD[path.stem]})")
            continue
        tracks.append(Track(path, path.parent.name, path.stem, part=parts.get(path.stem, "")))
    if not tracks:
        raise InvalidValueError(f"{folder} has no clips named like genres/jazz/jazz.00000.wav")
    grouping = (
        "artists are not known; no artist is in two of the given parts, which leave out "
        f"{sum(not track.part for track in tracks)} of these {len(tracks)} clips for their faults"
    )
    if left_out:
        grouping += "; not read: " + ", ".join(left_out)
    return Dataset("gtzan", tuple(tracks), LICENCE, grouping, kind="gtzan")


def _readable(path: Path) -> bool:
    try:
        read_audio(path, allow_truncated=True)
    except AudioFileError:
        return False
    return True


def download(folder: Path, *, version: str = "1.0") -> Path:
    """Get the collection through mirdata, which has to be installed; needs a network.

    Parameters
    ----------
    folder : Path
        Where to put it.
    version : str
        "1.0" for all of it, "mini" for the first ten clips of each genre.

    Returns
    -------
    Path
        What to open as ``gtzan:PATH``.

    Raises
    ------
    InvalidValueError
        If mirdata is not installed.
    """
    try:
        import mirdata
    except ImportError as error:
        raise InvalidValueError(
            "to download GTZAN, pip install mirdata; or put the clips into "
            f"{folder}/genres/blues/blues.00000.wav and so on yourself"
        ) from error
    collection = mirdata.initialize("gtzan_genre", data_home=str(folder), version=version)
    collection.download()
    return folder / "gtzan_genre"
