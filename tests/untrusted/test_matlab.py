"""Reading numbers out of MATLAB's files; the oracle is SciPy."""

from __future__ import annotations

import contextlib
import struct
import tracemalloc
import zlib
from io import BytesIO
from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.io import loadmat, savemat  # type: ignore[import-untyped]

from convolve.untrusted.matlab import read_mat
from tests.damage import damage_bytes

TYPES = ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8", "?")


def saved(compressed: bool = False, level: str = "5", **content: Any) -> bytes:
    stream = BytesIO()
    savemat(stream, content, do_compression=compressed, format=level)
    return stream.getvalue()


def element(kind: int, content: bytes, order: str = "<") -> bytes:
    return struct.pack(f"{order}II", kind, len(content)) + content + bytes(-len(content) % 8)


def matrix(
    shape: tuple[int, ...], stored: int, numbers: bytes, array_class: int = 9, flags: int = 0, order: str = "<"
) -> bytes:
    """An array called x, as MATLAB writes it."""
    parts = (
        element(6, struct.pack(f"{order}II", array_class | flags, 0), order),
        element(5, struct.pack(f"{order}{len(shape)}i", *shape), order),
        element(1, b"x", order),
        element(stored, numbers, order),
    )
    return element(14, b"".join(parts), order)


def file_of(*elements: bytes, order: str = "<") -> bytes:
    return b"MATLAB 5.0".ljust(124) + struct.pack(f"{order}HH", 0x0100, 0x4D49) + b"".join(elements)


def packed(content: bytes) -> bytes:
    """An element that is compressed."""
    blob = zlib.compress(content)
    return struct.pack("<II", 15, len(blob)) + blob


@given(
    array=arrays.arrays(
        st.sampled_from(TYPES), arrays.array_shapes(min_dims=2, max_dims=5, min_side=0, max_side=4), elements=None
    ),
    compressed=st.booleans(),
)
@settings(max_examples=300)
def test_arrays_as_scipy_reads_them(array: npt.NDArray[Any], compressed: bool) -> None:
    content = saved(compressed, x=array, other=np.ones(3), text="text", cells=np.array([[1, "a"]], dtype=object))
    expected = loadmat(BytesIO(content), mat_dtype=True)["x"]
    found = read_mat(content, ("x",))["x"]
    assert (found.shape, found.dtype) == (expected.shape, array.dtype)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("order", ["<", ">"])
def test_numbers_that_are_stored_in_a_smaller_type(order: str) -> None:
    """As MATLAB itself writes them: doubles that are small whole numbers in one byte each."""
    content = file_of(matrix((2, 3), 2, bytes(range(6)), 6, order=order), order=order)
    np.testing.assert_array_equal(read_mat(content, ("x",))["x"], np.array([[0, 2, 4], [1, 3, 5.0]]), strict=True)
    short = struct.pack(f"{order}HH", *((2, 4) if order == "<" else (4, 2))) + b"\1\2\3\4"  # inside of the tag
    small = matrix((1, 4), 2, b"", order=order)[8:-8] + short
    content = file_of(element(14, small, order), order=order)
    assert read_mat(content, ("x",))["x"].tolist() == [[1, 2, 3, 4]]


ONE = matrix((1, 1), 2, b"\1")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (saved(level="4", x=1), "no file of MATLAB's level 5; save it with -v7"),
        (b"\x89HDF\r\n\x1a\n" + bytes(600), r"HDF5 \(-v7\.3\), which is not read here; save it with -v7"),
        (b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM", r"HDF5 \(-v7\.3\)"),
        (file_of()[:124] + b"\0\3IM", "version 0x0300"),
        (b"", "no file of MATLAB's level 5"),
        (b"<html>" * 100, "no file of MATLAB's level 5"),
        (saved(y=1), "it holds no x"),
        (saved(x="text"), "its x holds text rather than real numbers"),
        (saved(x={"a": 1}), "its x holds structures"),
        (saved(x=np.array([[1, "a"]], dtype=object)), "its x holds cells"),
        (saved(x=np.array([1j])), "its x holds complex numbers"),
        (file_of(ONE, ONE), "it holds x twice"),
        (file_of(ONE)[:-1], "cut short"),
        (file_of(matrix((1, 2), 2, b"\1")), r"its x of 1 bytes does not have the sizes \[1, 2\]"),
        (file_of(matrix((-1, -1), 2, b"\1")), r"does not have the sizes \[-1, -1\]"),
        (file_of(matrix((2**31 - 1,) * 9, 2, b"\1")), "does not have the sizes"),
        (file_of(matrix((1,), 2, b"\1")), "the sizes of its x are damaged"),
        (file_of(matrix((1,) * 40, 2, b"\1")), "the sizes of its x are damaged"),
        (file_of(matrix((1, 1), 99, b"\1")), "does not have the sizes"),
        (file_of(matrix((1, 1), 7, struct.pack("<f", 1.5))), "its x has fractions among whole numbers"),
        (file_of(matrix((1, 1), 5, struct.pack("<i", 256))), "its x has numbers that are too large for their type"),
        (file_of(element(14, ONE[8:] + bytes(8))), "its x is cut short or too long"),
        (file_of(packed(ONE)[:-1]), "cut short"),
        (file_of(struct.pack("<II", 15, 12) + b"not packed!!"), "incorrect header"),
    ],
)
def test_what_is_refused_and_why(content: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_mat(content, ("x",))


def test_a_changed_number_in_a_packed_array_is_seen_by_its_checksum() -> None:
    blob = bytearray(zlib.compress(ONE, 0))
    blob[blob.index(ONE) + len(ONE) - 8] = 7
    with pytest.raises(ValueError, match=r"incorrect data check"):
        read_mat(file_of(struct.pack("<II", 15, len(blob)) + bytes(blob)), ("x",))


@pytest.mark.parametrize("honest", [True, False])
def test_a_packed_array_is_not_unpacked_where_its_file_does_not_vouch_for_it(honest: bool) -> None:
    """A gigabyte of zeros in a megabyte, whatever its sizes say."""
    packer = zlib.compressobj(9)
    whole = matrix((2**30 if honest else 1, 1), 2, b"")[:-8] + struct.pack("<II", 2, 2**30 if honest else 1)
    start = struct.pack("<II", 14, len(whole) - 8 + 2**30) + whole[8:]
    blob = packer.compress(start) + b"".join(packer.compress(bytes(2**24)) for _ in range(64)) + packer.flush()
    content = file_of(struct.pack("<II", 15, len(blob)) + blob)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"bytes announce 1,073|cut short or too long"):
            read_mat(content, ("x",))
        assert tracemalloc.get_traced_memory()[1] < 2**27
    finally:
        tracemalloc.stop()


@given(seed=st.integers(0, 2**32), compressed=st.booleans())
@settings(max_examples=500)
def test_a_damaged_file_is_read_or_refused(seed: int, compressed: bool) -> None:
    content = saved(
        compressed, x=np.arange(24, dtype="u1").reshape(2, 3, 4), y=np.array([[1.5, 2]]), z=np.array([True])
    )
    with contextlib.suppress(ValueError):
        assert read_mat(damage_bytes(Random(seed), content), ("x", "y", "z")).keys() == {"x", "y", "z"}
