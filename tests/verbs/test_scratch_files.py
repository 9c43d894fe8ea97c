"""Files of numbers for `convolve scratch` that are damaged or too large: one sentence."""

from __future__ import annotations

import os
from functools import partial
from io import BytesIO
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convolve.errors import OptionError
from convolve.verbs.scratch.numbers import read_numbers
from tests.damage import check_reading, damage_bytes, refuse


def saved(array: object) -> bytes:
    stream = BytesIO()
    np.save(stream, np.asarray(array))
    return stream.getvalue()


GOOD = {".npy": saved(np.arange(6.0).reshape(2, 3)), ".csv": b"1, 2.5, 3\n4, 5, -6\n| 1, 1, 1\n2, 2, 2\n"}


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        (
            "a.npy",
            b"\x93NUMPY\x01\0v\0{'descr': ',f8', 'fortran_order': False, 'shape': (3, 3), }".ljust(128),
            "matrix",
        ),
        ("a.npy", b"\x93NUMPY\2\0v\0\0\xff", "matrix"),
        ("a.npy", GOOD[".npy"].replace(b"(2, 3)", b"(2,10**9)"), "matrix"),
        ("a.npy", GOOD[".npy"].replace(b"(2, 3)", b"(2, 4)"), "matrix"),
        ("a.npy", saved(["a"]), "matrix"),
        ("a.npy", saved([1j]), "matrix"),
        ("a.npy", saved(np.array([np.longdouble("1e4000")])), "NaN or infinity"),
        ("a.npy", bytes(17 * 2**20), "too large to be written out"),
        ("a.csv", b"1 " * 3 * 2**20, "more than the 4,194,304 that are read"),
        ("a.csv", b"1 2\n\xff", "matrix"),
        ("a.csv", b"1 2\n3 \0", r"has '\\x00', which is not a number"),
        ("a.csv", b"9" * 5000, "NaN or infinity"),
        ("a.csv", b"1e400", "NaN or infinity"),
    ],
)
def test_what_is_refused_and_why(name: str, content: bytes, why: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(OptionError, match=why):
        read_numbers("input", str(tmp_path / name))


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.npy")
    os.mkfifo(tmp_path / "a.csv")
    (tmp_path / "b.npy").symlink_to("/dev/zero")
    for name in ("a.npy", "a.csv", "b.npy", "absent.csv", "a\0.csv", "a" * 5000 + ".npy"):
        refuse(partial(read_numbers, "input", str(tmp_path / name)), OptionError)


@pytest.mark.parametrize("suffix", GOOD)
@given(seed=st.integers(0, 2**32))
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_numbers_are_read_or_refused(seed: int, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(damage_bytes(Random(seed), GOOD[suffix]))
    check_reading(lambda: read_numbers("input", str(path)), OptionError)
