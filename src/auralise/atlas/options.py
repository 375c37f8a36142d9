"""How an atlas is made, and what was done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from auralise.atlas.analysis import BATCH
from auralise.atlas.engines import ENGINES
from auralise.atlas.manifest import Manifest
from auralise.atlas.parts import SHARD_CLIPS
from auralise.errors import InvalidValueError

ProgressReport = Callable[[str, int, int], None]


def silent(stage: str, done: int, total: int) -> None:
    """Tell nobody how far the work is."""


@dataclass(frozen=True, slots=True)
class Options:
    """How an atlas is made; none of it changes what comes out.

    Attributes
    ----------
    engine : str
        From `ENGINES`.
    workers : int
        Processes that decode, or Ray's actors; 0 does all in this process.
    batch : int
        Windows at a time.
    device : str
        Empty for a GPU where there is one.
    shard_clips : int
        Clips in a shard, which is what is lost at most when the work is ended from outside.
    retry : bool
        Try files again that could not be read before.
    """

    engine: str = "local"
    workers: int = 0
    batch: int = BATCH
    device: str = ""
    shard_clips: int = SHARD_CLIPS
    retry: bool = False

    def __post_init__(self) -> None:
        ENGINES[self.engine]
        for name in ("batch", "shard_clips"):
            if getattr(self, name) < 1:
                raise InvalidValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.workers < 0:
            raise InvalidValueError(f"workers must not be negative, got {self.workers}")


@dataclass(frozen=True, slots=True)
class Report:
    """What was done.

    Attributes
    ----------
    manifest : Manifest
    heard : int
        Shards that were worked on, the others were there already.
    rebuilt : tuple of str
        Parts that were damaged and were made anew.
    gone : tuple of str
        Files that an earlier build saw in the same collection and that are not there now.
    lost : tuple of str
        Other collections that are out of the atlas, because the list of files was damaged or
        gone; built again, they are back, with the parts that there are.
    """

    manifest: Manifest
    heard: int
    rebuilt: tuple[str, ...]
    gone: tuple[str, ...]
    lost: tuple[str, ...] = ()
