"""`convolve sweep`: combinations of values, chosen on validation; the test split is used for the best alone."""

from __future__ import annotations

import json
import math
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import convolve
from convolve.errors import Interrupted, OptionError, TrainingError
from convolve.progress import Listener
from convolve.training.run import open_run
from convolve.verbs import train as train_command
from convolve.verbs.sweep import Grid, Sweep, read_grid, render
from convolve.verbs.train import Folds, Train, Trained
from tests.verbs.synthetic import QUICK, train

TINY = QUICK | {"subset": 128, "batch": 8, "epochs": 2}


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train("digits", **TINY, out=tmp_path_factory.mktemp("sweep") / "run").run


def test_the_best_is_chosen_on_validation_and_tested_once(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figure = tmp_path / "sweep.svg"
    found = convolve.sweep(
        recipe, learning_rate="1e-6:1e-2", points=3, out=tmp_path / "runs", figure=figure, threads=1, progress=False
    )
    assert [one.values["learning_rate"] for one in found.tried] == [1e-6, 1e-4, 1e-2]
    scores = [one.scores[0] for one in found.tried]
    assert found.best == found.tried[scores.index(max(scores))]
    assert found.best.values == {"learning_rate": 1e-2}
    for one in found.tried:
        run = open_run(found.folder / f"learning_rate-{one.values['learning_rate']}" / "seed-0")
        assert run.recipe.optimization.learning_rate == one.values["learning_rate"]
        assert set(run.manifest.results) == {"epoch", "ended", "validation"}
        assert run.manifest.results["validation"]["metrics"]["accuracy"] == one.scores[0]
        assert (run.folder / "evaluation.html").exists() == (one == found.best)
    best = found.recipe.parent
    assert found.test == (convolve.evaluate(best, threads=1, progress=False).evaluation.metrics["accuracy"],)
    assert found.images == len(json.loads((best / "splits.json").read_text())["test"])
    json.dumps(found.as_json())
    console = Console(width=120)
    with console.capture() as written:
        for part in render(found):
            console.print(part)
    assert "interval" in written.get()
    words = [str(element.text) for element in ET.parse(figure).iter("{http://www.w3.org/2000/svg}text")]  # noqa: S314
    assert {"learning rate", "1e-06", "0.0001", "0.01"} <= set(words)

    def fail(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(train_command, "run", fail)  # what has ended is not trained again
    again = convolve.sweep(
        recipe, learning_rate="1e-6:1e-2", points=3, out=tmp_path / "runs", threads=1, progress=False
    )
    assert again.tried == found.tried


def test_a_training_that_diverges_is_a_result(recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = train_command.run

    def diverge(options: Train, listener: Listener) -> Trained | Folds:
        if options.training.optimization.learning_rate == 0.5:
            raise TrainingError("The loss became non-finite; train again.")
        return real(options, listener)

    monkeypatch.setattr(train_command, "run", diverge)
    found = convolve.sweep(recipe, learning_rate="0.5,0.01", out=tmp_path / "runs", threads=1, progress=False)
    assert [bool(one.scores) for one in found.tried] == [False, True]
    assert found.tried[0].error == "The loss became non-finite"
    assert found.best == found.tried[1]
    with pytest.raises(TrainingError, match="None of the 1 combinations could be trained; the first: The loss"):
        convolve.sweep(recipe, learning_rate="0.5", out=tmp_path / "none", threads=1, progress=False)


def test_a_stop_is_no_result(recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(options: Train, listener: Listener) -> Trained:
        del options, listener
        raise Interrupted("Stopped in epoch 1; continue with: convolve train --resume runs/one")

    monkeypatch.setattr(train_command, "run", stop)
    with pytest.raises(Interrupted, match=r"Stopped in epoch 1 of .*; the same command with the same --out goes on"):
        convolve.sweep(recipe, learning_rate="0.5,0.01", out=tmp_path / "runs", threads=1, progress=False)


def test_a_grid_is_read_as_the_options_are() -> None:
    def grid(points: int = 5, seeds: int = 1, **texts: str) -> dict[str, list[object]]:
        return read_grid(Sweep(Path("recipe.toml"), grid=Grid(**texts), points=points, seeds=seeds))

    assert grid(learning_rate="1e-4:1e-1", points=4) == {"learning_rate": [0.0001, 0.001, 0.01, 0.1]}
    assert grid(batch="8:128") == {"batch": [8, 16, 32, 64, 128]}
    assert grid(batch="2:4", points=5) == {"batch": [2, 3, 4]}
    assert grid(optimizer="sgd, adam", rotate="0,10") == {"rotate": [0.0, 10.0], "optimizer": ["sgd", "adam"]}
    refused: tuple[tuple[dict[str, Any], str], ...] = (
        ({"learning_rate": "0:1"}, "two numbers above 0"),
        ({"learning_rate": "1:0.1"}, "the smaller one first"),
        ({"batch": "8,sixteen"}, "neither a list of whole numbers"),
        ({"batch": "8,16.5"}, "neither a list of whole numbers"),
        ({"learning_rate": "1:2:3"}, "neither a list of numbers"),
        ({}, "Name what to try"),
    )
    for texts, message in refused:
        with pytest.raises(OptionError, match=message):
            grid(**texts)
    with pytest.raises(OptionError, match="1,250 trainings"):
        grid(learning_rate="1e-4:1", rotate="1:180", points=25, seeds=2)
    assert math.isclose(float(str(grid(learning_rate="0.001:1", points=3)["learning_rate"][1])), 0.03162)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"optimizer": "sgd,magic"}, "optimizer cannot be 'magic'"),
        ({"momentum": "0.5,2"}, "momentum cannot be 2"),
        ({"network": "lenet5,lenet99"}, "lenet99"),
    ],
)
def test_a_wrong_value_is_known_before_the_first_training(
    recipe: Path, tmp_path: Path, values: dict[str, str], message: str
) -> None:
    with pytest.raises(convolve.ConvolveError, match=message):
        convolve.sweep(recipe, **values, out=tmp_path / "runs", progress=False)  # type: ignore[arg-type]
    assert not (tmp_path / "runs").exists()
    with pytest.raises(OptionError, match="leave out --figure"):
        convolve.sweep(recipe, optimizer="sgd,adam", figure=tmp_path / "a.svg", progress=False)
