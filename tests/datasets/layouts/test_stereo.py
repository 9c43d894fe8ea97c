"""How the files of stereo pairs are found by their names, and what is said of those that do not fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

from convolve.datasets.layouts import open_dataset
from convolve.datasets.preprocess import fit_matrix, fit_to_input
from convolve.datasets.reading import ReadingOptions
from convolve.datasets.stereo_pairs import StereoPairs
from convolve.errors import DataError
from convolve.values import Dataset, Placement, Preprocessing


def _image(path: Path, level: int = 9, size: tuple[int, int] = (5, 4)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (level, level, level)).save(path)


def _open(root: Path) -> tuple[Dataset, StereoPairs]:
    data = open_dataset(root, ReadingOptions(layout="stereo"))
    pairs = data.ground_truths["stereo"]
    assert isinstance(pairs, StereoPairs)
    return data, pairs


@pytest.mark.parametrize(
    "names",
    [
        ("left/7.png", "right/7.png", "disp/7.npy"),
        ("7_left.png", "7_right.png", "7_disp.npy"),
        ("train/left/7.png", "train/right/7.png", "train/disparity/7.npy"),
        ("7_left.png", "7_right.png", "7.npy"),
    ],
)
def test_names_that_go_together(tmp_path: Path, names: tuple[str, str, str]) -> None:
    left, right, true = names
    for path, level in ((left, 1), (right, 2), (left.replace("7", "10"), 3), (right.replace("7", "10"), 4)):
        _image(tmp_path / path, level)
    (tmp_path / true).parent.mkdir(exist_ok=True, parents=True)
    np.save(tmp_path / true, np.full((4, 5), 1.5))
    data, pairs = _open(tmp_path)
    assert "2 stereo pairs, 1 with disparities" in data.reason
    assert left.endswith(data.images.name(0))
    assert left.replace("7", "10").endswith(data.images.name(1))
    assert [pairs.read_right(index)[0, 0, 0] for index in range(2)] == [2, 4]
    assert_array_equal(pairs.read_disparity(0), np.full((4, 5), 1.5))
    assert pairs.read_disparity(1) is None
    assert_array_equal(pairs.take(np.array([1])).read_right(0), pairs.read_right(1))
    assert not pairs.findings.failed


def test_16_bit_disparities_have_256_steps_a_pixel(tmp_path: Path) -> None:
    _image(tmp_path / "left" / "a.png")
    _image(tmp_path / "right" / "a.png")
    (tmp_path / "disp").mkdir()
    stored: npt.NDArray[np.uint16] = np.full((4, 5), 640, np.uint16)
    stored[0] = 0
    Image.fromarray(stored).save(tmp_path / "disp" / "a.png")
    found = _open(tmp_path)[1].read_disparity(0)
    assert_array_equal(found, np.where(stored, 2.5, 0))


def test_what_has_no_counterpart_is_left_out(tmp_path: Path) -> None:
    for name in ("a_left.png", "a_right.png", "b_left.png", "cover.png", "a_right_disp.png"):
        _image(tmp_path / name)
    data, pairs = _open(tmp_path)
    assert len(pairs) == 1
    assert data.left_out == ("a_right_disp.png", "b_left.png", "cover.png")
    _image(tmp_path / "a_left.jpg")
    with pytest.raises(DataError, match=r"a_left.* are one image by their names; remove one"):
        _open(tmp_path)


def test_pairs_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    for number in range(3):
        _image(tmp_path / f"{number}_left.png")
        _image(tmp_path / f"{number}_right.png", size=(5, 4) if number else (6, 4))
    (tmp_path / "1_right.png").write_bytes(b"no image")
    np.save(tmp_path / "2_disp.npy", np.ones((3, 5)))
    failed = _open(tmp_path)[1].findings.failed
    assert failed[0] == "0_right.png has 6x4 pixels, and its left image 5x4; rectify them to one size."
    assert "1_right.png" in failed[1]
    assert "2_disp.npy has 5x3 pixels" in failed[2]


def test_right_images_come_to_the_input_as_left_ones_do(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 255, (2, 30, 44, 3), dtype=np.uint8)
    for name, image in zip(("left", "right"), pixels, strict=True):
        Image.fromarray(image).save(tmp_path / f"a_{name}.png")
    preprocessing = Preprocessing(16, 16, 3, "stretch", (0.5,) * 3, (0.25,) * 3)
    size = (19, 19)
    placement = Placement(fit_matrix(*size, preprocessing)[None], np.array([size]), preprocessing)
    found = _open(tmp_path)[1].targets(np.array([0]), placement).values
    assert_array_equal(found[0], fit_to_input(pixels[1], preprocessing))
