"""Copies of a picture: exact ones by digest; near ones (re-encoded, resized, cropped a little, brighter) by thumbnail.

A thumbnail of 16x16 luma values, less its mean and divided by its norm, is a point on the unit sphere: brightness and
contrast do not move it. What counts as near depends on how alike the pictures of a set are anyway: photographs lie
about 1.1 apart and a cropped copy 0.2, while two handwritten ones may lie 0.1 apart. So a pair is near when its
distance is at most `SHARE` times the square of the usual distance around both (measured to a fixed sample of the set),
that limit being kept between `CLOSEST` and `FARTHEST`; and when their chroma differs by `TINT` of the contrast at most,
where both have color. Candidates come from a k-d tree over the set's first principal components: a projection never
lengthens a distance, so no copy is missed that is among a picture's nearest few there.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array  # type: ignore[import-untyped]
from scipy.sparse.csgraph import connected_components  # type: ignore[import-untyped]
from scipy.spatial import KDTree  # type: ignore[import-untyped]

from convolve.values import Floats, Indices, Pixels

Array = TypeVar("Array", Pixels, Indices)
SHARE = 0.25
FARTHEST = 0.45
CLOSEST = 0.02
TINT = 0.1
_LEAST_USUAL = 0.7
"""Of the set's median: keeps a large family of copies from passing for the usual."""
_SAMPLE = 500
_RANK = 0.02
"""The usual distance is the one that this share of the sample lies within (five pictures at least)."""
_LEAST_RANK = 5
_USUAL_OF_FEW = 1.0
_NEIGHBORS = 8
_BLANK = 2.0
_BLOCK = 4096
_COMPONENTS = 10


def exact_groups(digests: Sequence[bytes]) -> list[Indices]:
    """The rows that share a digest, for every digest that several rows have; in order of first appearance."""
    rows: dict[bytes, list[int]] = defaultdict(list)
    for row, digest in enumerate(digests):
        rows[digest].append(row)
    return [np.array(group, np.int64) for group in rows.values() if len(group) > 1]


def blank(luma: Pixels) -> npt.NDArray[np.bool_]:
    """(N,) which pictures, given their thumbnails (N, S, S), show one flat tone."""
    deviations = [_flat(block).std(1) for block in _blocks(luma)]
    flat: npt.NDArray[np.bool_] = np.concatenate([np.empty(0), *deviations]) < _BLANK
    return flat


def near_groups(luma: Pixels, chroma: Pixels, workers: int = 2) -> list[Indices]:
    """Groups of rows that show nearly the same picture; blank ones belong to none.

    ``luma`` (N, S, S) and ``chroma`` (N, T, T, 2) are uint8 thumbnails of pictures whose digests differ.
    """
    seen = np.flatnonzero(~blank(luma))
    alike = exact_groups([luma[row].tobytes() + chroma[row].tobytes() for row in seen])
    copies = [np.stack([np.full(len(group) - 1, group[0]), group[1:]], 1) for group in alike]
    apart = np.delete(seen, np.concatenate([np.empty(0, np.int64), *(group[1:] for group in alike)]))
    pairs = [seen[pair] for pair in copies]
    if len(apart) > 1:
        pairs.append(apart[_near_pairs(luma[apart], chroma[apart], workers)])
    return _families(np.concatenate([np.empty((0, 2), np.int64), *pairs]), len(luma))


def _families(pairs: Indices, count: int) -> list[Indices]:
    """Groups of all that pairs (P, 2) of the rows 0 … count - 1 connect, in order of their first rows."""
    links = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    number, family = connected_components(links, directed=False)
    rows = np.argsort(family, kind="stable").astype(np.int64)
    groups = np.split(rows, np.cumsum(np.bincount(family, minlength=number))[:-1])
    return sorted((group for group in groups if len(group) > 1), key=lambda group: int(group[0]))


def _near_pairs(luma: Pixels, chroma: Pixels, workers: int) -> Indices:
    """(P, 2) rows that lie near each other, the smaller first."""
    sample = _unit(luma[np.sort(np.random.default_rng(0).permutation(len(luma))[:_SAMPLE])])
    limits = np.clip(SHARE * _usual(luma, sample) ** 2, CLOSEST, FARTHEST)
    pairs = _candidates(luma, sample, limits, workers)
    near = [_distances(luma, block) <= limits[block].min(1) for block in _blocks(pairs)]
    pairs = pairs[np.flatnonzero(np.concatenate([np.empty(0, np.bool_), *near]))]
    return pairs[~_tinted(luma, chroma, pairs)]


def _usual(luma: Pixels, sample: Floats) -> Floats:
    """(N,) how far from a picture its own kind lies: the distance of a low rank in a sample (S, pixels)."""
    rank = max(_LEAST_RANK, round(_RANK * len(sample)))
    if rank >= len(sample):
        return np.full(len(luma), _USUAL_OF_FEW, np.float32)
    against = [np.partition(_unit(block) @ -sample.T, rank, 1)[:, rank] for block in _blocks(luma)]
    usual = np.sqrt(np.maximum(0, 2 + 2 * np.concatenate(against)))
    return np.asarray(np.maximum(usual, _LEAST_USUAL * np.median(usual)), np.float32)


def _candidates(luma: Pixels, sample: Floats, limits: Floats, workers: int) -> Indices:
    """(P, 2) every row with its few nearest ones, where their first principal components lie within both limits."""
    _, directions = np.linalg.eigh(sample.T @ sample)
    points = np.concatenate([_unit(block) @ directions[:, -_COMPONENTS:] for block in _blocks(luma)])
    distances, nearest = KDTree(points).query(
        points, _NEIGHBORS + 1, distance_upper_bound=float(limits.max()), workers=workers
    )
    rows, places = np.nonzero(distances <= limits[:, None])
    pairs = np.stack([rows, nearest[rows, places]], 1)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    return np.unique(np.sort(pairs, 1), axis=0).astype(np.int64)


def _distances(luma: Pixels, pairs: Indices) -> Floats:
    """(P,) between the pictures of each pair."""
    first, second = pairs.T
    return np.asarray(np.linalg.norm(_unit(luma[first]) - _unit(luma[second]), axis=1), np.float32)


def _tinted(luma: Pixels, chroma: Pixels, pairs: Indices) -> npt.NDArray[np.bool_]:
    """(P,) whether both pictures of a pair have color, and not the same."""
    first, second = (_color(luma[rows], chroma[rows]) for rows in pairs.T)
    colored = first.any(1) & second.any(1)
    differ: npt.NDArray[np.bool_] = colored & (np.sqrt(np.mean((first - second) ** 2, axis=1)) > TINT)
    return differ


def _color(luma: Pixels, chroma: Pixels) -> Floats:
    """(N, T * T * 2) chroma in units of the picture's own contrast."""
    contrast = _flat(luma).std(1, keepdims=True)
    return np.asarray((_flat(chroma).astype(np.float32) - 128) / contrast, np.float32)


def _unit(luma: Pixels) -> Floats:
    """(N, S * S) thumbnails as points on the unit sphere."""
    values = _flat(luma).astype(np.float32)
    values -= values.mean(1, keepdims=True)
    return np.asarray(values / np.linalg.norm(values, axis=1, keepdims=True), np.float32)


def _flat(thumbnails: Pixels) -> Pixels:
    return thumbnails.reshape(len(thumbnails), math.prod(thumbnails.shape[1:]))


def _blocks(array: Array) -> Iterator[Array]:
    return (array[start : start + _BLOCK] for start in range(0, len(array), _BLOCK))
