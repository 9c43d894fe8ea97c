"""Table 3 of the paper, model A."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from convolve.models import Network, card, create
from convolve.models.prelu_net import Pyramid


def _skeleton() -> Network:
    with torch.device("meta"):
        return create("prelu_net_a")


def test_operations_are_table_3s() -> None:
    """1.90e10, also rounded."""
    assert round((card("prelu_net_a").macs or 0) / 1e10, 2) in (1.90, 1.91)


def test_nineteen_layers_with_a_slope_per_channel_but_for_the_last() -> None:
    weighted = [layer for layer in _skeleton().modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    slopes = [layer.num_parameters for layer in _skeleton().modules() if isinstance(layer, nn.PReLU)]
    assert len(weighted) == 19
    assert slopes == [len(layer.weight) for layer in weighted[:-1]]


@torch.no_grad()
def test_the_pyramid_is_four_poolings_side_by_side() -> None:
    """At 14x14 the bins of 7x7 and 2x2 do not overlap; those of 3x3 are 5, 6 and 5 wide."""
    maps = torch.randn(2, 3, 14, 14, generator=torch.Generator().manual_seed(0))
    found = Pyramid()(maps)
    edges = ((0, 5), (4, 10), (9, 14))
    thirds = [maps[:, :, a:b, c:d].amax((2, 3)) for a, b in edges for c, d in edges]
    parts = [F.max_pool2d(maps, 2), torch.stack(thirds, 2), F.max_pool2d(maps, 7), maps.amax((2, 3))]
    assert torch.equal(found, torch.cat([part.flatten(1) for part in parts], 1))


def test_weights_keep_the_signals_strength() -> None:
    """Equation 15: with a slope of 0.25 the variance is 2 / (1.0625 fan in)."""
    weight = create("prelu_net_a", 10, size=(16, 16)).get_parameter("stages.stage3.conv3_2.weight").detach()
    assert abs(float(weight.var()) * 512 * 9 * 1.0625 / 2 - 1) < 0.01
