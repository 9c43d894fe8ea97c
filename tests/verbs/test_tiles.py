"""`--fit tiles` from the command to the masks: large images are learned, evaluated and predicted at their own scale."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import convolve
from convolve.choices import Fit
from convolve.datasets.tiles import Tiles, starts
from convolve.errors import OptionError
from convolve.setup.prepare import evaluation_batches, prepare
from convolve.setup.runtime_options import RuntimeOptions
from convolve.tasks.segment.evaluation import Evaluation
from convolve.training.recipe import Recipe
from convolve.training.run import open_run
from tests.tasks.segment.small import QUICK, folder
from tests.verbs.synthetic import train

FILES = ("weights.safetensors", "metrics.jsonl", "recipe.toml", "splits.json", "contact_sheet.png")
SHAPE = (60, 70)
TILED = QUICK | {"fit": "tiles", "epochs": 2, "flip": True, "rotate": 20.0, "crop": 0.7, "learning_rate": 0.01}
EACH = len(starts(SHAPE[0], 32)) * len(starts(SHAPE[1], 32))


def contents(run: Path) -> dict[str, bytes]:
    return {name: (run / name).read_bytes() for name in FILES}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder(tmp_path_factory.mktemp("large"), 12, SHAPE)


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out: Path = tmp_path_factory.mktemp("runs") / "tiles"
    train(data, **TILED, out=out)
    return out


def test_it_learns_and_evaluates_whole_images(run: Path) -> None:
    results = open_run(run).manifest.results["test"]
    assert results["metrics"]["mean_iou"] > 0.6
    assert np.sum(results["confusion"]) == results["images"] * SHAPE[0] * SHAPE[1]
    again = convolve.evaluate(run, threads=1, progress=False, report=run / "again.html")
    assert again.evaluation.as_json() == results


def test_tiles_of_an_image_stay_in_its_split(data: Path) -> None:
    """A step is a batch of tiles; each comes from an image of its split, and all of them come."""
    recipe = Recipe(str(data), network=QUICK["network"], size=32, batch=8, fit="tiles")
    prepared = prepare(recipe, RuntimeOptions("cpu", "fp32", 1)).prepared
    drawn = {
        name: np.unique(np.concatenate(batches.order(0)))
        for name, batches in (
            ("train", prepared.batches),
            ("validation", evaluation_batches(prepared.examples, prepared.splits.validation, prepared.preprocessing)),
        )
    }
    source = prepared.examples.source
    assert isinstance(source, Tiles)
    assert len(source) == EACH * 12
    for name, part in (("train", prepared.splits.train), ("validation", prepared.splits.validation)):
        assert len(drawn[name]) == EACH * len(part)
        assert set(source.parents[drawn[name]].tolist()) == set(part.tolist())


def test_a_recipe_repeats_and_a_killed_run_continues_to_the_same_bits(run: Path, data: Path, tmp_path: Path) -> None:
    again = train(recipe=run / "recipe.toml", out=tmp_path / "again", threads=1, precision="fp32").run
    assert contents(again) == contents(run)
    words = [
        word
        for name, value in TILED.items()
        for word in (f"--{name.replace('_', '-')}", str(value))
        if not isinstance(value, bool)
    ]
    command = [
        sys.executable,
        "-m",
        "convolve",
        "train",
        str(data),
        *words,
        "--flip",
        "--out",
        str(tmp_path / "killed"),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    lines, began = tmp_path / "killed" / "metrics.jsonl", time.time()
    while process.poll() is None and not (lines.exists() and lines.stat().st_size):  # its first epoch has ended
        assert time.time() < began + 120
        time.sleep(0.002)
    process.kill()
    _, errors = process.communicate()
    assert process.returncode == -signal.SIGKILL, errors
    train(resume=tmp_path / "killed")
    assert contents(tmp_path / "killed") == contents(run)


def test_predictions_have_the_images_size(run: Path, data: Path, tmp_path: Path) -> None:
    convolve.predict(run, data / "images" / "0.png", out=tmp_path, progress=False)
    found = np.asarray(Image.open(tmp_path / "0_mask.png"))
    target = np.asarray(Image.open(data / "masks" / "0.png"))
    assert found.shape == target.shape == SHAPE
    assert np.mean(found == target) > 0.85


def test_images_smaller_than_a_tile_are_learned_too(tmp_path: Path) -> None:
    data = folder(tmp_path / "data", 8, (20, 50))
    trained = train(data, **TILED | {"epochs": 1}, out=tmp_path / "run")
    assert isinstance(trained.evaluation, Evaluation)
    counted = trained.evaluation.matrix.sum()
    assert counted == trained.evaluation.images * 20 * 50


def test_the_doctor_draws_tiles(data: Path, tmp_path: Path) -> None:
    """Forty of them, where there are twelve images."""
    heights = []
    fits: tuple[Fit, ...] = ("tiles", "stretch")
    for fit in fits:
        convolve.data(
            str(data), network=QUICK["network"], size=32, fit=fit, sheet=tmp_path / "sheet.png", progress=False
        )
        heights.append(np.asarray(Image.open(tmp_path / "sheet.png")).shape[0])
    assert heights[0] > heights[1]


def test_a_classifier_has_no_tiles(tmp_path: Path) -> None:
    with pytest.raises(
        OptionError, match=r"^--fit tiles is not available for the task classify; use crop, letterbox or stretch"
    ):
        train("digits", network="lenet5_keras", fit="tiles", out=tmp_path / "run")
    with pytest.raises(OptionError, match=r"^--fit tiles is not available for the task classify"):
        convolve.data("digits", network="lenet5_keras", fit="tiles", sheet=tmp_path / "sheet.png", progress=False)
    assert not list(tmp_path.iterdir())
