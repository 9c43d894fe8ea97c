"""Whether weights are of a detector, whose boxes are relative to anchors of its own, or of its classifier alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.torch import save_file
from torch import Tensor

from convolve.models import create
from convolve.setup.prepare import prepare
from convolve.setup.runtime_options import RuntimeOptions
from convolve.setup.starting_weights import StartingWeights, find_starting_weights
from convolve.training.recipe import Recipe, Transfer
from tests.tasks.detect.small import dataset

YOLO = "yolo_v2_resnet20_cifar"


def state_of(name: str, classes: int | None = None) -> dict[str, Tensor]:
    return create(name, classes).state_dict()


@pytest.mark.parametrize(
    ("network", "name", "classes", "expected"),
    [
        (YOLO, YOLO, 3, True),
        (YOLO, "resnet20_cifar", 10, False),
        ("faster_rcnn_squeezenet", "faster_rcnn_squeezenet", 80, True),
        ("faster_rcnn_squeezenet", "squeezenet", 1000, False),
        ("faster_rcnn_alexnet", "alexnet", 1000, False),
        ("faster_rcnn_squeezenet", "fast_rcnn_squeezenet", 20, False),
    ],
)
def test_a_file_is_of_a_detector_where_its_head_is(
    network: str, name: str, classes: int, expected: bool, tmp_path: Path
) -> None:
    save_file(state_of(name, classes), tmp_path / "a.safetensors")
    assert find_starting_weights(str(tmp_path / "a.safetensors"), network).fits_head(network) is expected


def test_channels_are_those_of_the_first_convolution_in_whatever_order(tmp_path: Path) -> None:
    for name in (YOLO, "resnet20_cifar", "rcnn64_squeezenet"):
        for channels in (1, 3):
            save_file(create(name, 4, channels).state_dict(), tmp_path / "a.safetensors")  # which sorts them by name
            assert find_starting_weights(str(tmp_path / "a.safetensors"), name).channels == channels, name


def test_layers_under_names_of_other_programs_are_counted() -> None:
    for name, expected in ((YOLO, True), ("resnet20_cifar", False)):
        state = {}
        for key, value in state_of(name).items():
            layer, _, kind = key.rpartition(".")
            if kind not in ("num_batches_tracked", "anchors"):
                state[f"a_{layer.replace('.', '_')}.{kind}"] = value
        assert StartingWeights(state, 3, None, "a.pth").fits_head(YOLO) is expected


@pytest.mark.parametrize(("name", "anchors"), [(YOLO, "network"), ("resnet20_cifar", "kmeans")])
def test_anchors_are_those_of_the_weights_only_where_these_have_some(name: str, anchors: str, tmp_path: Path) -> None:
    data = dataset(tmp_path / "shapes", 12)
    save_file(state_of(name, 2), tmp_path / "a.safetensors")
    recipe = Recipe(data.root, network=YOLO, size=64, task="detect", transfer=Transfer(str(tmp_path / "a.safetensors")))
    found = prepare(recipe, RuntimeOptions("cpu", "fp32", 1), sample=data).prepared
    assert found.recipe.task_options["anchors"] == anchors
