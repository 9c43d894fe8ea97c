"""Sets of points on an object: what they are called, which of them a flip exchanges, and what lines connect them.

A flipped face is a face whose left eye is where the right one was: the two points exchange their places. Which points
are partners follows from their names (`left_eye`, `right_eye`; `l wrist`, `r wrist`), or from the table of iBUG's 68
points of a face, whose names are numbers alone.

Errors are measured in a length of the object itself: the distance of the eyes where the points are those of a face
(Sagonas, Antonakos, Tzimiropoulos, Zafeiriou, Pantic 2016, "300 faces in-the-wild challenge": outer corners), else the
side of a square as large as the object's box.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from convolve.errors import DataError

Edge = tuple[int, int]
"""Two points that a line connects, by index."""
COCO = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip
"""The 17 points of COCO's persons."""
COCO_EDGES: tuple[Edge, ...] = (
    (15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12), (5, 6), (5, 7), (6, 8), (7, 9), (8, 10),
    (1, 2), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6),
)  # fmt: skip
COCO_SIGMAS = (
    0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089,
    0.089,
)  # fmt: skip
"""How far apart two people mark each of them, as a fraction of the object's size (cocodataset.org/#keypoints-eval)."""
_IBUG = 68
_IBUG_LINES = (
    range(17), range(17, 22), range(22, 27), range(27, 31), range(31, 36), (*range(36, 42), 36), (*range(42, 48), 42),
    (*range(48, 60), 48), (*range(60, 68), 60),
)  # fmt: skip
"""Jaw, brows, bridge and base of the nose, eyes, outer and inner lips."""
_IBUG_PAIRS = (
    *((number, 16 - number) for number in range(8)),
    *((17 + number, 26 - number) for number in range(5)),
    (31, 35), (32, 34), (36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46), (48, 54), (49, 53), (50, 52),
    (55, 59), (56, 58), (60, 64), (61, 63), (65, 67),
)  # fmt: skip
_IBUG_EYES = (36, 45)
_OTHER_SIDE = {"left": "right", "right": "left", "l": "r", "r": "l"}
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_BODY = frozenset(("shoulder", "elbow", "wrist", "hip", "knee", "ankle", "thorax", "pelvis", "neck"))
_EYES = (frozenset(("eye",)), frozenset(("eye", "center")), frozenset(("eye", "outer", "corner")))


@dataclass(frozen=True)
class PointSet:
    """P points by their ``names``. ``partners`` (P,) are the indices of the points that take their places when an image
    is flipped, each point's own where it has no partner; ``edges`` are drawn as lines. Errors are measured in the
    distance of the two points ``eyes``, or in the size of the object where there are none.

    Raises `DataError` where these do not fit together.
    """

    names: tuple[str, ...]
    partners: tuple[int, ...]
    edges: tuple[Edge, ...] = ()
    eyes: Edge | None = None

    def __post_init__(self) -> None:
        count = len(self.names)
        inside = all(0 <= index < count for index in (*self.partners, *sum(self.edges, ()), *(self.eyes or ())))
        if not count or len(set(self.names)) < count:
            raise DataError("Points need names, each its own.")
        if len(self.partners) != count or not inside:
            raise DataError(f"The partners and edges of {count} points do not fit to them.")
        if any(self.partners[partner] != index for index, partner in enumerate(self.partners)):
            raise DataError("Two points must be partners of each other, or none.")

    @property
    def pairs(self) -> tuple[Edge, ...]:
        """Those points that are partners, each pair once."""
        return tuple((index, partner) for index, partner in enumerate(self.partners) if index < partner)

    @property
    def sigmas(self) -> tuple[float, ...] | None:
        """(P,) how far apart two people mark each point, where that is known: for COCO's persons."""
        return COCO_SIGMAS if self.names == COCO else None

    @property
    def length(self) -> str:
        """What errors are measured in, in words."""
        if self.eyes is None:
            return "the side of a square as large as the object's box"
        return f"the distance from {self.names[self.eyes[0]]} to {self.names[self.eyes[1]]}"

    def state(self) -> dict[str, Any]:
        """What `parse_point_set` needs, as JSON has it; the names are those of what a network tells apart."""
        return {
            "classes": list(self.names),
            "partners": list(self.partners),
            "edges": [list(edge) for edge in self.edges],
            "eyes": None if self.eyes is None else list(self.eyes),
        }

    def side(self, index: int) -> str:
        """`left`, `right`, or nothing for a point without a partner; where names say nothing the first one is left."""
        partner = self.partners[index]
        if partner == index:
            return ""
        first_is_right = any(word in ("right", "r") for word in _words(self.names[min(index, partner)]))
        return "right" if (index < partner) == first_is_right else "left"


