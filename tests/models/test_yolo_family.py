"""Heads of YOLO v2 and v3 on other networks."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from convolve.errors import NetworkError
from convolve.layers.box_head import ConvolutionalBoxHead
from convolve.models import Network, card, counterpart, create, names
from convolve.models.weights import load_weights, translate
from convolve.targets import BoxTensors

CONVOLUTIONAL = [
    name
    for name in names()
    if card(name).output == "image" and not name.startswith(("linear", "mlp", "maxout", "two_layer", "three_layer"))
]
UNPADDED = {"lenet1", "lenet5", "batchnorm_cnn", "batchnorm_cnn_plain", "mtcnn_rnet", "mtcnn_onet"}
"""With layers that no padding keeps in step."""
LARGE = ("1202", "1001", "152", "161", "201", "vgg19", "senet154")


def _skeleton(name: str) -> Network:
    with torch.device("meta"):
        return create(name).eval()


@pytest.mark.parametrize(
    "name", [name for name in CONVOLUTIONAL if name not in UNPADDED and not any(part in name for part in LARGE)]
)
def test_any_classifier_takes_the_head_and_any_multiples_of_32(name: str) -> None:
    network = _skeleton(f"yolo_v2_{name}")
    classifier = _skeleton(name)
    stride = list(classifier.strides.values())[-1]
    for height, width in ((64, 64), (96, 160)):
        (map_,) = network(torch.empty(1, network.card.input[0], height, width, device="meta"))
        assert map_.shape == (1, 5 * 25, height // stride, width // stride)
    shapes = {key: value.shape for key, value in classifier.stages.state_dict().items()}
    assert {key: value.shape for key, value in network.stages.state_dict().items()} == shapes


def _no_rename(network: Network, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    del network
    return state


@pytest.mark.parametrize("name", ["resnet18", "vgg11", "densenet40_cifar", "squeezenet", "preact_resnet110_cifar"])
def test_a_classifiers_weights_fit(name: str) -> None:
    classifier, network = create(name, 7, seed=1), create(f"yolo_v2_{name}", 3, seed=2)
    initialized = load_weights(network, translate(network, classifier.state_dict(), _no_rename))
    assert all(key.startswith("head.") for key in initialized)
    for key, value in classifier.stages.state_dict().items():
        assert torch.equal(network.stages.state_dict()[key], value)


@pytest.mark.parametrize("name", ["resnet18", "alexnet", "nin", "inception_v4", "se_resnet50", "darknet19"])
def test_three_scales_double_their_strides(name: str) -> None:
    network = _skeleton(f"yolo_v3_{name}")
    maps = network(torch.empty(1, 3, 96, 160, device="meta"))
    assert [tuple(map_.shape) for map_ in maps] == [(1, 255, 96 // stride, 160 // stride) for stride in (32, 16, 8)]


def test_what_cannot_carry_a_head_is_refused() -> None:
    with pytest.raises(NetworkError, match=r"^zfnet has no maps of three strides .*; choose yolo_v2_zfnet or another"):
        create("yolo_v3_zfnet")
    for name in ("yolo_v2_linear", "yolo_v2_unet", "yolo_v3_yolo_v2"):
        with pytest.raises(NetworkError, match=r"is not a convolutional classifier; name one that is, as in yolo_v"):
            create(name)
    for name in UNPADDED:
        with pytest.raises(NetworkError, match=r"cannot be padded to keep the size of its map; choose another class"):
            create(f"yolo_v2_{name}")
    with pytest.raises(NetworkError, match=r"^There is no network named 'resnet19'"):
        card("yolo_v2_resnet19")


def test_counterparts() -> None:
    assert counterpart("resnet18", "boxes") == "yolo_v2_resnet18"
    assert counterpart("fcn8s_vgg16", "boxes") == "yolo_v2_vgg16"
    assert counterpart("yolo_v2_resnet18", "image") == "resnet18"
    assert counterpart("yolo_v3", "pixels") == "fcn8s_darknet53"
    assert counterpart("yolo_v3", "boxes") == "yolo_v3"
    assert counterpart("unet", "boxes") is None
    assert counterpart("yolo_v1", "image") is None
    assert counterpart("resnet18", "colors") is None  # of a task from outside


def test_first_boxes_are_anchors_and_objects_rare_in_v3() -> None:
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for name, rare in (("yolo_v2_resnet18", False), ("yolo_v3_resnet18", True)):
            network = create(name, 4, seed=3).train()
            for map_ in network(images):
                logits = torch.unflatten(map_, 1, (-1, 9))
                assert float(logits[:, :, :4].abs().max()) < 1.0
                assert (float(logits[:, :, 4].max()) < -3.5) is rare


def test_a_few_steps_find_the_objects() -> None:
    """One image, and a classifier from CIFAR with a head of v2: its loss falls to a small part."""
    network = create("yolo_v2_resnet20_cifar", 2).train()
    assert isinstance(network.head, ConvolutionalBoxHead)
    for layer in network.modules():
        assert not isinstance(layer, nn.Dropout)
    images = torch.zeros(2, 3, 64, 64)
    images[0, :, 10:30, 12:40] = 1.0
    images[1, 0, 40:60, 5:25] = 1.0
    targets = BoxTensors(
        torch.tensor([[12.0, 10, 40, 30], [5, 40, 25, 60]]), torch.tensor([0, 1]), torch.tensor([0, 1])
    )
    optimizer = torch.optim.Adam(network.parameters(), 0.003)
    losses = []
    for _ in range(25):
        loss = network.head.loss(network(images), targets, (64, 64))["loss"]
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] / 5
