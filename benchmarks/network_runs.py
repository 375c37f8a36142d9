"""The runs of `networks.py`: which network, with what options, on which clips, with which seed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from auralise.errors import AuraliseError, InvalidValueError
from auralise.models import MODELS
from auralise.training.recipes import load_recipe

SEEDS = range(5)
METHODS = ("fit", "pretrain", "lbp-sum", "lbp-product")  # those that `networks.py` has

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
    valid_share : float
        Of the validation clips, to choose the epoch on.
    method : str
        "fit", or another way in `METHODS` of `networks.py`.
    training : tuple of (str, value)
        Of the architecture's recipe, where a run is as published: all fields of `FitOptions` but
        those above.
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
    valid_share: float = 1.0
    method: str = "fit"
    training: Options = ()

    @property
    def key(self) -> str:
        """What tells it from other runs: all but the table and row it is shown in."""
        work = {k: v for k, v in asdict(self).items() if k not in ("table", "label")}
        if not self.training:
            del work["training"]
        return hashlib.sha256(json.dumps(work, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Budget:
    """What one run of an architecture may cost."""

    options: Options = ()
    epochs: int = 8
    genre_epochs: int = 8
    learning_rate: float = 2e-3
    batch_size: int = 16
    training: Options = ()


# What a CPU can do in about a minute: some networks narrower, few epochs. Printed in the docs.
SMALL: dict[str, Budget] = {
    "choi2016": Budget((("width", 0.25), ("seconds", 2.0)), 4, 8),
    "costa2017": Budget((("width", 0.25),), 6, 10),
    "dieleman2011": Budget((("width", 0.5),), 10, 12),
    "dieleman2014-mel": Budget((("width", 0.5), ("norm", True), ("peak", True)), 12, 12),
    "dieleman2014-raw": Budget((("width", 0.5),), 12, 12),
    "kereliuk2015": Budget((("width", 0.25),), 3, 6),
    "li2010": Budget((), 10, 12),
    "nakashika2012": Budget((), 10, 12),
    "samplecnn": Budget((("width", 0.125),), 3, 6),
    "zhang2016-nnet1": Budget((("width", 0.5),), 8, 10),
    "zhang2016-nnet2": Budget((("width", 0.5),), 6, 8),
}
OF_A_RUN = ("epochs", "batch_size", "learning_rate", "seed")
# Networks that other networks are made into, or that take no sound.
NOT_ALONE = ("costa2017-fusion", "dieleman2011-msd")


def budget_of(name: str, budget: str) -> Budget:
    """Return what a run of an architecture is given."""
    if budget == "full":
        recipe = load_recipe(name)
        rest = {key: value for key, value in asdict(recipe.training).items() if key not in OF_A_RUN}
        plain = {key: tuple(v) if isinstance(v, list) else v for key, v in rest.items()}
        options = tuple(sorted(recipe.model.items()))
        given = recipe.training
        return Budget(options, given.epochs, given.epochs, given.learning_rate,
                      given.batch_size, tuple(sorted(plain.items())))  # fmt: skip
    return SMALL.get(name, Budget((("width", 0.25),)))


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
        "training": given.training,
        "repeat": 8 if genres else 1,
        "valid_share": 1.0 if genres or budget == "full" else 0.25,
        **changes,
    }
    return Run(table, label, name, tuple(sorted(options.items())), data, seed, **fields)


@dataclass(frozen=True)
class Side:
    """One of two things that are compared."""

    name: str
    architecture: str
    options: Options = ()
    method: str = "fit"


@dataclass(frozen=True)
class Pair:
    """A question that a difference answers: the first less the second."""

    table: str
    first: Side
    second: Side
    data: str = "instruments"
    share: float = 1.0

    @property
    def label(self) -> str:
        """What the row is called."""
        few = f", {self.share:.0%} of the labels" if self.share < 1 else ""
        return f"{self.first.name} less {self.second.name}{few}"


# The paper's five and one more. The longest stride leaves too few frames of 3 s for the layers, and
# a transform of 256 samples has no bins for 128 mel filters.
LENGTHS: tuple[tuple[int, int, Options], ...] = (
    (1024, 1024, (("seconds", 4.0),)),
    (1024, 512, ()),
    (1024, 256, ()),
    (512, 512, ()),
    (512, 256, ()),
    (256, 256, (("filters", 64),)),
)
SAME_BACK_END = (("maps", 32), ("norm", True), ("peak", True), ("width", 1.0))
TITLES = {
    "raw-mel": "Mel spectrogram against raw audio at equal back end",
    "pooling": "Maximum and average against maximum alone (Zhang 2016, nnet1)",
    "shortcut": "Shortcut against none (Zhang 2016, nnet2)",
    "fusion": "LBP fusion against the CNN alone (Costa 2017)",
    "pretraining": "Pretraining against none (Dieleman 2011)",
    "texture": "GLCM maps against the spectrogram (Nakashika 2012)",
}


def place_name(length: int, stride: int, more: Options) -> str:
    """Return what a place of the grid is called."""
    return ", ".join([f"{length}/{stride}", *(f"{key} {value}" for key, value in more)])


def _raw_and_mel(length: int, stride: int, more: Options) -> Pair:
    options = (("length", length), ("stride", stride), *SAME_BACK_END, *more)
    name = place_name(length, stride, more)
    return Pair(
        "raw-mel",
        Side(f"mel {name}", "dieleman2014-mel", options),
        Side(f"raw {name}", "dieleman2014-raw", options),
    )


PAIRS = (
    *(_raw_and_mel(*place) for place in LENGTHS),
    Pair(
        "pooling",
        Side("max and average", "zhang2016-nnet1"),
        Side("max", "zhang2016-nnet1", (("pooling", "max"),)),
    ),
    Pair(
        "shortcut",
        Side("shortcut", "zhang2016-nnet2"),
        Side("none", "zhang2016-nnet2", (("shortcut", False),)),
    ),
    *(
        Pair("fusion", Side(f"{rule} rule", "costa2017", (), f"lbp-{rule}"),
             Side("CNN alone", "costa2017"), data)
        for data in ("genres", "instruments")
        for rule in ("sum", "product")
    ),
    *(
        Pair("pretraining", Side("pretrained", "dieleman2011", (), "pretrain"),
             Side("from random weights", "dieleman2011"), "instruments", share)
        for share in (0.05, 0.2, 1.0)
    ),
    *(
        Pair("texture", Side("GLCM maps", "nakashika2012"),
             Side("mel spectrogram", "nakashika2012", (("maps", "spectrogram"),)), data)
        for data in ("genres", "instruments")
    ),
)  # fmt: skip


def pair_runs(pair: Pair, budget: str) -> tuple[list[Run], list[Run]]:
    """Return the runs of both sides, seed by seed.

    Raises
    ------
    AuraliseError
        If there is no such architecture, or it has no such option.
    """
    sides = []
    for side in (pair.first, pair.second):
        MODELS[side.architecture].configure(**dict(side.options))
        if side.method not in METHODS:
            raise InvalidValueError(f"no way to train is called {side.method!r} yet")
        sides.append(
            [
                make_run(
                    pair.table, side.name, side.architecture, pair.data, seed, budget,
                    options=dict(side.options), method=side.method, share=pair.share,
                )
                for seed in SEEDS
            ]
        )  # fmt: skip
    return sides[0], sides[1]


def network_runs(data: str, budget: str) -> list[Run]:
    """Return the runs of all networks on one collection, seed by seed."""
    names = [name for name in MODELS if name not in NOT_ALONE]
    return [make_run(data, name, name, data, seed, budget) for seed in SEEDS for name in names]


def all_runs(budget: str) -> tuple[list[Run], list[str]]:
    """Return all runs once, the most important first, and what had to be left out."""
    runs = [run for data in ("instruments", "genres") for run in network_runs(data, budget)]
    left_out = []
    for pair in PAIRS:
        try:
            first, second = pair_runs(pair, budget)
        except AuraliseError as error:
            left_out.append(f"{TITLES[pair.table]}: {error}")
            continue
        runs.extend(run for both in zip(first, second, strict=True) for run in both)
    return list({run.key: run for run in reversed(runs)}.values())[::-1], left_out
