"""Units or clips as points on a plane, near each other where a network takes them for alike."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from auralise.atlas.manifest import read_shards
from auralise.atlas.parts import each_part
from auralise.atlas.query import Atlas, standardised
from auralise.atlas.values import SAMPLE
from auralise.errors import InvalidValueError

METHODS = ("pca", "umap")


def methods() -> tuple[str, ...]:
    """Return the projections that can be had here: PCA, and UMAP where umap-learn is installed."""
    return METHODS if find_spec("umap") is not None else METHODS[:1]


def unit_vectors(atlas: Atlas) -> tuple[list[str], NDArray[np.float32]]:
    """Return the units and what each made of a sample of the clips.

    Returns
    -------
    names : list of str
    values : ndarray, shape (units, clips)
        Peaks, each unit's brought to mean 0 and deviation 1 over the clips; the clips whose
        checksums come first, `SAMPLE` at most.
    """
    kept = {row["clip"]: number for number, row in enumerate(atlas.clips[:SAMPLE])}
    names: list[str] = []
    blocks = []
    shards = [s for s in read_shards(atlas.store) if not kept.keys().isdisjoint(s.clips)]
    for layer_set, layers in atlas.manifest.layer_sets.items():
        values = [np.zeros((len(kept), layer.channels), np.float32) for layer in layers]
        columns = [f"peak/{layer.name}" for layer in layers]
        for _, part in each_part(atlas.store, shards, layer_set, columns):
            rows = [n for n, clip in enumerate(part.clips) if clip in kept]
            if not rows:
                continue
            places = [kept[part.clips[n]] for n in rows]
            for block, layer in zip(values, layers, strict=True):
                block[places] = part.column("peak", layer.name)[rows]
        for layer in layers:
            names.extend(f"{layer.name}:{channel}" for channel in range(layer.channels))
        blocks.extend(values)
    return names, standardised(np.concatenate(blocks, axis=1)).T


def project(values: NDArray[np.float32], method: str = "pca") -> NDArray[np.float32]:
    """Bring vectors to the plane.

    Parameters
    ----------
    values : ndarray, shape (points, dimensions)
    method : {"pca", "umap"}
        Principal components, or UMAP with its own defaults and a fixed seed.

    Returns
    -------
    ndarray, shape (points, 2)
        Each axis from -1 to 1 at most, on one scale, around the mean.

    Raises
    ------
    InvalidValueError
        If there is no such method, or it is not installed.

    References
    ----------
    .. [1] L. McInnes, J. Healy, J. Melville, "UMAP: uniform manifold approximation and projection
       for dimension reduction", arXiv:1802.03426, 2018.

    Examples
    --------
    >>> project(np.array([[0.0, 0], [3, 0], [6, 0]], np.float32))[:, 1].tolist()
    [0.0, 0.0, 0.0]
    """
    if method not in METHODS:
        raise InvalidValueError(f"projection must be one of {', '.join(METHODS)}, got {method!r}")
    centred = values - values.mean(0)
    if method == "umap":
        if method not in methods():
            raise InvalidValueError("UMAP is not installed: pip install umap-learn")
        import umap

        places = np.asarray(umap.UMAP(random_state=0).fit_transform(centred), np.float64)
    else:
        places = _principal(centred.astype(np.float64))
    places = places - places.mean(0)
    reach = np.abs(places).max()
    found: NDArray[np.float32] = (places / reach if reach > 0 else places).astype(np.float32)
    return found


def _principal(centred: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the first two principal components; the sign is such that the largest is positive."""
    wide = centred.shape[1] > centred.shape[0]
    gram = centred @ centred.T if wide else centred.T @ centred
    values, vectors = np.linalg.eigh(gram)
    kept = vectors[:, ::-1][:, :2]
    places = kept * np.sqrt(values[::-1][:2].clip(min=0)) if wide else centred @ kept
    if places.shape[1] < 2:
        places = np.concatenate([places, np.zeros((len(places), 2 - places.shape[1]))], axis=1)
    largest = np.take_along_axis(places, np.abs(places).argmax(0)[None], 0)[0]
    signed: NDArray[np.float64] = places * np.where(largest < 0, -1, 1) + 0.0
    return signed
