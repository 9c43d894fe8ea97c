"""A training of a changed network, and everything that is done with its run afterwards."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

import convolve
from convolve import models
from convolve.errors import ConvolveError, NetworkError, OptionError, WeightsError
from convolve.layers.design import Design
from convolve.setup.prepare import build_network, prepare
from convolve.setup.restore import restore_task
from convolve.setup.runtime_options import RuntimeOptions
from convolve.training.recipe import Recipe, Transfer, read_recipe
from convolve.training.run import network_label, open_run
from convolve.verbs.networks.layer_table import Layers
from tests.verbs.synthetic import QUICK, folders, train

DESIGN = Design(activation="relu", pooling="max", normalization="batch", dropout=0.1, width=2.0)
KEYWORDS = {"activation": "relu", "pooling": "max", "normalization": "batch", "dropout": 0.1, "width": 2}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("design")
    data = folders(root / "data", {"a": 24, "b": 24}, color=False)
    return train(data, **{**QUICK, "epochs": 2}, **KEYWORDS, out=root / "run").run


def test_a_run_keeps_its_network(run: Path) -> None:
    recipe = read_recipe(run / "recipe.toml")
    assert recipe.design == DESIGN
    task, _ = restore_task(open_run(run), RuntimeOptions(threads=1))
    network = models.create("lenet5_keras", 2, 1, (16, 16), design=DESIGN)
    network.load_state_dict(task.network.state_dict())
    images = torch.randn(2, 1, 16, 16)
    assert task.network.design == DESIGN
    assert torch.equal(network.eval()(images), task.network(images))
    assert network_label(open_run(run)) == (
        "lenet5_keras --activation relu --dropout 0.1 --normalization batch --pooling max --width 2"
    )


def test_predict_explain_export_and_compare(run: Path, tmp_path: Path) -> None:
    image = run.parent / "data" / "a" / "0.png"
    predicted = convolve.predict(run, image, threads=1, progress=False).as_json()
    found = convolve.explain(run, image, method="grad-cam", threads=1, out=tmp_path / "why", progress=False)
    assert found.images[0].scores
    written = convolve.export(run, out=tmp_path / "export", to="openvino", threads=1, progress=False)
    assert written.as_json()
    exported = convolve.predict(tmp_path / "export", image, threads=1, progress=False).as_json()
    confidences = [each["predictions"][0]["confidence"] for each in (predicted, exported)]
    assert confidences[0] == pytest.approx(confidences[1], abs=2e-3)
    rows = convolve.compare([run, "lenet5_keras"], threads=1, progress=False).runs
    network = models.create("lenet5_keras", 2, 1, (16, 16), design=DESIGN)
    assert rows[0].parameters == sum(value.numel() for value in network.parameters())
    assert rows[0].network == network.label


def test_a_training_from_a_run_has_its_network(run: Path) -> None:
    data = str(run.parent / "data")
    recipe = Recipe(data, network="lenet5_keras", epochs=1, transfer=Transfer(weights=str(run)))
    prepared = prepare(recipe, RuntimeOptions(threads=1))
    assert prepared.prepared.recipe.design == replace(DESIGN, dropout=None)
    assert prepared.reasons["width"] == f"as {run} was trained"
    assert prepared.reasons["weights"] == "all of them fit"
    changed = prepare(replace(recipe, design=Design(activation="tanh")), RuntimeOptions(threads=1))
    assert changed.prepared.recipe.design.activation == "tanh"
    assert changed.reasons["activation"] == "although the weights were trained without it"
    with pytest.raises(WeightsError, match="are not for a network with --width 1; leave that out"):
        prepare(replace(recipe, design=Design(width=1.0)), RuntimeOptions(threads=1))
    with pytest.raises(WeightsError, match="--initializer draws new weights in place of those of"):
        prepare(replace(recipe, design=Design(initializer="he")), RuntimeOptions(threads=1))


def test_heads_of_class_activation_maps_follow(run: Path) -> None:
    preprocessing = open_run(run).manifest.preprocessing
    recipe = Recipe(network="lenet5_keras", design=DESIGN, transfer=Transfer(gap=True))
    network, _ = build_network(recipe, 2, preprocessing)
    assert network.design == DESIGN
    assert network(torch.zeros(1, 1, 16, 16)).shape == (1, 2)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"network": "vgg11", "connections": "full"}, NetworkError, "vgg11 is not LeNet-5"),
        ({"network": "lenet5_keras", "auxiliary": False}, NetworkError, "leave out --no-auxiliary"),
        ({"network": "lenet5_keras", "width": 0.3}, NetworkError, "nearest factors are"),
        ({"activation": "tanh"}, OptionError, "Name the --network that --activation tanh is to change"),
    ],
)
def test_refused_in_advance(options: dict[str, object], error: type[ConvolveError], words: str, run: Path) -> None:
    with pytest.raises(error, match=words):
        train(run.parent / "data", **options)


def test_the_layer_table_shows_the_change_and_the_options() -> None:
    found = convolve.networks("lenet5", activation="relu", pooling="max")
    assert isinstance(found, Layers)
    document = found.as_json()
    assert document["design"] == {"activation": "relu", "pooling": "max"}
    assert document["options"] == [
        *("activation", "initializer", "dropout", "normalization", "pooling", "pool_window", "pool_stride", "width"),
        "connections",
    ]
    assert [layer["type"] for layer in document["layers"]][:4] == ["Conv2d", "ReLU", "MaxPool2d", "ReLU"]
    assert document["parameters"] == 60_000 - 2 * (6 + 16)
    with pytest.raises(OptionError, match="--width 2 needs a network; write `convolve networks NAME --width 2`"):
        convolve.networks(width=2)