def parse_point_set(state: Mapping[str, Any]) -> PointSet:
    """What `PointSet.state` gave. Raises `ValueError`, `KeyError`, `TypeError` or `DataError` for anything else."""
    eyes = state["eyes"]
    return PointSet(
        tuple(map(str, state["classes"])),
        tuple(map(int, state["partners"])),
        tuple((int(one), int(other)) for one, other in state["edges"]),
        None if eyes is None else (int(eyes[0]), int(eyes[1])),
    )


def describe_points(
    names: Sequence[str], edges: Sequence[Edge] = (), pairs: Sequence[tuple[str, str]] | None = None
) -> PointSet:
    """What is known of points by their names, or by the ``pairs`` of names that a flip exchanges. Raises `DataError`
    for a pair of points that there are not.
    """
    names = tuple(names)
    ibug = len(names) == _IBUG and not any(_side(name) for name in names)
    eyes = _IBUG_EYES if ibug else _find_eyes(names)
    if not edges and ibug:
        edges = [edge for line in _IBUG_LINES for edge in pairwise(line)]
    elif not edges and names == COCO:
        edges = COCO_EDGES
    by_name = list(_IBUG_PAIRS) if ibug else _pairs_by_name(names)
    found = by_name if pairs is None else _named_pairs(names, pairs)
    partners = list(range(len(names)))
    for one, other in found:
        partners[one], partners[other] = other, one
    return PointSet(names, tuple(partners), tuple(edges), eyes)


def _named_pairs(names: tuple[str, ...], pairs: Sequence[tuple[str, str]]) -> list[Edge]:
    listed = [name for pair in pairs for name in pair]
    unknown = [name for name in listed if name not in names]
    if unknown:
        raise DataError(f"There is no point called {unknown[0]}; the points are {', '.join(names)}.")
    repeated = [name for name in listed if listed.count(name) > 1]
    if repeated:
        raise DataError(f"The point {repeated[0]} is in two pairs; name each once.")
    return [(names.index(one), names.index(other)) for one, other in pairs]


def _pairs_by_name(names: tuple[str, ...]) -> list[Edge]:
    """Points whose names differ in nothing but the side."""
    positions = {tuple(_words(name)): index for index, name in enumerate(names)}
    found = []
    for words, index in positions.items():
        sides = [position for position, word in enumerate(words) if word in _OTHER_SIDE]
        if len(sides) != 1:
            continue
        other = tuple(_OTHER_SIDE[word] if position in sides else word for position, word in enumerate(words))
        partner = positions.get(other)
        if partner is not None and index < partner:
            found.append((index, partner))
    return found


def _words(name: str) -> list[str]:
    """The words of a name in lower case; a side that is written to the next word (`lefteye`) is one of its own."""
    words: list[str] = []
    for word in (word.casefold() for word in _WORD.findall(name)):
        side = next((side for side in ("left", "right") if word.startswith(side) and word != side), "")
        words += [side, word.removeprefix(side)] if side else [word]
    return words


def _side(name: str) -> bool:
    return any(word in _OTHER_SIDE for word in _words(name))


def _find_eyes(names: tuple[str, ...]) -> Edge | None:
    """The eyes of a face; None where the points are those of a body, or no eyes are among them."""
    words = [_words(name) for name in names]
    if any(_BODY.intersection(each) for each in words):
        return None
    for wanted in _EYES:
        sides = {}
        for index, each in enumerate(words):
            rest = [word for word in each if word not in _OTHER_SIDE]
            if set(rest) == wanted and len(rest) == len(wanted) and len(each) == len(rest) + 1:
                side = next(word for word in each if word in _OTHER_SIDE)
                sides[side[0]] = index
        if len(sides) == 2:
            return sides["l"], sides["r"]
    return None
