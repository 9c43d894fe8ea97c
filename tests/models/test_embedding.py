"""Networks for embeddings: the classifier's own stages, and vectors of length 1."""

from __future__ import annotations

import pytest
import torch

from convolve.errors import NetworkError
from convolve.interop.weights import rename
from convolve.models import card, card_of_counterpart, counterpart, create
from convolve.models.embedding import EmbeddingHead
from convolve.models.weights import load_weights, translate


@pytest.mark.parametrize(("name", "size"), [("embed_resnet20_cifar", 128), ("embed512_resnet20_cifar", 512)])
def test_images_of_any_size_become_vectors_of_length_1(name: str, size: int) -> None:
    network = create(name, 7, 3, (32, 32)).eval()
    for side in (32, 48):
        found = network(torch.randn(3, 3, side, side))
        assert found.shape == (3, size)
        assert torch.allclose(found.norm(dim=1), torch.ones(3), atol=1e-5)
    assert isinstance(network.head, EmbeddingHead)
    assert network.head.centers.shape == (7, size)


def test_its_head_replaces_the_classifiers() -> None:
    """ResNet-18 without its dense layer has 11 176 512 parameters; the new one has 512 x 128 and a normalization."""
    network = create("embed_resnet18", 10)
    learned = sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
    assert learned == 11_176_512 + 512 * 128 + 2 * 128


def test_it_takes_the_weights_of_its_classifier() -> None:
    classifier, network = create("resnet20_cifar", 10, seed=3), create("embed_resnet20_cifar", 5, seed=4)
    left = load_weights(network, translate(network, classifier.state_dict(), rename))
    assert {name.split(".")[0] for name in left} == {"head"}
    images = torch.randn(2, 3, 32, 32)
    expected = classifier.eval().features(images)["stage3"]
    assert torch.equal(network.eval().features(images)["stage3"], expected)


def test_names() -> None:
    assert counterpart("resnet18", "embedding") == "embed_resnet18"
    assert counterpart("embed512_resnet18", "image") == "resnet18"
    assert card_of_counterpart(card("resnet18"), "embedding").name == "embed_resnet18"
    assert card("embed64_vgg16").output == "embedding"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("embed_mlp_300", "mlp_300 has no convolutional stage whose map could be averaged"),
        ("embed_fcn8s_resnet18", "fcn8s_resnet18 is no classifier; name one, as in embed_resnet18"),
        ("embed9000_resnet18", "would embed images as 9000 numbers; the most are 8192"),
        ("embed_nothing", "There is no network named 'nothing'"),
    ],
)
def test_what_cannot_embed_is_refused(name: str, message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        card(name)
