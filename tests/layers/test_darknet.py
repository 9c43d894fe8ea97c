from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from convolve.layers.darknet import LocallyConnected2d, PaddedMaxPool2d, Reorg, darknet_pool


def test_reorg_reads_the_map_in_the_wrong_shape() -> None:
    """Output channel k, row j, column i is value (k mod C/4, 2 j + k div (C/4) div 2, 2 i + k div (C/4) mod 2) of the
    memory taken for (C / 4, 2 H, 2 W).
    """
    maps = torch.arange(8 * 4 * 6.0).reshape(1, 8, 4, 6)
    seen = maps.numpy().reshape(2, 8, 12)
    flat = np.empty((8, 4, 6), np.float32)
    for channel in range(8):
        offset = channel // 2
        flat[channel] = seen[channel % 2, offset // 2 :: 2, offset % 2 :: 2]
    found = Reorg(2)(maps)
    assert found.shape == (1, 32, 2, 3)
    assert np.array_equal(found.numpy().ravel(), flat.ravel())
    assert not torch.equal(found, F.pixel_unshuffle(maps, 2))


@pytest.mark.parametrize("channels_last", [False, True])
def test_reorg_does_not_depend_on_the_memory_format(channels_last: bool) -> None:
    maps = torch.randn(2, 8, 4, 6, generator=torch.Generator().manual_seed(0))
    given = maps.contiguous(memory_format=torch.channels_last) if channels_last else maps
    assert torch.equal(Reorg(2)(given), torch.stack([Reorg(2)(image[None])[0] for image in maps]))


@pytest.mark.parametrize(("size", "stride", "side", "units"), [(2, 2, 13, 7), (2, 2, 14, 7), (2, 1, 13, 13),
                                                               (3, 2, 13, 7), (5, 1, 13, 13)])  # fmt: skip
def test_pools_pad_below_and_to_the_right(size: int, stride: int, side: int, units: int) -> None:
    maps = torch.randn(1, 2, side, side + 1, generator=torch.Generator().manual_seed(0)) - 5  # below zero
    found = darknet_pool(size, stride)(maps)
    before = (size - 1) // 2
    padded = F.pad(maps, (before, size, before, size), value=-torch.inf)
    assert found.shape[2] == units
    for row, column in ((0, 0), (units - 1, units - 1)):
        window = padded[0, :, row * stride : row * stride + size, column * stride : column * stride + size]
        assert torch.equal(found[0, :, row, column], window.amax((1, 2)))
    assert isinstance(darknet_pool(2, 1), PaddedMaxPool2d)


def test_a_local_layer_with_equal_weights_everywhere_is_a_convolution() -> None:
    convolution = nn.Conv2d(3, 4, 3, padding=1)
    local = LocallyConnected2d(3, 4, (5, 6), 3, 1, 1)
    maps = torch.randn(2, 3, 5, 6, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        local.weight.copy_(convolution.weight.flatten(1).expand(30, -1, -1))
        assert convolution.bias is not None
        local.bias.copy_(convolution.bias[:, None, None].expand(-1, 5, 6))
        torch.testing.assert_close(local(maps), convolution(maps))
        local.weight[7].zero_()
        changed = (local(maps) - convolution(maps)).abs().amax((0, 1)) > 1e-6
    assert changed.nonzero().tolist() == [[1, 1]]
