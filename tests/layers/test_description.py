"""What layers say of themselves."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from convolve.layers.border import Band, BorderOnce
from convolve.layers.darknet import LocallyConnected2d, PaddedMaxPool2d
from convolve.layers.dense_block import DenseBlock, bottleneck
from convolve.layers.description import Description, Ends, Gate, Growing, Leaf, Parallel, Series, Skip, describe
from convolve.layers.geometry import Window
from convolve.layers.inception import Branches, ScaledResidual
from convolve.layers.lecun import RadialBasis, Subsampling, TableConvolution
from convolve.layers.maxout import Maxout
from convolve.layers.pooling import MinPool2d, SpatialPyramid
from convolve.layers.residual import LinearResidual, Residual, zero_padding
from convolve.layers.scales import Scale, Scales
from convolve.layers.squeeze_excitation import SqueezeExcitation

WINDOWS = (Window(2, 2, 0, 1), Window(2, 2, 0, 1))
POINTS = (Window(1, 1, 0, 1), Window(1, 1, 0, 1))


class _Doubled(nn.Sequential):
    """A sequence that is not run as one."""

    def forward(self, maps: Tensor) -> Tensor:
        """Twice what the layers make of the maps."""
        for layer in self:
            maps = layer(maps)
        return 2 * maps


class _FollowedByReLU(nn.Sequential):
    """A sequence of another library that is run as one."""


@pytest.mark.parametrize(
    ("module", "description"),
    [
        (nn.Conv2d(4, 6, 1, groups=2), Leaf("convolution", "conv", POINTS, 2, 12)),
        (nn.ConvTranspose2d(4, 6, 2, 2), Leaf("convolution", "transposed conv", WINDOWS, 1, 96, transposed=True)),
        (nn.Linear(3, 5), Leaf("dense", "dense", weights=15)),
        (nn.MaxPool2d(2), Leaf("pooling", "max pool", WINDOWS)),
        (nn.AvgPool2d(2), Leaf("pooling", "average pool", WINDOWS)),
        (nn.LPPool2d(2, 2), Leaf("pooling", "Lp pool", WINDOWS)),
        (MinPool2d(2), Leaf("pooling", "min pool", WINDOWS)),
        (Subsampling(3), Leaf("pooling", "sub-sampling", WINDOWS)),
        (nn.AdaptiveAvgPool2d(1), Leaf("pooling", "global average pool")),
        (nn.AdaptiveMaxPool2d(1), Leaf("pooling", "global max pool")),
        (TableConvolution(2, ((0,), (0, 1)), 1), Leaf("convolution", "conv", POINTS, weights=3)),
        (RadialBasis(torch.ones(3, 4)), Leaf("dense", "RBF", weights=12)),
        (Maxout(), Leaf("dense", "dense")),
        (nn.ReLU(), Leaf()),
        (nn.Sequential(nn.ReLU(), nn.Tanh()), Series(("0", "1"))),
        (_FollowedByReLU(nn.Conv2d(1, 1, 1), nn.ReLU()), Series(("0", "1"))),
        (_Doubled(nn.ReLU()), Leaf()),
        (Residual(nn.Conv2d(2, 2, 1), nn.Identity(), 2), Skip("branch")),
        (ScaledResidual(nn.Conv2d(2, 2, 1), 0.1, nn.ReLU()), Skip("branch")),
        (zero_padding(2, 4, 2), Series(("pool",))),
        (Branches([nn.Conv2d(2, 2, 1), nn.MaxPool2d(1)]), Parallel(("branches.0", "branches.1"))),
        (DenseBlock(3, 8, 4, bottleneck), Growing("layers.0", 3, 4)),
        (SqueezeExcitation(16), Gate()),
        (nn.PixelUnshuffle(2), Leaf(name="space to depth", windows=WINDOWS)),
        (nn.PixelShuffle(2), Leaf(name="depth to space", windows=WINDOWS, transposed=True)),
        (LocallyConnected2d(2, 3, (4, 4), 2, 2, 0), Leaf("convolution", "local", WINDOWS, 1, 24)),
        (PaddedMaxPool2d(2, 2, 0, 1), Leaf("pooling", "max pool", WINDOWS)),
        (LinearResidual(nn.Conv2d(2, 2, 1)), Skip("branch")),
        (SpatialPyramid(), Parallel(("pools.0", "pools.1", "pools.2", "identity"))),
        (Scales([Scale(None, nn.ReLU(), nn.ReLU())]), Ends(("scales.0",))),
        (BorderOnce(nn.Sequential(nn.Conv2d(1, 1, 3, padding=9)), Band(-9, 0), Band(0, 7)), Series(("0",))),
    ],
)
def test_layers_describe_themselves(module: nn.Module, description: Description) -> None:
    assert describe(module) == description
    for name in (*getattr(description, "parts", ()), *getattr(description, "branches", ())):
        module.get_submodule(name)
