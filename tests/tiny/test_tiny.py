"""The whole product in a few seconds: data, train, evaluate, predict, compare."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

import convolve
from convolve.training.run import open_run, write_manifest
from convolve.verbs.compare import Comparison
from convolve.verbs.data import Examined
from convolve.verbs.evaluate import Evaluated
from convolve.verbs.predict import Predictions
from convolve.verbs.train import Trained


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    out = tmp_path_factory.mktemp("tiny") / "run"
    run = convolve.train("digits", network="lenet5_keras", size=16, epochs=2, rotate=5, threads=1, out=out)
    assert isinstance(run, Trained)
    return run


def test_the_digits_are_learned(trained: Trained) -> None:
    metrics = trained.evaluation.metrics
    assert metrics["accuracy"] > 0.7
    assert metrics["accuracy"] <= metrics["top5_accuracy"] <= 1
    assert (trained.evaluation.split, trained.evaluation.images) == ("test", 359)


def test_a_run_holds_all_its_files(trained: Trained) -> None:
    names = {str(path.relative_to(trained.run)) for path in trained.run.rglob("*") if path.is_file()}
    assert names == {
        "recipe.toml",
        "manifest.json",
        "splits.json",
        "metrics.jsonl",
        "timing.jsonl",
        "weights.safetensors",
        "report.html",
        "contact_sheet.png",
        "checkpoints/last.safetensors",
        "checkpoints/previous.safetensors",
        "checkpoints/best.safetensors",
    }
    epochs = [json.loads(line) for line in (trained.run / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in epochs] == [1, 2]
    assert {"learning_rate", "train_loss", "train_accuracy", "loss", "accuracy", "macro_f1"} <= set(epochs[0])
    manifest = open_run(trained.run).manifest
    assert manifest.state["classes"] == list("0123456789")
    assert (manifest.preprocessing.height, manifest.preprocessing.channels) == (16, 1)
    assert manifest.results["test"]["metrics"]["accuracy"] == trained.evaluation.metrics["accuracy"]
    splits = json.loads((trained.run / "splits.json").read_text())
    assert len({*splits["train"], *splits["validation"], *splits["test"]}) == 1797


def test_the_report_fetches_nothing(trained: Trained) -> None:
    page = trained.report.read_text(encoding="utf-8")
    assert "lenet5_keras on digits" in page
    sources = re.findall(r"""(?:src|href|srcset|action)\s*=\s*["']([^"']*)""", page)
    assert all(source.startswith(("data:", "#")) for source in sources)
    assert not re.search(r"""url\(\s*["']?(?!data:|#)""", page)
    assert not re.search(r"@import|<script[^>]+src|fetch\(|XMLHttpRequest", page)


def test_evaluating_again_gives_the_same_metrics(trained: Trained, tmp_path: Path) -> None:
    again = convolve.evaluate(trained.run, threads=1, report=tmp_path / "page.html")
    assert isinstance(again, Evaluated)
    assert again.as_json() == {"report": str(tmp_path / "page.html"), **trained.evaluation.as_json()}
    assert (tmp_path / "page.html").stat().st_size > 10_000


def test_predicting_reads_files_as_training_read_its_images(trained: Trained, tmp_path: Path) -> None:
    images, labels = load_digits(return_X_y=True)
    for index in range(40):
        pixels = (images[index].reshape(8, 8) * 255 / 16).round().astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{index:02}.png")
    found = convolve.predict(trained.run, [str(tmp_path)], threads=1)
    assert isinstance(found, Predictions)
    assert [Path(one.image).name for one in found.predictions] == [f"{index:02}.png" for index in range(40)]
    predicted = [one.as_json()["label"] for one in found.predictions]
    assert np.mean([name == str(label) for name, label in zip(predicted, labels[:40], strict=True)]) > 0.6
    first = found.as_json()["predictions"][0]
    assert set(first) == {"image", "label", "confidence", "classes", "error"}
    assert first["confidence"] == first["classes"][0][1] >= first["classes"][1][1]


def test_comparing_puts_the_better_first(trained: Trained, tmp_path: Path) -> None:
    worse = Path(shutil.copytree(trained.run, tmp_path / "worse"))
    run = open_run(worse)
    run.manifest.results["test"]["metrics"]["accuracy"] = 0.5
    write_manifest(run)
    found = convolve.compare([worse, trained.run], figure=tmp_path / "costs.svg", threads=1)
    assert isinstance(found, Comparison)
    best, other = found.as_json()["runs"]
    assert [best["value"], other["value"]] == [trained.evaluation.metrics["accuracy"], 0.5]
    assert best["metric"] == other["metric"] == "accuracy"
    assert best["parameters"] == other["parameters"] == 2_416 + 156 + 16 * 2 * 2 * 120 + 120 + 10_164 + 850
    assert min(best["latency"], best["speed"], best["macs"]) > 0
    assert ET.parse(tmp_path / "costs.svg").getroot().tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314


def test_a_dataset_is_examined_before_training(tmp_path: Path) -> None:
    found = convolve.data("digits", sheet=tmp_path / "sheet.png", network="lenet5_keras", size=16)
    assert isinstance(found, Examined)
    plain = json.loads(json.dumps(found.as_json()))
    assert (plain["layout"], plain["images"], plain["usable"]) == ("named", 1797, 1797)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.format == "PNG"


def test_without_progress_the_commands_print_nothing(trained: Trained, capfd: pytest.CaptureFixture[str]) -> None:
    convolve.data("digits", progress=False)
    convolve.predict(trained.run, trained.run / "contact_sheet.png", threads=1, progress=False)
    convolve.networks("lenet5_keras", progress=False)
    assert capfd.readouterr() == ("", "")
