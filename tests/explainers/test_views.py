"""Filters, feature maps, features, embeddings and class images, and that nothing is left on the network by a view."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from torch import Tensor, nn
from torch.nn import functional as F

from convolve.errors import DataError, NetworkError
from convolve.explainers.blur import blur
from convolve.explainers.class_images import Ascent, class_images
from convolve.explainers.contributions import contributions, penultimate_features
from convolve.explainers.embedding import embed
from convolve.explainers.feature_maps import choose_stage, feature_maps, stage_maps
from convolve.explainers.filters import filters_to_pixels, first_filters
from convolve.explainers.receptive_fields import unit_field
from convolve.explainers.score_targets import ClassScore
from convolve.explainers.statistics import layer_statistics
from convolve.explainers.top_patches import top_patches
from convolve.models import Network, create
from tests.explainers.small import images, network

BOUNDS = torch.full((3,), -2.0), torch.full((3,), 2.0)


@pytest.mark.parametrize(
    ("name", "layer", "shape"),
    [
        ("resnet20_cifar", "stages.stage1.conv1", (16, 3, 3, 3)),
        ("lenet5_keras", "stages.stage1.conv1", (6, 5, 5, 1)),
        ("linear", "head.scores", (6, 32, 32, 1)),
        ("densenet121", "stages.stage1.conv1", (64, 7, 7, 3)),
    ],
)
def test_filters_are_the_first_weights(name: str, layer: str, shape: tuple[int, ...]) -> None:
    of = network(name)
    found = first_filters(of, (shape[3], 32, 32))
    assert (found.layer, found.weights.shape) == (layer, shape)
    weights = of.get_submodule(layer).weight
    assert isinstance(weights, Tensor)
    assert found.weights[2, 1, 2, 0] == weights.detach().reshape(shape[0], shape[3], *shape[1:3])[2, 0, 1, 2]


def test_filters_are_scaled_by_themselves_around_gray() -> None:
    found = filters_to_pixels(np.array([[0, 1, -2, 0.5], [0, 10, 5, -5], [0, 0, 0, 0]], np.float32).reshape(3, 2, 2, 1))
    assert found.reshape(3, 4).tolist() == [[128, 191, 0, 159], [128, 255, 191, 64], [128, 128, 128, 128]]


def test_a_network_whose_first_weights_are_not_on_the_image_has_no_filters() -> None:
    with pytest.raises(NetworkError, match="has no weights"):
        first_filters(nn.ReLU(), (3, 8, 8))
    with pytest.raises(NetworkError, match="not filters on the image"):
        first_filters(nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3)), (3, 8, 8))


def test_feature_maps_are_those_of_the_contract() -> None:
    of = network("vgg11")
    given = images(of)
    with torch.no_grad():
        wanted = of.features(given)
    found = feature_maps(of.train(), given)  # dropout and statistics are those of evaluation
    assert list(found) == list(wanted)
    for stage, maps in wanted.items():
        assert np.array_equal(found[stage], maps.numpy())
        assert torch.equal(stage_maps(of, given, stage), maps)
    assert choose_stage(of, None) == "stage5"
    with pytest.raises(NetworkError, match="has no stage 'stage9'; its stages are stage1, "):
        choose_stage(of, "stage9")


@pytest.mark.parametrize(
    ("name", "width"), [("resnet20_cifar", 64), ("lenet5", 84), ("nin_cifar", 192), ("linear", 1024)]
)
def test_the_scores_are_made_of_the_penultimate_features(name: str, width: int) -> None:
    of = network(name)
    given = images(of, 3)
    features = penultimate_features(of, given)
    assert features.shape == (3, width)
    if name == "resnet20_cifar":
        assert torch.allclose(of.head.get_submodule("fc")(features), of(given), atol=1e-6)


def test_embeddings_are_scikit_learns() -> None:
    features = np.random.default_rng(0).normal(size=(20, 8)).astype(np.float32)
    assert np.array_equal(embed(features, "pca"), PCA(2, random_state=0).fit_transform(features))
    wanted = TSNE(2, perplexity=19 / 3, init="pca", random_state=4).fit_transform(features)
    assert np.array_equal(embed(features, "tsne", 4), wanted)
    with pytest.raises(DataError, match="3 images of 8 features"):
        embed(features[:3], "tsne")


def test_a_class_image_raises_its_own_class_and_is_the_same_again() -> None:
    of = network("resnet20_cifar")
    classes = torch.tensor([0, 4])
    found = class_images(of, ClassScore(classes), BOUNDS, (32, 32), Ascent(steps=12))
    assert found.scores.shape == (2, 13)
    assert (found.scores[:, -1] > found.scores[:, 0] + 0.1).all()
    with torch.no_grad():
        assert np.allclose(of(torch.from_numpy(found.images))[[0, 1], classes], found.scores[:, -1], atol=1e-4)
    assert np.abs(found.images).max() <= 2
    again = class_images(of, ClassScore(classes), BOUNDS, (32, 32), Ascent(steps=12))
    assert np.array_equal(found.images, again.images)
    other = class_images(of, ClassScore(classes), BOUNDS, (32, 32), Ascent(steps=12, seed=1))
    assert not np.array_equal(found.images, other.images)


def test_blur_keeps_even_images_and_is_a_gaussian() -> None:
    assert torch.allclose(blur(torch.full((1, 3, 9, 9), 0.7), 1.3), torch.tensor(0.7))
    point = torch.zeros(1, 1, 21, 21)
    point[..., 10, 10] = 1
    spread = blur(point, 1.5)[0, 0]
    offsets = torch.arange(21) - 10
    assert float(spread.sum()) == pytest.approx(1, abs=1e-5)
    assert float((spread.sum(0) * offsets**2).sum()) == pytest.approx(1.5**2, rel=0.05)


def _loss(of: nn.Module, given: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(of(given), targets)


_TARGETS = torch.tensor([0, 1])
VIEWS: dict[str, Callable[[Network, Tensor], object]] = {
    "feature-maps": feature_maps,
    "patches": lambda of, given: top_patches(of, [(given, np.arange(2))], "stage2", np.arange(2), 1),
    "receptive-field": lambda of, given: unit_field(of, given, "stage2"),
    "statistics": lambda of, given: layer_statistics(of, [(given, _TARGETS)], _loss),
    "contributions": lambda of, given: contributions(of, given, _TARGETS),
    "penultimate": penultimate_features,
    "class-images": lambda of, given: class_images(of, ClassScore(_TARGETS), BOUNDS, (32, 32), Ascent(steps=2)),
}


def _state(of: Network) -> list[object]:
    hooks = [len(part._forward_hooks) + len(part._forward_pre_hooks) for part in of.modules()]
    modes = [part.training for part in of.modules()]
    asked = [(value.requires_grad, value.grad is None) for value in of.parameters()]
    numbers = [value.numpy().tobytes() for value in of.state_dict().values()]
    return [hooks, modes, asked, numbers, torch.get_rng_state().tolist(), torch.is_grad_enabled()]


@pytest.mark.parametrize("view", VIEWS)
def test_nothing_is_left_on_the_network(view: str) -> None:
    of = create("resnet20_cifar", 6).train()
    of.stages["stage1"].eval().requires_grad_(False)
    given = images(of)
    before, pixels = _state(of), given.clone()
    VIEWS[view](of, given)
    assert _state(of) == before
    assert torch.equal(given, pixels)


def _failing(*_: object) -> None:
    raise ArithmeticError


@pytest.mark.parametrize("view", VIEWS)
def test_nothing_is_left_when_an_exception_passes(view: str) -> None:
    of = create("resnet20_cifar", 6).train()
    if view == "class-images":
        of.head.register_forward_pre_hook(_failing)
    before = _state(of)
    with pytest.raises((RuntimeError, NetworkError, ArithmeticError)):
        VIEWS[view](of, torch.zeros(2, 5, 32, 32))
    assert _state(of) == before
