"""All questions at once: whether what was heard of a unit can be believed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from auralise.activations.layers import Unit
from auralise.activations.recorder import run_to
from auralise.audit.canvas import Canvas, part_of, rearranged
from auralise.audit.faithfulness import Faithfulness, faithfulness
from auralise.audit.feedback import QUIET, Feedback, feedback
from auralise.audit.judge import Judge, runs_through
from auralise.audit.maps import Mapper
from auralise.audit.randomisation import Randomisation, randomisation_curve
from auralise.audit.sensitivity import Sensitivity, sensitivity
from auralise.audit.shuffling import shuffled, weight_layers
from auralise.auralisation import Auralisation
from auralise.errors import InvalidValueError
from auralise.inversion.backprop import INPUT_INDEPENDENT
from auralise.masks import MASK
from auralise.models.base import MusicNetwork
from auralise.settings import Settings

RANDOM_MASKS = 6
"""So many are fed back, for a floor that does not hang on one of them."""


@dataclass(frozen=True, slots=True)
class AuditOptions:
    """How much is asked.

    Attributes
    ----------
    others : int
        Other units that the map is compared with; with 0, and with it no points, no other map is
        made at all, which takes the least time.
    points : int
        On the randomisation curve, at most; 0 for no curve.
    steps : int
        Of the deletion and insertion curves.
    networks : int
        In disorder, for feeding back.
    seed : int
        Of random masks, disorder, noise and the choice of units.
    """

    others: int = 7
    points: int = 4
    steps: int = 8
    networks: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("others", 0), ("points", 0), ("steps", 1), ("networks", 1)):
            if getattr(self, name) < least:
                raise InvalidValueError(
                    f"{name} must be at least {least}, got {getattr(self, name)}"
                )


@dataclass(frozen=True, slots=True)
class Audit:
    """What can be believed of one unit's map and sound.

    Attributes
    ----------
    unit : Unit
    method : str
    model : str
    inactive : bool
        The unit does not answer to the sound: there is nothing to audit, and all else is None.
    input_independent : bool
        The method says of itself that the map does not depend on the sound.
    feedback : Feedback or None
    sensitivity : Sensitivity or None
    randomisation : Randomisation or None
    map, random_mask, energy_mask : Faithfulness or None
        Of the map's mask, and of the two floors: a random mask, and one that keeps what is loud,
        both with exactly the values of the map's mask in other places.
    """

    unit: Unit
    method: str
    model: str
    inactive: bool
    input_independent: bool
    feedback: Feedback | None = None
    sensitivity: Sensitivity | None = None
    randomisation: Randomisation | None = None
    map: Faithfulness | None = None
    random_mask: Faithfulness | None = None
    energy_mask: Faithfulness | None = None


STAGES = ("feeding back", "faithfulness", "other maps", "weights in disorder")


def audit(
    network: MusicNetwork,
    auralisation: Auralisation,
    settings: Settings,
    options: AuditOptions | None = None,
    *,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Audit:
    """Ask what can be believed of an auralisation.

    Parameters
    ----------
    network : MusicNetwork
        That it was made with.
    auralisation : Auralisation
    settings : Settings
        That it was made with.
    options : AuditOptions, optional
    report : callable
        Told stages done and stages in all.

    Returns
    -------
    Audit
        The same for the same arguments.

    Raises
    ------
    NetworkError
        If the network's values are not finite.
    AuraliseError
        As `auralise_unit`.
    """
    options = options or AuditOptions()
    inversion, unit = auralisation.inversion, auralisation.inversion.unit
    independent = INPUT_INDEPENDENT in inversion.flags
    common = (unit, inversion.method, auralisation.model)
    source = auralisation.features.source.samples
    judge = Judge(network, unit.layer, whole=runs_through(network, source))
    answers = judge(source)
    judge.require(unit, answers)
    base = answers.units[0]
    limit = QUIET * base.abs().max().clamp(min=QUIET)
    if not base[unit.channel] > limit or not inversion.relevance.any():
        return Audit(*common, inactive=True, input_independent=independent)
    work = _Work(network, auralisation, settings, options, judge)
    steps = len(STAGES)
    found_feedback = work.feedback()
    report(1, steps)
    masks = list(work.masks())
    report(2, steps)
    mapper = Mapper(network, unit.layer, settings.resolved(network.card.frontend))
    found_sensitivity = work.sensitivity(mapper, base > limit) if options.others else None
    report(3, steps)
    curve = work.curve(mapper) if options.points else None
    report(4, steps)
    return Audit(*common, False, independent, found_feedback, found_sensitivity, curve, *masks)


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    network: MusicNetwork
    auralisation: Auralisation
    settings: Settings
    options: AuditOptions
    judge: Judge

    @property
    def unit(self) -> Unit:
        return self.auralisation.inversion.unit

    def drawn(self) -> tuple[Canvas, Tensor, Tensor, Tensor]:
        """Return the map's mask, and the same values at random and where the source is loud."""
        canvas, mask = part_of(self.auralisation)
        at_random = rearranged(mask, canvas.random(self.options.seed))
        return canvas, mask, at_random, rearranged(mask, canvas.energy())

    def feedback(self) -> Feedback:
        canvas, mask, _, loud = self.drawn()
        seeds = range(self.options.seed, self.options.seed + RANDOM_MASKS)
        at_random = [rearranged(mask, canvas.random(seed)) for seed in seeds]
        features = self.auralisation.features
        groups = weight_layers(self.network, features, self.unit.layer)
        names = [name for group in groups for name in group]
        seed = self.options.seed
        return feedback(
            self.judge,
            self.unit,
            features.source,
            self.auralisation.waveform,
            canvas.kept(torch.stack([loud, *at_random])),
            [
                shuffled(self.network, names, features, self.unit.layer, seed + i)
                for i in range(self.options.networks)
            ],
        )

    def masks(self) -> Iterator[Faithfulness]:
        canvas, *masks = self.drawn()
        for mask in masks:
            yield faithfulness(
                self.judge,
                canvas,
                self.unit,
                mask,
                steps=self.options.steps,
                seed=self.options.seed,
            )

    def sensitivity(self, mapper: Mapper, live: Tensor) -> Sensitivity:
        features, inversion = self.auralisation.features, self.auralisation.inversion
        position, channel = inversion.position, self.unit.channel
        if not mapper.searches and position is not None:
            with torch.no_grad():
                answer = run_to(self.network.module, features.values[None], self.unit.layer)[0]
            live = answer.flatten(1)[:, _flat(position, answer.shape[1:])] > 0
        candidates = [int(c) for c in live.nonzero()[:, 0] if int(c) != channel]
        generator = torch.Generator().manual_seed(self.options.seed)
        order = torch.randperm(len(candidates), generator=generator)[: self.options.others]
        return sensitivity(
            mapper,
            features,
            channel,
            self.own(mapper),
            position,
            [candidates[i] for i in order.tolist()],
            seed=self.options.seed,
        )

    def own(self, mapper: Mapper) -> Tensor:
        """Return the unit's map as ``mapper`` would give it."""
        if mapper.searches:
            return part_of(self.auralisation)[1]
        return self.auralisation.inversion.relevance

    def curve(self, mapper: Mapper) -> Randomisation:
        before = part_of(self.auralisation)[1] if mapper.searches else None
        return randomisation_curve(
            mapper,
            self.auralisation.features,
            self.unit.channel,
            before=before,
            seeds=(self.options.seed,),
            most=self.options.points,
        )


def _flat(position: tuple[int, ...], shape: torch.Size) -> int:
    """Return the index of a position among all of a map."""
    index = 0
    for place, length in zip(position, shape, strict=True):
        index = index * length + place
    return index


def quick_options(settings: Settings, units: int = 1) -> AuditOptions:
    """Return what is asked for a report: enough for its sentence, within seconds for each unit.

    Parameters
    ----------
    settings : Settings
        Of the auralisations. Where each map takes a search, fewer maps are made.
    units : int
        In the report.
    """
    if units == 1:
        return AuditOptions(others=3, points=1) if settings.method == MASK else AuditOptions()
    if settings.method == MASK:
        return AuditOptions(others=0, points=0, steps=4, networks=1)
    return AuditOptions(others=3, points=1, steps=4, networks=1)
