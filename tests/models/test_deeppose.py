"""Two numbers for each point by dense layers on any classifier's last map."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from convolve.errors import NetworkError
from convolve.models import Network, card, card_of_counterpart, counterpart, create
from convolve.models.gap import with_gap
from convolve.models.weights import load_weights, translate
from tests.models.test_yolo_family import CONVOLUTIONAL, LARGE


def _no_rename(network: Network, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    del network
    return state


@pytest.mark.parametrize("name", [name for name in CONVOLUTIONAL if not any(part in name for part in LARGE)])
def test_any_classifier_takes_the_head_at_its_published_size(name: str) -> None:
    with torch.device("meta"):
        network, classifier = create(f"deeppose_{name}", 10).eval(), create(name).eval()
    assert network(torch.empty(2, *classifier.card.input, device="meta")).shape == (2, 10)
    assert (network.card.output, network.card.classifier) == ("coordinates", name)
    stages = {key: value.shape for key, value in network.state_dict().items() if key.startswith("stages.")}
    assert stages == {key: value.shape for key, value in classifier.state_dict().items() if key.startswith("stages.")}


@pytest.mark.parametrize("name", ["resnet20_cifar", "squeezenet", "lenet5", "nin_cifar"])
def test_all_numbers_are_0_at_first_and_all_layers_learn(name: str) -> None:
    size = (64, 64) if name == "squeezenet" else None
    network = create(f"deeppose_{name}", 6, size=size)
    images = torch.randn(2, network.card.input[0], *(size or network.card.input[1:]))
    assert not network(images).any()
    torch.nn.init.ones_(list(network.head.parameters())[-2])
    network(images).square().sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_the_head_reads_where_something_is_on_the_map() -> None:
    """An average, with which the classifier itself ends, is the same wherever it is."""
    maps = torch.randn(1, 64, 16, 16)
    moved = maps.roll((3, 5), (2, 3))
    network, classifier = create("deeppose_resnet20_cifar", 6, size=(64, 64)), create("resnet20_cifar", size=(64, 64))
    torch.nn.init.normal_(list(network.head.parameters())[-2])
    with torch.inference_mode():
        torch.testing.assert_close(classifier.eval().head(maps), classifier.head(moved))
        assert (network.eval().head(maps) - network.head(moved)).abs().min() > 0.01


def test_a_network_without_maps_keeps_its_own_head() -> None:
    network, classifier = create("deeppose_mlp_300", 6), create("mlp_300", 6)
    assert {key: value.shape for key, value in network.state_dict().items()} == {
        key: value.shape for key, value in classifier.state_dict().items()
    }


@pytest.mark.parametrize("name", ["fcn8s_resnet18", "yolo_v2", "deeppose_resnet18"])
def test_only_a_classifier_takes_the_head(name: str) -> None:
    with pytest.raises(NetworkError, match=f"^{name} is no classifier; name one, as in deeppose_resnet18"):
        create(f"deeppose_{name}")


def test_a_classifiers_weights_are_those_of_its_stages() -> None:
    classifier, network = create("resnet20_cifar", 10, seed=1), create("deeppose_resnet20_cifar", 6)
    initialized = load_weights(network, translate(network, classifier.state_dict(), _no_rename))
    assert initialized
    assert all(key.startswith("head.") for key in initialized)
    images = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        own, given = network.eval().features(images), classifier.eval().features(images)
    torch.testing.assert_close(own["stage3"], given["stage3"])


def test_the_numbers_are_for_images_of_one_size() -> None:
    network = create("deeppose_resnet20_cifar", 6, size=(32, 64)).eval()
    assert network(torch.zeros(1, 3, 32, 64)).shape == (1, 6)
    with pytest.raises(NetworkError, match="dense layers of the points were built for images of 64x32 pixels"):
        network(torch.zeros(1, 3, 32, 32))


def test_it_has_no_average_pooling_in_place_of_its_head() -> None:
    with pytest.raises(NetworkError, match="is a network for points, and an average over its map would lose the posi"):
        with_gap(create("deeppose_lenet5", 6), 6)


def test_counterparts() -> None:
    assert counterpart("resnet18", "coordinates") == "deeppose_resnet18"
    assert counterpart("deeppose_resnet18", "image") == "resnet18"
    assert card_of_counterpart(card("resnet18"), "coordinates").name == "deeppose_resnet18"
    assert card_of_counterpart(card("resnet18"), "").name == "resnet18"
    assert card_of_counterpart(card("stacked_hourglass"), "coordinates").name == "stacked_hourglass"
