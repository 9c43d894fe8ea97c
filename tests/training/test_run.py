"""A run's folder: written once, read back as it was, and damaged in no silent way."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from safetensors import SafetensorError
from torch import nn

from convolve.datasets.images import ImageFiles
from convolve.errors import ConvolveError, RunError
from convolve.tasks.classify import Classify
from convolve.training import run as run_files
from convolve.training.evaluation import evaluation_mode, score
from convolve.training.recipe import Optimization, Recipe
from convolve.training.run import Manifest, create_run, open_run, read_splits, save_weights, write_manifest
from convolve.values import Batch, Dataset, Labels, Preprocessing, Splits
from tests.training.small import RUNTIME, training

MANIFEST = Manifest(
    task="classify",
    classes=("ä", "b"),
    multiple=False,
    monitored="accuracy",
    preprocessing=Preprocessing(8, 8, 1, "crop", (0.1 + 0.2,), (1 / 3,)),
    runtime={"device": "cpu"},
    data={"fingerprint": "00"},
    machine={},
    reasons={},
    results={},
)
RECIPE = Recipe("데이터", network="lenet5_keras", optimization=Optimization("sgd", 1 / 3))
SPLITS = Splits(np.array([0, 4]), np.array([1]), np.array([3, 2]), "by hand")


def dataset(*names: str) -> Dataset:
    labels = Labels(np.zeros(len(names), dtype=np.int64), ("ä", "b"))
    return Dataset("somewhere", "folders", "a test", ImageFiles(Path("somewhere"), names), labels, {})


def test_a_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = create_run(tmp_path / "new" / "run", RECIPE, MANIFEST, dataset(*"abcde"), SPLITS)
    read = open_run(written.folder)
    assert read == written
    assert read.manifest.preprocessing.mean == (0.1 + 0.2,)
    write_manifest(read.folder, MANIFEST)
    assert open_run(read.folder) == written


def test_splits_are_found_by_name_though_files_came_and_names_repeat(tmp_path: Path) -> None:
    names = ("b", "c", "a", "b", "b (2)")
    run = create_run(tmp_path, RECIPE, MANIFEST, dataset(*names), SPLITS)
    more = read_splits(run.folder, dataset("0", *names, "z"))
    for part in ("train", "validation", "test"):
        assert getattr(more, part).tolist() == [index + 1 for index in getattr(SPLITS, part)]
    assert more.origin == "by hand"
    with pytest.raises(RunError, match=r"somewhere no longer holds c \(1 images"):
        read_splits(run.folder, dataset("b", "a", "b", "b (2)"))


def test_a_full_disk_keeps_the_old_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "weights.safetensors"
    save_weights(place, nn.Linear(2, 2))
    before = place.read_bytes()

    def full(*_: object) -> None:
        raise SafetensorError("No space left on device")

    monkeypatch.setattr(run_files, "save_file", full)
    with pytest.raises(ConvolveError, match=r"weights\.safetensors cannot be written"):
        save_weights(place, nn.Linear(2, 2))
    assert place.read_bytes() == before
    assert list(tmp_path.iterdir()) == [place]


def test_scoring_gives_every_part_its_own_mode_back() -> None:
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


def test_scores_do_not_depend_on_the_batches() -> None:
    task = cast(Classify, training().task)
    images = np.random.default_rng(1).normal(size=(7, 8, 8, 1)).astype(np.float32)
    targets = np.arange(7, dtype=np.int64)
    whole = score(task, [Batch(images, targets, targets)], RUNTIME)
    parts = score(
        task, [Batch(images[at : at + 3], targets[at : at + 3], targets[at : at + 3]) for at in (0, 3, 6)], RUNTIME
    )
    assert parts.scores == pytest.approx(whole.scores, abs=1e-6)
    assert parts.indices.tolist() == list(range(7))
    assert not any(parameter.grad is not None for parameter in task.network.parameters())
    assert torch.is_grad_enabled()
