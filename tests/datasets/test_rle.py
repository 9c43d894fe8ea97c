"""Run lengths, held against COCO's own code."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco

from convolve.datasets.rle import decode, encode, from_text, to_text
from convolve.errors import DataError


@given(st.integers(1, 40), st.integers(1, 40), st.floats(0, 1), st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_as_the_coco_api_writes_them(height: int, width: int, fraction: float, seed: int) -> None:
    region = np.random.default_rng(seed).random((height, width)) < fraction
    theirs = coco.encode(np.asfortranarray(region.astype(np.uint8)))
    assert to_text(encode(region)) == theirs["counts"].decode()
    assert np.array_equal(decode(from_text(theirs["counts"].decode()), (height, width)), region)


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=30))
def test_text_is_decoded_to_the_counts_it_encodes(counts: list[int]) -> None:
    assert from_text(to_text(counts)) == counts


def test_malformed_run_lengths_are_refused() -> None:
    with pytest.raises(DataError, match="Run lengths of 7 pixels do not fill a mask of 2x3"):
        decode([3, 4], (2, 3))
    with pytest.raises(DataError, match="' ' is not part of COCO's"):
        from_text("1 2")
    with pytest.raises(DataError, match="end in the middle of a number"):
        from_text("o")
