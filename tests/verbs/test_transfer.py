"""Weights that start a training with other classes, and frozen stages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from convolve import models
from convolve.reports import page
from convolve.setup import frozen_stages
from convolve.training import frozen
from convolve.training.run import open_run, save_weights
from tests.verbs.synthetic import QUICK, STILL, folders, train


def metrics(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_weights_of_another_run_start_the_stages_but_not_the_head(shapes_run: Path, tmp_path: Path) -> None:
    data = folders(tmp_path / "gray", {"dark": 12, "light": 12}, color=False)
    out = tmp_path / "run"
    options = {name: value for name, value in QUICK.items() if name != "size"} | {"seed": 9, "freeze": "stage2"}
    train(data, **options, weights=str(shapes_run), out=out)
    run = open_run(out)
    assert run.manifest.preprocessing.channels == 3  # as the weights have it, though the images are gray
    assert run.manifest.preprocessing.height == 16
    assert run.manifest.preprocessing.mean == open_run(shapes_run).manifest.preprocessing.mean
    assert "head.dense5.weight" in run.manifest.reasons["weights"]
    assert run.manifest.reasons["size"] == f"as {shapes_run} was trained"
    old, new = (load_file(folder / "weights.safetensors") for folder in (shapes_run, out))
    same = {name for name in old if old[name].shape == new[name].shape and torch.equal(old[name], new[name])}
    assert same == {name for name in old if name.startswith("stages.")}
    assert new["head.dense5.weight"].shape == (2, 84)


def test_frozen_stages_keep_their_weights_and_statistics(tmp_path: Path) -> None:
    data = folders(tmp_path / "data", {"a": 17, "b": 16})
    save_weights(tmp_path / "start.safetensors", models.create("resnet18", 2, 3, (32, 32), seed=1))
    options: dict[str, Any] = {"network": "resnet18", "size": 32, "epochs": 1, "batch": 8, "threads": 1, "test": 0}
    train(data, **options, weights=tmp_path / "start.safetensors", freeze="stage3", out=tmp_path / "run")
    old, new = (load_file(tmp_path / name) for name in ("start.safetensors", "run/weights.safetensors"))
    frozen = {name for name in old if name.startswith(("stages.stage1.", "stages.stage2.", "stages.stage3."))}
    assert any("running_mean" in name for name in frozen)
    assert {name for name in old if torch.equal(old[name], new[name])} >= frozen
    moved = {
        name for name in old if name.startswith(("stages.stage5.", "head.")) and not torch.equal(old[name], new[name])
    }
    assert len(moved) > 10


@pytest.mark.parametrize("balance", ["none", "sampler"])
def test_frozen_stages_computed_once_train_alike(
    balance: str, shapes: Path, shapes_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = QUICK | STILL | {"weights": shapes_run, "freeze": "stage1", "epochs": 2, "seed": 4, "balance": balance}
    monkeypatch.setattr(page, "write_report", lambda *_: None)
    train(shapes, **options, out=tmp_path / "once")
    monkeypatch.setattr(frozen_stages, "memory_budget", lambda: 0)
    train(shapes, **options, out=tmp_path / "always")
    first, second = (metrics(tmp_path / name) for name in ("once", "always"))
    assert [line.keys() for line in first] == [line.keys() for line in second]
    for one, other in zip(first, second, strict=True):
        assert list(one.values()) == pytest.approx(list(other.values()), abs=2e-4)


def test_mixup_is_not_done_on_cached_maps(
    shapes: Path, shapes_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = QUICK | STILL | {"weights": shapes_run, "freeze": "stage1", "mixup": 0.4}
    monkeypatch.setattr(frozen, "cache_features", pytest.fail)
    trained = train(shapes, **options, out=tmp_path / "run")
    assert trained.epoch == 1
