"""Fuzzers of what convolve wrote itself, and of weights and recipes from anywhere."""

from __future__ import annotations

import io
import json
import shutil
import tempfile
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import Final

import numpy as np
import torch
from safetensors.torch import save as save_tensors

import convolve
from convolve.datasets.cache_files import load as load_cache
from convolve.datasets.layouts import open_dataset
from convolve.interop.weights import read_weights
from convolve.setup.restore import restore_task
from convolve.setup.run_report import read_training
from convolve.setup.runtime_options import RuntimeOptions
from convolve.training import checkpoints
from convolve.training.recipe import read_recipe
from convolve.training.run import CHECKPOINTS, open_run, read_splits
from tests.fuzz.reader import put, register

_WITHOUT: Final = frozenset(("report.html", "contact_sheet.png"))


@cache
def _finished_run() -> Path:
    """A small run that has ended, in a folder that vanishes with the process."""
    folder = Path(_kept().name)
    convolve.train(
        "digits", network="lenet5_keras", size=16, epochs=1, seed=1, threads=1, progress=False, out=folder / "run"
    )
    manifest = folder / "run" / "manifest.json"
    document = json.loads(manifest.read_text())
    for key in ("digests", "recipe"):  # or else every change would end at a digest: see tests/training/bit_flips.py
        del document[key]
    manifest.write_text(json.dumps(document))
    return folder / "run"


@cache
def _kept() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory()


def _seed(name: str) -> Sequence[bytes]:
    return [(_finished_run() / name).read_bytes()]


def _read_run(content: bytes, folder: Path, name: str) -> None:
    """What evaluating and predicting read of a run's folder, one file of which has changed."""
    source = _finished_run()
    for path in source.rglob("*"):
        if path.is_file() and path.name not in _WITHOUT:
            put(folder, {str(path.relative_to(source)): b""})
            (folder / path.relative_to(source)).unlink()
            (folder / path.relative_to(source)).symlink_to(path)
    (folder / name).unlink()
    put(folder, {name: content})
    run = open_run(folder)
    if name == "metrics.jsonl":
        read_training(run, lambda _: None)
    elif name == "splits.json":
        read_splits(run, open_dataset("digits"))
    elif name.startswith(CHECKPOINTS):
        checkpoints.load(folder / CHECKPOINTS)
    else:
        restore_task(run, RuntimeOptions(threads=1))


def _read_recipe(content: bytes, folder: Path) -> None:
    put(folder, {"recipe.toml": content})
    read_recipe(folder / "recipe.toml")


def _tensors() -> dict[str, torch.Tensor]:
    return {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.zeros(2, dtype=torch.float16)}


def _saved(legacy: bool) -> bytes:
    stream = io.BytesIO()
    torch.save(_tensors(), stream, _use_new_zipfile_serialization=not legacy)
    return stream.getvalue()


def _weights(name: str) -> Sequence[bytes]:
    return [save_tensors(_tensors()) if "safe" in name else _saved(legacy="legacy" in name)]


def _read_weights(content: bytes, folder: Path, name: str) -> None:
    put(folder, {name: content})
    for tensor in read_weights(folder / name).values():
        tensor.float().sum()


@cache
def _cache_folder() -> Path:
    """A finished pixel cache."""
    from convolve.datasets.cache import open_cache
    from tests.datasets.synthetic import files, preprocessing

    folder = Path(_kept().name)
    images = files(folder / "images", [(20, 30), (30, 20), (25, 25)])
    open_cache(images, preprocessing(16, 16), folder / "cache", 10**9)
    return next(path for path in (folder / "cache").iterdir() if path.is_dir() and not path.name.startswith("."))


def _cache_file(name: str) -> Sequence[bytes]:
    return [(_cache_folder() / name).read_bytes()]


def _read_cache(content: bytes, folder: Path, name: str) -> None:
    """A damaged cache is one that is not there, or an image that is read again; never wrong pixels."""
    source = _cache_folder()
    whole = load_cache(Path(shutil.copytree(source, folder / "whole" / source.name)))
    copied = Path(shutil.copytree(source, folder / source.name))
    (copied / name).write_bytes(content)
    try:
        damaged = load_cache(copied)
    except (OSError, ValueError):
        return
    assert len(damaged) == len(whole)
    for index in range(len(whole)):
        wrong = damaged.is_intact(index) and not np.array_equal(damaged.get(index), whole.get(index))
        assert not wrong, f"wrong pixels of image {index}"


for _name, _file in (
    ("metrics", "metrics.jsonl"),
    ("splits", "splits.json"),
    ("manifest", "manifest.json"),
    ("run-recipe", "recipe.toml"),
    ("run-weights", "weights.safetensors"),
    ("checkpoint", f"{CHECKPOINTS}/last.safetensors"),
):
    register(
        _name,
        "training.run training.manifest training.checkpoints setup.run_report",
        partial(_seed, _file),
        partial(_read_run, name=_file),
    )
register("recipe", "training.recipe", lambda: _seed("recipe.toml"), _read_recipe)
for _name, _file in (("weights-pth", "a.pth"), ("weights-legacy", "a.pt"), ("weights-safe", "a.safetensors")):
    register(
        _name,
        "interop.weights interop.torchvision untrusted.weights untrusted.pickles",
        partial(_weights, _name),
        partial(_read_weights, name=_file),
    )
for _name in ("index.bin", "digests.bin", "measurements.bin", "pixels.bin"):
    register(
        f"cache-{_name.split('.')[0]}",
        "datasets.cache_files",
        partial(_cache_file, _name),
        partial(_read_cache, name=_name),
    )
