"""TIFF files of several pages among images of classes, or as masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from convolve.datasets.layouts import open_dataset
from convolve.datasets.layouts.tiff_pages import count_pages
from tests.datasets.ground_truths import masks_of
from tests.datasets.layouts.test_folders import put


def save(path: Path, pages: int, big: bool = False) -> Path:
    """Pages of 1, 2 and so on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    first, *others = [Image.new("L", (4, 4), value + 1) for value in range(pages)]
    first.save(path, "TIFF", save_all=True, append_images=others, big_tiff=big)
    return path


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("pages", [1, 2, 7])
def test_pages(tmp_path: Path, pages: int, big: bool) -> None:
    assert count_pages(save(tmp_path / "a.tif", pages, big)) == pages


def test_smaller_copies_are_no_pages(tmp_path: Path) -> None:
    tags = ImageFileDirectory_v2()
    tags[254] = 1
    with (tmp_path / "a.tif").open("w+b") as file:
        Image.new("L", (8, 8)).save(
            file, "TIFF", save_all=True, append_images=[Image.new("L", (4, 4)), Image.new("L", (2, 2))]
        )
    blob = bytearray((tmp_path / "a.tif").read_bytes())
    assert count_pages(tmp_path / "a.tif") == 3
    big = np.frombuffer(bytes([0, 1, 4, 0, 1, 0, 0, 0]), np.uint8).tobytes()  # width, a number, one of it
    position = blob.rfind(big)
    blob[position : position + 12] = b"\xfe\x00\x04\x00\x01\x00\x00\x00\x01\x00\x00\x00"
    (tmp_path / "b.tif").write_bytes(blob)
    assert count_pages(tmp_path / "b.tif") == 2


@pytest.mark.parametrize("blob", [b"", b"II*\0", b"II*\0\xff\xff\xff\xff", b"\x89PNG\r\n\x1a\n and so on", b"MM\0*"])
def test_what_is_no_tiff(tmp_path: Path, blob: bytes) -> None:
    (tmp_path / "a.tif").write_bytes(blob)
    assert count_pages(tmp_path / "a.tif") == 1
    assert count_pages(tmp_path / "none.tif") == 1


def test_pages_that_go_round(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(b"II*\0\x08\0\0\0" + b"\0\0" + b"\x08\0\0\0")
    assert count_pages(tmp_path / "a.tif") == 1


def test_folders_of_stacks(tmp_path: Path) -> None:
    for name in ("a/1.tif", "a/2.TIFF", "b/1.tif"):
        save(tmp_path / name, 3)
    save(tmp_path / "b" / "2.tif", 1)
    data = open_dataset(put(tmp_path, "b/3.jpg"))
    assert data.layout == "folders"
    (note,) = data.notes
    assert note == (
        "3 TIFF files have several pages, of which only the first one is read: a/1.tif (3 pages), a/2.TIFF (3 pages), "
        "b/1.tif (3 pages)"
    )
    assert data.images.read(0)[0, 0, 0] == 1
    save(tmp_path / "a" / "2.TIFF", 1)
    save(tmp_path / "b" / "1.tif", 1)
    assert open_dataset(tmp_path).notes[0].startswith("1 TIFF file has several pages, of which")


def test_masks_of_several_pages(tmp_path: Path) -> None:
    for number in range(3):
        save(tmp_path / "images" / f"{number}.tif", 2)
        first, second = (Image.fromarray(np.eye(4, k=k, dtype=np.uint8)) for k in (0, 1))
        (tmp_path / "masks").mkdir(exist_ok=True)
        first.save(tmp_path / "masks" / f"{number}.tif", save_all=True, append_images=[second])
    assert "6 TIFF files have several pages" in open_dataset(tmp_path).notes[-1]


def test_a_table_given_by_name(tmp_path: Path) -> None:
    save(tmp_path / "1.tif", 2)
    (tmp_path / "x.csv").write_text("path,label\n1.tif,a\n2.tif,b\n")
    assert "1.tif (2 pages)" in open_dataset(tmp_path / "x.csv").notes[-1]


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("scan_{:03}.tif", "mask_{:03}.tif"),
        ("slice{:03}.tif", "label{:03}.tif"),
        ("scans/scan_{:03}.tif", "masks/mask_{:03}.tif"),
        ("volume/slice_{:04}.tif", "segmentation/slice_{:04}.tif"),
        ("frame_{}.tif", "frame_{}_mask.tif"),
    ],
)
def test_numbered_slices(tmp_path: Path, image: str, mask: str) -> None:
    noise = np.random.default_rng(0)
    for number in range(4):
        pixels = noise.integers(0, 256, (16, 16), dtype=np.uint8)
        for name, array in ((image, pixels), (mask, (pixels > 99 + 9 * number).astype(np.uint8))):
            path = tmp_path / name.format(number)
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(array).save(path)
    data = open_dataset(tmp_path)
    masks = masks_of(data)
    assert [data.images.name(index) for index in range(len(data))] == [image.format(number) for number in range(4)]
    for index in range(4):
        wanted = data.images.read(index)[..., 0] > 99 + 9 * index
        assert masks.read(index).tolist() == wanted.tolist()


def test_files_without_a_suffix_are_looked_into(tmp_path: Path) -> None:
    for name, pages in (("a/0", 2), ("a/1", 1), ("b/2", 1)):
        save(tmp_path / name, pages)
    notes = open_dataset(tmp_path).notes
    assert notes == ("1 TIFF file has several pages, of which only the first one is read: a/0 (2 pages)",)
