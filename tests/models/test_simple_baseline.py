"""Simple baselines: the published counts, the head, and the weights of the classifier."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from convolve.errors import NetworkError
from convolve.models import card, counterpart, create
from convolve.models.simple_baseline import enlarging_layers
from convolve.models.weights import load_weights, translate


@pytest.mark.parametrize(("depth", "millions"), [(50, 34.0), (101, 53.0), (152, 68.6)])
def test_counts_of_table_2(depth: int, millions: float) -> None:
    with torch.device("meta"):
        network = create(f"simple_baseline_resnet{depth}")
    found = sum(value.numel() for value in network.parameters())
    assert found == network.card.parameters
    assert round(found / 1e6, 1) == millions


@pytest.mark.parametrize(("stride", "layers"), [(32, 3), (16, 2), (4, 0)])
def test_as_many_layers_as_are_needed(stride: int, layers: int) -> None:
    head = enlarging_layers(24, stride, 5)
    assert sum(isinstance(layer, nn.ConvTranspose2d) for layer in head) == layers
    assert head(torch.randn(2, 24, 3, 4)).shape == (2, 5, 3 * stride // 4, 4 * stride // 4)


def test_any_classifier_has_one() -> None:
    assert counterpart("resnet18", "points") == "simple_baseline_resnet18"
    assert counterpart("simple_baseline_vgg16", "image") == "vgg16"
    assert card("simple_baseline_vgg16").classifier == "vgg16"
    network = create("simple_baseline_resnet20_cifar", 3, size=(64, 64)).eval()
    (found,) = network(torch.randn(1, 3, 64, 64))
    assert found.shape == (1, 3, 16, 16)


def test_what_is_no_classifier_is_refused() -> None:
    with pytest.raises(NetworkError, match="unet is not a convolutional classifier"):
        create("simple_baseline_unet", 3, size=(64, 64))


@pytest.mark.parametrize("name", ["resnet18", "resnet20_cifar"])
def test_a_classifiers_weights_fit(name: str) -> None:
    """Those of its stages; the head stays as it was initialized."""
    classifier = create(name, 10, size=(64, 64), seed=3)
    network = create(f"simple_baseline_{name}", 3, size=(64, 64))
    before = {key: value.clone() for key, value in network.head.state_dict().items()}
    loaded = load_weights(network, translate(network, classifier.state_dict(), lambda _, state: state))
    assert loaded
    for key, value in classifier.stages.state_dict().items():
        assert torch.equal(network.stages.state_dict()[key], value)
    assert all(torch.equal(value, before[key]) for key, value in network.head.state_dict().items())
