"""Small pictures, and which of many."""

from __future__ import annotations

import base64
import io
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from convolve.errors import ImageError
from convolve.reports.thumbnails import choose, examples, thumbnail, worst
from convolve.values import Pixels
from tests.reports.sample import Scans, guesses


def opened(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_tiny_image_stays_as_it_is(channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (28, 20, channels), np.uint8)
    uri = thumbnail(pixels)
    assert uri.startswith("data:image/png;base64,")
    np.testing.assert_array_equal(np.asarray(opened(uri)).reshape(pixels.shape), pixels)


@pytest.mark.parametrize(("height", "width", "size"), [(300, 600, (96, 48)), (65, 65, (65, 65)), (4000, 10, (1, 96))])
def test_a_large_one_becomes_a_small_jpeg_of_the_same_shape(height: int, width: int, size: tuple[int, int]) -> None:
    uri = thumbnail(np.full((height, width, 3), 90, np.uint8))
    assert uri.startswith("data:image/jpeg;base64,")
    assert opened(uri).size == size
    assert abs(int(np.asarray(opened(uri)).mean()) - 90) <= 2


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 80), st.integers(1, 5), st.integers(1, 4), st.integers(1, 40), st.integers(0, 1000))
def test_the_choice_is_bounded_and_takes_the_most_confident_of_each_cell(
    images: int, classes: int, each: int, total: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    truth, predicted = random.integers(0, classes, (2, images))
    confidence = random.random(images)
    chosen = choose(truth, predicted, confidence, each, total)
    assert len(set(chosen.tolist())) == len(chosen)
    cells = list(zip(truth.tolist(), predicted.tolist(), strict=True))
    taken = Counter(cells[place] for place in chosen)
    assert len(chosen) == min(total, sum(min(count, each) for count in Counter(cells).values()))
    assert max(taken.values(), default=0) <= each
    for cell, count in taken.items():
        held = [place for place in range(images) if cells[place] == cell]
        best = sorted(held, key=lambda place: -confidence[place])[:count]
        assert [place for place in chosen if cells[place] == cell] == best


def test_full_wrong_cells_get_more_pictures_than_right_ones() -> None:
    truth = np.repeat([0, 0, 1], [50, 6, 1])
    predicted = np.repeat([0, 1, 0], [50, 6, 1])
    chosen = choose(truth, predicted, np.linspace(1, 0, 57), total=8)
    assert Counter(zip(truth[chosen].tolist(), predicted[chosen].tolist(), strict=True)) == {
        (0, 0): 2,
        (0, 1): 5,
        (1, 0): 1,
    }


def test_the_worst_are_wrong_and_confident() -> None:
    truth, predicted = np.array([0, 1, 2, 0]), np.array([1, 1, 0, 2])
    assert worst(truth, predicted, np.array([0.5, 0.9, 0.8, 0.6])).tolist() == [2, 3, 0]
    assert worst(truth, predicted, np.array([0.5, 0.9, 0.8, 0.6]), 1).tolist() == [2]
    flags = np.eye(4, dtype=np.uint8)[truth]
    assert worst(flags, np.eye(4, dtype=np.uint8)[predicted], np.arange(4.0)).tolist() == [3, 2, 0]


def test_examples_carry_names_and_classes() -> None:
    scans, truth, scores = guesses()
    found = examples(scans, np.array([5, 3]), truth, scores.argmax(1), scores.max(1))
    assert [example.name for example in found] == ["scans/0005.png", "scans/0003.png"]
    assert found[0].truth == (int(truth[5]),)
    assert found[0].confidence == scores[5].max()


def test_examples_of_several_labels_and_unreadable_images() -> None:
    @dataclass(frozen=True)
    class Torn(Scans):
        def read(self, index: int, at_least: int = 0) -> Pixels:
            if index == 1:
                raise ImageError("b.jpg is cut off; copy it again.")
            return np.asarray(self.pixels[index])

    flags = np.array([[1, 0, 1], [0, 0, 0], [0, 0, 0]], np.uint8)
    torn = Torn(np.zeros((3, 8, 8, 1), np.uint8))
    found = examples(torn, np.arange(3), flags, 1 - flags, np.ones(3))
    assert [(example.truth, example.predicted) for example in found] == [((0, 2), (1,)), ((), (0, 1, 2))]
