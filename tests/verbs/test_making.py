"""What a recipe asks of its network beyond the name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import convolve
from convolve.errors import NetworkError
from tests.verbs.pictures import folders

OPTIONS: dict[str, Any] = {"network": "densenet40_cifar", "size": 8, "epochs": 1, "batch": 8, "threads": 1, "progress": False}


def test_saving_memory_gives_the_same_weights(tmp_path: Path) -> None:
    data = folders(tmp_path / "data", {"a": 12, "b": 12})
    for name, saving in (("plain", False), ("saving", True)):
        convolve.train(data, **OPTIONS, save_memory=saving, out=tmp_path / name)
    first, second = (load_file(tmp_path / name / "weights.safetensors") for name in ("plain", "saving"))
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_only_densenets_save_memory_so(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match="No part of resnet18 can recompute its values"):
        convolve.train("digits", network="resnet18", save_memory=True, out=tmp_path / "no")
