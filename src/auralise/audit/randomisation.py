"""Whether a map hangs on what the network has learnt (Adebayo et al. 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from auralise.audit.maps import Mapper, Report, cosine, mean_of, rank_correlation, silently
from auralise.audit.shuffling import shuffled, weight_layers
from auralise.frontends.base import Features


@dataclass(frozen=True, slots=True)
class Randomisation:
    """How alike a map stays while a network's weights are put in disorder, layer by layer.

    Attributes
    ----------
    layers : tuple of str
        Whose weights have been shuffled up to here, from the unit's own layer down to the input.
    cosines, ranks : tuple of (float or None)
        Between the absolute values of the map before and after: cosine, and Spearman's
        correlation; means over the seeds. None where the unit no longer answers.

    References
    ----------
    .. [1] J. Adebayo et al., "Sanity checks for saliency maps", NeurIPS 2018 (cascading
       randomisation; here the weights change places, they draw new ones).
    """

    layers: tuple[str, ...]
    cosines: tuple[float | None, ...]
    ranks: tuple[float | None, ...]

    @property
    def final(self) -> float | None:
        """Cosine when all layers below the unit have been shuffled."""
        return self.cosines[-1] if self.cosines else None


def randomisation_curve(
    mapper: Mapper,
    features: Features,
    channel: int,
    *,
    before: Tensor | None = None,
    seeds: Sequence[int] = (0,),
    most: int | None = None,
    report: Report = silently,
) -> Randomisation:
    """Shuffle a network's weights from the unit's layer downwards and compare the unit's maps.

    Maps are of the whole of the unit's answer, since a network in disorder answers elsewhere.

    Parameters
    ----------
    mapper : Mapper
        For the unit's layer.
    features : Features
    channel : int
    before : Tensor, optional
        The unit's map of the whole of its answer, if it is there already.
    seeds : sequence of int
        Of the disorder; at least one.
    most : int, optional
        At most so many points on the curve; the first layer and all layers are among them.
    report : callable
        Told maps done and maps in all.
    """
    groups = weight_layers(mapper.network, features, mapper.layer)
    steps = _chosen(len(groups), most)
    before = (mapper(features, [channel], "whole")[0] if before is None else before).abs()
    total, done = len(steps) * len(seeds), 0
    cosines, ranks = [], []
    for step in steps:
        names = [name for group in groups[:step] for name in group]
        found: list[tuple[float | None, float | None]] = []
        for seed in seeds:
            network = shuffled(mapper.network, names, features, mapper.layer, seed)
            disordered = mapper.of(network)
            after = disordered(features, [channel], "whole")[0].abs()
            alike = cosine(before, after)
            found.append((alike, None if alike is None else rank_correlation(before, after)))
            done += 1
            report(done, total)
        cosines.append(mean_of([pair[0] for pair in found]))
        ranks.append(mean_of([pair[1] for pair in found]))
    layers = tuple(groups[step - 1][0] for step in steps)
    return Randomisation(layers, tuple(cosines), tuple(ranks))


def _chosen(count: int, most: int | None) -> list[int]:
    """Return which numbers of shuffled layers are looked at."""
    if most is None or count <= most:
        return list(range(1, count + 1))
    if most == 1:
        return [count]
    return sorted({1 + round(i * (count - 1) / (most - 1)) for i in range(most)})
