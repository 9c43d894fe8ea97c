"""Photographs start from official weights unless a person says otherwise, or there is no network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torchvision.models import resnet18

from convolve.errors import OptionError, WeightsError
from convolve.interop import torchvision
from convolve.interop.official_files import OfficialFile, fetch_file
from convolve.progress import Message, Progress, silent
from convolve.setup import choice, prepare, starting_weights
from convolve.setup.choice import choose
from convolve.setup.prepare import Preparation
from convolve.setup.runtime_options import RuntimeOptions
from convolve.setup.starting_weights import fetch_official_weights
from convolve.training.recipe import Recipe, Transfer, starting_like, write_recipe
from convolve.training.time_limit import TimeLimit
from convolve.verbs import train as verb
from tests.verbs.synthetic import corner_image, folders, save, train
from tests.weight_server import offer, published


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root, random = tmp_path_factory.mktemp("photographs"), np.random.default_rng(0)
    for index in range(20):
        save(root / "ab"[index % 2] / f"{index}.jpg", corner_image([index % 2], random, side=100))
    return root


@pytest.fixture
def official(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OfficialFile]:
    """The official file of ResNet-18, on a server of this machine."""
    torch.manual_seed(3)
    with offer(tmp_path, monkeypatch) as (folder, address):
        file = published(folder, address, resnet18().state_dict())
        monkeypatch.setattr(torchvision, "official_file", lambda *_, **__: file)
        yield file


def prepared(recipe: Recipe) -> tuple[Preparation, list[str]]:
    """A training that is prepared, and what was said meanwhile."""
    said: list[str] = []

    def listen(event: Message | Progress) -> None:
        if isinstance(event, Message):
            said.append(event.text)

    return prepare.prepare(recipe, RuntimeOptions("cpu", "fp32", 1), listener=listen), said


@pytest.mark.parametrize("weights", [None, "auto"])
def test_photographs_start_from_official_weights(
    weights: str | None, photographs: Path, official: OfficialFile
) -> None:
    recipe = Recipe(str(photographs), network="resnet18", transfer=Transfer(weights=weights), size=64)
    found, said = prepared(recipe)
    assert said == [
        f"Fetching {official.address} (47 MB); --weights none or CONVOLVE_OFFLINE=1 trains without these weights."
    ]
    resolved = found.prepared.recipe
    assert resolved.transfer.weights == "imagenet"
    assert found.reasons["weights"].startswith("pretrained, since the images are photographs; torchvision/resnet18, ")
    assert found.prepared.preprocessing.mean == (0.485, 0.456, 0.406)
    assert found.reasons["epochs"] == "about 400 steps, as the weights are pretrained"
    assert "times 0.3 for pretrained weights" in found.reasons["learning_rate"]
    torch.manual_seed(3)
    first = found.prepared.task.network.state_dict()["stages.stage1.conv1.weight"]
    assert torch.equal(first, resnet18().state_dict()["conv1.weight"])
    assert prepared(recipe)[1] == []  # they are in the cache now


def test_without_a_network_the_training_goes_on(photographs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = Recipe(str(photographs), network="resnet18", size=64)
    found, said = prepared(recipe)  # as all tests, with CONVOLVE_OFFLINE=1
    assert len(said) == 1
    assert said[0].startswith(
        "resnet18 starts from random weights, since the official ones are not on this machine and cannot be fetched "
        "(CONVOLVE_OFFLINE is set): of a few hundred photographs it then learns far less; put resnet18-f37072fd.pth"
    )
    declined, nothing = prepared(replace(recipe, transfer=Transfer(weights="none")))
    assert nothing == []
    assert declined.prepared.recipe == found.prepared.recipe
    assert found.prepared.recipe.transfer.weights is None
    assert "weights" not in found.reasons
    monkeypatch.setenv("CONVOLVE_OFFLINE", "0")
    monkeypatch.setattr(
        torchvision, "official_file", lambda *_, **__: OfficialFile("net.pth", "http://127.0.0.1:9/net.pth")
    )
    assert "refused" in prepared(recipe)[1][0]


def test_other_images_other_networks_and_explicit_words_do_not(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starting_weights, "fetch_file", pytest.fail)
    small = folders(tmp_path / "small", {"a": 8, "b": 8})
    gray = tmp_path / "gray"
    for index in range(16):
        pixels = corner_image([index % 2], np.random.default_rng(index), side=100)
        save(gray / "ab"[index % 2] / f"{index}.png", pixels[:, :, :1].repeat(3, axis=2))
    cases: list[dict[str, Any]] = [
        {"data": str(small), "network": "resnet18"},
        {"data": str(small), "network": "resnet18", "transfer": Transfer(weights="auto")},
        {"data": str(gray), "network": "resnet18"},
        {"data": str(photographs), "network": "resnet20_cifar"},
        {"data": str(photographs), "network": "resnet18", "transfer": Transfer(weights="none")},
    ]
    for case in cases:
        found, said = prepared(Recipe(**case, size=32))
        assert said == [], case
        assert found.prepared.recipe.transfer.weights is None


def test_a_network_made_of_a_classifier_starts_from_its_weights(official: OfficialFile) -> None:
    assert fetch_official_weights("fcn8s_resnet18", silent)
    assert fetch_official_weights("yolo_compact_resnet18", silent)
    assert not fetch_official_weights("unet", silent)


def test_damaged_weights_are_not_passed_over(photographs: Path, official: OfficialFile) -> None:
    fetch_file(official, silent).write_bytes(b"damaged")
    with pytest.raises(WeightsError, match=r"net-\w+\.pth is damaged: delete it, and the weights are downloaded again"):
        prepared(Recipe(str(photographs), network="resnet18", size=64))


def test_a_stored_recipe_says_what_it_starts_from(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a run or a person has written is repeated: without weights in it, the training starts from random ones."""
    given: list[Recipe] = []

    def refuse(recipe: Recipe, *_: object, **__: object) -> None:
        given.append(recipe)
        raise OptionError("enough")

    monkeypatch.setattr(prepare, "prepare", refuse)
    write_recipe(tmp_path / "recipe.toml", Recipe(str(photographs), network="resnet18"))
    for weights in (None, "auto", "imagenet"):
        with pytest.raises(OptionError, match="enough"):
            train(recipe=tmp_path / "recipe.toml", weights=weights)
    assert [recipe.transfer.weights for recipe in given] == ["none", "auto", "imagenet"]


