"""How to train: every choice of a training, a pretraining and a fusion in a frozen value."""

from __future__ import annotations

from dataclasses import dataclass

from auralise.errors import InvalidValueError

OPTIMIZERS = ("adamw", "sgd")
SCHEDULES = ("one-cycle", "constant")
EFFECTS = ("noise", "filter", "pitch", "stretch")
HIDDEN = ("rectified", "binary")
RULES = ("sum", "product")


@dataclass(frozen=True, slots=True)
class FitOptions:
    """How to train.

    Attributes
    ----------
    epochs : int
        Passes over the training clips.
    batch_size : int
        Clips a step and a process.
    learning_rate : float
        Peak of a one-cycle schedule, or the rate of all steps if it is constant.
    weight_decay : float
    lowest_gain_db : float
        Each clip is scaled by a random gain from here to 0 dB, and set at a random place.
    semitones : float
        Each clip is played faster or slower at random, its pitch moving by at most this much.
    seed : int
        Of weights, order, places, gains and dropout.
    bfloat16 : bool
        Multiply in bfloat16, where the processor is fast at it; weights stay float32.
    optimizer : str
        In `OPTIMIZERS`; "sgd" has Nesterov's momentum of ``momentum``.
    momentum : float
        Of "sgd", where the schedule is constant; one-cycle moves it from 0.85 to 0.95.
    schedule : str
        In `SCHEDULES`.
    first_layer_rate : float
        Learning rate of the network's first module, in the same schedule; 0 takes
        ``learning_rate``. For filterbanks that are learned.
    clip_norm : float
        Gradients are scaled to at most this norm; 0 leaves them.
    patience : int
        Epochs without a better validation score after which training stops; 0 never stops.
    epoch_fraction : float
        Share of the training clips that an epoch takes, drawn anew for each.
    max_steps : int
        Stop at the end of the epoch in which so many steps are reached; an epoch has no more than
        that. 0 takes all.
    balance : bool
        Weight each label's clips by how rare they are, so that all labels count the same.
    effects : tuple of str
        In `EFFECTS`; each is applied to half the clips.
    mask_time, mask_frequency : float
        Widest mask over the frontend's frames and bins, as a share of the axis; 0 masks nothing.
    standardise : bool or None
        Measure mean and standard deviation of a spectrogram frontend's values over the training
        clips and put them into it. None does so for networks without normalisation of their own.
    compile : bool
        Let torch compile the network; needs a C++ compiler on a CPU.

    Raises
    ------
    InvalidValueError
        If one is outside what it may be.
    """

    epochs: int = 10
    batch_size: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    lowest_gain_db: float = -30.0
    semitones: float = 0.0
    seed: int = 0
    bfloat16: bool = False
    optimizer: str = "adamw"
    momentum: float = 0.9
    schedule: str = "one-cycle"
    first_layer_rate: float = 0.0
    clip_norm: float = 0.0
    patience: int = 0
    epoch_fraction: float = 1.0
    max_steps: int = 0
    balance: bool = False
    effects: tuple[str, ...] = ()
    mask_time: float = 0.0
    mask_frequency: float = 0.0
    standardise: bool | None = None
    compile: bool = False

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1:
            raise InvalidValueError(
                f"epochs and batch_size must be at least 1, got {self.epochs}, {self.batch_size}"
            )
        self._check_words()
        for name, low, high in _RANGES:
            value = getattr(self, name)
            if not low <= value <= high:
                raise InvalidValueError(f"{name} must be in [{low:g}, {high:g}], got {value}")
        for name in ("learning_rate", "epoch_fraction"):
            if not getattr(self, name) > 0:
                raise InvalidValueError(f"{name} must be positive, got {getattr(self, name)}")

    def _check_words(self) -> None:
        words: list[tuple[str, str, tuple[str, ...]]] = [
            ("optimizer", self.optimizer, OPTIMIZERS),
            ("schedule", self.schedule, SCHEDULES),
        ]
        words += [("effects", effect, EFFECTS) for effect in self.effects]
        for name, value, known in words:
            if value not in known:
                raise InvalidValueError(f"{name} must be among {', '.join(known)}, got {value!r}")


_INF = float("inf")
_RANGES = (
    ("semitones", 0, 24),
    ("weight_decay", 0, _INF),
    ("lowest_gain_db", -_INF, 0),
    ("momentum", 0, 1),
    ("first_layer_rate", 0, _INF),
    ("clip_norm", 0, _INF),
    ("patience", 0, _INF),
    ("epoch_fraction", 0, 1),
    ("max_steps", 0, _INF),
    ("mask_time", 0, 1),
    ("mask_frequency", 0, 1),
    ("seed", 0, _INF),
)


@dataclass(frozen=True, slots=True)
class PretrainOptions:
    """How to pretrain.

    Attributes
    ----------
    epochs : int
        Passes over the clips for each layer.
    batch_size : int
        Clips a step.
    learning_rate : float
        Of plain gradient descent with ``momentum``.
    momentum : float
    weight_decay : float
    hidden : {"rectified", "binary"}
        Units of the machines. The network's own units are rectified either way.
    pool : int
        Places of which at most one binary unit is on; 1 for none.
    target : float
        Mean answer that hidden units are drawn to by their offsets.
    pull : float
        How strongly; 0 does not.

    Raises
    ------
    InvalidValueError
        If one is outside what it may be.
    """

    epochs: int = 10
    batch_size: int = 16
    learning_rate: float = 0.02
    momentum: float = 0.9
    weight_decay: float = 1e-4
    hidden: str = "rectified"
    pool: int = 1
    target: float = 0.1
    pull: float = 0.1

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1 or not self.learning_rate > 0:
            raise InvalidValueError(
                "epochs and batch_size must be at least 1 and learning_rate positive, got "
                f"{self.epochs}, {self.batch_size} and {self.learning_rate}"
            )
        if not 0 <= self.momentum < 1 or self.weight_decay < 0 or self.pull < 0:
            raise InvalidValueError(
                "momentum must be in [0, 1), weight_decay and pull not negative, got "
                f"{self.momentum}, {self.weight_decay} and {self.pull}"
            )
        if self.hidden not in HIDDEN:
            raise InvalidValueError(
                f"hidden must be one of {', '.join(HIDDEN)}, got {self.hidden!r}"
            )


@dataclass(frozen=True, slots=True)
class FusionOptions:
    """How to fit the machine and to fuse.

    Attributes
    ----------
    rule : {"sum", "product"}
    zones : int
        Bands of the spectrogram whose patterns are counted apart.
    penalty : float
        Of support vectors on the wrong side, C; larger fits the training clips more closely.
    patches : int
        Most patches to fit to, from evenly spaced places of all clips; time grows with its square.
    folds : int
        For calibration: each patch's probability is learnt from machines that have not seen its
        group.

    Raises
    ------
    InvalidValueError
        If one is outside what it may be.
    """

    rule: str = "sum"
    zones: int = 10
    penalty: float = 10.0
    patches: int = 2000
    folds: int = 3

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise InvalidValueError(f"rule must be sum or product, got {self.rule!r}")
        if not self.penalty > 0:
            raise InvalidValueError(f"penalty must be positive, got {self.penalty}")
        if self.zones < 1 or self.patches < 2 or self.folds < 2:
            raise InvalidValueError(
                f"zones must be at least 1, patches and folds at least 2, got {self.zones}, "
                f"{self.patches} and {self.folds}"
            )
