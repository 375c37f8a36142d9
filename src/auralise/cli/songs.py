"""Which sound file a command means, and reading the stretch of it that was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING

from auralise.errors import InvalidValueError

if TYPE_CHECKING:
    from auralise.audio.waveform import Waveform
    from auralise.models.base import MusicNetwork
    from auralise.output.manifest import Song
    from auralise.settings import Settings

DEMO = "demo"
_EXCERPT = "vibe-ace-excerpt.ogg"
ATTRIBUTION = "Kevin MacLeod, Vibe Ace (incompetech.com; Free Music Archive)"
TITLE = "Vibe Ace"
LICENCE = "CC BY 3.0, https://creativecommons.org/licenses/by/3.0/"


@dataclass(frozen=True, slots=True, eq=False)
class Excerpt:
    """A stretch of a song, ready for a network.

    Attributes
    ----------
    song : Song
        Where it is from; its notes say what was found and done on the way.
    waveform : Waveform
        One channel at the network's rate, as long as its input at least.
    """

    song: Song
    waveform: Waveform


@contextmanager
def song_file(song: str) -> Iterator[Path]:
    """Yield the file of a song; the word "demo" means the one that comes with the package."""
    if song != DEMO or Path(song).is_file():
        yield Path(song)
        return
    with as_file(files("auralise.pretrained") / _EXCERPT) as path:
        yield path


@dataclass(frozen=True, slots=True)
class Request:
    """What ``unit`` or ``layer`` was asked for.

    Attributes
    ----------
    song : str
        A file, or "demo".
    model : str
    unit : str
        Empty for a whole layer.
    start : float
        In seconds.
    seconds : float or None
        None for the network's own length.
    settings : Settings
    level : str
        Level policy.
    allow_truncated : bool
        Take what is there of a file cut short.
    song_sha256, model_sha256 : str
        What these files have to be; empty if it does not matter.
    """

    song: str
    model: str
    unit: str
    start: float
    seconds: float | None
    settings: Settings
    level: str
    allow_truncated: bool
    song_sha256: str = ""
    model_sha256: str = ""

    @classmethod
    def of_manifest(cls, path: Path, allow_truncated: bool) -> Request:
        """Return the request that a bundle's manifest answers."""
        from auralise.output import manifest as manifests

        found = manifests.read_manifest(path)
        song = manifests.song_of(found)
        return cls(
            song=song.path,
            model=found["model"]["name"],
            unit=str(manifests.unit_of(found)),
            start=song.start,
            seconds=song.seconds,
            settings=manifests.settings_of(found),
            level=found["settings"]["level"],
            allow_truncated=allow_truncated,
            song_sha256=song.sha256,
            model_sha256=found["model"]["sha256"],
        )

    def network(self) -> MusicNetwork:
        """Load the network, and check that it is the one it has to be."""
        from auralise.models import load_model

        network = load_model(self.model)
        if self.model_sha256 and network.card.sha256 != self.model_sha256:
            raise InvalidValueError(
                f"the weights of {self.model!r} are not those the manifest was made with: their "
                f"sha256 begins {network.card.sha256[:12]}, the manifest's {self.model_sha256[:12]}"
            )
        return network

    def begin(self, out: Path, force: bool) -> tuple[MusicNetwork, Excerpt]:
        """Check the place for results, load network and excerpt, and tell what is to be known.

        Parameters
        ----------
        out : Path
            Folder that the results are to be written to.
        force : bool
            Whether an older result there may be replaced.
        """
        from auralise.cli.console import note, setup_torch
        from auralise.output.folders import check_folder

        setup_torch()
        check_folder(out, force=force)
        network = self.network()
        excerpt = read_excerpt(network, self)
        for text in excerpt.song.notes:
            note(f"{self.song}: {text}")
        return network, excerpt


def read_excerpt(network: MusicNetwork, request: Request) -> Excerpt:
    """Read a stretch of a song for a network.

    Parameters
    ----------
    network : MusicNetwork
    request : Request

    Raises
    ------
    AudioFileError, InvalidValueError
        If the file cannot be read or is another one than it has to be, or the stretch is not in it.
    """
    from auralise.audio.files import read_audio
    from auralise.output.manifest import song_from_file
    from auralise.preparation import prepare

    start, song, sha256 = request.start, request.song, request.song_sha256
    seconds = network.card.seconds if request.seconds is None else request.seconds
    with song_file(song) as path:
        sound = read_audio(
            path, start=start, seconds=seconds, allow_truncated=request.allow_truncated
        )
        described = song_from_file(path, start, seconds)
        own = path.name == _EXCERPT
    if sha256 and described.sha256 != sha256:
        raise InvalidValueError(
            f"{song!r} is not the file the manifest was made from: its sha256 begins "
            f"{described.sha256[:12]}, the manifest's {sha256[:12]}"
        )
    waveform, notes = prepare(network, sound.waveform)
    described = replace(
        described,
        path=song,
        notes=(*sound.notes, *notes),
        attribution=ATTRIBUTION if own else "",
        licence=LICENCE if own else "",
        title=TITLE if own else "",
    )
    return Excerpt(described, waveform)
