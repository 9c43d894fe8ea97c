"""Table 1 of the paper, and the authors' definitions."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from convolve.layers.box_head import ConvolutionalBoxHead
from convolve.layers.residual import LinearResidual
from convolve.layers.yolo_v3 import YoloOutput
from convolve.models import Network, create


def _skeleton(name: str) -> Network:
    with torch.device("meta"):
        return create(name).eval()


@pytest.mark.parametrize(
    ("name", "convolutions", "residuals"),
    [("darknet53", 52, 23), ("yolo_v3", 75, 23), ("yolo_v3_spp", 76, 23), ("yolo_v3_tiny", 13, 0)],
)
def test_depth_is_the_published_one(name: str, convolutions: int, residuals: int) -> None:
    """With its dense layer Darknet-53 has 53 layers with weights."""
    layers = list(_skeleton(name).modules())
    assert sum(isinstance(layer, nn.Conv2d) for layer in layers) == convolutions
    assert sum(isinstance(layer, LinearResidual) for layer in layers) == residuals


@pytest.mark.parametrize(("name", "strides"), [("yolo_v3", (32, 16, 8)), ("yolo_v3_tiny", (32, 16))])
def test_maps_go_from_coarse_to_fine_for_all_multiples_of_32(name: str, strides: tuple[int, ...]) -> None:
    network = _skeleton(name)
    for height, width in ((320, 320), (608, 320), (32, 416)):
        maps = network(torch.empty(1, 3, height, width, device="meta"))
        assert [tuple(map_.shape) for map_ in maps] == [
            (1, 255, height // stride, width // stride) for stride in strides
        ]


@pytest.mark.parametrize(
    ("name", "masks", "largest"),
    [
        ("yolo_v3", [[6, 7, 8], [3, 4, 5], [0, 1, 2]], [[116, 90], [156, 198], [373, 326]]),
        ("yolo_v3_tiny", [[3, 4, 5], [0, 1, 2]], [[81, 82], [135, 169], [344, 319]]),
    ],
)
def test_the_coarse_map_has_the_largest_anchors(name: str, masks: list[list[int]], largest: list[list[float]]) -> None:
    head = create(name, 2, size=(32, 32)).head
    assert isinstance(head, ConvolutionalBoxHead)
    assert isinstance(head.output, YoloOutput)
    assert head.output.masks == masks
    assert head.output.anchors[0].tolist() == largest


@torch.no_grad()
def test_finer_maps_read_the_coarser_ones() -> None:
    network = create("yolo_v3_tiny", 2, size=(64, 64)).eval()
    maps = network.features(torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
    before = network.head([maps["stage4"], maps["stage5"]], (64, 64))
    coarse = network.head([maps["stage4"], maps["stage5"] + 1], (64, 64))
    fine = network.head([maps["stage4"] + 1, maps["stage5"]], (64, 64))
    assert [not torch.equal(*pair) for pair in zip(before, coarse, strict=True)] == [True, True]
    assert [not torch.equal(*pair) for pair in zip(before, fine, strict=True)] == [False, True]
