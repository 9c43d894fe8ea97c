"""Names of images and masks, without looking into files."""

from __future__ import annotations

import tracemalloc
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convolve.datasets.layouts import mask_pairs
from convolve.datasets.layouts.mask_pairs import find_pairs

_parts = st.text("ab.1 _É-", min_size=1, max_size=6).filter(lambda part: part not in (".", ".."))


@settings(deadline=None)
@given(st.lists(_parts, min_size=1, max_size=3).map("/".join))
def test_suffixes_and_stems_are_those_of_paths(name: str) -> None:
    path = PurePosixPath(name)
    assert mask_pairs._suffix(name) == path.suffix
    assert mask_pairs._stem(name) == path.stem.casefold()


@pytest.mark.parametrize("name", ["{0}/{1}.jpg", "{0}/{0}{1}.jpg"])
def test_images_without_masks_take_little_memory(name: str) -> None:
    names = [name.format(f"class{number % 10}", number) for number in range(20_000)]
    find_pairs(Path(), names[:100])
    tracemalloc.start()
    try:
        assert find_pairs(Path(), names).pairs == []
        assert tracemalloc.get_traced_memory()[1] / len(names) < 60
    finally:
        tracemalloc.stop()
