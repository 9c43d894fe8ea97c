"""Evaluating a run on its own data, wherever that is, and on other data."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from PIL import Image

import convolve
from convolve.datasets.layouts import open_dataset
from convolve.errors import DataError, OptionError
from convolve.setup.runtime_options import RuntimeOptions
from convolve.tasks.classify.evaluation import Evaluation
from convolve.training.run import open_run
from convolve.verbs import evaluate as evaluate_command
from convolve.verbs.evaluate import Evaluate
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


def test_own_images_among_others_are_said_to_be_measured_alone(run: Path, tmp_path: Path) -> None:
    data = shutil.copytree(run.parent / "data", tmp_path / "data")
    shutil.copytree(data / "cat", tmp_path / "more")
    for number, path in enumerate(sorted((tmp_path / "more").iterdir())):
        pixels = np.asarray(Image.open(path)) // 2
        Image.fromarray(pixels).save(data / "cat" / f"other{number}.png")
    heard: list[str] = []
    options = Evaluate(run, str(data), report=tmp_path / "page.html", runtime=RuntimeOptions(threads=1))
    found = evaluate_command.run(options, lambda event: heard.append(getattr(event, "text", "")))
    images = found.evaluation.images
    assert images == convolve.evaluate(run, threads=1, report=tmp_path / "own.html", progress=False).evaluation.images
    assert any(f"holds the run's own images: measured are the {images} of its test split" in text for text in heard)
    heard.clear()
    whole = evaluate_command.run(replace(options, split="all"), lambda event: heard.append(getattr(event, "text", "")))
    assert whole.evaluation.images == 80
    assert not any("own images" in text for text in heard)


def test_each_split_can_be_evaluated(run: Path, tmp_path: Path) -> None:
    counts = {part: evaluate(run, tmp_path, split=part).images for part in SPLITS}
    assert counts["train"] + counts["validation"] + counts["test"] == counts["all"] == 60
    folders(tmp_path / "new", {"ape": 3, "bee": 3})
    with pytest.raises(DataError, match="has no test images; choose --split from all"):
        evaluate(run, tmp_path, tmp_path / "new", split="test")


def test_the_report_may_go_elsewhere(run: Path, tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "page.html"
    assert convolve.evaluate(run, threads=1, progress=False, report=path).report == path
    page = path.read_text(encoding="utf-8")
    assert "Measured on the test split" in page
    assert f" on {Path(open_run(run).recipe.data or '').name}</h1>" in page


def test_the_page_is_titled_after_the_data_that_was_measured(run: Path, tmp_path: Path) -> None:
    other = folders(tmp_path / "elsewhere", {"ape": 3, "bee": 3})
    path = convolve.evaluate(run, other, threads=1, progress=False, report=tmp_path / "page.html").report
    page = path.read_text(encoding="utf-8")
    assert " on elsewhere</h1>" in page
    assert "Measured on all of the data: 6 images" in page


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


def test_shifted_images_are_measured_in_each_direction(run: Path, tmp_path: Path) -> None:
    found = convolve.evaluate(run, translate=2, threads=1, report=tmp_path / "page.html", progress=False)
    translation = found.translation
    assert translation
    assert translation.unshifted == pytest.approx(found.evaluation.metrics["accuracy"])
    assert {(shift.x, shift.y) for shift in translation.shifts} == {
        *((-1, 0), (1, 0), (0, -1), (0, 1)),
        *((-2, 0), (2, 0), (0, -2), (0, 2)),
    }
    values = [shift.value for shift in translation.shifts]
    assert translation.mean == pytest.approx(np.mean(values))
    document = found.as_json()["translation"]
    assert document["shifts"][0] == {"x": -1, "y": 0, "value": values[0]}
    assert (document["metric"], document["pixels"]) == ("accuracy", 2)
    assert "Shifted images" in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "translation" not in convolve.evaluate(run, threads=1, progress=False).as_json()


def test_images_shifted_before_are_what_is_measured(tmp_path: Path) -> None:
    """The evaluation of images that were shifted on disk, whose edges are reflected too."""
    folders(tmp_path / "data", {"ape": 20, "bee": 20})
    still = {"rotate": 0.0, "scale": 0.0, "translate": 0.0, "flip": False, "crop": 1.0}
    run = train(tmp_path / "data", **QUICK | {"size": 24, "epochs": 4}, **still, out=tmp_path / "run").run
    found = convolve.evaluate(run, split="all", translate=10, threads=1, progress=False).translation
    assert found
    for shift in found.shifts[-4:]:
        for path in (tmp_path / "data").rglob("*.png"):
            pixels = np.asarray(Image.open(path))
            padded = np.pad(pixels, ((10, 10), (10, 10), (0, 0)), mode="reflect")
            moved = padded[10 - shift.y :, 10 - shift.x :][:24, :24]
            other = tmp_path / f"{shift.x},{shift.y}" / path.relative_to(tmp_path / "data")
            other.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.ascontiguousarray(moved)).save(other)
        own = evaluate(run, tmp_path, tmp_path / f"{shift.x},{shift.y}")
        assert own.metrics["accuracy"] == pytest.approx(shift.value)
    assert min(shift.value for shift in found.shifts) < found.unshifted


@pytest.mark.parametrize(("pixels", "words"), [(0, "from 1 to 8"), (9, "from 1 to 8")])
def test_a_shift_out_of_range_is_a_sentence(run: Path, pixels: int, words: str) -> None:
    with pytest.raises(OptionError, match=f"translate cannot be {pixels}.*{words}"):
        convolve.evaluate(run, translate=pixels, threads=1, progress=False)
