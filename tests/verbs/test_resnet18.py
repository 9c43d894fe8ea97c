"""What the README begins with: ResNet-18 on photographs at 224 pixels, with several threads, in both number formats.

Killed in the middle and resumed, it ends with the same bits.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from convolve.training import checkpoints
from tests.verbs.synthetic import corner_image, save

_SAVE_AFTER_EVERY_STEP = """
from convolve.training.checkpoints import RunFiles

RunFiles.due = lambda files, ending=False: True
"""
_MAIN = "from convolve.cli import main\nmain()"
FILES = ("weights.safetensors", "metrics.jsonl", "checkpoints/best.safetensors")


def start(*words: object, before: str = "") -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", before + _MAIN, *map(str, words), "--quiet"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def finish(process: subprocess.Popen[bytes]) -> None:
    assert process.wait(300) == 0


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 color images, large enough to count as photographs."""
    root, random = tmp_path_factory.mktemp("photographs"), np.random.default_rng(0)
    for index in range(24):
        name = ("cats", "dogs")[index % 2]
        save(root / name / f"{index}.jpg", corner_image([index % 2], random, side=240))
    return root


def kill_within_an_epoch(process: subprocess.Popen[bytes], run: Path) -> None:
    """Kill it once it has saved the state after its second step or a later one."""
    path, times, deadline = run / "checkpoints" / "last.safetensors", set[int](), time.monotonic() + 120
    while len(times) < 3:  # before the first step, after it, after the second
        assert process.poll() is None
        assert time.monotonic() < deadline
        if path.exists():
            times.add(path.stat().st_mtime_ns)
        time.sleep(0.005)
    process.kill()
    process.wait()


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_killed_and_resumed_it_ends_with_the_same_bits(precision: str, photographs: Path, tmp_path: Path) -> None:
    options = ("--network", "resnet18", "--epochs", 2, "--batch", 4, "--threads", 2, "--precision", precision)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    finish(start("train", photographs, *options, "--out", whole))
    process = start("train", photographs, *options, "--out", killed, before=_SAVE_AFTER_EVERY_STEP)
    kill_within_an_epoch(process, killed)
    found = checkpoints.load(killed / "checkpoints")
    assert found is not None
    assert (found.state.epoch, found.state.step) >= (0, 2)
    assert not found.state.ended
    assert not (killed / "weights.safetensors").exists()
    finish(start("train", "--resume", killed))
    for name in FILES:
        assert (killed / name).read_bytes() == (whole / name).read_bytes()
    manifest = json.loads((whole / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["preprocessing"]["height"] == 224
    assert {name: manifest["runtime"][name] for name in ("precision", "threads")} == {
        "precision": precision,
        "threads": 2,
    }
    lines = (whole / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    losses = [json.loads(line)["train_loss"] for line in lines]
    assert len(losses) == 2
    assert np.isfinite(losses).all()
    assert "\nflip = true" in (whole / "recipe.toml").read_text(encoding="utf-8")
