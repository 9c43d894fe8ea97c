"""Recipes that repeat, options that win, weights that go over, folds, and data as people have it."""

from __future__ import annotations

import json
import math
import shutil
import tomllib
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convolve
from convolve.errors import ConvolveError, Interrupted, OptionError, RunError, TrainingError
from convolve.metrics.intervals import accuracy_interval
from convolve.reports import page
from convolve.setup.prepare import Prepared
from convolve.setup.restore import reopen_training
from convolve.setup.runtime_options import RuntimeOptions
from convolve.targets import ArrayTargets
from convolve.tasks.classify.task import Classify
from convolve.training import loop, plan
from convolve.training.run import open_run
from convolve.verbs import train as train_command
from convolve.verbs.train import Folds, Trained
from tests.test_cli import Command
from tests.verbs.synthetic import QUICK, folders, labeled, train

FILES = ("weights.safetensors", "metrics.jsonl", "recipe.toml", "splits.json", "contact_sheet.png")


def contents(run: Path) -> dict[str, bytes]:
    return {name: (run / name).read_bytes() for name in FILES}


def test_a_recipe_repeats_the_training_to_the_same_bits(shapes_run: Path, tmp_path: Path) -> None:
    again = train(recipe=shapes_run / "recipe.toml", out=tmp_path / "again", threads=1)
    assert contents(again.run) == contents(shapes_run)


