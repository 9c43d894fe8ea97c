"""Selective search on a photograph: its first regions, how similar neighbors are, the merges, the boxes in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from convolve.from_scratch.arrays import Labels
from convolve.from_scratch.grouping import Merge, Pair, Region, Similarity, box_around, group_regions
from convolve.from_scratch.traces.trace import (
    Cell,
    Drawing,
    Mark,
    Phase,
    Point,
    Shape,
    Step,
    Trace,
    format_number,
    result_grid,
)

Outline = Callable[[npt.NDArray[np.bool_]], tuple[Point, ...]]
"""The polygon around the pixels (H, W) that are true."""
_SEED = 0


@dataclass(frozen=True, eq=False)
class GroupingInputs:
    """The first ``regions`` of a photograph, the ``labels`` (H, W) of their pixels, and which are ``neighbors``;
    ``outline`` draws around pixels.
    """

    regions: Sequence[Region]
    labels: Labels
    neighbors: Sequence[Pair]
    outline: Outline

    @cached_property
    def hierarchy(self) -> tuple[list[Region], dict[Pair, Similarity], list[Merge]]:
        """As `group_regions` has it."""
        return group_regions(self.regions, self.neighbors, self.labels.size)


def grouping_trace(given: GroupingInputs) -> Trace:
    """From the first regions to the ordered boxes."""
    everything, _, _ = given.hierarchy
    count = len(everything)
    phases = [
        Phase("First regions", "Felzenszwalb and Huttenlocher's segmentation", tuple(_region_steps(given))),
        Phase("Compare neighbors", "s = color + texture + size + fill", tuple(_pair_steps(given))),
        Phase("Merge", "the pair of the greatest s becomes one region; repeat until one is left", _merge_steps(given)),
        Phase("Order the boxes", "√rank · random number, ascending; rank 1 is the whole image", _order_steps(given)),
    ]
    grids = (
        result_grid("r", "pixels, left, top, right, bottom", (count, 5), phases),
        result_grid("k", "rank, key", (count, 2), phases),
        result_grid("s", "similarity of regions (row and column)", (count, count), phases),
    )
    height, width = given.labels.shape
    drawing = Drawing("The photograph and its regions", (0, 0, width, height), tuple(_shapes(given)))
    return Trace("Selective search", grids, tuple(phase for phase in phases if phase.steps), drawing)


def _name(index: int) -> str:
    return f"region {index + 1}"


def _box_name(index: int) -> str:
    return f"box {index + 1}"


def _shapes(given: GroupingInputs) -> Iterator[Shape]:
    everything, _, merges = given.hierarchy
    masks = [given.labels == index for index in range(len(given.regions))]
    for merge in merges:
        masks.append(masks[merge.pair[0]] | masks[merge.pair[1]])
    for index, mask in enumerate(masks):
        yield Shape(_name(index), "box", given.outline(mask), str(index + 1))
    for index, region in enumerate(everything):
        left, top, right, bottom = region.box
        yield Shape(_box_name(index), "box", ((left, top), (right, top), (right, bottom), (left, bottom)))


def _cells(index: int, region: Region) -> tuple[tuple[Cell, float], ...]:
    return tuple((("r", index, column), float(value)) for column, value in enumerate((region.size, *region.box)))


def _region_steps(given: GroupingInputs) -> Iterator[Step]:
    for index, region in enumerate(given.regions):
        left, top, right, bottom = region.box
        text = f"{region.size} pixels; box {left} {top} {right} {bottom}"
        yield Step(_name(index), (), (text,), (), _cells(index, region), ((_name(index), "drawn"),))


def _pair_steps(given: GroupingInputs) -> Iterator[Step]:
    everything, first, _ = given.hierarchy
    area = given.labels.size
    for (a, b), similarity in first.items():
        one, other = everything[a], everything[b]
        sizes = f"{one.size} - {other.size}"
        lines = (
            f"the color histograms have {format_number(similarity.color)} in common",
            f"the texture histograms have {format_number(similarity.texture)} in common",
            f"size = 1 - ({one.size} + {other.size}) / {area} = {format_number(similarity.size)}",
            f"fill = 1 - ({_box_area(one, other)} - {sizes}) / {area} = {format_number(similarity.fill)}",
            _sum_text(a, b, similarity),
        )
        marks: tuple[tuple[str, Mark], ...] = ((_name(a), "drawn"), (_name(b), "drawn"))
        inputs = (("r", a, 0), ("r", b, 0))
        yield Step(f"{_name(a)} and {b + 1}", (), lines, inputs, (_cell(b, a, similarity),), marks)


def _box_area(a: Region, b: Region) -> int:
    """Of the box around both."""
    left, top, right, bottom = box_around(a, b)
    return (right - left) * (bottom - top)


def _sum_text(a: int, b: int, similarity: Similarity) -> str:
    parts = (similarity.color, similarity.texture, similarity.size, similarity.fill)
    return f"s[{b + 1},{a + 1}] = {' + '.join(map(format_number, parts))} = {format_number(similarity.total)}"


def _cell(row: int, column: int, similarity: Similarity) -> tuple[Cell, float]:
    """The cell of a similarity, with two decimals, as there are many."""
    return ("s", row, column), round(similarity.total, 2)


def _merge_steps(given: GroupingInputs) -> tuple[Step, ...]:
    everything, _, merges = given.hierarchy
    steps = []
    for merge in merges:
        a, b = merge.pair
        index, region = merge.index, everything[merge.index]
        what = "the only one" if merge.compared == 1 else f"the greatest of {merge.compared}"
        lines = [
            f"s[{b + 1},{a + 1}] = {format_number(merge.similarity.total)} is {what}",
            f"{everything[a].size} + {everything[b].size} = {region.size} pixels",
            "its histograms are the means of theirs, weighted by size",
        ]
        lines += [_sum_text(other, index, similarity) for other, similarity in merge.neighbors.items()]
        outputs = [*_cells(index, region), *(_cell(index, other, each) for other, each in merge.neighbors.items())]
        marks: tuple[tuple[str, Mark], ...] = ((_name(a), "brief"), (_name(b), "brief"), (_name(index), "drawn"))
        title = f"{_name(index)} = {a + 1} and {b + 1}"
        steps.append(Step(title, (), tuple(lines), (("s", b, a),), tuple(outputs), marks))
    return tuple(steps)


def _order_steps(given: GroupingInputs) -> tuple[Step, ...]:
    """A step for each region, in the order of its key."""
    everything, _, _ = given.hierarchy
    random = np.random.default_rng(_SEED).random(len(everything)).tolist()
    ranks = range(len(everything), 0, -1)
    keys = [rank**0.5 * number for rank, number in zip(ranks, random, strict=True)]
    steps, seen = [], dict[tuple[int, int, int, int], int]()
    for index in sorted(range(len(everything)), key=lambda each: keys[each]):
        text = f"√{ranks[index]} · {format_number(random[index])} = {format_number(keys[index])}"
        box = everything[index].box
        outcome = f"proposal {len(seen) + 1}" if box not in seen else f"the box of {_name(seen[box])} again: left out"
        seen.setdefault(box, index)
        outputs: tuple[tuple[Cell, float], ...] = (
            (("k", index, 0), float(ranks[index])),
            (("k", index, 1), round(keys[index], 2)),
        )
        marks: tuple[tuple[str, Mark], ...] = ((_name(index), "brief"), (_box_name(index), "drawn"))
        inputs: tuple[Cell, ...] = tuple(("r", index, column) for column in range(1, 5))
        steps.append(Step(f"box of {_name(index)}", (), (text, outcome), inputs, outputs, marks))
    return tuple(steps)
