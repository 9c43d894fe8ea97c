"""A network of one's own does what one with a name does: it is trained, opened again, explained and exported."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import convolve
from convolve.choices import AttributionMethod
from convolve.errors import NetworkError, RunError
from convolve.tasks.classify.prediction import ClassPrediction
from convolve.verbs.train import Trained
from tests.models.own_networks import SIMPLE
from tests.test_cli import Command
from tests.verbs.synthetic import corner_image, save

TEXT = f"{SIMPLE} | dense classes softmax"
AVERAGED = """
title = "One block"

[[block]]
layers = "conv 8 3 same relu"

[[block]]
residual = "conv 8 3 same"
then = "relu"

[[block]]
layers = "pool 2 | conv 16 3 same relu | gap | dense classes"
"""


def train(network: str, out: Path) -> Trained:
    found = convolve.train("digits", network=network, epochs=2, size=16, out=out, threads=1, progress=False)
    assert isinstance(found, Trained)
    return found


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(TEXT, tmp_path_factory.mktemp("own") / "run").run


@pytest.fixture(scope="module")
def averaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a file that is gone."""
    folder = tmp_path_factory.mktemp("averaged")
    path = folder / "one.toml"
    path.write_text(AVERAGED)
    found = train(str(path), folder / "run").run
    path.unlink()
    return found


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "digit.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 20)).astype(np.uint8)).save(path)
    return path


def test_it_learns_what_the_lectures_network_learns(run: Path, tmp_path: Path) -> None:
    listed = train("simple_cnn", tmp_path / "listed")
    metrics = [json.loads((each / "metrics.jsonl").read_text().splitlines()[-1]) for each in (run, listed.run)]
    own, published = ({name: each[name] for name in each if "gradient_norm" not in name} for each in metrics)
    assert own == published  # but for the stages, to which the layers belong otherwise
    head = "gradient_norm_head"
    assert metrics[0][head] == metrics[1][head]


def test_a_run_keeps_its_text_and_its_layers(run: Path) -> None:
    assert tomllib.loads((run / "recipe.toml").read_text())["network"] == TEXT
    kept = json.loads((run / "network.json").read_text())
    assert (kept["input"], kept["initializer"], kept["layers"][-1]["kind"]) == (
        [1, 16, 16],
        "glorot_uniform",
        "softmax",
    )
    assert "network.json" in json.loads((run / "manifest.json").read_text())["digests"]
    again = convolve.train(recipe=run / "recipe.toml", out=run.parent / "again", threads=1, progress=False)
    assert isinstance(again, Trained)
    assert (again.run / "metrics.jsonl").read_text() == (run / "metrics.jsonl").read_text()


@pytest.mark.parametrize("name", ["run", "averaged"])
def test_a_run_is_opened_again(name: str, image: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue(name)
    evaluated = convolve.evaluate(folder, progress=False)
    stored = json.loads((folder / "manifest.json").read_text())["results"]["test"]["metrics"]["accuracy"]
    assert evaluated.evaluation.metrics["accuracy"] == pytest.approx(stored)
    predicted = convolve.predict(folder, [str(image)], csv=tmp_path / "found.csv", progress=False)
    assert len(predicted.predictions) == 1
    method: AttributionMethod = "cam" if name == "averaged" else "grad-cam"
    explained = convolve.explain(folder, [str(image)], method=method, out=tmp_path / "why", progress=False)
    assert explained.as_json()
    assert np.load(tmp_path / "why" / "attributions.npz")["attributions"].std() > 0


def test_its_maps_are_shown(run: Path, image: Path, tmp_path: Path) -> None:
    convolve.explain(run, [str(image)], show="feature-maps", out=tmp_path / "maps", progress=False)
    assert any((tmp_path / "maps").iterdir())


def test_it_is_exported(run: Path, image: Path, tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    convolve.export(run, out=tmp_path / "out", progress=False)
    found = [convolve.predict(each, [str(image)], progress=False).predictions[0] for each in (run, tmp_path / "out")]
    rows = [each for each in found if isinstance(each, ClassPrediction)]
    assert rows[0].label == rows[1].label
    assert rows[0].confidence == pytest.approx(rows[1].confidence, abs=0.01)


def test_it_is_compared(run: Path, averaged: Path) -> None:
    other = "conv 4 3 relu | gap | dense 10"
    found = convolve.compare([str(run), str(averaged), other], threads=1, progress=False).runs
    assert [row.network for row in found[1:]] == ["One block", other]
    assert found[0].network.startswith("conv 8 3 same relu | pool 2")
    assert [row.parameters for row in found] == [80 + 1_168 + 2_320 + 1_088 + 650, 80 + 584 + 1_168 + 170, 90]


def test_a_wrong_text_is_not_taken_for_a_folder(run: Path) -> None:
    for text in ("conv 4 3 | pol 2", "tanh | " * 300 + "pol 2"):
        with pytest.raises(NetworkError, match=r"'pol' is no layer; did you mean 'pool'\?"):
            convolve.compare([str(run), text], threads=1, progress=False)


def test_the_size_follows_the_images(tmp_path: Path) -> None:
    text = "conv 4 3 same relu | pool 2 | flatten | dense classes"
    for side, size in ((40, 40), (12, 28)):
        for number in range(24):
            pixels = corner_image([number % 2], np.random.default_rng(number), side)
            save(tmp_path / str(side) / "ab"[number % 2] / f"{number}.jpg", pixels)
        found = convolve.train(
            tmp_path / str(side), network=text, epochs=1, out=tmp_path / f"run{side}", threads=1, progress=False
        )
        assert isinstance(found, Trained)
        assert tomllib.loads((found.run / "recipe.toml").read_text())["size"] == size


def test_another_number_of_units_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(
        NetworkError, match=r"'dense 9' makes the network give 9 scores for 10 classes; write 'dense 10'"
    ):
        train("flatten | dense 9", tmp_path / "run")
    with pytest.raises(NetworkError, match=r"gives scores for pixels, but the task classify needs them for the whole"):
        train("conv 8 3 same relu | conv classes 1", tmp_path / "run")


def test_on_the_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    command = Command(monkeypatch, capsys)
    figure = tmp_path / "own.svg"
    done = command("networks", TEXT, "--input", "1x28x28", "--figure", str(figure))
    assert (done.code, figure.exists()) == (0, True)
    assert "head.layers.dense5" in done.out
    assert command.refused("networks", "conv 8 3 smae | gap").endswith("did you mean 'same'?")


def test_folders_are_not_called_by_a_text(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    found = convolve.train("digits", network="flatten | dense classes", epochs=1, progress=False)
    assert isinstance(found, Trained)
    assert found.run == Path("runs/digits-network")


def test_a_damaged_definition_is_named(run: Path) -> None:
    path = run / "network.json"
    whole = path.read_text()
    path.write_text(whole.replace('"out": 16', '"out": 17'))
    with pytest.raises(RunError, match=r"network\.json"):
        convolve.evaluate(run, progress=False)
    path.write_text(whole)
