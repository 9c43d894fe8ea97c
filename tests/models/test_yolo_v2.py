"""Table 6 of the paper, and the authors' definitions."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from convolve.layers.box_head import ConvolutionalBoxHead
from convolve.layers.darknet import Reorg
from convolve.layers.scales import Passthrough
from convolve.layers.yolo_v2 import RegionOutput
from convolve.models import Network, create
from convolve.models.weights import load_weights, translate


def _skeleton(name: str) -> Network:
    with torch.device("meta"):
        return create(name).eval()


@pytest.mark.parametrize(("name", "convolutions", "pools"), [("darknet19", 19, 5), ("yolo_v2", 23, 5),
                                                             ("yolo_v2_tiny", 9, 6)])  # fmt: skip
def test_depth_is_the_published_one(name: str, convolutions: int, pools: int) -> None:
    layers = list(_skeleton(name).modules())
    assert sum(isinstance(layer, nn.Conv2d) for layer in layers) == convolutions
    assert sum("MaxPool" in type(layer).__name__ for layer in layers) == pools


@pytest.mark.parametrize("name", ["yolo_v2", "yolo_v2_tiny"])
def test_sides_may_be_any_multiples_of_32(name: str) -> None:
    network = _skeleton(name)
    for height, width in ((320, 320), (608, 320), (32, 416)):
        (map_,) = network(torch.empty(1, 3, height, width, device="meta"))
        assert map_.shape == (1, 5 * 25, height // 32, width // 32)


def test_anchors_are_32_times_the_published_cells() -> None:
    head = create("yolo_v2_tiny", 3, size=(32, 32)).head
    assert isinstance(head, ConvolutionalBoxHead)
    assert isinstance(head.output, RegionOutput)
    torch.testing.assert_close(head.output.anchors[0, 0], torch.tensor([34.56, 38.08]))
    assert "head.output.anchors" in create("yolo_v2_tiny", 3, size=(32, 32)).state_dict()


def test_the_fine_map_comes_first_and_in_darknets_order() -> None:
    head = _skeleton("yolo_v2").head
    assert isinstance(head, ConvolutionalBoxHead)
    layers = head.layers
    assert isinstance(layers, Passthrough)
    assert isinstance(layers.fine, nn.Sequential)
    assert isinstance(layers.fine[-1], Reorg)
    plain = Passthrough(nn.Identity(), nn.PixelUnshuffle(2), nn.Identity())
    fine, deep = torch.ones(1, 2, 4, 4), torch.zeros(1, 3, 2, 2)
    (joined,) = plain([fine, deep])
    assert joined[0, :, 0, 0].tolist() == [1.0] * 8 + [0.0] * 3


def test_a_classifiers_weights_are_taken_over() -> None:
    classifier, network = create("darknet19", 7, seed=1), create("yolo_v2", 3, size=(64, 64), seed=2)

    def same(network: Network, state: dict[str, Tensor]) -> dict[str, Tensor]:
        del network
        return state

    initialized = load_weights(network, translate(network, classifier.state_dict(), same))  # type: ignore[arg-type]
    assert all(name.startswith("head.") for name in initialized)
    for name, value in classifier.stages.state_dict().items():
        assert torch.equal(network.stages.state_dict()[name], value)
