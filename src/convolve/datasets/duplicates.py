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

import hashlib
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from convolve.datasets.parallel import reader_threads
from convolve.progress import Listener, Pace
from convolve.values import Floats, Indices, Pixels

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
"""Images, or pairs of them, whose thumbnails are converted to floats together."""
_COMPONENTS = 10
_LEAF = 32
"""Points in a leaf of the tree; with fewer the search is slower."""


def exact_groups(digests: Sequence[bytes]) -> list[Indices]:
    """The rows that share a digest, for every digest that several rows have; in order of first appearance."""
    keys = np.fromiter(map(hash, digests), np.int64, len(digests))
    order = np.argsort(keys, kind="stable")  # takes less memory than a list for each digest, most of which occur once
    repeated = keys[order[1:]] == keys[order[:-1]]
    rows: dict[bytes, list[int]] = defaultdict(list)
    for row in np.union1d(order[:-1][repeated], order[1:][repeated]).tolist():
        rows[digests[row]].append(row)
    return [np.array(group, np.int64) for group in rows.values() if len(group) > 1]


def blank(luma: Pixels) -> npt.NDArray[np.bool_]:
    """(N,) which images, given their thumbnails (N, S, S), are of one flat tone."""
    blocks = np.split(luma, range(_BLOCK, len(luma), _BLOCK))
    deviations = np.concatenate([block.reshape(-1, luma.shape[1] * luma.shape[2]).std(1) for block in blocks])
    return np.asarray(deviations < _BLANK)


def near_groups(
    luma: Pixels,
    chroma: Pixels,
    exact: Sequence[Indices] = (),
    workers: int | None = None,
    listener: Listener | None = None,
) -> list[Indices]:
    """Groups of rows that show nearly the same image; blank ones belong to none.

    ``luma`` (N, S, S) and ``chroma`` (N, T, T, 2) are uint8 thumbnails. Of ``exact`` duplicates (`exact_groups`) the
    first is compared with others, and all belong to its group. ``workers`` threads search, `parallel.reader_threads`
    unless a number is given; the ``listener`` is told of it.
    """
    # Here and below: scipy is slow to import, and `predict` imports this module without calling it.
    from scipy.sparse import coo_array  # type: ignore[import-untyped]
    from scipy.sparse.csgraph import connected_components  # type: ignore[import-untyped]

    visible = ~blank(luma)
    visible[[row for group in exact for row in group[1:]]] = False
    distinct = np.flatnonzero(visible)
    thumbnails = (luma[row].tobytes() + chroma[row].tobytes() for row in distinct)
    alike = exact_groups([hashlib.blake2b(each, digest_size=16).digest() for each in thumbnails])
    pairs = [distinct[np.stack([np.full(len(group) - 1, group[0]), group[1:]], 1)] for group in alike]
    distinct = np.delete(distinct, np.concatenate([np.empty(0, np.int64), *(group[1:] for group in alike)]))
    if len(distinct) > 1:
        workers = max(1, reader_threads() if workers is None else workers)
        report = Pace(listener, "near duplicates", len(distinct), "images") if listener else None
        pairs.append(distinct[_near_pairs(luma, chroma, distinct, workers, report)])

    first, second = np.concatenate([np.empty((0, 2), np.int64), *pairs]).T
    graph = coo_array((np.ones(len(first)), (first, second)), shape=(len(luma), len(luma)))
    number, component = connected_components(graph, directed=False)
    rows = np.flatnonzero(np.bincount(component, minlength=number)[component] > 1)
    rows = rows[np.argsort(component[rows], kind="stable")]
    groups = np.split(rows, np.flatnonzero(np.diff(component[rows])) + 1)
    same = {int(group[0]): group for group in exact}
    found = [[same.get(row, np.array([row])) for row in group.tolist()] for group in groups if len(group) > 1]
    return sorted((np.sort(np.concatenate(parts)) for parts in found), key=lambda group: int(group[0]))


def _near_pairs(luma: Pixels, chroma: Pixels, rows: Indices, workers: int, report: Pace | None) -> Indices:
    """(P, 2) positions in ``rows`` of images that are near each other, the smaller first, unless both have color and
    not the same.
    """
    from scipy.spatial import KDTree  # type: ignore[import-untyped]

    count = len(rows)
    sample = _unit_vectors(luma[rows[np.sort(np.random.default_rng(0).permutation(count)[:_SAMPLE])]])
    directions = np.linalg.eigh(sample.T @ sample)[1][:, -_COMPONENTS:]
    rank = max(_MIN_RANK, round(_RANK * len(sample)))
    usual = np.full(count, _USUAL_OF_FEW, np.float32)  # how far from each image others of its kind are
    points = np.empty((count, directions.shape[1]), np.float32)
    blocks = [slice(start, start + _BLOCK) for start in range(0, count, _BLOCK)]
    for block in blocks:
        vectors = _unit_vectors(luma[rows[block]])
        points[block] = vectors @ directions
        if rank < len(sample):
            usual[block] = np.sqrt(np.maximum(0, 2 + 2 * np.partition(vectors @ -sample.T, rank, 1)[:, rank]))
    usual = np.maximum(usual, _MIN_USUAL * np.median(usual))
    limits = np.clip(RATIO * usual**2, CLOSEST, FARTHEST)

    tree, codes = KDTree(points, leafsize=_LEAF), [np.empty(0, np.int64)]
    for block in blocks:
        farthest = float(limits[block].max())
        distances, nearest = tree.query(points[block], _NEIGHBORS + 1, distance_upper_bound=farthest, workers=workers)
        found, ranks = np.nonzero(distances <= limits[block, None])
        pairs = np.stack([block.start + found, nearest[found, ranks]], 1)
        pairs = np.sort(pairs[pairs[:, 0] != pairs[:, 1]], 1)
        codes.append(pairs[:, 0] * count + pairs[:, 1])
        if report:
            report(min(block.stop, count))
    pairs = np.stack(np.divmod(np.unique(np.concatenate(codes)), count), 1)
    near: list[Indices] = []
    for part in np.split(pairs, range(_BLOCK, len(pairs), _BLOCK)):
        first, second = (_unit_vectors(luma[rows[side]]) for side in part.T)
        close = part[np.linalg.norm(first - second, axis=1) <= limits[part].min(1)]
        contrast = luma[rows[close]].reshape(-1, 2, luma[0].size).std(2, keepdims=True)
        colors = chroma[rows[close]].reshape(-1, 2, chroma[0].size).astype(np.float32) - 128
        colors = (colors / contrast).astype(np.float32)
        differ = np.sqrt(np.mean((colors[:, 0] - colors[:, 1]) ** 2, axis=1)) > CHROMA_TOLERANCE
        near.append(close[~(colors.any(2).all(1) & differ)])
    return np.concatenate(near)


def _unit_vectors(luma: Pixels) -> Floats:
    """(N, S * S) thumbnails as points on the unit sphere."""
    values = luma.reshape(-1, luma.shape[1] * luma.shape[2]).astype(np.float32)
    values -= values.mean(1, keepdims=True)
    return np.asarray(values / np.linalg.norm(values, axis=1, keepdims=True), np.float32)
