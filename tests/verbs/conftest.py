"""A dataset and a run that several tests look at."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.verbs.synthetic import QUICK, folders, train


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of color images."""
    return folders(tmp_path_factory.mktemp("data with spaces") / "꽃 photos", {"a b": 24, "ünï": 24, "꽃": 24})


@pytest.fixture(scope="session")
def shapes_run(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "shapes"
    train(shapes, **QUICK | {"epochs": 8}, out=out)
    return out
