"""Adding a support vector machine to a network that has been fitted, after Costa et al. (2017)."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.calibration import CalibratedClassifierCV  # type: ignore[import-untyped]
from sklearn.model_selection import StratifiedGroupKFold  # type: ignore[import-untyped]
from sklearn.svm import SVC  # type: ignore[import-untyped]
from torch import Tensor, nn

from auralise.datasets.clips import Clip, place
from auralise.errors import InvalidValueError, NetworkError
from auralise.models.base import MODELS, Architecture
from auralise.models.costa2017 import Fusion
from auralise.models.support_vectors import SupportVectorMachine
from auralise.spectral.binary_patterns import zone_histograms
from auralise.training.options import FusionOptions
from auralise.training.voting import GAIN

__all__ = ["Fused", "FusionOptions", "calibrated", "fit_fusion", "fit_machine"]


@dataclass(frozen=True, slots=True, eq=False)
class Fused:
    """A fusion.

    Attributes
    ----------
    module : Fusion
        On the CPU, in evaluation mode.
    architecture : Architecture
        ``costa2017-fusion`` with the options that `auralise.models.load_model` needs, behind
        the network's own frontend.
    patches : int
        That the machine was fitted to.
    """

    module: Fusion
    architecture: Architecture
    patches: int


def fit_fusion(
    network: nn.Module,
    architecture: Architecture,
    labels: Sequence[str],
    train: Sequence[Clip],
    options: FusionOptions | None = None,
) -> Fused:
    """Fit a machine to the patterns of the training clips and put it beside the network.

    The network is copied, not changed. The same for the same arguments.

    Parameters
    ----------
    network : nn.Module
        Of the architecture ``costa2017``, fitted.
    architecture : Architecture
        As the fitting returned it.
    labels : sequence of str
        In the order of the outputs.
    train : sequence of Clip
        Those that the network was fitted to, at the rate of its frontend; a file that stands there
        several times counts once.
    options : FusionOptions, optional

    Raises
    ------
    InvalidValueError
        If a clip's label is not among ``labels``, or a label has clips of fewer than two groups,
        so that nothing can be calibrated.
    NetworkError
        If the network is not of ``costa2017`` with these options and labels.
    """
    options = options or FusionOptions()
    clips = list({clip.track.path: clip for clip in train}.values())
    targets = _targets(labels, clips)
    features, owner = _describe(architecture, clips, options)
    groups = np.array([clip.track.group for clip in clips])[owner]
    machine = fit_machine(features, targets[owner], groups, len(labels), options)
    paper = MODELS["costa2017-fusion"].configure(
        **architecture.options,
        rule=options.rule,
        support=len(machine.vectors),
        zones=options.zones,
    )
    paper = replace(paper, frontend=architecture.frontend)
    module = paper.build(len(labels))
    if not isinstance(module, Fusion):
        raise NetworkError(f"costa2017-fusion built a {type(module).__name__}")
    own = copy.deepcopy(network).cpu()
    try:
        module.cnn.load_state_dict(own.state_dict())
    except RuntimeError as error:
        raise NetworkError(
            f"the network is not costa2017 with {len(labels)} labels and the options "
            f"{dict(architecture.options)}: {error}"
        ) from error
    module.machine.load_state_dict(machine.state_dict())
    return Fused(module.eval(), paper, len(features))


def _targets(labels: Sequence[str], clips: Sequence[Clip]) -> NDArray[np.int64]:
    groups: dict[str, set[str]] = {label: set() for label in labels}
    for clip in clips:
        if clip.track.label not in groups:
            raise InvalidValueError(
                f"label {clip.track.label!r} is not among {', '.join(labels)}; a fusion needs one "
                "label for each clip"
            )
        groups[clip.track.label].add(clip.track.group)
    for label, own in groups.items():
        if len(own) < 2:
            raise InvalidValueError(
                f"label {label!r} has clips of {len(own)} groups; calibration needs at least 2"
            )
    return np.array([list(labels).index(clip.track.label) for clip in clips])


@torch.no_grad()
def _describe(
    architecture: Architecture, clips: Sequence[Clip], options: FusionOptions
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the patterns of patches, (patches, features), and which clip each is of."""
    frontend = architecture.frontend()
    length = round(architecture.seconds * frontend.sample_rate)
    each = max(1, options.patches // len(clips))
    rows: list[Tensor] = []
    owner: list[int] = []
    for number, clip in enumerate(clips):
        cut = _patches(clip.samples, length, each)
        rows.append(zone_histograms(frontend.module(cut * GAIN)[:, 0], options.zones))
        owner += [number] * len(cut)
    keep = np.linspace(0, len(owner) - 1, min(len(owner), options.patches)).round().astype(int)
    return torch.cat(rows).numpy()[keep], np.array(owner)[keep]


def _patches(samples: Tensor, length: int, most: int) -> Tensor:
    """Return at most so many patches at evenly spaced places, none overlapping by more than half.

    Returns
    -------
    Tensor, shape (patches, length)
    """
    room = samples.shape[-1] - length
    count = max(1, min(most, 1 + 2 * max(0, room) // length))
    shares = [0.5] if count == 1 else [number / (count - 1) for number in range(count)]
    return torch.stack([place(samples, length, share) for share in shares])


def fit_machine(
    features: NDArray[np.float64],
    targets: NDArray[np.int64],
    groups: NDArray[np.str_],
    n_labels: int,
    options: FusionOptions,
) -> SupportVectorMachine:
    """Fit one machine for each label against the rest, and calibrate its probabilities.

    Parameters
    ----------
    features : array, shape (patches, features)
    targets : array of int, shape (patches,)
        Number of each patch's label.
    groups : array of str, shape (patches,)
        Patches of a group are in the same fold of the calibration.
    n_labels : int
    options : FusionOptions

    Returns
    -------
    SupportVectorMachine
        Gives scikit-learn's probabilities, divided by their sum over the labels.

    Raises
    ------
    InvalidValueError
        If the groups cannot be divided so that each fold's training part has every label.
    """
    mean, scale = features.mean(0), features.std(0)
    scale[scale == 0] = 1
    standard = (features - mean) / scale
    folds = _folds(standard, targets, groups, options.folds, n_labels)
    fitted = [
        calibrated(options.penalty, folds).fit(standard, targets == label)
        for label in range(n_labels)
    ]
    return _as_module(fitted, standard, mean, scale)


def calibrated(
    penalty: float, folds: list[tuple[NDArray[np.int64], NDArray[np.int64]]]
) -> CalibratedClassifierCV:
    """Return scikit-learn's machine for one label against the rest, with Platt's calibration."""
    machine = SVC(C=penalty, kernel="rbf", gamma="scale", class_weight="balanced")
    return CalibratedClassifierCV(machine, method="sigmoid", cv=folds, ensemble=False)


def _folds(
    features: NDArray[np.float64],
    targets: NDArray[np.int64],
    groups: NDArray[np.str_],
    wanted: int,
    n_labels: int,
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Return (training, test) places, or as many folds fewer as let every label be learnt."""
    fewest = min(len(set(groups[targets == label])) for label in range(n_labels))
    for count in range(min(wanted, fewest), 1, -1):
        found = list(StratifiedGroupKFold(count).split(features, targets, groups))
        if all(len(set(targets[train])) == n_labels and len(test) for train, test in found):
            return found
    raise InvalidValueError(
        "the training clips' groups cannot be divided so that each side has every label; the "
        "machine's probabilities cannot be calibrated"
    )


def _as_module(
    fitted: Sequence[CalibratedClassifierCV],
    standard: NDArray[np.float64],
    mean: NDArray[np.float64],
    scale: NDArray[np.float64],
) -> SupportVectorMachine:
    parts = [each.calibrated_classifiers_[0] for each in fitted]
    used = np.unique(np.concatenate([part.estimator.support_ for part in parts]))
    dual = np.zeros((len(fitted), len(standard)))
    for row, part in zip(dual, parts, strict=True):
        row[part.estimator.support_] = part.estimator.dual_coef_[0]
    machine = SupportVectorMachine(len(fitted), len(used), standard.shape[1])
    values = {
        "mean": mean,
        "scale": scale,
        "vectors": standard[used],
        "dual": dual[:, used],
        "intercept": [part.estimator.intercept_[0] for part in parts],
        "slope": [part.calibrators[0].a_ for part in parts],
        "offset": [part.calibrators[0].b_ for part in parts],
        "gamma": 1 / (standard.shape[1] * standard.var()),
    }
    state = {name: torch.as_tensor(np.array(value)).double() for name, value in values.items()}
    machine.load_state_dict(state)
    return machine
