"""Run lengths, held against COCO's own code."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco

from convolve.datasets.run_lengths import decoded, encoded, from_text, to_text
from convolve.errors import DataError


@given(st.integers(1, 40), st.integers(1, 40), st.floats(0, 1), st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_as_the_coco_api_writes_them(height: int, width: int, share: float, seed: int) -> None:
    region = np.random.default_rng(seed).random((height, width)) < share
    theirs = coco.encode(np.asfortranarray(region.astype(np.uint8)))
    assert to_text(encoded(region)) == theirs["counts"].decode()
    assert np.array_equal(decoded(from_text(theirs["counts"].decode()), (height, width)), region)


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=30))
def test_text_and_numbers_are_one(counts: list[int]) -> None:
    assert from_text(to_text(counts)) == counts


def test_what_is_no_run_length_is_one_sentence() -> None:
    with pytest.raises(DataError, match="Run lengths of 7 pixels do not fill a mask of 2x3"):
        decoded([3, 4], (2, 3))
    with pytest.raises(DataError, match="' ' is no part of COCO's"):
        from_text("1 2")
    with pytest.raises(DataError, match="end in the middle of a number"):
        from_text("o")
