"""The network that a recipe asks for, and the weights that it starts from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torchvision import models
from torchvision.models import WeightsEnum

from convolve.errors import NetworkError, WeightsError
from convolve.models import create
from convolve.setup.network import find_starting_weights
from convolve.training.run import open_run
from tests.verbs.synthetic import folders, train

NAME = "torchvision/squeezenet1_1"
DENSE: dict[str, Any] = {
    "network": "densenet40_cifar",
    "size": 8,
    "epochs": 1,
    "batch": 8,
    "threads": 1,
}


@pytest.fixture
def twin(monkeypatch: pytest.MonkeyPatch) -> Any:
    """torchvision's network, whose weights are what it downloads."""
    network = models.squeezenet1_1().eval()
    monkeypatch.setattr(WeightsEnum, "get_state_dict", lambda *_, **__: network.state_dict())
    return network


@torch.no_grad()
def test_a_file_and_a_download_give_the_same_network(twin: Any, tmp_path: Path) -> None:
    torch.save(twin.state_dict(), tmp_path / "squeezenet.pth")
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    for weights, source in (
        ("imagenet", f"{NAME}, IMAGENET1K_V1"),
        (str(tmp_path / "squeezenet.pth"), str(tmp_path / "squeezenet.pth")),
    ):
        start, network = find_starting_weights(weights, NAME), create(NAME, seed=5).eval()
        assert (start.source, start.channels) == (source, 3)
        assert start.load(network) == "all of them fit"
        assert torch.equal(network(images), twin(images))


def test_weights_of_another_network_are_refused(twin: Any) -> None:
    with pytest.raises(WeightsError, match=r"^The weights lack .* of torchvision/mnasnet0_5; they belong to another"):
        find_starting_weights("imagenet", NAME).load(create("torchvision/mnasnet0_5", 2))


def test_a_training_from_official_weights_names_their_source(twin: Any, tmp_path: Path) -> None:
    data = folders(tmp_path / "data", {"a": 12, "b": 12})
    options: dict[str, Any] = {"size": 32, "epochs": 1, "batch": 8, "threads": 1, "test": 0, "freeze": "stage2"}
    train(data, network=NAME, weights="imagenet", **options, out=tmp_path / "run")
    manifest = open_run(tmp_path / "run").manifest
    assert manifest.reasons["weights"].startswith(
        f"{NAME}, IMAGENET1K_V1; randomly initialized: head.classifier.1.weight"
    )
    assert manifest.preprocessing.mean == (0.485, 0.456, 0.406)


def test_saving_memory_gives_the_same_weights(tmp_path: Path) -> None:
    data = folders(tmp_path / "data", {"a": 12, "b": 12})
    for name, saving in (("plain", False), ("saving", True)):
        train(data, **DENSE, save_memory=saving, out=tmp_path / name)
    first, second = (load_file(tmp_path / name / "weights.safetensors") for name in ("plain", "saving"))
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_only_densenets_save_memory_so(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match="No part of resnet18 can recompute its values"):
        train("digits", network="resnet18", save_memory=True, out=tmp_path / "no")
