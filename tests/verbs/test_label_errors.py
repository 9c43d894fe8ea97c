"""`convolve data RUN --label-errors`: which labels are doubted, by which networks, and what cannot be judged."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

import convolve
from convolve.datasets.layouts import open_dataset
from convolve.errors import DataError, OptionError, RunError
from convolve.progress import Message, Progress
from convolve.tasks.classify.prediction import ClassPrediction
from convolve.training.run import open_run, read_splits
from convolve.verbs.data import Data, render
from convolve.verbs.data import run as run_data
from convolve.verbs.data.label_errors import JudgedLabels
from tests.tasks.segment.small import QUICK as QUICK_SEGMENTATION
from tests.tasks.segment.small import folder as segmentation_folder
from tests.verbs.synthetic import QUICK, STILL, folders, labeled, train

FOLDS = 2


def judge(run: Path, folds: int = FOLDS) -> JudgedLabels:
    judged = convolve.data(run, label_errors=True, folds=folds, progress=False).label_errors
    assert judged is not None
    return judged


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on images of which one lies in the folder of another class."""
    home = tmp_path_factory.mktemp("label errors")
    folders(home / "data", {"ape": 30, "bee": 30, "꽃": 30})
    shutil.move(home / "data" / "ape" / "3.png", home / "data" / "bee" / "wrong.png")
    train(home / "data", **QUICK | STILL | {"epochs": 10, "label_smoothing": 0.0}, out=home / "run")
    return home / "run"


@pytest.fixture(scope="module")
def judged(run: Path) -> JudgedLabels:
    return judge(run)


def test_the_wrong_label_is_the_most_certain_one(judged: JudgedLabels) -> None:
    first = judged.errors[0]
    assert (first.image, first.label, first.suggested) == ("bee/wrong.png", "bee", "ape")
    assert first.label_probability < 0.5 < first.suggested_probability
    assert first.margin == pytest.approx(first.label_probability - first.suggested_probability, abs=1e-6)
    assert len(judged.errors) < 5


def test_every_image_is_judged_by_a_network_that_has_not_learned_from_it(run: Path, judged: JudgedLabels) -> None:
    held_out = judged.held_out
    assert held_out.indices.tolist() == list(range(90))
    assert held_out.not_judged == 0
    folds = [run / f"folds-{FOLDS}" / f"fold-{fold}" for fold in (1, 2)]
    splits = [read_splits(open_run(fold), held_out.dataset) for fold in folds]
    tested, validated = int(splits[0].test[0]), int(splits[1].validation[0])
    assert validated in splits[0].train
    names = [f"{held_out.dataset.root}/{held_out.dataset.images.name(index)}" for index in (tested, validated)]
    first, second = (
        [dict(found.classes) for found in convolve.predict(fold, names, top=3, progress=False).predictions
         if isinstance(found, ClassPrediction)]
        for fold in folds
    )  # fmt: skip
    for position, name in enumerate(held_out.classes):
        mean = (first[0][name] + second[0][name]) / 2
        assert held_out.probabilities[tested, position] == pytest.approx(mean, abs=1e-4)
        assert held_out.probabilities[validated, position] == pytest.approx(second[1][name], abs=1e-4)
    assert first[1] != second[1]


def test_the_list_is_printed_and_given_as_json(run: Path, judged: JudgedLabels) -> None:
    examined = convolve.data(run, label_errors=True, folds=FOLDS, progress=False)
    document = json.loads(json.dumps(examined.as_json()))
    assert document["layout"] == "folders"
    found = document["label_errors"]
    assert (found["judged"], found["not_judged"], found["networks"]) == (90, 0, FOLDS)
    assert found["errors"][0]["image"] == "bee/wrong.png"
    assert found["estimated"] == pytest.approx(judged.found.estimated)
    lines = [str(part) for part in render(examined)]
    assert any(f"{len(judged.errors)} of 90 labels are likely wrong" in line for line in lines)
    assert str(run / "label_errors.html") in lines[-1]
    assert "label_errors" not in convolve.data("digits", progress=False).as_json()


def test_the_list_is_a_table_that_is_no_ground_truth(run: Path, judged: JudgedLabels, tmp_path: Path) -> None:
    convolve.data(run, label_errors=True, folds=FOLDS, csv=tmp_path / "new" / "errors.csv", progress=False)
    rows = list(csv.DictReader((tmp_path / "new" / "errors.csv").read_text(encoding="utf-8").splitlines()))
    assert [list(row.values()) for row in rows] == [list(map(str, asdict(error).values())) for error in judged.errors]
    assert (rows[0]["image"], rows[0]["label"], rows[0]["suggested"]) == ("bee/wrong.png", "bee", "ape")
    for name in ("ape", "bee"):
        folders(tmp_path / "data", {name: 3})
    (tmp_path / "data" / "errors.csv").write_bytes((tmp_path / "new" / "errors.csv").read_bytes())
    data = open_dataset(tmp_path / "data")
    assert (data.layout, len(data)) == ("folders", 6)
    assert any("errors.csv holds label errors that convolve found" in note for note in data.notes)
    with pytest.raises(OptionError, match="--csv writes label errors; give --label-errors too"):
        convolve.data("digits", csv=tmp_path / "errors.csv", progress=False)


