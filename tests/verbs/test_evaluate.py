"""Evaluating a run on its own data, wherever that is, and on other data."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from PIL import Image

import convolve
from convolve.datasets.layouts import open_dataset
from convolve.errors import DataError
from convolve.tasks.classify.evaluation import Evaluation
from convolve.training.run import open_run
from tests.verbs.synthetic import QUICK, folders, labeled, train

Split = Literal["train", "validation", "test", "all"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test", "all")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("evaluate")
    folders(home / "data", {"ape": 20, "bee": 20, "cat": 20})
    train(home / "data", **QUICK | {"epochs": 6}, out=home / "run")
    return home / "run"


def evaluate(run: Path, folder: Path, data: Path | None = None, split: Split | None = None) -> Evaluation:
    """An evaluation whose report is in a folder."""
    other = str(data) if data else None
    found = convolve.evaluate(
        run, other, split=split, threads=1, report=folder / "page.html", progress=False
    ).evaluation
    assert isinstance(found, Evaluation)
    return found


def test_only_a_link_that_a_person_has_named_is_followed(run: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    (run / "evaluation.html").symlink_to(tmp_path / "mine")
    convolve.evaluate(run, threads=1, progress=False)
    assert (tmp_path / "mine").read_text() == "mine"
    assert (run / "evaluation.html").read_text(encoding="utf-8").startswith("<!")
    (tmp_path / "page.html").symlink_to("kept.html")
    page = (run / "report.html").read_text(encoding="utf-8")
    (tmp_path / "kept.html").write_text(page + "<!-- old -->", encoding="utf-8")
    evaluate(run, tmp_path)
    assert (tmp_path / "page.html").is_symlink()
    assert not (tmp_path / "kept.html").read_text(encoding="utf-8").endswith("<!-- old -->")


def test_other_data_may_have_some_of_the_classes(run: Path, tmp_path: Path) -> None:
    """Their indices there differ from the run's; what counts are the names."""
    source = run.parent / "data"
    for name in ("cat", "bee"):
        (tmp_path / "new" / name).mkdir(parents=True)
        for path in (source / name).iterdir():
            Image.open(path).save(tmp_path / "new" / name / f"new {path.name}")
    found = evaluate(run, tmp_path, tmp_path / "new")
    assert (found.split, found.images) == ("all", 40)
    assert found.metrics["accuracy"] > 0.7
    assert found.classes.matrix is not None
    assert found.classes.matrix.sum(1).tolist() == [0, 20, 20]


def test_a_class_that_the_run_does_not_know_is_named(run: Path, tmp_path: Path) -> None:
    folders(tmp_path / "new", {"ape": 2, "dog": 2})
    with pytest.raises(DataError, match=r"does not know the class 'dog' of .*; it knows ape, bee, cat"):
        evaluate(run, tmp_path, tmp_path / "new")


def test_multi_label_data_does_not_fit_a_run_with_one_label(tmp_path: Path, digits_run: Path) -> None:
    with pytest.raises(
        DataError, match="is multi-label, but the run was trained with one label per image; use other data"
    ):
        evaluate(digits_run, tmp_path, labeled(tmp_path, 10))


def test_one_label_fits_a_multi_label_run(tmp_path: Path) -> None:
    train(labeled(tmp_path / "data", 40, ("a", "b", "c")), **QUICK, out=tmp_path / "run")
    data = folders(tmp_path / "new", {"a": 4, "b": 4})
    found = evaluate(tmp_path / "run", tmp_path, data)
    assert found.classes.metrics.support.tolist() == [4, 4, 0]


def test_data_that_has_moved_is_found_again_with_its_splits(run: Path, tmp_path: Path) -> None:
    """Under another name it is still the run's own data: its training images do not count as a test."""
    before = open_run(run).manifest.results["test"]
    moved = (run.parent / "data").rename(run.parent / "moved")
    try:
        with pytest.raises(DataError, match=r"no longer at .*data; pass its new path: convolve evaluate .*run DATA"):
            evaluate(run, tmp_path)
        found = evaluate(run, tmp_path, moved)
        assert found.as_json() == before
    finally:
        moved.rename(run.parent / "data")


