from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from convolve.errors import NetworkError
from convolve.layers.maxout import Maxout
from convolve.models import card, create
from convolve.models.dense import family
from convolve.summary import summarize

WIDTHS = {
    "linear": [784, 10],
    "mlp_300": [784, 300, 10],
    "mlp_300_100": [784, 300, 100, 10],
    "two_layer_net": [3072, 100, 10],
    "three_layer_net": [3072, 100, 100, 10],
    "mlp_300_100_50": [784, 300, 100, 50, 10],
    "mlp_20": [784, 20, 10],
}


@pytest.mark.parametrize("name", WIDTHS)
def test_widths(name: str) -> None:
    dense = [layer for layer in create(name).modules() if isinstance(layer, nn.Linear)]
    assert [dense[0].in_features, *(layer.out_features for layer in dense)] == WIDTHS[name]


@torch.no_grad()
def test_the_lectures_formulas() -> None:
    images = torch.randn(5, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    pixels = images.flatten(1)
    for name, depth in (("two_layer_net", 2), ("three_layer_net", 3)):
        network = create(name)
        scores = pixels
        for index, layer in enumerate(layer for layer in network.modules() if isinstance(layer, nn.Linear)):
            assert layer.bias is not None
            scores = (scores if index == 0 else scores.clamp(min=0)) @ layer.weight.T + layer.bias
        assert index == depth - 1
        torch.testing.assert_close(network(images), scores)


@torch.no_grad()
def test_a_linear_classifier_adds_up() -> None:
    network = create("linear")
    one, other = torch.randn(2, 3, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    nothing = network(torch.zeros(1, 1, 28, 28))
    torch.testing.assert_close(network(one + other), network(one) + network(other) - nothing)


def test_maxout_has_five_pieces_per_unit_and_drops_pixels_and_units() -> None:
    network = create("maxout")
    dense = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in dense] == [(784, 1200), (240, 1200), (240, 10)]
    assert [layer.pieces for layer in network.modules() if isinstance(layer, Maxout)] == [5, 5]
    assert [layer.p for layer in network.modules() if isinstance(layer, nn.Dropout)] == [0.2, 0.5, 0.5]
    assert all(_largest(layer.weight) <= 0.005 for layer in dense)


def _largest(values: Tensor) -> float:
    return float(values.detach().abs().max())


@torch.no_grad()
def test_the_image_itself_is_the_map() -> None:
    images = torch.randn(2, 3, 20, 30)
    network = create("three_layer_net", channels=3, size=(20, 30))
    assert torch.equal(network.features(images)["stage1"], images)


def test_a_network_of_any_depth_is_counted_as_it_is_built() -> None:
    found = summarize(create("mlp_300_100_50"), (1, 28, 28))
    assert (found.parameters, found.macs) == (card("mlp_300_100_50").parameters, card("mlp_300_100_50").macs)


@torch.no_grad()
def test_depth_does_not_fade_the_signal() -> None:
    images = torch.randn(20, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    scores = create("mlp" + 10 * "_100")(images)
    assert 0.1 < float(scores.std()) < 2


@pytest.mark.parametrize("name", ["mlp", "mlp_", "mlp_0", "mlp_10_", "mlp_010", "mlp_10000", "mlp_-1", "mlp_10x10"])
def test_what_is_no_row_of_widths_is_no_network(name: str) -> None:
    assert family(name) is None
    with pytest.raises(NetworkError, match=f"no network named '{name}'"):
        create(name)
