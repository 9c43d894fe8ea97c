"""A head for one box next to any classifier's own."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from convolve.errors import NetworkError
from convolve.models import Network, counterpart, create
from convolve.models.gap import with_gap
from convolve.models.localization import LocalizationHead
from convolve.models.weights import load_weights, translate
from tests.models.test_yolo_family import CONVOLUTIONAL, LARGE


def _no_rename(network: Network, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    del network
    return state


@pytest.mark.parametrize("name", [name for name in CONVOLUTIONAL if not any(part in name for part in LARGE)])
def test_any_convolutional_classifier_takes_the_head_at_its_published_size(name: str) -> None:
    with torch.device("meta"):
        network, classifier = create(f"localize_{name}", 7).eval(), create(name, 7).eval()
    assert network(torch.empty(2, *classifier.card.input, device="meta")).shape == (2, 11)
    assert (network.card.output, network.card.classifier) == ("box", name)
    own = {key: value.shape for key, value in network.state_dict().items() if not key.startswith("head.box.")}
    assert own == {
        key.replace("head.", "head.scores.", 1) if key.startswith("head.") else key: value.shape
        for key, value in classifier.state_dict().items()
    }


@pytest.mark.parametrize("name", ["linear", "mlp_300", "maxout", "two_layer_net"])
def test_a_network_without_maps_is_refused(name: str) -> None:
    with pytest.raises(NetworkError, match=f"^{name} has no convolutional stage .*; choose another network"):
        create(f"localize_{name}")


@pytest.mark.parametrize("name", ["fcn8s_resnet18", "yolo_v2", "localize_resnet18"])
def test_only_a_classifier_takes_the_head(name: str) -> None:
    with pytest.raises(NetworkError, match=f"^{name} is no classifier; name one, as in localize_resnet18"):
        create(f"localize_{name}")


@pytest.mark.parametrize("name", ["resnet20_cifar", "lenet5", "nin_cifar", "densenet40_cifar", "vgg11", "squeezenet"])
def test_with_a_classifiers_weights_the_scores_are_its_own(name: str) -> None:
    size = (64, 64) if name in ("vgg11", "squeezenet") else None
    classifier, network = create(name, 5, size=size, seed=1).eval(), create(f"localize_{name}", 5, size=size).eval()
    initialized = load_weights(network, translate(network, classifier.state_dict(), _no_rename))
    assert initialized
    assert all(key.startswith("head.box.") for key in initialized)
    images = torch.randn(2, classifier.card.input[0], *(size or classifier.card.input[1:]))
    with torch.inference_mode():
        torch.testing.assert_close(network(images)[:, :5], classifier(images), rtol=1e-4, atol=1e-5)


def test_weights_of_other_classes_leave_the_last_layer_to_be_learned() -> None:
    classifier, network = create("resnet20_cifar", 10), create("localize_resnet20_cifar", 3)
    initialized = load_weights(network, translate(network, classifier.state_dict(), _no_rename))
    assert {key for key in initialized if not key.startswith("head.box.")} == {
        "head.scores.fc.weight",
        "head.scores.fc.bias",
    }


@pytest.mark.parametrize(
    "name", ["resnet20_cifar", "lenet5", "nin_cifar", "densenet40_cifar", "preact_resnet110_cifar"]
)
def test_both_heads_learn_together(name: str) -> None:
    """Also where the first layers of the classifier's own head work in place."""
    network = create(f"localize_{name}", 3)
    network(torch.randn(2, *network.card.input)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_auxiliary_heads_stay() -> None:
    with torch.device("meta"):
        network = create("localize_googlenet", 5)
    found = network.scores_of_all_heads(torch.empty(2, 3, 224, 224, device="meta"))
    assert [each.shape for each in found] == [(2, 9), (2, 5), (2, 5)]


def test_the_first_box_is_the_middle_of_the_image() -> None:
    network = create("localize_resnet20_cifar", 3).eval()
    with torch.inference_mode():
        numbers = network(torch.randn(4, 3, 32, 32))[:, 3:].sigmoid()
    assert (numbers == 0.5).all()


def test_the_box_is_for_images_of_one_size() -> None:
    network = create("localize_resnet20_cifar", 3, size=(32, 64)).eval()
    assert isinstance(network.head, LocalizationHead)
    assert (network.head.grid, network.head.size) == ((8, 16), (32, 64))
    assert network(torch.zeros(1, 3, 32, 64)).shape == (1, 7)
    with pytest.raises(NetworkError, match="were built for images of 64x32 pixels"):
        network(torch.zeros(1, 3, 32, 32))


def test_it_has_no_average_pooling_in_place_of_its_heads() -> None:
    with pytest.raises(NetworkError, match="has a head of its own; leave out --gap"):
        with_gap(create("localize_lenet5", 3), 3)


def test_counterparts() -> None:
    assert counterpart("resnet18", "box") == "localize_resnet18"
    assert counterpart("localize_resnet18", "image") == "resnet18"
    assert counterpart("yolo_v2_resnet18", "box") == "localize_resnet18"


def test_a_map_of_the_tail_gives_the_same() -> None:
    network = create("localize_resnet20_cifar", 3).eval()
    images = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        maps = network.features(images)
        torch.testing.assert_close(network.tail("stage2")(maps["stage2"]), network(images))
