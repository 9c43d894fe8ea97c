"""Duplicates of an image: exact ones by digest; near ones (re-encoded, resized, cropped a little) by thumbnail.

A thumbnail of 16x16 luma values, less its mean and divided by its norm, is a point on the unit sphere: brightness and
contrast do not move it. What counts as near depends on how alike the images of a set are anyway: photographs are about
1.1 apart and a cropped duplicate 0.2, while two handwritten digits may be 0.1 apart. So a pair is near when its
distance is at most `RATIO` times the square of the usual distance around both (measured to a fixed sample of the set),
a limit that is clipped to `CLOSEST` and `FARTHEST`; and when their chroma differs by `CHROMA_TOLERANCE` of the contrast
at most, where both have color. Candidates come from a k-d tree over the set's first principal components: a projection
never lengthens a distance, so no duplicate is missed that is among an image's nearest few there.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from convolve.datasets.parallel import reader_threads
from convolve.values import Floats, Indices, Pixels

Array = TypeVar("Array", Pixels, Indices)
RATIO = 0.25
FARTHEST = 0.45
CLOSEST = 0.02
CHROMA_TOLERANCE = 0.1
_MIN_USUAL = 0.7
"""Of the set's median: so that a large group of duplicates does not pass for the usual."""
_SAMPLE = 500
_RANK = 0.02
"""The usual distance is the one within which this fraction of the sample is (`_MIN_RANK` images at least)."""
_MIN_RANK = 5
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
    """(N,) which images, given their thumbnails (N, S, S), are of one flat tone."""
    deviations = [_flat(block).std(1) for block in _blocks(luma)]
    flat: npt.NDArray[np.bool_] = np.concatenate([np.empty(0), *deviations]) < _BLANK
    return flat


def near_groups(luma: Pixels, chroma: Pixels, workers: int | None = None) -> list[Indices]:
    """Groups of rows that show nearly the same image; blank ones belong to none.

    ``luma`` (N, S, S) and ``chroma`` (N, T, T, 2) are uint8 thumbnails of images whose digests differ. ``workers``
    threads search, `parallel.reader_threads` unless a number is given.
    """
    workers = max(1, reader_threads() if workers is None else workers)
    visible = np.flatnonzero(~blank(luma))
    alike = exact_groups([luma[row].tobytes() + chroma[row].tobytes() for row in visible])
    links = [np.stack([np.full(len(group) - 1, group[0]), group[1:]], 1) for group in alike]
    distinct = np.delete(visible, np.concatenate([np.empty(0, np.int64), *(group[1:] for group in alike)]))
    pairs = [visible[pair] for pair in links]
    if len(distinct) > 1:
        pairs.append(distinct[_near_pairs(luma[distinct], chroma[distinct], workers)])
    return _connected_rows(np.concatenate([np.empty((0, 2), np.int64), *pairs]), len(luma))


def _connected_rows(pairs: Indices, count: int) -> list[Indices]:
    """Groups of all that pairs (P, 2) of the rows 0 … count - 1 connect, in order of their first rows."""
    # Here and below: scipy is slow to import, and `predict` imports this module without calling it.
    from scipy.sparse import coo_array  # type: ignore[import-untyped]
    from scipy.sparse.csgraph import connected_components  # type: ignore[import-untyped]

    links = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    number, component = connected_components(links, directed=False)
    rows = np.argsort(component, kind="stable").astype(np.int64)
    groups = np.split(rows, np.cumsum(np.bincount(component, minlength=number))[:-1])
    return sorted((group for group in groups if len(group) > 1), key=lambda group: int(group[0]))


def _near_pairs(luma: Pixels, chroma: Pixels, workers: int) -> Indices:
    """(P, 2) rows that are near each other, the smaller first."""
    sample = _unit_vectors(luma[np.sort(np.random.default_rng(0).permutation(len(luma))[:_SAMPLE])])
    limits = np.clip(RATIO * _usual_distances(luma, sample) ** 2, CLOSEST, FARTHEST)
    pairs = _candidate_pairs(luma, sample, limits, workers)
    near = [_distances(luma, block) <= limits[block].min(1) for block in _blocks(pairs)]
    pairs = pairs[np.flatnonzero(np.concatenate([np.empty(0, np.bool_), *near]))]
    return pairs[~_differ_in_color(luma, chroma, pairs)]


def _usual_distances(luma: Pixels, sample: Floats) -> Floats:
    """(N,) how far from each image others of its kind are: the distance of a low rank in a sample (S, pixels)."""
    rank = max(_MIN_RANK, round(_RANK * len(sample)))
    if rank >= len(sample):
        return np.full(len(luma), _USUAL_OF_FEW, np.float32)
    against = [np.partition(_unit_vectors(block) @ -sample.T, rank, 1)[:, rank] for block in _blocks(luma)]
    usual = np.sqrt(np.maximum(0, 2 + 2 * np.concatenate(against)))
    return np.asarray(np.maximum(usual, _MIN_USUAL * np.median(usual)), np.float32)


def _candidate_pairs(luma: Pixels, sample: Floats, limits: Floats, workers: int) -> Indices:
    """(P, 2) every row with its few nearest ones, where their first principal components are within the limit."""
    from scipy.spatial import KDTree  # type: ignore[import-untyped]

    _, directions = np.linalg.eigh(sample.T @ sample)
    points = np.concatenate([_unit_vectors(block) @ directions[:, -_COMPONENTS:] for block in _blocks(luma)])
    distances, nearest = KDTree(points).query(
        points, _NEIGHBORS + 1, distance_upper_bound=float(limits.max()), workers=workers
    )
    rows, ranks = np.nonzero(distances <= limits[:, None])
    pairs = np.stack([rows, nearest[rows, ranks]], 1)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    return np.unique(np.sort(pairs, 1), axis=0).astype(np.int64)


def _distances(luma: Pixels, pairs: Indices) -> Floats:
    """(P,) between the images of each pair."""
    first, second = pairs.T
    return np.asarray(np.linalg.norm(_unit_vectors(luma[first]) - _unit_vectors(luma[second]), axis=1), np.float32)


def _differ_in_color(luma: Pixels, chroma: Pixels, pairs: Indices) -> npt.NDArray[np.bool_]:
    """(P,) whether both images of a pair have color, and not the same."""
    first, second = (_relative_chroma(luma[rows], chroma[rows]) for rows in pairs.T)
    colored = first.any(1) & second.any(1)
    differ: npt.NDArray[np.bool_] = colored & (np.sqrt(np.mean((first - second) ** 2, axis=1)) > CHROMA_TOLERANCE)
    return differ


def _relative_chroma(luma: Pixels, chroma: Pixels) -> Floats:
    """(N, T * T * 2) chroma in units of the image's own contrast."""
    contrast = _flat(luma).std(1, keepdims=True)
    return np.asarray((_flat(chroma).astype(np.float32) - 128) / contrast, np.float32)


def _unit_vectors(luma: Pixels) -> Floats:
    """(N, S * S) thumbnails as points on the unit sphere."""
    values = _flat(luma).astype(np.float32)
    values -= values.mean(1, keepdims=True)
    return np.asarray(values / np.linalg.norm(values, axis=1, keepdims=True), np.float32)


def _flat(thumbnails: Pixels) -> Pixels:
    return thumbnails.reshape(len(thumbnails), math.prod(thumbnails.shape[1:]))


def _blocks(array: Array) -> Iterator[Array]:
    return (array[start : start + _BLOCK] for start in range(0, len(array), _BLOCK))
