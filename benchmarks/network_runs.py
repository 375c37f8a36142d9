"""The runs of `networks.py`: which network, with what options, on which clips, with which seed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from inspect import signature
from typing import Any

from auralise.models import MODELS

SEEDS = range(5)

# Published beside ours: number, on what, under which protocol.
PUBLISHED: dict[str, tuple[str, str]] = {
    "zhang2016-nnet1": ("84.8 %", "GTZAN, 10 genres, random folds, faults not filtered"),
    "zhang2016-nnet2": ("87.4 %", "GTZAN, 10 genres, random folds, faults not filtered"),
    "dieleman2014-mel": ("0.8815 ROC-AUC", "MagnaTagATune, 50 tags, length 256, stride 256"),
    "dieleman2014-raw": ("0.8487 ROC-AUC", "MagnaTagATune, 50 tags, length 256, stride 256"),
    "dieleman2011": ("about 30 %", "genres of the Million Song Dataset, its own features"),
    "li2010": ("below 30 %", "GTZAN, three genres, songs not in training"),
    "nakashika2012": ("72 %", "GTZAN, 10 genres"),
    "costa2017": ("83 %; 92 % with LBP", "Latin Music Database, 10 genres, folds by artist"),
    "samplecnn": ("0.9055 ROC-AUC", "MagnaTagATune, 50 tags"),
}

Options = tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Run:
    """One training and its evaluation.

    Attributes
    ----------
    table : str
        Which table of the page it is for.
    label : str
        Its row there.
    architecture : str
    options : tuple of (str, value)
        Of the architecture.
    data : str
        "instruments" or "genres".
    seed : int
        Of the split, the weights and the order.
    epochs, batch_size, repeat : int
        ``repeat``: how often each clip is drawn in an epoch, each time at another place.
    learning_rate : float
    share : float
        Of the training clips that have a label.
    train_clips : int
        At most so many, drawn label by label; 0 takes all.
    method : str
        "fit", or another way in `METHODS` of `networks.py`.
    """

    table: str
    label: str
    architecture: str
    options: Options
    data: str
    seed: int
    epochs: int
    batch_size: int = 32
    repeat: int = 1
    learning_rate: float = 2e-3
    share: float = 1.0
    train_clips: int = 0
    method: str = "fit"

    @property
    def key(self) -> str:
        """What tells it from other runs: all but the table and row it is shown in."""
        work = {k: v for k, v in asdict(self).items() if k not in ("table", "label")}
        return hashlib.sha256(json.dumps(work, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Budget:
    """What one run of an architecture may cost."""

    options: Options = ()
    epochs: int = 8
    genre_epochs: int = 8
    learning_rate: float = 2e-3
    batch_size: int = 32


# What a CPU can do: narrower networks, few epochs. Printed in the docs beside the scores.
SMALL: dict[str, Budget] = {
    "choi2016": Budget((("width", 0.25),), epochs=6),
    "dieleman2014-raw": Budget((("width", 0.5),), epochs=8),
}
SMALL_CLIPS = 600  # training clips of instruments


def budget_of(name: str, budget: str) -> Budget:
    """Return what a run of an architecture is given."""
    if budget == "full":
        return Budget(epochs=30, genre_epochs=60)
    known = SMALL.get(name, Budget((("width", 0.25),)))
    takes = set(signature(MODELS[name].build).parameters)
    takes |= set(signature(MODELS[name].frontend).parameters)
    return Budget(
        tuple((key, value) for key, value in known.options if key in takes),
        known.epochs,
        known.genre_epochs,
        known.learning_rate,
        known.batch_size,
    )


def make_run(
    table: str,
    label: str,
    name: str,
    data: str,
    seed: int,
    budget: str,
    **changes: Any,  # noqa: ANN401
) -> Run:
    """Return a run of an architecture with its budget; ``options`` are added to the budget's."""
    given = budget_of(name, budget)
    options = {**dict(given.options), **changes.pop("options", {})}
    genres = data == "genres"
    fields: dict[str, Any] = {
        "epochs": given.genre_epochs if genres else given.epochs,
        "batch_size": given.batch_size,
        "learning_rate": given.learning_rate,
        "repeat": 8 if genres else 1,
        "train_clips": 0 if genres or budget == "full" else SMALL_CLIPS,
        **changes,
    }
    return Run(table, label, name, tuple(sorted(options.items())), data, seed, **fields)


def all_runs(budget: str) -> list[Run]:
    """Return all runs, the most important first."""
    names = list(MODELS)
    networks = [
        make_run(data, name, name, data, seed, budget)
        for data in ("instruments", "genres")
        for seed in SEEDS
        for name in names
    ]
    return [*networks, *comparisons(budget)]


PAIRS = ((1024, 1024), (1024, 512), (512, 512), (512, 256), (256, 256))


def comparisons(budget: str) -> list[Run]:
    """Return the runs of which differences are taken."""
    runs = []
    for length, stride in PAIRS:
        for seed in SEEDS:
            for name in ("dieleman2014-mel", "dieleman2014-raw"):
                if name in MODELS:
                    options = {"length": length, "stride": stride}
                    label = f"{name} {length}/{stride}"
                    runs.append(
                        make_run(
                            "raw-mel", label, name, "instruments", seed, budget, options=options
                        )
                    )
    return runs
