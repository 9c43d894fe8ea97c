"""The stacked hourglass's counts, and that stacks are connected as in the authors' definition."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from convolve.errors import NetworkError
from convolve.layers.point_head import PointHead
from convolve.models import Network, create
from convolve.models.stacked_hourglass import Hourglass, Stacks


def parameters(count: int) -> int:
    """By the definition's own layers, whose convolutions have biases."""

    def residual(inner: int, outer: int) -> int:
        half = outer // 2
        norms = 2 * (inner + half + half)
        layers = (inner * half + half) + (9 * half * half + half) + (half * outer + outer)
        return norms + layers + (0 if inner == outer else inner * outer + outer)

    stem = (3 * 64 * 49 + 64) + 128 + residual(64, 128) + residual(128, 128) + residual(128, 256)
    hourglass = (4 * 3 + 1) * residual(256, 256)
    features = residual(256, 256) + (256 * 256 + 256) + 512
    back = (256 * 256 + 256) + (16 * 256 + 256)
    return stem + count * (hourglass + features + (256 * 16 + 16)) + (count - 1) * back


@pytest.mark.parametrize(
    ("name", "stacks", "published"), [("stacked_hourglass", 8, 25_434_112), ("stacked_hourglass_2", 2, None)]
)
def test_counts(name: str, stacks: int, published: int | None) -> None:
    with torch.device("meta"):
        network = create(name)
    found = sum(value.numel() for value in network.parameters())
    assert found == parameters(stacks) == network.card.parameters
    assert published in (None, found)


def stacks_of(network: Network) -> Stacks:
    assert isinstance(network.head, PointHead)
    assert isinstance(network.head.layers, Stacks)
    return network.head.layers


@torch.no_grad()
def outputs(network: Network, images: Tensor) -> tuple[Tensor, ...]:
    found = network(images)
    assert isinstance(found, tuple)
    return found


def test_heatmaps_are_nearly_0_at_first() -> None:
    """Where there is no point, which is nearly everywhere, they are to be 0."""
    for heatmaps in outputs(create("stacked_hourglass_2", 3, size=(64, 64)), torch.randn(4, 3, 64, 64)):
        assert heatmaps.square().mean() < 0.01


def test_a_stack_reads_the_heatmaps_and_features_of_the_one_before() -> None:
    network = create("stacked_hourglass_2", 3, size=(64, 64)).eval()
    images = torch.randn(1, 3, 64, 64)
    first, second = outputs(network, images)
    for part in (stacks_of(network).heatmaps_back, stacks_of(network).features_back):
        kept = [value.clone() for value in part.parameters()]
        for value in part.parameters():
            torch.nn.init.zeros_(value)
        changed = outputs(network, images)
        assert torch.equal(changed[0], first)
        assert not torch.allclose(changed[1], second)
        for value, before in zip(part.parameters(), kept, strict=True):
            value.data.copy_(before)
    assert torch.equal(outputs(network, images)[1], second)


def test_an_hourglass_adds_the_same_size() -> None:
    """Where the branches of the way down and back are of zeros, residual modules return what enters them."""
    hourglass = Hourglass(2).eval()
    for part in (hourglass.down, hourglass.inner, hourglass.up):
        for value in part.parameters():
            torch.nn.init.zeros_(value)
    maps = torch.randn(1, 256, 8, 8)
    with torch.no_grad():
        low = torch.nn.functional.max_pool2d(maps, 2)
        through = low + torch.nn.functional.interpolate(torch.nn.functional.max_pool2d(low, 2), scale_factor=2.0)
        expected = hourglass.same(maps) + torch.nn.functional.interpolate(through, scale_factor=2.0)
        assert torch.allclose(hourglass(maps), expected, atol=1e-5)


def test_sides_must_be_multiples_of_64() -> None:
    network = create("stacked_hourglass_2", 3, size=(64, 64)).eval()
    with pytest.raises(NetworkError, match="80x64 pixels do not divide into whole cells; choose sides"):
        outputs(network, torch.randn(1, 3, 64, 80))