def test_each_split_can_be_evaluated(run: Path, tmp_path: Path) -> None:
    counts = {part: evaluate(run, tmp_path, split=part).images for part in SPLITS}
    assert counts["train"] + counts["validation"] + counts["test"] == counts["all"] == 60
    folders(tmp_path / "new", {"ape": 3, "bee": 3})
    with pytest.raises(DataError, match="has no test images; choose --split from all"):
        evaluate(run, tmp_path, tmp_path / "new", split="test")


def test_the_report_may_go_elsewhere(run: Path, tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "page.html"
    assert convolve.evaluate(run, threads=1, progress=False, report=path).report == path
    assert "Measured on the test split" in path.read_text(encoding="utf-8")


def test_calibration_of_the_run_is_applied(run: Path, tmp_path: Path) -> None:
    found = evaluate(run, tmp_path).calibration
    assert found.temperature == open_run(run).manifest.state["confidence"]["temperature"] != 1
    dataset = open_dataset(run.parent / "data")
    predictions = convolve.predict(run, run.parent / "data", threads=1, progress=False, top=3).predictions
    assert len(predictions) == len(dataset)
    for one in predictions:
        assert sum(probability for _, probability in one.as_json()["classes"]) == pytest.approx(1, abs=1e-5)
    right = [one.entries()[0]["label"] == Path(one.image).parent.name for one in predictions]
    assert np.mean(right) > 0.8


def test_a_run_reads_the_table_that_it_was_trained_by(tmp_path: Path) -> None:
    """Also when another one appears; when its own is gone, that is said."""
    table = labeled(tmp_path / "data" / "set", 24).rename(tmp_path / "data" / "set" / "own.csv")
    train(tmp_path / "data", **QUICK, out=tmp_path / "run")
    assert open_run(tmp_path / "run").recipe.reading.annotations == ("set/own.csv",)
    before = evaluate(tmp_path / "run", tmp_path, split="all")
    (table.parent / "other.csv").write_text(table.read_text().replace("south", "north"))
    found = evaluate(tmp_path / "run", tmp_path, split="all")
    assert (found.images, found.metrics) == (before.images, before.metrics)
    moved = (tmp_path / "data").rename(tmp_path / "moved")
    assert evaluate(tmp_path / "run", tmp_path, moved, split="all").metrics == before.metrics
    moved.rename(tmp_path / "data")
    table.unlink()
    with pytest.raises(DataError, match=r"data has no set/own\.csv, from which it is to be read; restore it"):
        evaluate(tmp_path / "run", tmp_path, split="all")
    recipe = tmp_path / "run" / "recipe.toml"  # which is for the same file too, but not for other data
    with pytest.raises(DataError, match=r"data has no set/own\.csv"):
        train(tmp_path / "data", recipe=recipe, out=tmp_path / "next")
    train(table.parent, recipe=recipe, out=tmp_path / "next")
    assert open_run(tmp_path / "next").recipe.reading.annotations == ("other.csv",)


def test_masks_that_a_table_joins_are_read_again(tmp_path: Path) -> None:
    lines = ["path,label"]
    for number in range(12):
        mask = np.zeros((16, 16), np.uint8)
        mask[4:12, 4:12] = 1 + number % 2
        for folder, pixels in (("images", 90 * mask), ("masks", mask)):
            (tmp_path / "data" / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / "data" / folder / f"{number}.png")
        lines.append(f"{number}.png,{'ab'[number % 2]}")
    (tmp_path / "data" / "labels.csv").write_text("\n".join(lines))
    data = tmp_path / "data"
    train(data, **QUICK | {"network": "fcn1s_resnet20_cifar"}, task="segment", out=tmp_path / "run")
    assert open_run(tmp_path / "run").recipe.reading.layout == "table"
    found = convolve.evaluate(tmp_path / "run", split="all", threads=1, report=tmp_path / "page.html", progress=False)
    assert found.evaluation.images == 12
