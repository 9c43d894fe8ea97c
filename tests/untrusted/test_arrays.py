"""NumPy's archives and portable float maps against NumPy and OpenCV."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from convolve.untrusted.arrays import read_npz, read_pfm


def _npz(**arrays: Any) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def _zip(name: str, content: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        archive.writestr(name, content)
    return stream.getvalue()


def test_npz_as_numpy_reads_it(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(_npz(depth=np.arange(6.0).reshape(2, 3), b=np.array([True])))
    found = read_npz(tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as expected:
        assert found.keys() == set(expected.files)
        for name, values in found.items():
            assert_array_equal(values, expected[name], strict=True)


def test_damaged_npz_is_a_value_error(tmp_path: Path) -> None:
    good = _npz(depth=np.arange(6.0))
    damaged = {
        "short": good[:-9],
        "text": b"PK",
        "objects": _npz(depth=np.array([{}], dtype=object)),
        "bomb": _npz(depth=np.zeros(2**25)),  # 256 MiB in 256 KiB
        "many": _zip_of_many(1001),
        "method": _zip("depth.npy", b"1", zipfile.ZIP_LZMA),
    }
    for name, content in damaged.items():
        (tmp_path / "a.npz").write_bytes(content)
        with pytest.raises(ValueError, match=r"^its? "):
            read_npz(tmp_path / "a.npz")
        assert len(content) < 2**20, name


def _zip_of_many(count: int) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for number in range(count):
            archive.writestr(f"{number}.npy", b"")
    return stream.getvalue()


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 3)])
def test_pfm_as_opencv_writes_it(tmp_path: Path, shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(0).uniform(0, 9, shape).astype(np.float32)
    assert cv2.imwrite(str(tmp_path / "a.pfm"), values)
    expected = values[..., ::-1] if len(shape) == 3 else values  # OpenCV's colors are blue, green, red
    assert_array_equal(read_pfm(tmp_path / "a.pfm"), expected)


def test_pfm_of_the_other_byte_order(tmp_path: Path) -> None:
    """A positive scale says that the first byte is the most significant one; rows go from the bottom up."""
    (tmp_path / "a.pfm").write_bytes(b"Pf 1 2 1.0\n" + np.array([3, 4], ">f4").tobytes())
    assert read_pfm(tmp_path / "a.pfm").tolist() == [[4], [3]]


@pytest.mark.parametrize(
    "content",
    [b"", b"P5 1 1 255\n1234", b"Pf 1 1 -1\n123", b"Pf 1 1 -1\n12345", b"Pf 0 1 -1\n",
     b"Pf 999999999 999999999 -1\n1234", b"Pf -1 1 -1\n1234", b"Pf 1 1 x\n1234"],
)  # fmt: skip
def test_damaged_pfm_is_a_value_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.pfm").write_bytes(content)
    with pytest.raises(ValueError, match=r"^it"):
        read_pfm(tmp_path / "a.pfm")
