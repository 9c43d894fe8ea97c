"""What is read of regions, against torchvision's pooling, OpenCV's warping and plain loops."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.ops import roi_pool

from convolve.layers.region_readers import LEVELS, PyramidPooling, RegionPooling, WarpedWindow


def maps_and_regions() -> tuple[Tensor, Tensor, Tensor]:
    random = torch.Generator().manual_seed(3)
    corners = 150 * torch.rand(40, 2, generator=random)
    regions = torch.cat([corners, corners + 2 + 120 * torch.rand(40, 2, generator=random)], 1)
    return torch.randn(2, 3, 20, 18, generator=random), regions, torch.arange(40) % 2


@pytest.mark.parametrize("bins", [6, 7])
def test_pooling_is_that_of_torchvision_on_first_and_last_pixels(bins: int) -> None:
    maps, regions, image = maps_and_regions()
    rows = torch.cat([image[:, None], regions[:, :2], regions[:, 2:] - 1], 1)
    torch.testing.assert_close(RegionPooling(bins, 16)(maps, regions, image), roi_pool(maps, rows, bins, 1 / 16))


@pytest.mark.parametrize("reader", [RegionPooling(7, 16), PyramidPooling(16)])
def test_regions_with_the_same_cells_are_read_alike(reader: RegionPooling | PyramidPooling) -> None:
    maps, regions, _ = maps_and_regions()
    regions = torch.cat([regions, regions + 0.5, regions - 3])
    cells = reader.cells(regions)
    values = reader(maps, regions, torch.zeros(len(regions), dtype=torch.int64)).flatten(1)
    same = (cells[:, None] == cells).all(-1)
    assert int(same.sum()) > len(regions)
    assert torch.equal(
        values[:, None].expand(-1, len(values), -1)[same], values[None].expand(len(values), -1, -1)[same]
    )


def test_the_pyramid_has_the_maxima_of_50_parts() -> None:
    maps, regions, image = maps_and_regions()
    found = PyramidPooling(16)(maps, regions, image)
    assert found.shape == (40, 3, 50)
    for row in range(40):
        left, top = (math.floor(edge / 16) + 1 for edge in regions[row, :2].tolist())
        right, bottom = (math.ceil((edge - 1) / 16) - 1 for edge in regions[row, 2:].tolist())
        if right < left or bottom < top:
            continue
        part = maps[image[row], :, top : bottom + 1, left : right + 1]
        torch.testing.assert_close(found[row], _pyramid(part, bottom - top + 1, right - left + 1))


def _pyramid(part: Tensor, height: int, width: int) -> Tensor:
    pooled = []
    for level in LEVELS:
        for i in range(level):
            for j in range(level):
                down = slice(math.floor(i * height / level), math.ceil((i + 1) * height / level))
                across = slice(math.floor(j * width / level), math.ceil((j + 1) * width / level))
                cells = part[:, down, across]
                pooled.append(cells.amax((1, 2)) if cells.numel() else torch.zeros(len(part)))
    return torch.stack(pooled, 1)


def test_a_region_narrower_than_a_cell_is_read_from_the_one_in_its_middle() -> None:
    maps, _, image = maps_and_regions()
    found = PyramidPooling(16)(maps, torch.tensor([[33.0, 49, 40, 58]]), image[:1])
    assert torch.equal(found, maps[:1, :, 3, 2, None].expand(-1, -1, 50))


def test_a_window_shows_its_region_between_16_pixels_of_context() -> None:
    """Of a picture whose values are the positions: left of the region's edge by 16 of its 195 parts of 227."""
    across = torch.arange(400.0)[None, :].expand(300, -1) + 0.5
    down = torch.arange(300.0)[:, None].expand(-1, 400) + 0.5
    window = WarpedWindow(227)(
        torch.stack([across, down])[None], torch.tensor([[100.0, 80, 295, 177.5]]), torch.tensor([0])
    )
    assert window.shape == (1, 2, 227, 227)
    columns, rows = window[0, 0, 100], window[0, 1, :, 100]
    torch.testing.assert_close(columns, 100 - 16 + torch.arange(227.0) + 0.5, atol=1e-3, rtol=0)
    torch.testing.assert_close(rows, 80 - 8 + (torch.arange(227.0) + 0.5) / 2, atol=1e-3, rtol=0)


def test_a_window_is_as_opencv_warps_it_and_zero_outside_of_the_image() -> None:
    random = np.random.default_rng(0)
    pixels = random.normal(size=(60, 90, 3)).astype(np.float32)
    box, size = [40.0, 10, 88, 41], 64
    images = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    window = WarpedWindow(size)(images, torch.tensor([box]), torch.tensor([0]))[0].permute(1, 2, 0).numpy()
    sides = np.array([box[2] - box[0], box[3] - box[1]]) * 227 / 195
    start = np.array([box[0] + box[2], box[1] + box[3]]) / 2 - sides / 2
    scale = sides / size
    matrix = np.array([[scale[0], 0, start[0] + scale[0] / 2 - 0.5], [0, scale[1], start[1] + scale[1] / 2 - 0.5]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    expected = cv2.warpAffine(pixels, matrix, (size, size), flags=flags, borderMode=cv2.BORDER_CONSTANT)
    assert np.abs(window - expected).max() < 0.15  # OpenCV interpolates at 32 positions between two pixels
    assert np.abs(window - expected).mean() < 0.02
    assert not window[:, -2:].any()


def test_each_window_comes_from_its_own_image() -> None:
    images = torch.stack([torch.full((1, 20, 20), 1.0), torch.full((1, 20, 20), 2.0)])
    windows = WarpedWindow(16)(images, torch.tensor([[5.0, 5, 15, 15]] * 3), torch.tensor([1, 0, 1]))
    assert windows.mean((1, 2, 3)).tolist() == [2, 1, 2]