def test_the_page_shows_the_image_with_both_classes(run: Path, judged: JudgedLabels) -> None:
    page = (run / "label_errors.html").read_text(encoding="utf-8")
    card = page[page.index('<figure class="card') :]
    card = card[: card.index("</figure>")]
    assert "data:image/png;base64," in card
    assert '<b class="wrong" translate="no">bee</b>' in card
    assert '<b class="right" translate="no">ape</b>' in card
    assert "bee/wrong.png" in card
    assert page.count('<figure class="card') == len(judged.errors)
    assert "꽃" in page


def test_the_folds_are_trained_once_and_said_to_be(run: Path, judged: JudgedLabels) -> None:
    del judged
    events: list[Progress | Message] = []
    weights = run / f"folds-{FOLDS}" / "fold-1" / "weights.safetensors"
    before = weights.stat().st_mtime_ns
    run_data(Data(str(run), label_errors=True, folds=FOLDS), events.append)
    assert weights.stat().st_mtime_ns == before
    works = {event.work for event in events if isinstance(event, Progress)}
    assert "judging labels" in works
    assert "training" not in works


def test_a_folder_of_folds_is_judged_as_it_is(run: Path, judged: JudgedLabels) -> None:
    home = run / f"folds-{FOLDS}"
    again = judge(home)
    assert again.errors == judged.errors
    assert again.report == home / "label_errors.html"
    assert again.report.is_file()


def test_without_folds_the_run_judges_what_it_has_not_learned_from(run: Path) -> None:
    judged = judge(run, folds=1)
    splits = read_splits(open_run(run), judged.held_out.dataset)
    assert judged.held_out.indices.tolist() == np.sort(np.concatenate([splits.validation, splits.test])).tolist()
    assert judged.held_out.not_judged == len(splits.train)
    assert judged.networks == 1


def test_folds_that_were_interrupted_are_continued(run: Path, judged: JudgedLabels, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    home = copy / f"folds-{FOLDS}"
    shutil.rmtree(home / "fold-2")
    with pytest.raises(RunError, match=r"1 of the 2 folds in .* have ended; continue with `convolve train --resume"):
        judge(home)
    assert judge(copy).errors == judged.errors


def test_several_labels_for_an_image_are_refused_before_anything_is_trained(tmp_path: Path) -> None:
    train(labeled(tmp_path / "data", 30), **QUICK, out=tmp_path / "run")
    with pytest.raises(DataError, match="has learned several labels for an image, but label errors are found among"):
        judge(tmp_path / "run")
    assert not (tmp_path / "run" / "folds-2").exists()


def test_masks_are_refused_before_anything_is_trained(tmp_path: Path) -> None:
    train(segmentation_folder(tmp_path / "data"), **QUICK_SEGMENTATION, out=tmp_path / "run")
    with pytest.raises(DataError, match="has learned masks, but label errors are found among images with one class"):
        judge(tmp_path / "run")
    assert not (tmp_path / "run" / "folds-2").exists()


def test_what_cannot_be_judged_is_refused_in_a_sentence(run: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is not a run"):
        convolve.data("digits", label_errors=True, progress=False)
    with pytest.raises(OptionError, match="folds cannot be 0"):
        judge(run, folds=0)
    with pytest.raises(OptionError, match="read as its recipe says"):
        convolve.data(run, label_errors=True, layout="folders", progress=False)
    shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("folds-*"))
    recipe = tmp_path / "run" / "recipe.toml"
    recipe.write_text(recipe.read_text().replace(str(run.parent / "data"), str(tmp_path / "gone")))
    with pytest.raises(
        RunError, match=r"gone., but the run was trained with .*, and there is nothing at that path; correct it"
    ):
        judge(tmp_path / "run")
    shutil.copy(run / "recipe.toml", recipe)
    elsewhere = (run.parent / "data").rename(tmp_path / "gone")
    try:
        with pytest.raises(RunError, match=r"data is no longer at .*data; restore it there, or correct .*recipe\.toml"):
            judge(tmp_path / "run")
    finally:
        elsewhere.rename(run.parent / "data")
