"""Which images a report shows, and how."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from convolve.datasets.images import EncodedArray
from convolve.errors import ImageError
from convolve.tasks.classify.gallery import Example, Selection, limit_bytes, select_for_cells, worst_mistakes
from convolve.tasks.classify.heatmaps import Heatmap
from convolve.values import Pixels
from tests.reports.sample import Scans, guesses


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 80), st.integers(1, 5), st.integers(1, 4), st.integers(1, 40), st.integers(0, 1000))
def test_the_selection_is_bounded_and_takes_the_most_confident_of_each_cell(
    images: int, classes: int, per_cell: int, total: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    true, predicted = random.integers(0, classes, (2, images))
    confidence = random.random(images)
    selected = select_for_cells(true, predicted, confidence, per_cell, total)
    assert len(set(selected.tolist())) == len(selected)
    cells = list(zip(true.tolist(), predicted.tolist(), strict=True))
    taken = Counter(cells[index] for index in selected)
    assert len(selected) == min(total, sum(min(count, per_cell) for count in Counter(cells).values()))
    assert max(taken.values(), default=0) <= per_cell
    for cell, count in taken.items():
        held = [index for index in range(images) if cells[index] == cell]
        best = sorted(held, key=lambda index: -confidence[index])[:count]
        assert [index for index in selected if cells[index] == cell] == best


def test_full_wrong_cells_get_more_images_than_correct_ones() -> None:
    true = np.repeat([0, 0, 1], [50, 6, 1])
    predicted = np.repeat([0, 1, 0], [50, 6, 1])
    selected = select_for_cells(true, predicted, np.linspace(1, 0, 57), total=8)
    assert Counter(zip(true[selected].tolist(), predicted[selected].tolist(), strict=True)) == {
        (0, 0): 2,
        (0, 1): 5,
        (1, 0): 1,
    }


def test_the_worst_are_wrong_and_confident() -> None:
    true, predicted = np.array([0, 1, 2, 0]), np.array([1, 1, 0, 2])
    assert worst_mistakes(true, predicted, np.array([0.5, 0.9, 0.8, 0.6])).tolist() == [2, 3, 0]
    assert worst_mistakes(true, predicted, np.array([0.5, 0.9, 0.8, 0.6]), 1).tolist() == [2]
    flags = np.eye(4, dtype=np.uint8)[true]
    assert worst_mistakes(flags, np.eye(4, dtype=np.uint8)[predicted], np.arange(4.0)).tolist() == [3, 2, 0]


def test_examples_have_names_classes_and_their_heatmaps() -> None:
    scans, true, scores = guesses()
    selection = Selection.of(true, scores.astype(np.float32))
    heatmap = Heatmap(2, "data:,x")
    found = selection.examples(scans, np.array([5, 3]), {3: (heatmap,)}, 96)
    assert [example.name for example in found] == ["scans/0005.png", "scans/0003.png"]
    assert found[0].true == (int(true[5]),)
    assert found[0].predicted == (int(scores[5].argmax()),)
    assert found[0].confidence == np.float32(scores[5].max())
    assert [example.heatmaps for example in found] == [(), (heatmap,)]
    assert found[1].cell == f"{true[3]}-{scores[3].argmax()}"


def test_the_heatmap_of_a_true_class_is_captioned_in_the_color_of_right() -> None:
    example = Example("a.png", "data:,", (1,), (2,), 0.9, (Heatmap(2, "data:,x"), Heatmap(1, "data:,y")))
    tiles = [(tile.caption, tile.tone, tile.heatmap) for tile in example.heatmap_tiles(("ape", "bee", "cat"))]
    assert tiles == [("cat", "wrong", "data:,x"), ("bee", "right", "data:,y")]


def test_the_images_that_matter_most_get_heatmaps_first() -> None:
    scores = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.2, 0.8]], np.float32)
    selection = Selection.of(np.array([0, 0, 1, 1]), scores)
    assert list(selection.heatmap_classes().items()) == [(2, (0, 1)), (0, (0,)), (3, (1,)), (1, (0,))]


def test_multi_label_explains_the_surest_wrong_and_the_surest_missed_label() -> None:
    scores = np.array([[0.9, 0.6, 0.4, 0.1], [0.9, 0.1, 0.1, 0.1], [0.1, 0.2, 0.9, 0.3]], np.float32)
    selection = Selection.of(np.array([[0, 0, 1, 1], [1, 0, 0, 0], [0, 1, 1, 0]], np.uint8), scores)
    assert selection.cells.tolist() == []
    assert selection.heatmap_classes() == {0: (0, 2), 2: (1,)}


def test_examples_of_multi_label_and_unreadable_images() -> None:
    @dataclass(frozen=True)
    class Torn(Scans):
        def open(self, index: int) -> EncodedArray:
            if index == 1:
                raise ImageError("b.jpg is cut off; copy it again.")
            return EncodedArray(self.pixels[index])

    pixels: Pixels = np.zeros((3, 8, 8, 1), np.uint8)
    flags = np.array([[1, 0, 1], [0, 0, 0], [0, 0, 0]], np.uint8)
    selection = Selection.of(flags, (1 - flags).astype(np.float32))
    found = selection.examples(Torn(pixels), np.arange(3), {}, 96)
    assert [(example.true, example.predicted) for example in found] == [((0, 2), (1,)), ((), (0, 1, 2))]


def test_images_are_bounded_in_bytes() -> None:
    some = tuple(Example("a", "x" * 60, (0,), (0,), 1.0, (Heatmap(0, "y" * 40),)) for _ in range(10))
    assert len(limit_bytes(some, 350)) == 3
    assert limit_bytes((), 350) == ()
