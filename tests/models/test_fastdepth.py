"""FastDepth as its paper counts it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from convolve.models import create


def test_parameters_and_multiply_adds_as_published() -> None:
    """Wofk et al. 2019: 3.96 million parameters and 0.74 billion multiply-adds before pruning; of MobileNet's 4.2
    million (Howard et al. 2017, table 8) the classifier has one.
    """
    network = create("fastdepth")
    count = sum(parameter.numel() for parameter in network.parameters())
    assert count == network.card.parameters == 3_960_929
    assert round(count / 1e6, 2) == 3.96
    assert round((network.card.macs or 0) / 1e9, 2) == 0.74
    encoder = sum(parameter.numel() for parameter in network.stages.parameters())
    assert encoder + 1024 * 1000 + 1000 == 4_231_976  # as in torchvision-like definitions of MobileNet


@pytest.mark.parametrize("size", [(64, 96), (97, 131), (32, 33)])
def test_every_pixel_of_any_size_gets_a_number(size: tuple[int, int]) -> None:
    network = create("fastdepth").eval()
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, *size)).shape == (1, 1, *size)


def test_maps_of_three_stages_are_added() -> None:
    """Without them the decoder knows the last map alone."""
    network = create("fastdepth").eval()
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    maps = network.features(images)
    given = [maps[name] for name in network.head_inputs]
    scores: Tensor = network.head(given, (64, 64))
    for index in range(3):
        changed = [each + 1 if number == index else each for number, each in enumerate(given)]
        assert not torch.allclose(network.head(changed, (64, 64)), scores)
