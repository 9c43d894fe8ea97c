"""Names of images and masks, without looking into files."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from convolve.datasets.layouts.mask_pairs import find_pairs


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
