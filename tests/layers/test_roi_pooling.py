"""RoI pooling against stored results, and against the published rule in plain loops."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from torch import Tensor

from convolve.layers.roi_pooling import roi_align, roi_max_pool

STORED = np.load(Path(__file__).parent / "faster_rcnn" / "roi_ops.npz")
SCALE = 1 / 16


def stored(name: str) -> Tensor:
    return torch.from_numpy(STORED[name])


def pooled_by_loops(cells: Tensor, region: list[float], side: int) -> Tensor:
    """Corners rounded away from zero at a half, bins rounded outwards, 0 where a bin is empty."""
    left, top, right, bottom = (math.floor(edge * SCALE + 0.5) for edge in region)
    height, width = max(bottom - top + 1, 1) / side, max(right - left + 1, 1) / side
    pooled = torch.zeros(len(cells), side, side)
    for row in range(side):
        for column in range(side):
            down = [min(max(edge + top, 0), cells.shape[1]) for edge in _edges(row, height)]
            across = [min(max(edge + left, 0), cells.shape[2]) for edge in _edges(column, width)]
            if down[1] > down[0] and across[1] > across[0]:
                pooled[:, row, column] = cells[:, down[0] : down[1], across[0] : across[1]].amax((1, 2))
    return pooled


def _edges(index: int, length: float) -> tuple[int, int]:
    return math.floor(index * length), math.ceil((index + 1) * length)


@pytest.mark.parametrize("side", [7, 2])
def test_maxima_of_bins(side: int) -> None:
    maps, regions = stored("features"), stored("rois")
    pooled = roi_max_pool(maps, regions, side, SCALE)
    assert torch.equal(pooled, stored(f"roi_pool_{side}"))
    for region, found in zip(regions.tolist(), pooled, strict=True):
        if min(region[1:]) >= 0:
            assert torch.equal(found, pooled_by_loops(maps[int(region[0])], region[1:], side))


def test_the_gradient_goes_to_the_maxima() -> None:
    maps = stored("features").requires_grad_()
    roi_max_pool(maps, stored("rois"), 7, SCALE).sum().backward()  # type: ignore[no-untyped-call]
    assert maps.grad is not None
    assert torch.equal(maps.grad, stored("roi_pool_7_gradient_of_sum"))


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("samples", [-1, 2])
def test_means_of_bins(samples: int, aligned: bool) -> None:
    pooled = roi_align(stored("features"), stored("rois"), 7, SCALE, samples, aligned=aligned)
    expected = stored(f"roi_align_7_aligned{int(aligned)}_samples{samples}")
    assert torch.allclose(pooled, expected, atol=1e-5)


@pytest.mark.parametrize("aligned", [False, True])
def test_the_gradient_of_means_is_the_operators(aligned: bool) -> None:
    found, expected = (stored("features").requires_grad_() for _ in range(2))
    weights = torch.rand(30, 3, 7, 7, generator=torch.Generator().manual_seed(0))
    (weights * roi_align(found, stored("rois"), 7, SCALE, 2, aligned=aligned)).sum().backward()  # type: ignore[no-untyped-call]
    pooled = torchvision.ops.roi_align(expected, stored("rois"), 7, SCALE, 2, aligned=aligned)
    (weights * pooled).sum().backward()
    assert found.grad is not None
    assert expected.grad is not None
    assert torch.allclose(found.grad, expected.grad, atol=1e-5)


def test_gradients_are_right_where_torchvision_was_not_imported() -> None:
    script = (
        "import torch\n"
        "from convolve.layers.roi_pooling import roi_align, roi_max_pool\n"
        "region = torch.tensor([[0.0, 0, 0, 15, 15]])\n"
        "for pool in (roi_max_pool, roi_align):\n"
        "    maps = torch.rand(1, 1, 2, 2).requires_grad_()\n"
        "    pool(maps, region, 2, 1 / 8).sum().backward()\n"
        "    print(round(float(maps.grad.sum()), 4))\n"
    )
    ended = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["4.0", "4.0"]


def test_maps_of_half_precision_keep_it() -> None:
    maps = stored("features").bfloat16()
    for pooled in (roi_max_pool(maps, stored("rois"), 7, SCALE), roi_align(maps, stored("rois"), 7, SCALE)):
        assert pooled.dtype == torch.bfloat16


@pytest.mark.parametrize("pooling", ["roi_max_pool", "roi_align"])
def test_gradients_reach_the_maps_in_a_program_that_has_not_imported_torchvision(pooling: str) -> None:
    script = f"""
import torch
from convolve.layers.operators import load_nms
from convolve.layers.roi_pooling import {pooling}
load_nms()
maps = torch.rand(1, 2, 8, 8, requires_grad=True)
{pooling}(maps, torch.tensor([[0.0, 8, 8, 100, 100]]), 3, 1 / 16).sum().backward()
assert float(maps.grad.sum()) == 18, maps.grad
"""
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True)
