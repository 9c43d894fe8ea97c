"""Images with depth maps: which belong together, in which unit, and what is wrong with them."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from PIL import Image

import convolve
from convolve.datasets.depth_maps import DepthMaps, warp_depth
from convolve.datasets.layouts import open_dataset
from convolve.datasets.preprocess import fit_matrix
from convolve.datasets.reading import ReadingOptions
from convolve.errors import DataError, ImageError
from convolve.values import Dataset, Placement, Preprocessing

KITTI_RAW = "2011_09_26/2011_09_26_drive_0001_sync/image_02/data"
KITTI_TRUE = "train/2011_09_26_drive_0001_sync/proj_depth/groundtruth/image_02"


def _image(path: Path, side: tuple[int, int] = (5, 4), level: int = 9) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", side, (level, level, level)).save(path)


def _map(path: Path, values: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(values, np.uint16)).save(path)


def _write(root: Path, *pairs: tuple[str, str]) -> Path:
    for number, (image, depth) in enumerate(pairs):
        _image(root / image, level=number + 1)
        _map(root / depth, np.full((4, 5), 1000 * (number + 1)))
    return root


def _open(root: Path, scale: float | None = None) -> tuple[Dataset, DepthMaps]:
    data = open_dataset(root, ReadingOptions(layout="depth", depth_scale=scale))
    maps = data.ground_truths["depth"]
    assert isinstance(maps, DepthMaps)
    return data, maps


@pytest.mark.parametrize(
    ("pairs", "per_meter"),
    [
        ([("images/a.jpg", "depth/a.png"), ("images/b.jpg", "depth/b.png")], 1000),
        ([("a.jpg", "a_depth.png"), ("b.jpg", "b_depth.png")], 1000),
        ([("train/rgb/1.png", "train/depth/1.png"), ("val/rgb/1.png", "val/depth/1.png")], 1000),
        ([("office/rgb_00045.jpg", "office/sync_depth_00045.png"), ("den/rgb_00045.jpg", "den/sync_depth_00045.png")],
         1000),
        ([(f"{KITTI_RAW}/0000000005.png", f"{KITTI_TRUE}/0000000005.png"),
          (f"{KITTI_RAW}/0000000006.png", f"{KITTI_TRUE}/0000000006.png")], 256),
        ([("image/drive_sync_image_0000000005_image_02.png",
           "groundtruth_depth/drive_sync_groundtruth_depth_0000000005_image_02.png"),
          ("image/drive_sync_image_0000000006_image_02.png",
           "groundtruth_depth/drive_sync_groundtruth_depth_0000000006_image_02.png")], 256),
    ],
)  # fmt: skip
def test_names_that_go_together(tmp_path: Path, pairs: list[tuple[str, str]], per_meter: float) -> None:
    data, maps = _open(_write(tmp_path, *pairs))
    assert {data.images.name(index) for index in range(2)} == {image for image, _ in pairs}
    assert maps.per_meter == per_meter
    for index in range(2):
        level = data.images.read(index)[0, 0, 0]
        if not data.images.name(index).endswith(".jpg"):
            assert_allclose(maps.read(index), int(level) * 1000 / per_meter)
    assert f"whole numbers over {per_meter:g} are meters" in data.reason
    assert data.annotations == tuple(dict(pairs)[data.images.name(index)] for index in range(2))
    if pairs[0][0].startswith("train/"):
        assert data.given_splits.keys() == {"train", "validation"}


def test_the_unit_that_a_person_gives(tmp_path: Path) -> None:
    _, maps = _open(_write(tmp_path, ("images/a.png", "depth/a.png")), 5000.0)
    assert_allclose(maps.read(0), 0.2)
    _image(tmp_path / "images" / "b.png")
    np.save(tmp_path / "depth" / "b.npy", np.full((4, 5), 3.0))
    assert_allclose(_open(tmp_path)[1].read(1), 3.0)
    assert_allclose(_open(tmp_path, 2.0)[1].read(1), 1.5)
    assert _open(tmp_path)[1].digest(1) != _open(tmp_path, 2.0)[1].digest(1)


def test_arrays_and_float_maps(tmp_path: Path) -> None:
    depth = np.arange(1, 21, dtype=np.float32).reshape(4, 5)
    for name in ("a", "b", "c", "d"):
        _image(tmp_path / "images" / f"{name}.png")
    (tmp_path / "gt").mkdir()
    np.savez_compressed(tmp_path / "gt" / "a.npz", depth=depth, valid=depth > 3)
    np.savez(tmp_path / "gt" / "b.npz", depth)
    np.save(tmp_path / "gt" / "c.npy", (1000 * depth).astype(np.uint16))
    (tmp_path / "gt" / "d.pfm").write_bytes(b"Pf\n5 4\n-1.0\n" + depth[::-1].astype("<f4").tobytes())
    _, maps = _open(tmp_path)
    for index in range(4):
        assert_allclose(maps.read(index), depth)
    np.savez(tmp_path / "gt" / "b.npz", one=depth, other=depth)
    with pytest.raises(ImageError, match="it holds the arrays one, other; call the one of the depths depth"):
        maps.read(1)


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    names = ("good", "size", "eight", "empty", "color")
    for name in names:
        _image(tmp_path / "images" / f"{name}.png")
    _map(tmp_path / "depth" / "good.png", np.full((4, 5), 700))
    _map(tmp_path / "depth" / "size.png", np.full((8, 10), 700))
    _map(tmp_path / "depth" / "empty.png", np.zeros((4, 5)))
    Image.new("L", (5, 4), 70).save(tmp_path / "depth" / "eight.png")
    Image.new("RGB", (5, 4)).save(tmp_path / "depth" / "color.png")
    data, maps = _open(tmp_path)
    failed = {data.images.name(index): why for index, why in maps.findings.failed.items()}
    assert failed.keys() == {f"images/{name}.png" for name in names[1:]}
    assert "depth/size.png has 10x8 pixels, and its image 5x4" in failed["images/size.png"]
    assert "has 8 bits a channel" in failed["images/eight.png"]
    assert "has 8 bits a channel" in failed["images/color.png"]
    assert "knows the depth of no pixel" in failed["images/empty.png"]
    assert maps.findings.facts["depth"] == "0.7 to 0.7 m, median 0.7 m"


def test_odd_values_are_a_sentence_of_the_doctor(tmp_path: Path) -> None:
    (tmp_path / "depth").mkdir()
    for name, values in (("a", [[-1.0, np.inf, np.nan, 2]]), ("b", [[2000.0, 3000, 4000, 0]]), ("c", [[1.0, 2, 3, 4]])):
        _image(tmp_path / "images" / f"{name}.png", (4, 1), ord(name))
        np.save(tmp_path / "depth" / f"{name}.npy", np.array(values, np.float32))
    found = convolve.data(tmp_path, task="depth", progress=False)
    warnings = "\n".join(found.findings.warnings)
    assert (
        "3 pixels of depth maps are negative, infinite or NaN and taken as unknown, such as in images/a.png" in warnings
    )
    assert (
        "1 depth maps have a median above 1,000 m, such as in images/b.png; check the unit, and give --depth-scale"
        in warnings
    )
    maps = found.dataset.ground_truths["depth"]
    assert isinstance(maps, DepthMaps)
    assert maps.read(0).tolist() == [[0, 0, 0, 2]]
    assert maps.median(np.array([2])) == 2.5


def test_two_maps_of_one_image_are_refused(tmp_path: Path) -> None:
    _write(tmp_path, ("images/a.png", "depth/a.png"))
    np.save(tmp_path / "depth" / "a.npy", np.ones((4, 5)))
    with pytest.raises(DataError, match="are of one image by their names; remove one"):
        _open(tmp_path)


def test_files_without_a_counterpart_are_left_out(tmp_path: Path) -> None:
    _write(tmp_path, ("images/a.png", "depth/a.png"))
    _image(tmp_path / "images" / "b.png")
    data, _ = _open(tmp_path)
    assert (len(data), data.left_out) == (1, ("images/b.png",))
    assert "1 files without a counterpart, such as images/b.png" in data.notes[0]
    _image(tmp_path / "alone" / "c.png")
    with pytest.raises(DataError, match="cannot be read as depth"):
        _open(tmp_path / "alone")


def test_maps_move_with_their_images(tmp_path: Path) -> None:
    """By the nearest pixel: no depth between two; unknown beyond the edges, and 0 stays unknown."""
    _image(tmp_path / "images" / "a.png")
    values = np.arange(20).reshape(4, 5) * 1000
    _map(tmp_path / "depth" / "a.png", values)
    maps = pickle.loads(pickle.dumps(_open(tmp_path)[1]))  # noqa: S301
    preprocessing = Preprocessing(8, 8, 3, "letterbox", (0.5,) * 3, (0.25,) * 3)
    matrix = fit_matrix(4, 5, preprocessing)
    found = maps.targets(np.array([0]), Placement(matrix[None], np.array([[4, 5]]), preprocessing)).values[0]
    assert not found[0].any()
    assert not found[-1].any()
    assert set(np.unique(found)) <= set(range(20))
    flipped = matrix.copy()
    flipped[0] *= -1
    flipped[0, 2] += 8
    assert_allclose(warp_depth(maps.read(0), flipped, preprocessing), found[:, ::-1])
    drawn, words = maps.draw(np.zeros((1, 8, 8, 3), np.uint8), maps.targets(
        np.array([0]), Placement(matrix[None], np.array([[4, 5]]), preprocessing)))  # fmt: skip
    assert words == ["1 to 19 m"]
    assert drawn[0, 4, 4].any()
    assert not drawn[0, 0].any()
