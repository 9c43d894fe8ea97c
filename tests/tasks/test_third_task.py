"""A third task, from the tests' own folder, does all that the built-in ones do, without a change in the package."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import convolve
from convolve.errors import OptionError
from convolve.tasks import registry
from convolve.training.run import open_run, write_manifest
from convolve.verbs.train import Trained
from tests.tasks.mean_color import MeanColor

OPTIONS: dict[str, Any] = {
    "task": "mean-color",
    "network": "simple_cnn",
    "size": 32,
    "epochs": 12,
    "batch": 8,
    "threads": 1,
    "validation": 0.2,
    "test": 0.2,
    "seed": 3,
    "progress": False,
}
_SCRIPT = """
import sys, convolve
from tests.tasks.mean_color import MeanColor
convolve.register_task(MeanColor)
convolve.train(sys.argv[1], **{options!r}, out=sys.argv[2])
"""


@pytest.fixture(scope="module", autouse=True)
def _registered() -> Iterator[None]:
    convolve.register_task(MeanColor)
    yield
    registry._REGISTERED.pop(MeanColor.info.name)  # other tests hold the tasks of the package alone


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of two folders, each of one color with a little noise."""
    random = np.random.default_rng(0)
    root = tmp_path_factory.mktemp("colors")
    for index in range(60):
        color = random.uniform(0, 255, 3)
        pixels = np.clip(random.normal(color, 12, (40, 40, 3)), 0, 255).astype(np.uint8)
        folder = root / ("even", "odd")[index % 2]
        folder.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(folder / f"{index}.png")
    return root


@pytest.fixture(scope="module")
def trained(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    found = convolve.train(
        str(photos), **OPTIONS, task_options={"power": 1.5}, out=tmp_path_factory.mktemp("run") / "run"
    )
    assert isinstance(found, Trained)
    return found


def test_it_learns_and_its_own_option_reaches_it(trained: Trained) -> None:
    assert trained.task == "mean-color"
    assert trained.evaluation.metrics["r2"] > 0.5
    assert "[mean-color]\npower = 1.5" in (trained.run / "recipe.toml").read_text()
    lines = [json.loads(line) for line in (trained.run / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["loss"] < 0.5 * lines[0]["loss"]
    assert {"epoch", "train_loss", "loss", "r2", "mean_absolute_error", "learning_rate"} <= lines[0].keys()


def test_its_report_has_its_own_section_and_both_curves(trained: Trained) -> None:
    page = trained.report.read_text(encoding="utf-8")
    name, true, predicted = trained.evaluation.rows[0]  # type: ignore[attr-defined]
    assert f"<th>{name}</th><td>{true}</td><td>{predicted}</td>" in page
    assert "True and predicted colors" in page
    assert 'id="training"' in page


def test_evaluated_again_it_is_the_same(trained: Trained, tmp_path: Path) -> None:
    again = convolve.evaluate(trained.run, report=tmp_path / "page.html", threads=1, progress=False)
    assert again.evaluation.as_json() == trained.evaluation.as_json()


def test_it_predicts_by_its_own_options(trained: Trained, photos: Path) -> None:
    image = photos / "even" / "0.png"
    found = convolve.predict(trained.run, image, task_options={"digits": 1}, threads=1, progress=False)
    (prediction,) = found.predictions
    numbers = [float(text) for text in prediction.cells()["color"].split()]
    assert np.abs(numbers - np.asarray(Image.open(image)).mean((0, 1)) / 255).max() < 0.35
    with pytest.raises(
        OptionError, match=r"--top is an option of embed, classify, localize, detect and segment, not of mean-color"
    ):
        convolve.predict(trained.run, image, top=2, threads=1, progress=False)


def test_it_is_compared_by_its_own_metric(trained: Trained) -> None:
    found = convolve.compare([trained.run, trained.run], threads=1, progress=False)
    assert [row.metric for row in found.runs] == ["R²", "R²"]
    assert found.runs[0].value == trained.evaluation.metrics["r2"]


def test_its_outputs_are_explained(trained: Trained, photos: Path, tmp_path: Path) -> None:
    image = photos / "even" / "0.png"
    found = convolve.explain(trained.run, image, method="saliency", threads=1, out=tmp_path, progress=False)
    (one,) = found.images
    assert list(one.scores) == ["red", "green", "blue"]
    with np.load(found.arrays) as arrays:
        assert arrays["attributions"].shape == (1, 1, 3, 32, 32)
        assert np.abs(arrays["attributions"]).sum((-2, -1)).min() > 0


def test_killed_it_resumes_to_the_same_weights(trained: Trained, photos: Path, tmp_path: Path) -> None:
    run, options = tmp_path / "run", {**OPTIONS, "task_options": {"power": 1.5}}
    process = subprocess.Popen([sys.executable, "-c", _SCRIPT.format(options=options), str(photos), str(run)])
    deadline = time.monotonic() + 120
    while not (run / "metrics.jsonl").exists() or len((run / "metrics.jsonl").read_text().splitlines()) < 2:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not json.loads((run / "manifest.json").read_text())["results"]
    convolve.train(resume=run, progress=False)
    for name in ("weights.safetensors", "metrics.jsonl"):
        assert (run / name).read_bytes() == (trained.run / name).read_bytes()


def test_changed_images_are_noticed_by_resume(trained: Trained, photos: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(photos, tmp_path / "photos"))
    run = Path(shutil.copytree(trained.run, tmp_path / "run"))
    recipe = (run / "recipe.toml").read_text().replace(str(photos), str(copy))
    (run / "recipe.toml").write_text(recipe)
    opened = open_run(run)
    write_manifest(replace(opened, manifest=replace(opened.manifest, results={})))
    shutil.copy(copy / "odd" / "1.png", copy / "odd" / "3.png")
    with pytest.raises(convolve.ConvolveError, match="has changed since"):
        convolve.train(resume=run, progress=False)


def test_a_name_or_an_option_that_is_taken_is_refused() -> None:
    class Other(MeanColor):  # type: ignore[misc]  # another class of the same name
        pass

    with pytest.raises(OptionError, match="There is a task 'mean-color' already"):
        convolve.register_task(Other)