def test_options_win_over_the_recipe(shapes_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "other"
    train(recipe=shapes_run / "recipe.toml", out=out, seed=5, warmup=0, epochs=1, threads=1)
    old, new = (tomllib.loads((run / "recipe.toml").read_text()) for run in (shapes_run, out))
    assert (new["seed"], new["epochs"], new["optimization"]["warmup"]) == (5, 1, 0.0)
    changed = {"seed": 0, "epochs": 8, "optimization": old["optimization"]}
    assert new | changed == old


def test_a_subset_is_learned_from_and_the_run_remembers_it(shapes: Path, tmp_path: Path) -> None:
    recipe = QUICK | {"epochs": 2, "subset": 9, "batch": 8}
    run, whole = (train(shapes, **recipe | more, out=tmp_path / name).run for name, more in _SUBSETS.items())
    small, large = (json.loads((each / "splits.json").read_text()) for each in (run, whole))
    assert len(small["train"]) == 9
    assert set(small["train"]) < set(large["train"])
    assert Counter(name.partition("/")[0] for name in small["train"]) == {"a b": 3, "ünï": 3, "꽃": 3}
    assert (small["validation"], small["test"]) == (large["validation"], large["test"])
    assert convolve.evaluate(run, split="train").evaluation.as_json()["images"] == 9
    assert convolve.evaluate(run).evaluation.as_json()["images"] == len(large["test"])
    again = train(recipe=run / "recipe.toml", out=tmp_path / "again", threads=1)
    assert contents(again.run) == contents(run)
    reopened = reopen_training(open_run(run), RuntimeOptions())  # which refuses data that has changed
    assert (len(reopened.splits.train), len(reopened.batches)) == (9, 1)  # a batch of one is left out


_SUBSETS: dict[str, dict[str, Any]] = {"small": {}, "large": {"subset": None}}


def test_each_fold_learns_from_a_subset_and_holds_out_all_the_rest(shapes: Path, tmp_path: Path) -> None:
    convolve.train(str(shapes), **QUICK | {"subset": 9}, folds=3, out=tmp_path / "run", progress=False)
    parts = [json.loads((tmp_path / f"run/fold-{fold}/splits.json").read_text()) for fold in (1, 2, 3)]
    assert [len(part["train"]) for part in parts] == [9, 9, 9]
    held = [name for part in parts for name in part["validation"]]
    assert len(held) == len(set(held)) == 72 - len(parts[0]["test"])


def test_permuted_pixels_are_permuted_wherever_the_run_predicts(shapes: Path, tmp_path: Path) -> None:
    run = train(shapes, **QUICK | {"epochs": 8, "seed": 3}, permute=True, out=tmp_path / "run").run
    assert open_run(run).manifest.preprocessing.permutation == 3
    assert tomllib.loads((run / "recipe.toml").read_text())["classify"]["permute"] is True
    found = convolve.evaluate(run).evaluation.metrics["accuracy"]
    assert found > 0.6
    names = json.loads((run / "splits.json").read_text())["test"]
    predicted = convolve.predict(run, tuple(str(shapes / name) for name in names), progress=False).predictions
    right = [each.cells()["label"] == name.partition("/")[0] for each, name in zip(predicted, names, strict=True)]
    assert np.mean(right) == pytest.approx(found)
    again = train(recipe=run / "recipe.toml", out=tmp_path / "again", threads=1)
    assert contents(again.run) == contents(run)
    # What comes after it starts from what it has learned, on images that it would know.
    after = train(shapes, **QUICK | {"weights": str(run)}, out=tmp_path / "after").run
    assert open_run(after).manifest.preprocessing.permutation == 3
    plain = train(shapes, **QUICK | {"weights": str(run)}, permute=False, out=tmp_path / "plain").run
    assert open_run(plain).manifest.preprocessing.permutation is None
    for command in (convolve.explain, partial(convolve.export, out=tmp_path / "export")):
        with pytest.raises(ConvolveError, match=r"whose pixels are permuted.*without --permute"):
            command(run)


def test_permuted_pixels_are_for_classifiers_of_one_size(shapes: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="leave out --multi-scale"):
        train(shapes, **QUICK, permute=True, multi_scale=0.5, out=tmp_path / "run")
    with pytest.raises(OptionError, match="--permute is an option of classify, not of segment"):
        train(shapes, network="fcn1s_resnet20_cifar", task="segment", permute=True, out=tmp_path / "run")


def test_the_test_split_may_be_left_to_evaluate(shapes: Path, tmp_path: Path) -> None:
    trained = train(shapes, **QUICK, validate_only=True, out=tmp_path / "run")
    assert trained.evaluation.split == "validation"
    assert set(open_run(trained.run).manifest.results) == {"epoch", "ended", "validation"}
    assert convolve.evaluate(trained.run, progress=False).evaluation.split == "test"


def test_names_and_paths_may_be_in_any_script(shapes: Path, shapes_run: Path) -> None:
    run = open_run(shapes_run)
    assert run.manifest.state["classes"] == ["a b", "ünï", "꽃"]
    assert run.recipe.data == str(shapes)
    assert run.manifest.results["test"]["metrics"]["accuracy"] > 0.8
    page = (shapes_run / "report.html").read_text(encoding="utf-8")
    assert "ünï" in page
    assert "꽃" in page


def test_an_empty_folder_may_be_the_runs_and_a_full_one_not(shapes: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    assert train(shapes, **QUICK, out=out).run == out
    with pytest.raises(RunError, match="already holds a run"):
        train(shapes, **QUICK, out=out)
    with pytest.raises(RunError, match=r"has already ended; see .*report\.html, or train into another --out"):
        train(resume=out)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConvolveError, match="cannot be written"):
        train(shapes, **QUICK, out=tmp_path / "file")


def test_a_training_whose_first_steps_fail_leaves_no_run(
    shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        assert not (tmp_path / "run").exists()
        raise TrainingError("There is not enough memory.")

    monkeypatch.setattr(plan, "measure", fail)
    with pytest.raises(TrainingError):
        train(shapes, **QUICK, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_what_is_known_before_the_first_epoch_is_there_when_it_stops(
    shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise Interrupted("Stopped.")

    monkeypatch.setattr(loop, "fit", stop)
    with pytest.raises(Interrupted):
        train(shapes, **QUICK, out=tmp_path / "run")
    found = {path.name for path in (tmp_path / "run").iterdir()}
    assert found == {"checkpoints", "contact_sheet.png", "manifest.json", "recipe.toml", "splits.json"}


def test_without_a_name_runs_are_numbered(shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders(tmp_path, {"a": 8, "b": 8})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(page, "write_report", lambda *_: None)
    first, second = (train(".", **QUICK).run for _ in range(2))
    assert (first, second) == (Path(f"runs/{tmp_path.name}-lenet5_keras"), Path(f"runs/{tmp_path.name}-lenet5_keras-2"))
    assert open_run(first).recipe.data == str(tmp_path)


def metrics(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_folds_give_mean_and_deviation_and_continue(
    shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "folds"
    monkeypatch.setattr(page, "write_report", lambda *_: None)
    whole = convolve.train(str(shapes), **QUICK | {"epochs": 2}, folds=3, test=0, out=out, progress=False)
    assert isinstance(whole, Folds)
    held = [json.loads((run.run / "splits.json").read_text())["validation"] for run in whole.runs]
    assert sorted(name for part in held for name in part) == sorted(
        str(path.relative_to(shapes)) for path in shapes.rglob("*.png")
    )
    accuracies = [run.evaluation.metrics["accuracy"] for run in whole.runs]
    accuracy = whole.metrics()["accuracy"]
    assert accuracy["mean"] == pytest.approx(np.mean(accuracies))
    assert accuracy["std"] == pytest.approx(np.std(accuracies, ddof=1))
    json.dumps(whole.as_json(), allow_nan=False)
    with pytest.raises(RunError, match="already holds a run"):
        train(shapes, **QUICK, folds=3, out=out)
    with pytest.raises(RunError, match=r"All 3 folds in .* have already ended"):
        train(resume=out)
    shutil.rmtree(out / "fold-3")
    again = convolve.train(resume=out, progress=False)
    assert again.as_json() == whole.as_json()


@pytest.mark.parametrize(("balance", "class_weights"), [("weights", (0.6, 3.0)), ("sampler", None)])
def test_unequal_classes_are_balanced(
    balance: str, class_weights: tuple[float, float] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = folders(tmp_path / "data", {"many": 50, "few": 10})
    recorded: list[Prepared] = []
    fit = train_command._fit

    def record(*values: Any) -> Trained:
        recorded.append(values[1])
        return fit(*values)

    monkeypatch.setattr(page, "write_report", lambda *_: None)
    monkeypatch.setattr(train_command, "_fit", record)
    train(data, **QUICK, balance=balance, out=tmp_path / "run", test=0.2, validation=0.2)
    prepared, task = recorded[0], recorded[0].task
    assert isinstance(task, Classify)
    targets = [batch.targets for epoch in range(8) for batch in prepared.batches.epoch(epoch)]
    drawn = np.concatenate([each.values for each in targets if isinstance(each, ArrayTargets)])
    fraction_of_few = float(np.mean(drawn == task.classes.index("few")))
    assert fraction_of_few == pytest.approx(0.5 if balance == "sampler" else 1 / 6, abs=0.08)
    weights = task.class_weights
    assert (weights is None) == (class_weights is None)
    if weights is not None and class_weights:
        assert weights.tolist() == pytest.approx(sorted(class_weights, reverse=True))  # few comes before many


def test_multi_label_end_to_end(tmp_path: Path) -> None:
    table = labeled(tmp_path / "data", 70)
    out = tmp_path / "run"
    trained = train(table, **QUICK | {"epochs": 25}, balance="weights", out=out)
    metrics = trained.evaluation.metrics
    assert {"average_precision", "roc_auc", "exact_match"} <= set(metrics)
    assert metrics["average_precision"] > 0.8
    json.dumps(trained.as_json(), allow_nan=False)
    assert "Mean average precision" in trained.report.read_text(encoding="utf-8")
    again = convolve.evaluate(out, threads=1, progress=False, report=tmp_path / "page.html")
    assert again.evaluation.as_json() == trained.evaluation.as_json()
    predictions = convolve.predict(out, tmp_path / "data", threads=1, progress=False).predictions
    labels = [prediction.entries()[0]["label"] for prediction in predictions]
    assert {label for some in labels for label in some.split(";") if label} == {
        "north west",
        "north east",
        "south",
    }
    assert any(";" in some for some in labels)
    lowest, highest = (
        [
            prediction.entries()[0]["label"]
            for prediction in convolve.predict(
                out, tmp_path / "data", threads=1, progress=False, threshold=threshold
            ).predictions
        ]
        for threshold in (0.0, 0.95)
    )
    assert {some.count(";") for some in lowest} == {2}
    assert sum(map(len, highest)) < sum(map(len, labels))


def test_a_broken_file_is_left_out_and_named(tmp_path: Path) -> None:
    data = folders(tmp_path / "data", {"a": 12, "b": 12})
    (data / "a" / "broken.png").write_bytes((data / "a" / "0.png").read_bytes()[:200])
    (data / "b" / "notes.txt").write_text("not an image")
    out = tmp_path / "run"
    train(data, **QUICK, out=out)
    manifest = open_run(out).manifest
    assert manifest.data["summary"]["unreadable"] == 1
    assert "a/broken.png" in " ".join(manifest.data["warnings"])
    splits = json.loads((out / "splits.json").read_text())
    assert "a/broken.png" not in {*splits["train"], *splits["validation"], *splits["test"]}
    assert (
        convolve.evaluate(out, threads=1, progress=False, split="all", report=tmp_path / "page.html").evaluation.images
        == 24
    )


def test_a_class_with_one_image_and_an_empty_one_do_no_harm(tmp_path: Path) -> None:
    data = folders(tmp_path / "data", {"a": 12, "b": 1})
    (data / "c").mkdir()
    trained = train(data, **QUICK, out=tmp_path / "run")
    json.dumps(trained.as_json(), allow_nan=False)
    assert trained.as_json()["classes"]["c"]["roc_auc"] is None


def test_without_a_test_split_the_metrics_are_of_validation(shapes: Path, tmp_path: Path) -> None:
    trained = train(shapes, **QUICK, test=0, out=tmp_path / "run")
    assert (trained.evaluation.split, trained.evaluation.images) == ("validation", 11)
    again = convolve.evaluate(trained.run, threads=1, progress=False, report=tmp_path / "page.html")
    assert again.evaluation.as_json() == trained.evaluation.as_json()
    convolve.compare([trained.run, trained.run], threads=1, progress=False)


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": "gradient-descent", "epochs": 3},
        {"ema_decay": 0.99, "schedule": "plateau", "epochs": 2},
        {"mixup": 0.2, "label_smoothing": 0.1, "clip_norm": 1.0, "noise": 0.05, "fit": "letterbox"},
    ],
)
def test_other_ways_to_learn(
    options: dict[str, Any], shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "write_report", lambda *_: None)
    for name in ("one", "two"):
        train(shapes, **QUICK | options, seed=3, out=tmp_path / name)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert all(math.isfinite(value) for line in metrics(tmp_path / "one") for value in line.values())


def test_a_last_batch_of_one_image_does_not_stop_batch_normalization(tmp_path: Path) -> None:
    data = folders(tmp_path / "data", {"a": 12, "b": 11})
    run = train(data, network="resnet18", size=32, epochs=1, batch=8, threads=1, test=0.15, out=tmp_path / "r")
    splits = json.loads((run.run / "splits.json").read_text())
    assert len(splits["train"]) % 8 == 1


def test_paths_in_a_recipe_hold_elsewhere(
    shapes: Path, shapes_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shapes.parent)
    (tmp_path / "weights").mkdir()
    shutil.copy(shapes_run / "weights.safetensors", shapes.parent / "start.safetensors")
    out = tmp_path / "run"
    train(shapes.name, **QUICK, weights="start.safetensors", out=out)
    monkeypatch.chdir(tmp_path)
    recipe = open_run(out).recipe
    assert Path(recipe.transfer.weights or "").is_file()
    assert Path(recipe.data or "").is_dir()


def test_tensorboard_is_looked_for_before_anything_is_read(shapes: Path, tmp_path: Path) -> None:
    try:
        trained = train(shapes, **QUICK, tensorboard=True, out=tmp_path / "run")
    except OptionError as error:
        assert "pip install" in str(error)  # noqa: PT017 - where it is not installed
        assert not (tmp_path / "run").exists()
    else:
        assert isinstance(trained, Trained)
        assert list((trained.run / "tensorboard").iterdir())


def test_a_sampler_needs_one_label_per_image(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="use --balance weights"):
        train(labeled(tmp_path, 40), **QUICK, balance="sampler", out=tmp_path / "run")


def test_a_file_twice_in_a_table_is_told_apart(tmp_path: Path) -> None:
    data = folders(tmp_path / "data", {"a": 12, "b": 12})
    lines = [f"{path.relative_to(data)},{path.parent.name}" for path in sorted(data.rglob("*.png"))]
    (data / "labels.csv").write_text("\n".join(["path,label", *lines, *lines[:6]]))
    trained = train(data / "labels.csv", **QUICK, out=tmp_path / "run")
    again = convolve.evaluate(trained.run, threads=1, progress=False, report=tmp_path / "page.html")
    assert again.evaluation.as_json() == trained.evaluation.as_json()


def test_three_validation_images_give_no_threshold_and_every_accuracy_has_its_interval(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = folders(tmp_path / "data", {"a": 10, "b": 10})
    words = [word for name, value in (QUICK | {"epochs": 4}).items() for word in (f"--{name}", value)]
    command = Command(monkeypatch, capsys)
    printed = command("train", data, *words, "--test", 0.2, "--quiet", "--out", tmp_path / "run")
    assert printed.code == 0, printed.err
    run = open_run(tmp_path / "run")
    assert len(json.loads((run.folder / "splits.json").read_text())["validation"]) == 3
    assert run.manifest.state["confidence"]["reject"] is None
    results = run.manifest.results["test"]
    assert results["calibration"]["reject"] is None
    low, high = results["intervals"]["accuracy"]
    assert [low, high] == list(accuracy_interval(round(4 * results["metrics"]["accuracy"]), 4))
    interval = f"95 % interval {100 * low:.1f} to {100 * high:.1f}"
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    for text in (printed.out, page):
        plain = text.replace("\N{NO-BREAK SPACE}", " ")
        assert interval in plain
        for claim in ("Reject threshold:", "rejecting images below", "enough to trust"):
            assert claim not in plain
    assert "No reject threshold" in page
    assert "So few images give rough estimates" in page
