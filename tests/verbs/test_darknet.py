"""Training a network that a Darknet `.cfg` describes, from the numbers of a `.weights` file."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

import convolve
from convolve.errors import NetworkError, OptionError, RunError
from convolve.models import create
from convolve.training.checkpoints import RunFiles
from convolve.training.run import open_run
from tests.verbs.synthetic import QUICK, folders, train

CFG = (
    "[net]\nwidth=16\nheight=16\nchannels=3\n[convolutional]\nfilters=4\nsize=3\npad=1\nstride=2\nactivation=relu\n"
    "[convolutional]\nfilters=4\nsize=3\npad=1\nstride=2\nactivation=relu\n[avgpool]\n[connected]\noutput=3\n"
    "activation=linear\n[softmax]\n"
)


def test_a_run_of_a_network_from_a_file_needs_the_file_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = folders(tmp_path / "data", {"a": 16, "b": 16})
    (tmp_path / "own.cfg").write_text(CFG)
    values = [value.detach().numpy() for value in create(str(tmp_path / "own.cfg"), 7).parameters()]
    order = [values[index] for index in (1, 0, 3, 2, 5, 4)]  # biases come before weights
    numbers = b"".join(np.asarray(value, "<f4").tobytes() for value in order)
    (tmp_path / "own.weights").write_bytes(struct.pack("<3iQ", 0, 2, 0, 0) + numbers)
    monkeypatch.chdir(tmp_path)
    options = {name: value for name, value in QUICK.items() if name != "network"}
    train(data, network="own.cfg", weights="own.weights", **options, out=tmp_path / "run")
    run = open_run(tmp_path / "run")
    assert run.recipe.network == os.fspath(tmp_path.resolve() / "own.cfg")
    assert run.manifest.reasons["weights"] == "2 of 3 layers; the others are randomly initialized"
    assert run.manifest.preprocessing.mean == (0.0,) * 3
    before = convolve.evaluate(tmp_path / "run", threads=1, progress=False)
    (tmp_path / "own.cfg").write_text(CFG.replace("relu", "linear"))
    after = convolve.evaluate(tmp_path / "run", threads=1, progress=False)
    assert after.evaluation.as_json() == before.evaluation.as_json()
    (tmp_path / "own.cfg").unlink()
    convolve.evaluate(tmp_path / "run", threads=1, progress=False)
    (tmp_path / "run" / "network.cfg").write_text(CFG.replace("relu", "linear"))
    with pytest.raises(RunError, match=r"network\.cfg is damaged: its content does not match its digest"):
        convolve.evaluate(tmp_path / "run", threads=1, progress=False)


def test_a_stopped_training_goes_on_without_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = folders(tmp_path / "data", {"a": 16, "b": 16})
    (tmp_path / "own.cfg").write_text(CFG)
    (tmp_path / "own.weights").write_bytes(struct.pack("<3iQ", 0, 2, 0, 0) + bytes(4 * (4 + 108)))  # the first layer
    options = QUICK | {"network": str(tmp_path / "own.cfg"), "weights": str(tmp_path / "own.weights"), "epochs": 2}
    train(data, **options, out=tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(RunFiles, "close_epoch", _stop)
        with pytest.raises(KeyboardInterrupt):
            train(data, **options, out=tmp_path / "cut")
    (tmp_path / "own.cfg").unlink()
    train(resume=tmp_path / "cut")
    weights = [(tmp_path / run / "weights.safetensors").read_bytes() for run in ("whole", "cut")]
    assert weights[0] == weights[1]


def _stop(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("channels", [1, 3])
def test_images_get_the_channels_that_the_file_has(tmp_path: Path, channels: int) -> None:
    data = folders(tmp_path / "data", {"a": 16, "b": 16})  # in color
    for path in data.rglob("*.png") if channels == 3 else ():
        with Image.open(path) as image:
            gray = image.convert("L")
        gray.save(path)
    (tmp_path / "own.cfg").write_text(CFG.replace("channels=3", f"channels={channels}"))
    train(data, **QUICK | {"network": str(tmp_path / "own.cfg"), "out": tmp_path / "run"})
    assert open_run(tmp_path / "run").manifest.preprocessing.channels == channels
    weights = load_file(tmp_path / "run" / "weights.safetensors")
    assert next(each.shape[1] for each in weights.values() if each.ndim == 4) == channels


def test_channels_that_no_image_has_are_refused(tmp_path: Path) -> None:
    data = folders(tmp_path / "data", {"a": 16, "b": 16})
    (tmp_path / "own.cfg").write_text(CFG.replace("channels=3", "channels=4"))
    with pytest.raises(NetworkError, match=r"own\.cfg takes images of 4 channels, but images have 1 \(gray\) or 3"):
        train(data, **QUICK | {"network": str(tmp_path / "own.cfg"), "out": tmp_path / "run"})


def test_a_network_of_one_size_names_the_option_that_draws_others(tmp_path: Path) -> None:
    data = folders(tmp_path / "data", {"a": 16, "b": 16})
    options = QUICK | {"network": "alexnet", "size": 64, "multi_scale": 0.6, "out": tmp_path / "run"}
    with pytest.raises(OptionError, match=r"--multi-scale 0\.6 draws images of 32x32 pixels too, which alexnet"):
        train(data, **options)
