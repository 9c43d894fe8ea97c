"""The figure of a network: its stages, what they are made of, nothing clipped or on top of each other."""

from __future__ import annotations

import io
import itertools
import re

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Polygon
from matplotlib.text import Text
from PIL import Image

from convolve.models import card, create, names
from convolve.reports.drawing import as_png
from convolve.reports.network_figure import network_figure
from convolve.reports.network_outline import Part, outline
from convolve.summary import shapes_only, summarize


def _figure(name: str) -> Figure:
    with shapes_only():
        network = create(name)
    return network_figure(network, summarize(network, card(name).input))


def _outline(name: str) -> dict[str, list[Part]]:
    with shapes_only():
        network = create(name)
    return outline(network, summarize(network, card(name).input))


def _words(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("lenet5", ["5×5 conv, 6", "2×2 sub-sampling, stride 2", "120 × 1 × 1", "dense 84", "RBF 10"]),
        ("vgg16", ["2 × 3×3 conv, 64", "3 × 3×3 conv, 512", "512 × 7 × 7", "dense 4096", "stage 5", "stride 32"]),
        ("googlenet", ["5 × inception module", "×5", "832 × 14 × 14", "5×5", "max 3×3", "global average pool"]),
        ("resnet50", ["6 × bottleneck, 1024", "2048 × 7 × 7", "7×7 conv, stride 2, 64", "+", "dense 1000"]),
        ("resnet18_a", ["2 × residual block, 128"]),
        ("densenet121", ["dense block of 24 layers", "each adds 32:", "2×2 average pool, stride 2"]),
        ("se_inception", ["4 × SE inception module A", "SE reduction", "gate"]),
        ("senet154", ["36 × SE bottleneck, 1024", "3×3 in 64 groups", "gate"]),
        ("inception_resnet_v2", ["10 × inception-residual B, 1152", "inception-residual C", "reduction D", "1×7"]),
        ("preact_resnet164_cifar", ["18 × bottleneck, 256"]),
        ("torchvision/resnet18", ["7×7 conv, stride 2, 64", "5 layers", "global average pool", "dense 1000"]),
        ("two_layer_net", ["dense 100", "dense 10"]),
    ],
)
def test_what_is_written(name: str, words: list[str]) -> None:
    assert set(words) <= set(_words(_figure(name)))


@pytest.mark.parametrize("name", ["resnet101", "vgg19", "googlenet", "densenet201", "inception_v4"])
def test_parts_are_counted_as_the_papers_tables_do(name: str) -> None:
    counts = {
        "resnet101": [3, 4, 23, 3],  # Table 1
        "vgg19": [2, 2, 4, 4, 4],  # Table 1, column E
        "googlenet": [2, 5, 2],  # Table 1
        "densenet201": [6, 12, 48, 32],  # Table 1, layers of a block
        "inception_v4": [4, 7, 3],  # figure 9
    }
    parts = [part for stage in _outline(name).values() for part in stage]
    if name == "vgg19":
        found = [part.count for part in parts if part.kind == "convolution"]
    elif name == "densenet201":
        found = [int(size) for part in parts for size in re.findall(r"block of (\d+)", part.text)]
    else:
        found = [
            part.count for part in parts if part.kind == "module" and "reduction" not in part.text and part.count > 1
        ]
    assert found == counts[name]


def test_shapes_are_those_of_the_stages() -> None:
    for name in ("lenet5", "googlenet", "densenet121", "inception_resnet_v2", "resnet20_cifar", "vgg16"):
        with shapes_only():
            network = create(name)
        found = outline(network, summarize(network, card(name).input))
        side = card(name).input[1]
        for stage, channels in network.channels.items():
            shape = found[stage][-1].shape
            assert shape[0] == channels
            assert shape[1] <= -(-side // network.strides[stage]) + 1


def test_no_text_lies_on_another_or_outside() -> None:
    for name in (
        "lenet5",
        "googlenet",
        "resnet50",
        "inception_resnet_v2",
        "densenet121",
        "nin",
        "yolo_v2",
        "yolo_v3_spp",
    ):
        figure = _figure(name)
        figure.draw_without_rendering()
        boxes = [Text.get_window_extent(text) for text in figure.axes[0].texts if text.get_text()]
        overlaps = [(a, b) for a, b in itertools.combinations(boxes, 2) if a.shrunk(0.95, 0.9).overlaps(b)]
        assert not overlaps, name
        pixels = np.asarray(Image.open(io.BytesIO(as_png(figure, 50))).convert("L"))
        assert min(edge.min() for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1])) == 255


def test_every_scale_of_a_head_is_a_column_of_its_own() -> None:
    found = _outline("yolo_v3_spp")
    heads = {name: [(part.text, part.shape) for part in parts] for name, parts in found.items() if "head" in name}
    assert list(heads) == ["head 1", "head 2", "head 3"]
    assert [parts[-1][1] for parts in heads.values()] == [(255, 13, 13), (255, 26, 26), (255, 52, 52)]
    assert heads["head 1"][3] == ("pyramid pooling", (2048, 13, 13))
    assert heads["head 2"][:2] == [("1×1 conv", (256, 13, 13)), ("1×1 conv", (256, 26, 26))]
    assert [name for name in _outline("yolo_v2") if "head" in name] == ["head"]


@pytest.mark.parametrize("name", [name for name in names() if card(name).input[1] < 100 and "1" not in name])
def test_every_kind_of_network_can_be_drawn(name: str) -> None:
    assert "head" in _words(_figure(name))


def test_alexnet_has_two_towers_that_meet_in_the_third_layer() -> None:
    """Figure 2: two lines from each column to the next, four to the third; one tower has a single line."""
    arrows = [
        [patch for patch in _figure(name).axes[0].patches if isinstance(patch, FancyArrowPatch)]
        for name in ("alexnet", "alexnet_one_tower", "resnext50")
    ]
    assert [len(found) for found in arrows[:2]] == [2 + 2 + 4 + 2 + 2 + 2, 6]
    slabs = [len([patch for patch in _figure(name).axes[0].patches if type(patch) is Polygon]) for name in _TOWERS]
    assert slabs == [1 + 3 + 3 * 16 + 3, 1 + 3 + 3 * 8 + 3]
    parts = [part for stage in _outline("alexnet").values() for part in stage if part.kind == "convolution"]
    assert [(part.text, part.groups) for part in parts[1:3]] == [("5×5 conv in 2 groups", 2), ("3×3 conv", 1)]
    heads = [part.groups for part in _outline("resnext50")["stage3"]]
    assert heads == [1]  # groups inside of a module are no towers


_TOWERS = ("alexnet", "alexnet_one_tower")
