"""A run's folder: written once, read back as it was, and never damaged silently."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from safetensors import SafetensorError
from torch import nn

from convolve.datasets.images import ImageFiles
from convolve.datasets.labels import Labels
from convolve.errors import ConvolveError, RunError
from convolve.targets import ArrayTargets
from convolve.tasks.classify.task import Classify
from convolve.training import run as run_files
from convolve.training.evaluation import evaluate_batches, evaluation_mode
from convolve.training.manifest import Manifest
from convolve.training.recipe import Optimization, Recipe
from convolve.training.run import (
    create_run,
    lock,
    new_folder,
    open_run,
    read_splits,
    save_weights,
    write_manifest,
)
from convolve.values import Batch, Dataset, Preprocessing, Splits
from tests.training.small import RUNTIME, training

MANIFEST = Manifest(
    task="classify",
    outputs=2,
    macs=1_000,
    monitored="accuracy",
    state={"classes": ["ä", "b"], "multi_label": False, "temperature": 1 / 3},
    preprocessing=Preprocessing(8, 8, 1, "crop", (0.1 + 0.2,), (1 / 3,)),
    runtime={"device": "cpu", "precision": "fp32"},
    data={"fingerprint": "00"},
    machine={},
    reasons={},
    results={},
)
RECIPE = Recipe("데이터", network="lenet5_keras", optimization=Optimization("sgd", 1 / 3))
SPLITS = Splits(np.array([0, 4]), np.array([1]), np.array([3, 2]), "by hand")


def dataset(*names: str) -> Dataset:
    labels = Labels(np.zeros(len(names), dtype=np.int64), ("ä", "b"))
    return Dataset("somewhere", "folders", "a test", ImageFiles(Path("somewhere"), names), {"labels": labels}, {})


def test_a_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = create_run(tmp_path / "new" / "run", RECIPE, MANIFEST, dataset(*"abcde"), SPLITS)
    read = open_run(written.folder)
    assert read == written
    assert read.manifest.preprocessing.mean == (0.1 + 0.2,)
    write_manifest(read)
    assert open_run(read.folder) == written


def test_splits_are_found_by_name_though_files_came_and_names_repeat(tmp_path: Path) -> None:
    names = ("b", "c", "a", "b", "b (2)")
    run = create_run(tmp_path, RECIPE, MANIFEST, dataset(*names), SPLITS)
    more = read_splits(run, dataset("0", *names, "z"))
    for part in ("train", "validation", "test"):
        assert getattr(more, part).tolist() == [index + 1 for index in getattr(SPLITS, part)]
    assert more.origin == "by hand"
    with pytest.raises(RunError, match=r"somewhere no longer holds c; put it back, or train again\."):
        read_splits(run, dataset("b", "a", "b", "b (2)"))


def test_a_full_disk_keeps_the_old_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "weights.safetensors"
    save_weights(path, nn.Linear(2, 2))
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise SafetensorError("No space left on device")

    monkeypatch.setattr(run_files, "save_file", full)
    with pytest.raises(ConvolveError, match=r"weights\.safetensors cannot be written"):
        save_weights(path, nn.Linear(2, 2))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_damaged_manifest_is_a_sentence(tmp_path: Path) -> None:
    create_run(tmp_path, RECIPE, MANIFEST, dataset(*"abcde"), SPLITS)
    (tmp_path / "manifest.json").write_text('{"task": "classify", "preprocessing": {}}')
    with pytest.raises(RunError, match=r"manifest\.json is damaged"):
        open_run(tmp_path)
    with pytest.raises(RunError, match="is not a run: it has no manifest"):
        open_run(tmp_path / "other")


_WRONG = [{"mean": [1e308]}, {"mean": [-1e5]}, {"std": [1e-308]}, {"std": [1e5]}, {"permutation": -1}]


@pytest.mark.parametrize("changed", [*_WRONG, {"permutation": 1.5}, {"permutation": True}])
def test_pixels_that_cannot_be_are_a_sentence(tmp_path: Path, changed: dict[str, Any]) -> None:
    create_run(tmp_path, RECIPE, MANIFEST, dataset(*"abcde"), SPLITS)
    document = json.loads((tmp_path / "manifest.json").read_text())
    document["preprocessing"] |= changed
    del document["recipe"], document["digests"]
    (tmp_path / "manifest.json").write_text(json.dumps(document))
    with pytest.raises(RunError, match=rf"is damaged \(preprocessing has .*(mean|{next(iter(changed))})"):
        open_run(tmp_path)


def test_evaluation_restores_the_mode_of_every_module() -> None:
    task = cast(Classify, training().task)
    parts = dict(task.network.named_modules())
    task.network.train()
    next(part for part in parts.values() if isinstance(part, nn.BatchNorm2d)).eval()
    modes = {name: part.training for name, part in parts.items()}
    with evaluation_mode(task.network):
        assert not any(part.training for part in parts.values())
    assert {name: part.training for name, part in parts.items()} == modes
    with pytest.raises(ZeroDivisionError), evaluation_mode(task.network):
        1 / 0  # noqa: B018
    assert {name: part.training for name, part in parts.items()} == modes


def test_metrics_and_loss_do_not_depend_on_the_batches() -> None:
    task = cast(Classify, training().task)
    images = np.random.default_rng(1).normal(size=(7, 8, 8, 1)).astype(np.float32)
    targets = np.arange(7, dtype=np.int64)

    def batch(part: slice) -> Batch:
        return Batch(images[part], ArrayTargets(targets[part]), targets[part])

    whole = evaluate_batches(task, [batch(slice(7))], RUNTIME)
    parts = evaluate_batches(task, [batch(slice(start, start + 3)) for start in (0, 3, 6)], RUNTIME)
    assert {"loss", "accuracy", "top5_accuracy", "macro_f1"} <= whole.keys()
    assert parts == pytest.approx(whole, abs=1e-6)
    assert not any(parameter.grad is not None for parameter in task.network.parameters())
    assert torch.is_grad_enabled()


def test_a_new_folder_is_given_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(new_folder, ["a"] * 24))
    assert len(set(made)) == 24
    assert {path.name for path in Path("runs").iterdir()} == {"a", *(f"a-{number}" for number in range(2, 25))}
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    Path("runs").write_text("")
    with pytest.raises(RunError, match=r"runs/a cannot be made \(Not a directory\); choose another --out"):
        new_folder("a")


def test_a_run_is_created_once(tmp_path: Path) -> None:
    folder = tmp_path / "my run"
    create_run(folder, RECIPE, MANIFEST, dataset(*"abcde"), SPLITS)
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    with pytest.raises(RunError, match="already holds a run; choose another --out, or continue it with --resume '"):
        create_run(folder, Recipe("other"), MANIFEST, dataset(*"abcde"), SPLITS)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


@pytest.mark.skipif(os.name == "nt", reason="there are no such locks on Windows")
def test_a_run_is_locked_while_it_is_trained(tmp_path: Path) -> None:
    with lock(tmp_path), pytest.raises(RunError, match="is being trained by another process"), lock(tmp_path):
        pass
    with lock(tmp_path):
        pass
