"""`--fit tiles` from the first word to the last: large pictures learned, measured and answered at their own scale."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from convolve.verbs.preparing import prepare
from PIL import Image

import convolve
from convolve.datasets.tiles import Tiles, starts
from convolve.errors import OptionError
from convolve.setup.runtime_options import RuntimeOptions
from convolve.training.recipe import Recipe
from convolve.training.run import open_run
from tests.tasks.segment.small import QUICK, folder

LEFT = ("weights.safetensors", "metrics.jsonl", "recipe.toml", "splits.json", "contact_sheet.png")
SHAPE = (60, 70)
TILED = QUICK | {"fit": "tiles", "epochs": 2, "flip": True, "rotate": 20.0, "crop": 0.7, "learning_rate": 0.01}
EACH = len(starts(SHAPE[0], 32)) * len(starts(SHAPE[1], 32))


def left(run: Path) -> dict[str, bytes]:
    return {name: (run / name).read_bytes() for name in LEFT}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder(tmp_path_factory.mktemp("large"), 12, SHAPE)


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out: Path = tmp_path_factory.mktemp("runs") / "tiles"
    convolve.train(data, **TILED, out=out)
    return out


def test_it_learns_and_measures_whole_pictures(run: Path) -> None:
    results = open_run(run).manifest.results["test"]
    assert results["metrics"]["mean_iou"] > 0.6
    assert np.sum(results["confusion"]) == results["images"] * SHAPE[0] * SHAPE[1]
    measured = convolve.evaluate(run, threads=1, progress=False, report=run / "again.html")
    assert measured.evaluation.as_json() == results


def test_tiles_of_a_picture_stay_on_its_side(data: Path) -> None:
    """A step is a batch of tiles; each comes from a picture of its split, and all of them come."""
    recipe = Recipe(str(data), network=QUICK["network"], size=32, batch=8, fit="tiles")
    prepared = prepare(recipe, RuntimeOptions("cpu", "fp32", 1)).prepared
    shown = {
        name: np.unique(np.concatenate(batches.order(0)))
        for name, batches in (
            ("train", prepared.learning()),
            ("validation", prepared.measuring(prepared.splits.validation)),
        )
    }
    source = prepared.examples.source
    assert isinstance(source, Tiles)
    assert len(source) == EACH * 12
    for name, part in (("train", prepared.splits.train), ("validation", prepared.splits.validation)):
        assert len(shown[name]) == EACH * len(part)
        assert set(source.places[shown[name]].tolist()) == set(part.tolist())


def test_a_recipe_repeats_and_a_killed_run_goes_on_to_the_same_bits(run: Path, data: Path, tmp_path: Path) -> None:
    again = convolve.train(recipe=run / "recipe.toml", out=tmp_path / "again", threads=1, progress=False, precision="fp32").run
    assert left(again) == left(run)
    words = [word for name, value in TILED.items() for word in (f"--{name}", str(value)) if value is not True]
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
    convolve.train(resume=tmp_path / "killed")
    assert left(tmp_path / "killed") == left(run)


def test_predictions_lie_on_the_picture(run: Path, data: Path, tmp_path: Path) -> None:
    convolve.predict(run, [str(data / "images" / "0.png")], out=tmp_path)
    found = np.asarray(Image.open(tmp_path / "0_mask.png"))
    truth = np.asarray(Image.open(data / "masks" / "0.png"))
    assert found.shape == truth.shape == SHAPE
    assert np.mean(found == truth) > 0.85


def test_pictures_smaller_than_a_tile_are_learned_too(tmp_path: Path) -> None:
    place = folder(tmp_path / "data", 8, (20, 50))
    trained = convolve.train(place, **TILED | {"epochs": 1}, out=tmp_path / "run")
    counted = trained.evaluation.matrix.sum()
    assert counted == trained.evaluation.images * 20 * 50


def test_the_doctor_draws_tiles(data: Path, tmp_path: Path) -> None:
    """Forty of them, where there are twelve pictures."""
    heights = []
    for fit in ("tiles", "stretch"):
        convolve.data(str(data), network=QUICK["network"], size=32, fit=fit, sheet=tmp_path / "sheet.png")
        heights.append(np.asarray(Image.open(tmp_path / "sheet.png")).shape[0])
    assert heights[0] > heights[1]


def test_a_classifier_has_no_tiles(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="Tiles are for masks, as a part of an image need not show its class; take"):
        convolve.train("digits", network="lenet5_keras", fit="tiles", out=tmp_path / "run")
    with pytest.raises(OptionError, match="Tiles are for masks"):
        convolve.data("digits", network="lenet5_keras", fit="tiles", sheet=tmp_path / "sheet.png")
    assert not list(tmp_path.iterdir())
