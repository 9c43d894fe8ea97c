"""Duplicates of an image: exact ones by digest; near ones (re-encoded, resized, cropped a little) by thumbnail.

A thumbnail of 16x16 luma values, less its mean and divided by its norm, is a point on the unit sphere: brightness and
contrast do not move it. What counts as near depends on how alike the images of a set are anyway: photographs are about
1.1 apart and a cropped duplicate 0.2, while two handwritten digits may be 0.1 apart. So a pair is near when its
distance is at most `RATIO` times the square of the usual distance around both (measured to a fixed sample of the set),
a limit that is clipped to `CLOSEST` and `FARTHEST`; and when their chroma differs by `CHROMA_TOLERANCE` of the contrast
at most, where both have color.

Candidates are neighbors in one of `_TABLES` orders of all images. Each order sorts them by the bits that tell on which
side of random planes they lie, so that near ones are likely to be next to each other in some of them (Charikar 2002,
"Similarity estimation techniques from rounding algorithms", section 3). Time is proportional to the number of images.
Of pairs exactly as far apart as the limit allows, about one in ten thousand is missed among a million images; of closer
pairs and in smaller sets, fewer; where hundreds of images are all about as far apart as the limit, more. Of up to
`_FEW` images all pairs are compared.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from convolve.datasets.parallel import in_order, reader_threads
from convolve.datasets.survey import Thumbnails
from convolve.progress import Listener, Pace
from convolve.values import Flags, Floats, Indices, Pixels

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
_BLANK = 2.0
_BLOCK = 4096
"""Images, or pairs of them, whose thumbnails are converted to floats together."""
_FEW = 500
_TABLES = 100
_NEIGHBORS = 8
"""How many of those that follow it in an order an image is compared with."""
_COMPONENTS = 24
_PLANES = 32
"""For an order: bits in a key."""
_BITS = 128
"""Of the angle between what the components leave of two images."""
_SPREAD = 5.0
"""Standard deviations by which that angle may be misjudged."""
_ROUNDING = 1.5e-3
"""By how much coordinates of 16 bits may change the distance of two points."""
_MANY = 2**18
"""Pairs that are found before their components are joined, so that they need little memory."""
_Keys = npt.NDArray[np.uint64]
_Rows = npt.NDArray[np.int32]


def exact_groups(digests: Pixels) -> list[Indices]:
    """The rows that share a digest, for every one of the ``digests`` (N, 16) that several rows have; in order of first
    appearance.
    """
    halves = np.ascontiguousarray(digests).view(np.uint64)
    order = np.lexsort((halves[:, 1], halves[:, 0]))
    new = np.ones(len(order) + 1, dtype=bool)
    new[1:-1] = (halves[order[1:]] != halves[order[:-1]]).any(1)
    edges = np.flatnonzero(new)
    several = np.flatnonzero(np.diff(edges) > 1)
    groups = [order[start:end] for start, end in zip(edges[several], edges[several + 1], strict=True)]
    return sorted(groups, key=lambda group: int(group[0]))


def blank(thumbnails: Thumbnails, rows: Indices, single_color: bool = False) -> Flags:
    """(M,) which of the images ``rows`` (M,) are of one flat tone; with ``single_color`` also of one hue."""
    found = np.zeros(len(rows), dtype=bool)
    for start in range(0, len(rows), _BLOCK):
        luma = thumbnails[rows[start : start + _BLOCK]]["luma"]
        found[start : start + _BLOCK] = luma.reshape(len(luma), -1).std(1) < _BLANK
    if single_color:
        found[found] = (thumbnails[rows[found]]["chroma"].std((1, 2)) < _BLANK).all(1)
    return found


def near_groups(
    thumbnails: Thumbnails,
    rows: Indices,
    exact: Sequence[Indices] = (),
    workers: int | None = None,
    listener: Listener | None = None,
) -> list[Indices]:
    """Groups of those of the images ``rows`` (M,), in ascending order, that show nearly the same; blank ones belong to
    none.

    Of ``exact`` duplicates (`exact_groups`) the first is compared with others, and all belong to its group. ``workers``
    threads search, `parallel.reader_threads` unless a number is given; the ``listener`` is told of it.
    """
    rows = rows[~blank(thumbnails, rows)]
    redundant = np.concatenate([np.empty(0, np.int64), *(group[1:] for group in exact)])
    rows = rows[~np.isin(rows, redundant)]
    digests = np.empty((len(rows), 16), np.uint8)
    for start in range(0, len(rows), _BLOCK):
        block = thumbnails[rows[start : start + _BLOCK]]
        parts = zip(block["luma"], block["chroma"], strict=True)
        found = [hashlib.blake2b(luma.tobytes() + chroma.tobytes(), digest_size=16).digest() for luma, chroma in parts]
        digests[start : start + _BLOCK] = np.frombuffer(b"".join(found), np.uint8).reshape(-1, 16)
    alike = exact_groups(digests)
    equal = np.concatenate([np.empty(0, np.int64), *(group[1:] for group in alike)])
    distinct = np.delete(rows, equal) if len(equal) else rows
    distinct_component = np.arange(len(distinct), dtype=np.int32)
    if len(distinct) > 1:
        workers = max(1, reader_threads() if workers is None else workers)
        report = Pace(listener, "near duplicates", len(distinct), "images") if listener else None
        distinct_component = _components(thumbnails, distinct, workers, report)
    component = np.empty(len(rows), np.int32)
    component[np.delete(np.arange(len(rows)), equal)] = distinct_component
    for group in alike:
        component[group[1:]] = component[group[0]]

    several = np.bincount(component, minlength=1)[component] > 1
    rows, component = rows[several], component[several]
    firsts = np.array([group[0] for group in exact], np.int64)
    visible = np.flatnonzero(np.isin(firsts, rows)).tolist()
    their_component = component[np.searchsorted(rows, firsts[visible])]
    others = [exact[number][1:] for number in visible]
    rows = np.concatenate([rows, *others])
    component = np.concatenate([component, np.repeat(their_component, [len(group) for group in others])])
    order = np.lexsort((rows, component))
    edges = np.flatnonzero(np.diff(component[order])) + 1
    groups = np.split(rows[order], edges) if len(rows) else []
    return sorted(groups, key=lambda group: int(group[0]))


@dataclass(frozen=True, eq=False)
class _Sketches:
    """What tells without their thumbnails that N images are far apart.

    ``limits`` (N,): how far from each a near one may be. ``points`` (N, C + 1) float16: the first principal components,
    and the length of what these leave; their distances are never longer than those of the thumbnails. ``bits``
    (N, B / 64): on which sides of random planes that remainder lies.
    """

    limits: Floats
    points: npt.NDArray[np.float16]
    bits: npt.NDArray[np.uint64]

    def may_be_near(self, first: Indices, second: Indices) -> Flags:
        """Which pairs, whose points and lengths are near, have remainders at an angle as small as the limit asks."""
        one, other = (self.points[side].astype(np.float32) for side in (first, second))
        left = (np.minimum(self.limits[first], self.limits[second]) + _ROUNDING) ** 2 - ((one - other) ** 2).sum(1)
        cosine = 1 - left / np.maximum(2 * one[:, -1] * other[:, -1], 1e-12)
        differ = np.arccos(np.clip(cosine, -1, 1)) / np.pi  # the probability that a plane divides them
        most = _BITS * differ + _SPREAD * np.sqrt(_BITS * differ * (1 - differ)) + _SPREAD
        return np.asarray(np.bitwise_count(self.bits[first] ^ self.bits[second]).sum(1) <= most)


def _sketch(thumbnails: Thumbnails, rows: Indices) -> _Sketches:
    count, random = len(rows), np.random.default_rng(0)
    sample = _unit_vectors(thumbnails[rows[np.sort(random.permutation(count)[:_SAMPLE])]]["luma"])
    mean = sample.mean(0)
    directions = np.linalg.eigh((sample - mean).T @ (sample - mean))[1][:, -_COMPONENTS:]
    planes = random.standard_normal((sample.shape[1], _BITS)).astype(np.float32)
    planes -= directions @ (directions.T @ planes)
    rank = max(_MIN_RANK, round(_RANK * len(sample)))
    usual = np.full(count, _USUAL_OF_FEW, np.float32)  # how far from each image others of its kind are
    points = np.empty((count, directions.shape[1] + 1), np.float16)
    bits = np.empty((count, _BITS // 64), np.uint64)
    for start in range(0, count, _BLOCK):
        block = slice(start, start + _BLOCK)
        vectors = _unit_vectors(thumbnails[rows[block]]["luma"])
        if rank < len(sample):
            usual[block] = np.sqrt(np.maximum(0, 2 + 2 * np.partition(vectors @ -sample.T, rank, 1)[:, rank]))
        vectors -= mean
        points[block, :-1] = inside = vectors @ directions
        points[block, -1] = np.sqrt(np.maximum(0, (vectors**2).sum(1) - (inside**2).sum(1)))
        bits[block] = np.packbits(vectors @ planes > 0, axis=1).view(np.uint64)
    usual = np.maximum(usual, _MIN_USUAL * np.median(usual))
    return _Sketches(np.clip(RATIO * usual**2, CLOSEST, FARTHEST), points, bits)


def _components(thumbnails: Thumbnails, rows: Indices, workers: int, report: Pace | None) -> _Rows:
    """(M,) a number for each of the images ``rows``: the same where a chain of near ones joins them."""
    sketches, count, random = _sketch(thumbnails, rows), len(rows), np.random.default_rng(1)
    component = np.arange(count, dtype=np.int32)
    if count <= _FEW:
        first, second = (side.astype(np.int32) for side in np.triu_indices(count, 1))
        apart = sketches.points[first].astype(np.float32) - sketches.points[second]
        farthest = np.minimum(sketches.limits[first], sketches.limits[second]) + _ROUNDING
        close = (apart**2).sum(1) <= farthest**2
        pairs = np.stack([first[close], second[close]])
        if report:
            report(count)
        if not close.any():
            return component
        return _merge(component, pairs[:, _are_near(thumbnails, rows, sketches.limits, pairs)])
    blocks = range(0, count, _BLOCK)
    workers = workers if len(blocks) > 1 else 0
    for table in range(_TABLES):
        order = _order(sketches.points, random, workers)
        near, count_near = [np.empty((2, 0), np.int32)], 0
        for found in in_order(partial(_candidates, sketches, component, order), blocks, workers):
            pairs = found[:, component[found[0]] != component[found[1]]]
            near.append(pairs[:, _are_near(thumbnails, rows, sketches.limits, pairs)])
            count_near += near[-1].shape[1]
            if count_near > _MANY:
                component, near, count_near = _merge(component, np.concatenate(near, 1)), near[:1], 0
        component = _merge(component, np.concatenate(near, 1))
        if report:
            report(count * (table + 1) // _TABLES)
    return component


def _order(points: npt.NDArray[np.float16], random: np.random.Generator, workers: int) -> _Keys:
    """(N,) the points in an order in which near ones are likely to be neighbors, as the last 32 bits of each value.

    Planes of random directions go through random points, so that more of them divide a dense region.
    """
    count, components = len(points), points.shape[1] - 1
    planes = random.standard_normal((components, _PLANES)).astype(np.float32)
    through = points[random.integers(0, count, _PLANES), :-1].astype(np.float32)
    thresholds = (through * planes.T).sum(1)
    keys = np.arange(count, dtype=np.uint64)

    def fill(start: int) -> None:
        block = slice(start, start + _BLOCK)
        sides = points[block, :-1].astype(np.float32) @ planes > thresholds
        keys[block] |= np.packbits(sides, axis=1).view(">u4")[:, 0].astype(np.uint64) << np.uint64(32)

    for _ in in_order(fill, range(0, count, _BLOCK), workers):
        pass
    keys.sort()
    return keys


def _candidates(sketches: _Sketches, component: _Rows, order: _Keys, start: int) -> _Rows:
    """(2, P) pairs of a block of an order with those that follow it, which are in different components and by their
    sketches may be near.
    """
    rows = (order[start : start + _BLOCK + _NEIGHBORS] & np.uint64(0xFFFFFFFF)).astype(np.int32)
    points, limits, components = sketches.points[rows].astype(np.float32), sketches.limits[rows], component[rows]
    pairs = [np.empty((2, 0), np.int32)]
    for step in range(1, min(_NEIGHBORS, len(rows) - 1) + 1):
        one, other = slice(0, min(_BLOCK, len(rows) - step)), slice(step, step + _BLOCK)
        apart = points[one] - points[other]
        farthest = np.minimum(limits[one], limits[other]) + _ROUNDING
        close = np.einsum("ij,ij->i", apart, apart) <= farthest**2
        close &= components[one] != components[other]
        positions = np.flatnonzero(close)
        pairs.append(np.stack([rows[positions], rows[positions + step]]))
    found = np.concatenate(pairs, 1)
    return found[:, sketches.may_be_near(*found)]


def _are_near(thumbnails: Thumbnails, rows: Indices, limits: Floats, pairs: _Rows) -> Flags:
    """(P,) which pairs (2, P) of positions in ``rows`` are near, unless both have color and not the same."""
    near = np.zeros(pairs.shape[1], dtype=bool)
    for start in range(0, pairs.shape[1], _BLOCK):
        part = pairs[:, start : start + _BLOCK]
        first, second = (thumbnails[rows[side]] for side in part)
        distance = np.linalg.norm(_unit_vectors(first["luma"]) - _unit_vectors(second["luma"]), axis=1)
        close = np.flatnonzero(distance <= limits[part].min(0))
        colors = []
        for side in (first[close], second[close]):
            contrast = side["luma"].std((1, 2))[:, None, None, None]
            colors.append(((side["chroma"].astype(np.float32) - 128) / contrast).astype(np.float32))
        differ = np.sqrt(np.mean((colors[0] - colors[1]) ** 2, axis=(1, 2, 3))) > CHROMA_TOLERANCE
        both = colors[0].any((1, 2, 3)) & colors[1].any((1, 2, 3))
        near[start + close] = ~(both & differ)
    return near


def _merge(component: _Rows, pairs: _Rows) -> _Rows:
    """(N,) the numbers of components when pairs (2, P) of their members are joined."""
    # scipy is slow to import, and `predict` imports this module without calling it.
    from scipy.sparse import coo_array  # type: ignore[import-untyped]
    from scipy.sparse.csgraph import connected_components  # type: ignore[import-untyped]

    if not pairs.shape[1]:
        return component
    edges, count = component[pairs], len(component)
    graph = coo_array((np.ones(edges.shape[1], np.int8), (edges[0], edges[1])), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1][component], np.int32)


def _unit_vectors(luma: Pixels) -> Floats:
    """(N, S * S) thumbnails as points on the unit sphere."""
    values = luma.reshape(-1, luma.shape[1] * luma.shape[2]).astype(np.float32)
    values -= values.mean(1, keepdims=True)
    return np.asarray(values / np.linalg.norm(values, axis=1, keepdims=True), np.float32)
