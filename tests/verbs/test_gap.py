"""`--gap`: a network that has learned gets the head of class activation maps, and is tuned with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional as F

import convolve
from convolve.errors import NetworkError
from convolve.explainers.cam import averaging_head, cam
from convolve.explainers.methods import attributions
from convolve.explainers.score_targets import ClassScore
from convolve.setup.restore import restore_task
from convolve.setup.runtime_options import RuntimeOptions
from convolve.training.checkpoints import RunFiles
from convolve.training.recipe import read_recipe, write_recipe
from convolve.training.run import open_run
from tests.verbs.synthetic import train

OPTIONS: dict[str, Any] = {
    "network": "lenet5_keras",
    "gap": True,
    "size": 16,
    "epochs": 2,
    "learning_rate": 0.003,
    "threads": 1,
    "seed": 3,
}


@pytest.fixture(scope="module")
def pooled(digits_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("gap") / "pooled"
    train("digits", **OPTIONS, weights=digits_run, freeze="stage1", out=out)
    return out


def test_the_stages_come_from_the_weights_but_not_the_head(pooled: Path, digits_run: Path) -> None:
    before, after = (load_file(run / "weights.safetensors") for run in (digits_run, pooled))
    frozen = [name for name in after if name.startswith("stages.stage1.")]
    assert frozen
    assert all(torch.equal(before[name], after[name]) for name in frozen)
    tuned = [name for name in after if name.startswith("stages.") and name not in frozen]
    assert all(F.cosine_similarity(before[name].flatten(), after[name].flatten(), 0) > 0.8 for name in tuned)
    assert after["head.fc.weight"].shape == (10, 1024)
    assert "--gap" in open_run(pooled).manifest.reasons["weights"]


def test_its_maps_are_exact(pooled: Path, digits_run: Path) -> None:
    """The mean of the map is the class's score without its bias."""
    task, runtime = restore_task(open_run(pooled), RuntimeOptions(precision="fp32", threads=1))
    assert averaging_head(task.network)
    assert averaging_head(restore_task(open_run(digits_run), RuntimeOptions())[0].network) is None
    images = runtime.images(np.random.default_rng(0).normal(size=(4, 16, 16, 1)).astype(np.float32))
    classes = torch.tensor([0, 3, 5, 9])
    means = cam(task.network, images, ClassScore(classes), None).mean((1, 2))
    with torch.no_grad():
        bias = task.network.head.get_submodule("fc").get_parameter("bias")
        scores = task.network(images).gather(1, classes[:, None])[:, 0]
        torch.testing.assert_close(means, scores - bias[classes], rtol=1e-4, atol=1e-4)
    assert attributions(task.network, "cam", images, ClassScore(classes)).shape == (4, 16, 16)


def test_the_run_is_evaluated_and_explained_by_cam(pooled: Path, tmp_path: Path) -> None:
    found = convolve.evaluate(pooled, threads=1, progress=False, report=tmp_path / "page.html").evaluation
    stored = json.loads((pooled / "manifest.json").read_text())["results"]["test"]["metrics"]
    assert found.metrics["accuracy"] == pytest.approx(stored["accuracy"])
    assert found.metrics["accuracy"] > 0.5
    explained = convolve.explain(pooled, threads=1, out=tmp_path / "out", progress=False)
    assert [method.method for method in explained.methods] == ["cam"]


def test_it_is_in_the_recipe(pooled: Path, digits_run: Path, tmp_path: Path) -> None:
    recipe = read_recipe(pooled / "recipe.toml")
    assert recipe.transfer.gap is True
    write_recipe(tmp_path / "again.toml", recipe)
    assert read_recipe(tmp_path / "again.toml") == recipe
    assert read_recipe(digits_run / "recipe.toml").transfer.gap is False


def test_its_weights_start_another_with_the_same_head(pooled: Path, tmp_path: Path) -> None:
    train("digits", **OPTIONS | {"learning_rate": 1e-12}, weights=pooled, out=tmp_path / "run")
    before, after = (load_file(run / "weights.safetensors") for run in (pooled, tmp_path / "run"))
    for name, value in before.items():
        torch.testing.assert_close(after[name], value, rtol=0, atol=1e-6)


def test_stopped_it_continues_to_the_same_bytes(pooled: Path, digits_run: Path, tmp_path: Path) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunFiles, "close_epoch", stop)
        with pytest.raises(KeyboardInterrupt):
            train("digits", **OPTIONS, weights=digits_run, freeze="stage1", out=tmp_path / "run")
    train(resume=tmp_path / "run")
    for name in ("weights.safetensors", "metrics.jsonl"):
        assert (tmp_path / "run" / name).read_bytes() == (pooled / name).read_bytes()


@pytest.mark.parametrize(
    ("network", "words"),
    [
        ("resnet18", "ends in global average pooling already"),
        ("mlp_30", "has no map to average"),
        ("fcn32s_vgg16", "leave out --gap"),
    ],
)
def test_where_it_makes_no_sense(network: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match=words):
        train(tmp_path / "no data is read", **OPTIONS | {"network": network}, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
