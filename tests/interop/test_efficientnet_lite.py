"""EfficientNet-Lite0's published file under the names of EfficientNet-PyTorch, in timm's network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from convolve.datasets.preprocess import normalize
from convolve.interop.timm import from_efficientnet_pytorch
from convolve.models import create
from convolve.setup.starting_weights import StartingWeights, find_starting_weights
from convolve.training.run import open_run
from tests.verbs.synthetic import corner_image, save, train

timm = pytest.importorskip("timm")
SHARED = Path(__file__).parents[3] / "shared"
FILE = SHARED / "weights" / "efficientnet_lite0" / "efficientnet-lite0-57934424.pth"
NAME = "timm/tf_efficientnet_lite0"
published = pytest.mark.skipif(not FILE.is_file(), reason="needs the published weights")

PHOTOS = {  # classes of ILSVRC-2012 that are right
    "cat.jpg": {281, 282, 285},  # tabby, tiger cat, Egyptian cat
    "chelsea.png": {281, 282, 285},
    "coffee.png": {967},  # espresso
    "dog.jpg": {248, 249, 250},  # husky, malamute, Siberian husky
    "eagle.jpg": {21},  # kite
}


def _published_names(state: dict[str, Tensor], blocks: list[str]) -> dict[str, Tensor]:
    """A state dict of timm under EfficientNet-PyTorch's names, written by hand for its two kinds of blocks."""
    names = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1", "classifier": "_fc"}
    for number, block in enumerate(blocks):
        layers = ["_expand_conv", "_bn0"] if f"{block}.conv_pwl.weight" in state else []
        layers += ["_depthwise_conv", "_bn1", "_project_conv", "_bn2"]
        inside = dict.fromkeys(key.split(".")[3] for key in state if key.startswith(f"{block}."))
        names |= {f"{block}.{ours}": f"_blocks.{number}.{theirs}" for ours, theirs in zip(inside, layers, strict=True)}
    return {f"{names[key.rpartition('.')[0]]}.{key.rpartition('.')[2]}": value for key, value in state.items()}


def test_names_of_efficientnet_pytorch_are_translated() -> None:
    with torch.device("meta"):
        state = timm.create_model("tf_efficientnet_lite0").state_dict()
    blocks = list(dict.fromkeys(".".join(key.split(".")[:3]) for key in state if key.startswith("blocks.")))
    found = from_efficientnet_pytorch(_published_names(state, blocks), blocks)
    assert found.keys() == state.keys()
    assert all(found[key] is value for key, value in state.items())


def test_names_inside_a_block_with_squeeze_and_excitation_are_translated() -> None:
    gate = {"_blocks.0._se_reduce.bias": torch.ones(1), "_blocks.0._se_expand.weight": torch.zeros(1)}
    found = from_efficientnet_pytorch(gate, ["blocks.0.0"])
    assert list(found) == ["blocks.0.0.se.conv_reduce.bias", "blocks.0.0.se.conv_expand.weight"]


def test_a_new_head_in_a_librarys_network_begins_with_zeros() -> None:
    network, other = create(NAME, 5, seed=1), create(NAME, 7, seed=2)
    start = StartingWeights(other.state_dict(), 3, None, "a file")
    assert start.load(network) == "initialized with zeros: head.classifier.weight, head.classifier.bias"
    assert not any(bool(value.any()) for value in network.head.parameters() if value.shape[0] == 5)
    same = create(NAME, 7, seed=3)
    assert start.load(same) == "all of them fit"
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in same.state_dict().items())


@published
@torch.no_grad()
def test_photographs_are_recognized() -> None:
    start = find_starting_weights(str(FILE), NAME)
    assert start.preprocessing is not None
    assert start.preprocessing.mean == (127 / 255,) * 3
    assert start.preprocessing.std == (128 / 255,) * 3
    network = create(NAME).eval()
    assert start.load(network) == "all of them fit"
    for name, right in PHOTOS.items():
        with Image.open(SHARED / "data" / "photos" / name) as photo:
            scale = 256 / min(photo.size)  # as it was evaluated: the central 224 of 256 pixels
            larger = photo.convert("RGB").resize([round(scale * side) for side in photo.size], Image.Resampling.BICUBIC)
        left, top = ((side - 224) // 2 for side in larger.size)
        pixels = np.asarray(larger.crop((left, top, left + 224, top + 224)))
        images = torch.from_numpy(normalize(pixels[None], start.preprocessing)).permute(0, 3, 1, 2)
        assert int(network(images).argmax()) in right, name


@published
def test_a_training_starts_from_them(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for index in range(12):
        save(tmp_path / "data" / "ab"[index % 2] / f"{index}.png", corner_image([index % 2], random, side=40))
    train(tmp_path / "data", network=NAME, weights=FILE, size=32, epochs=1, threads=1, out=tmp_path / "run")
    manifest = open_run(tmp_path / "run").manifest
    assert manifest.preprocessing.mean == (127 / 255,) * 3
    assert manifest.reasons["weights"] == (
        f"{FILE}; mean and standard deviation of the input are those that EfficientNet-PyTorch has for "
        "tf_efficientnet_lite0; initialized with zeros: head.classifier.weight, head.classifier.bias"
    )
