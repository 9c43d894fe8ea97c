"""`convolve data` with a cleaned table: printed, as JSON, and trained from."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import convolve
from convolve.console import to_html
from convolve.errors import DataError
from convolve.verbs.data import Examined, render
from tests.tasks.segment.small import folder
from tests.verbs.synthetic import QUICK, folders, train

SPLITS = ("train", "validation", "test")


def copies(root: Path) -> Path:
    """Two classes of 20 images, a copy in one of them, and a broken file."""
    data = folders(root, {"고양이": 20, "dog": 20})
    shutil.copy(data / "dog/1.png", data / "dog/copy.png")
    (data / "dog/0.png").write_bytes(b"no image")
    return data


def printed(found: Examined) -> str:
    return to_html(render(found))


def test_a_cleaned_table_is_reported_and_trained_from(tmp_path: Path) -> None:
    table = tmp_path / "clean.csv"
    found = convolve.data(copies(tmp_path / "pets"), fix=table, progress=False)
    cleaned = json.loads(json.dumps(found.as_json()))["cleaned"]
    assert cleaned["table"] == str(table)
    assert cleaned["left_out"] == {"unreadable": 1, "exact copies of another": 1}
    assert sum(cleaned["images"].values()) == 39
    assert any("exact copies with different labels all go" in rule for rule in cleaned["rules"])
    text = printed(found)
    assert "clean.csv: 39 images (" in text
    assert "left out: 1 unreadable, 1 exact copies of another" in text
    assert "exact copies with different labels all go" in text
    run = train(table, out=tmp_path / "run", **QUICK)
    assert run.evaluation.images == cleaned["images"]["test"]


def test_without_a_table_nothing_is_said_of_one(tmp_path: Path) -> None:
    found = convolve.data(copies(tmp_path / "pets"), progress=False)
    assert found.as_json()["cleaned"] is None
    assert "rules" not in printed(found)


def test_masks_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="read with masks; --fix cannot write them"):
        convolve.data(folder(tmp_path / "data", 4), fix=tmp_path / "clean.csv", progress=False)


def test_a_cleaned_table_has_the_splits_that_training_draws(tmp_path: Path) -> None:
    """Where there is nothing to clean."""
    folders(tmp_path / "data", {"a": 30, "b": 50})
    convolve.data(tmp_path / "data", fix=tmp_path / "clean.csv", progress=False)
    splits = []
    for name in ("data", "clean.csv"):
        train(tmp_path / name, **QUICK, out=tmp_path / f"run {name}")
        found = json.loads((tmp_path / f"run {name}" / "splits.json").read_text())
        splits.append({part: sorted(path.removeprefix("data/") for path in found[part]) for part in SPLITS})
    assert splits[0] == splits[1]
    assert [len(splits[0][part]) for part in SPLITS] == [52, 12, 16]