def test_all_folds_start_from_the_weights_of_the_first(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Recipe] = []

    def pretend(recipe: Recipe, folder: Callable[[], Path], *_: object, **__: object) -> None:
        given.append(recipe)
        if len(given) == 3:
            raise OptionError("enough")
        folder().mkdir(parents=True)
        write_recipe(folder() / "recipe.toml", replace(recipe, transfer=Transfer(weights=None)))

    monkeypatch.setattr(verb, "_train", pretend)
    with pytest.raises(OptionError, match="enough"):
        train(photographs, network="resnet18", folds=3, out=tmp_path / "run")
    assert [recipe.transfer.weights for recipe in given] == [None, "none", "none"]


def test_folds_start_like_the_first() -> None:
    stored = Recipe(transfer=Transfer(weights="imagenet"))
    assert starting_like(Recipe(), stored).transfer.weights == "imagenet"
    assert starting_like(stored, Recipe()).transfer.weights == "imagenet"
    assert starting_like(Recipe(transfer=Transfer(weights="auto")), Recipe()).transfer.weights == "none"


def test_a_choice_by_time_knows_the_weights_of_the_network(
    photographs: Path, official: OfficialFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pretend(trial: Recipe, *_: Any) -> choice._Trial:
        return choice._Trial(trial, 0.0, epoch=1.0, ending=0.0, deserved=3, reason="a rule")

    monkeypatch.setattr(choice, "_try", pretend)

    def chosen(recipe: Recipe) -> Recipe:
        return choose(recipe, RuntimeOptions(threads=1), TimeLimit(60.0, 0.0, clock=lambda: 0.0), silent).recipe

    named = Recipe(str(photographs), network="resnet18")
    assert chosen(replace(named, transfer=Transfer(weights="none"))).transfer.weights == "none"
    monkeypatch.setenv("CONVOLVE_OFFLINE", "1")
    for recipe in (named, Recipe(str(photographs))):
        assert chosen(recipe).transfer.weights == "none"
    monkeypatch.setenv("CONVOLVE_OFFLINE", "0")
    assert chosen(named).transfer.weights == "imagenet"
    unnamed = chosen(Recipe(str(photographs), transfer=Transfer(weights="auto")))
    assert (unnamed.network, unnamed.transfer.weights) == ("resnet50_v1_5", "imagenet")
    assert chosen(Recipe(str(photographs), transfer=Transfer(weights="none"))).network == "resnet18"
