"""Which task a dataset is for: the most specific ground truth that the network is for, unless a task is requested.

And which weights a network starts from.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torchvision.models import squeezenet1_1

from convolve import models
from convolve.commands import COMMANDS
from convolve.errors import DataError, NetworkError, OptionError, WeightsError
from convolve.interop import official_files
from convolve.progress import Message, Progress
from convolve.setup.prepare import open_for_task
from convolve.setup.starting_weights import find_starting_weights
from convolve.tasks.registry import build_options, find_task
from convolve.training.recipe import Recipe
from convolve.training.run import open_run
from tests.tasks.segment.small import folder
from tests.verbs.synthetic import folders, train

CLASSIFIER, SEGMENTER = models.card("resnet20_cifar"), models.card("fcn1s_resnet20_cifar")
LABELS = "the data has labels; --task segment would use its masks"
MASKS = "the data has masks; --task classify would use its labels"

NAME = "torchvision/squeezenet1_1"
DENSE: dict[str, Any] = {
    "network": "densenet40_cifar",
    "size": 8,
    "epochs": 1,
    "batch": 8,
    "threads": 1,
}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of labels of 12 images, 8 of which have masks too."""
    root = folder(tmp_path_factory.mktemp("both"), 12)
    for index in range(8, 12):
        (root / "masks" / f"{index}.png").unlink()
    lines = [f"images/{index}.png,{'even' if index % 2 == 0 else 'odd'}" for index in range(12)]
    (root / "labels.csv").write_text("\n".join(["path,label", *lines]))
    return root


@pytest.fixture(scope="module")
def labels_only(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders(tmp_path_factory.mktemp("labels"), {"a": 6, "b": 6})


@pytest.mark.parametrize(
    ("requested", "card", "task", "reason", "images"),
    [
        (None, None, "segment", MASKS, 8),
        (None, SEGMENTER, "segment", MASKS, 8),
        (None, CLASSIFIER, "classify", LABELS, 12),
        ("classify", None, "classify", "as requested", 12),
        ("classify", CLASSIFIER, "classify", "as requested", 12),
        ("segment", None, "segment", "as requested", 8),
        ("segment", SEGMENTER, "segment", "as requested", 8),
    ],
)
def test_the_task_is_the_requested_one_or_the_networks_or_the_most_specific(
    requested: str | None, card: models.Card | None, task: str, reason: str, images: int, both: Path
) -> None:
    dataset, info, why = open_for_task(Recipe(str(both), task=requested), card)
    assert set(dataset.ground_truths) == {"labels", "masks"}
    assert (info.name, why, len(dataset)) == (task, reason, images)


def test_where_there_is_nothing_else_nothing_is_suggested(labels_only: Path) -> None:
    for card in (None, CLASSIFIER):
        _, info, reason = open_for_task(Recipe(str(labels_only)), card)
        assert (info.name, reason) == ("classify", "the data has labels")


@pytest.mark.parametrize(
    ("requested", "card", "words"),
    [
        (
            "segment",
            CLASSIFIER,
            r"^resnet20_cifar gives scores for the whole image, .* segment needs them for pixels; use --network \w+",
        ),
        (
            "classify",
            SEGMENTER,
            r"classify needs them for the whole image; use --network resnet20_cifar\.$",
        ),
    ],
)
def test_a_network_for_another_task_is_a_sentence(requested: str, card: models.Card, words: str, both: Path) -> None:
    with pytest.raises(NetworkError, match=words):
        open_for_task(Recipe(str(both), task=requested), card)


def test_a_network_that_no_ground_truth_is_for_is_a_sentence(labels_only: Path) -> None:
    with pytest.raises(
        NetworkError, match=r"^fcn1s_resnet20_cifar gives scores for pixels, but the task classify needs them"
    ):
        open_for_task(Recipe(str(labels_only)), SEGMENTER)


def test_an_unknown_task_is_a_sentence(both: Path) -> None:
    with pytest.raises(OptionError, match=r"^There is no task 'segmnt'; did you mean segment\?$"):
        open_for_task(Recipe(str(both), task="segmnt"), None)


def test_masks_that_are_missing_are_a_sentence(labels_only: Path) -> None:
    recipe = Recipe(str(labels_only), task="segment", network=SEGMENTER.name)
    command = COMMANDS["train"]
    with pytest.raises(DataError, match="has no masks"):
        command.run(replace(command.options(), training=recipe), lambda _: None)


def test_how_data_without_masks_was_read_is_said(labels_only: Path) -> None:
    dataset, task, _ = open_for_task(Recipe(str(labels_only), task="segment"), None)
    with pytest.raises(DataError, match=r"has no masks, only labels \(.*\); give a dataset that has them"):
        find_task(task.name).accept(dataset, build_options(task.name, "train", {}))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"network": "fcn1s_resnet20_cifar"}, f"; task segment: {MASKS}"),
        ({"network": "resnet20_cifar"}, f"; task classify: {LABELS}"),
        ({"network": "resnet20_cifar", "task": "classify"}, "; task classify: as requested"),
    ],
)
def test_the_first_line_of_a_training_says_it(options: dict[str, str], words: str, both: Path, tmp_path: Path) -> None:
    lines: list[str] = []

    def listen(event: Message | Progress) -> None:
        if isinstance(event, Message):
            lines.append(event.text)

    command = COMMANDS["train"]
    keywords = {"data": both, "size": 32, "epochs": 1, "batch": 4, "threads": 1, "out": tmp_path / "run", **options}
    command.run(command.build_options(keywords), listen)
    assert lines[0].startswith(f"{both}: ")
    assert lines[0].endswith(words)


@pytest.fixture
def twin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """torchvision's network, whose weights are where torch has its downloads."""
    network = squeezenet1_1().eval()
    cache = tmp_path / "torch" / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    torch.save(network.state_dict(), cache / "squeezenet1_1-b8a52dc0.pth")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(official_files, "_HASHED", re.compile("no name has a hash"))
    return network


@torch.no_grad()
def test_a_file_and_a_download_give_the_same_network(twin: Any, tmp_path: Path) -> None:
    torch.save(twin.state_dict(), tmp_path / "squeezenet.pth")
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    for weights, source in (
        ("imagenet", f"{NAME}, IMAGENET1K_V1"),
        (str(tmp_path / "squeezenet.pth"), str(tmp_path / "squeezenet.pth")),
    ):
        start, network = find_starting_weights(weights, NAME), models.create(NAME, seed=5).eval()
        assert (start.source.partition(";")[0], start.channels) == (source, 3)
        assert start.load(network) == "all of them fit"
        assert torch.equal(network(images), twin(images))


def test_weights_of_another_network_are_refused(twin: Any) -> None:
    with pytest.raises(WeightsError, match=r"^The weights lack .* of torchvision/mnasnet0_5; they belong to another"):
        find_starting_weights("imagenet", NAME).load(models.create("torchvision/mnasnet0_5", 2))


def test_a_training_from_official_weights_names_their_source(twin: Any, tmp_path: Path) -> None:
    data = folders(tmp_path / "data", {"a": 12, "b": 12})
    options: dict[str, Any] = {"size": 32, "epochs": 1, "batch": 8, "threads": 1, "test": 0, "freeze": "stage2"}
    train(data, network=NAME, weights="imagenet", **options, out=tmp_path / "run")
    manifest = open_run(tmp_path / "run").manifest
    assert manifest.reasons["weights"].startswith(
        f"{NAME}, IMAGENET1K_V1; initialized with zeros: head.classifier.1.weight"
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
