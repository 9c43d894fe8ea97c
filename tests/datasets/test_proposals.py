"""Sliding windows, and proposals on disk: computed once for an image's content, checked, and removed with the rest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convolve.datasets import proposals
from convolve.datasets.cache import clean
from convolve.datasets.images import ImageArray
from convolve.datasets.proposals import read_proposals, sliding_windows
from convolve.datasets.selective_search import Mode, ReducedBoxes, search_reduced, selective_search
from convolve.values import Pixels

pytest.importorskip("skimage")
sides = st.integers(1, 900)


@settings(max_examples=40)
@given(sides, sides)
def test_windows_slide_from_edge_to_edge(height: int, width: int) -> None:
    windows = sliding_windows((height, width))
    assert (windows[:, :2] >= 0).all()
    assert (windows[:, 2:] <= np.array([width, height]) + 1e-9).all()
    assert windows.min(axis=0)[:2].tolist() == [0, 0]
    np.testing.assert_allclose(windows.max(axis=0)[2:], (width, height))


def test_windows_of_one_scale() -> None:
    windows = sliding_windows((100, 200), scales=(0.5,), ratios=(1.0,), step=1.0)
    assert windows.tolist() == [[x, y, x + 50, y + 50] for y in (0, 50) for x in (0, 50, 100, 150)]
    wide = sliding_windows((100, 200), scales=(0.5,), ratios=(4.0,), step=1.0)
    assert wide.tolist() == [[x, y, x + 100, y + 25] for y in (0, 25, 50, 75) for x in (0, 100)]
    assert len(sliding_windows((100, 200), scales=(0.5,), ratios=(1.0,), step=0.5)) == 3 * 7


@pytest.fixture
def images() -> Pixels:
    random = np.random.default_rng(0)
    blocks = random.integers(0, 256, (3, 6, 8, 3)).astype(np.uint8)
    return blocks.repeat(10, axis=1).repeat(10, axis=2)


@pytest.fixture
def searched(monkeypatch: pytest.MonkeyPatch) -> list[Mode]:
    """The mode of each search, which is done all the same."""
    calls: list[Mode] = []

    def search(image: Pixels, mode: Mode) -> ReducedBoxes:
        calls.append(mode)
        return search_reduced(image, mode)

    monkeypatch.setattr(proposals, "search_reduced", search)
    return calls


def read(images: Pixels, folder: Path, mode: Mode = "fast") -> list[list[list[float]]]:
    return [boxes.tolist() for boxes in read_proposals(ImageArray(images, "image"), mode, folder, workers=2)]


def test_an_image_is_searched_once_for_each_mode(images: Pixels, searched: list[Mode], tmp_path: Path) -> None:
    expected = [selective_search(image).tolist() for image in images]
    assert read(images, tmp_path) == expected
    assert read(images, tmp_path) == expected
    assert searched == ["fast"] * 3
    assert read(images[:1], tmp_path, "quality") != expected[:1]
    assert searched == ["fast"] * 3 + ["quality"]
    assert read(images[::-1], tmp_path) == expected[::-1]
    changed = images.copy()
    changed[0, :30] = 9
    assert read(changed, tmp_path) == [selective_search(changed[0]).tolist(), *expected[1:]]
    assert searched == ["fast"] * 3 + ["quality", "fast"]


@pytest.mark.parametrize("damage", ["cut", "changed", "empty"])
def test_a_damaged_file_is_written_anew(damage: str, images: Pixels, searched: list[Mode], tmp_path: Path) -> None:
    expected = read(images[:1], tmp_path)
    (path,) = tmp_path.glob("proposals-*/*.bin")
    content = path.read_bytes()
    path.write_bytes({"cut": content[:-9], "changed": content[:20] + b"\xff" + content[21:], "empty": b""}[damage])
    assert read(images[:1], tmp_path) == expected
    assert path.read_bytes() == content
    assert len(searched) == 2


def test_another_version_has_a_folder_of_its_own(
    images: Pixels, searched: list[Mode], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read(images[:1], tmp_path)
    monkeypatch.setattr(proposals, "segmentation_version", lambda: "0.1")
    read(images[:1], tmp_path)
    assert len(searched) == len(list(tmp_path.glob("proposals-*"))) == 2


def test_what_cannot_be_written_is_computed(images: Pixels, searched: list[Mode], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert read(images[:1], tmp_path / "file") == [selective_search(images[0]).tolist()]
    assert len(searched) == 1


def test_they_are_removed_as_caches_of_pixels_are(images: Pixels, tmp_path: Path) -> None:
    read(images, tmp_path)
    size = sum(path.stat().st_size for path in tmp_path.glob("proposals-*/*"))
    (tmp_path / "proposals-notes").mkdir()
    assert clean(tmp_path, size) == 0
    assert clean(tmp_path, size - 1) == size
    assert [path.name for path in tmp_path.iterdir()] == ["proposals-notes"]
