"""Damaged files of each layout: a dataset that can be used, or one sentence."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convolve.datasets.layouts import open_dataset
from convolve.errors import DataError
from tests.damage import check_reading
from tests.datasets.layouts.good_files import GOOD_FILES


def put(root: Path, kind: str) -> Path:
    """The file of a kind, with the folder around it."""
    good = GOOD_FILES[kind]
    good.surround(root)
    path = root / good.name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(good.content)
    return path


@pytest.fixture(params=GOOD_FILES)
def good(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    """A kind, and its file."""
    return request.param, put(tmp_path, request.param)


def test_the_good_file_is_read(good: tuple[str, Path], tmp_path: Path) -> None:
    assert check_reading(lambda: open_dataset(tmp_path), DataError)


@given(seed=st.integers(0, 2**32))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_file_is_read_or_refused(seed: int, good: tuple[str, Path], tmp_path: Path) -> None:
    kind, path = good
    path.write_bytes(GOOD_FILES[kind].damage(Random(seed), GOOD_FILES[kind].content))
    check_reading(lambda: open_dataset(tmp_path), DataError)
