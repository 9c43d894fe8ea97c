"""The page of `convolve scratch proposals`: regions over the photograph, merged step by step."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import convolve
from tests.browser import OpenPage

pytest.importorskip("skimage")


def test_the_page_plays_the_merges(tmp_path: Path, open_page: OpenPage) -> None:
    pixels = np.full((150, 240, 3), 128, np.uint8)
    pixels[30:90, 20:100] = (200, 20, 20)
    pixels[30:90, 100:200] = (20, 20, 200)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    convolve.scratch("proposals", input=str(tmp_path / "photo.png"), page=tmp_path / "page.html")
    page = open_page(tmp_path / "page.html")
    assert page.locator(".drawing svg image").get_attribute("href", timeout=1000).startswith("data:image/jpeg;base64,")  # type: ignore[union-attr]
    visible = "g.box:not([data-mark='hidden'])"
    slider = page.locator(".controls input")
    first, pairs = 9, 10
    shapes = {}
    for step in (1, first, first + pairs, first + pairs + 1, first + pairs + 8, 44):
        slider.evaluate(f"node => {{ node.value = {step}; node.dispatchEvent(new Event('input')); }}")
        shapes[step] = page.locator(visible).count()
    # at a merge its two parts are visible for the last time; at the end all boxes are, and the region of the last one
    assert list(shapes.values()) == [1, 9, 9, 10, 3, 18]
