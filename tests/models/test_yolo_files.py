"""Networks held against the authors' program and its files.

`darknet_full` has what darknet (pjreddie, `f6afaab`) computes of two photographs with the files of the tiny networks
and weights that follow from a seed: the map before each output, of the finer one every fifth row and column.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from convolve.models import Network, create
from convolve.summary import shapes_only, summarize

FOLDER = Path(__file__).parent / "darknet_full"
Values = npt.NDArray[np.float32]


@pytest.mark.parametrize(
    ("name", "classes", "header", "size"),
    [  # bytes of the published files of weights
        ("yolo_v1_local", 20, 16, 789_312_988),
        ("yolo_v2", 80, 16, 203_934_260),
        ("yolo_v2_tiny", 20, 16, 63_471_556),
        ("yolo_v3", 80, 20, 248_007_048),
        ("yolo_v3_spp", 80, 20, 252_209_544),
        ("yolo_v3_tiny", 80, 20, 35_434_956),
    ],
)
def test_weights_fill_the_published_files(name: str, classes: int, header: int, size: int) -> None:
    with shapes_only():
        network = create(name, classes)
    statistics = [value for key, value in network.named_buffers() if "running" in key]
    assert header + 4 * sum(value.numel() for value in [*network.parameters(), *statistics]) == size


@pytest.mark.parametrize(
    ("name", "classes", "side", "billions"),
    [  # operations as the authors' page and Table 2 of YOLO v3 give them, two for every multiply-add
        ("darknet19", 1000, 224, 5.58),
        ("yolo_v2", 80, 608, 62.94),
        ("yolo_v2_tiny", 20, 416, 6.97),
        ("yolo_v3", 80, 416, 65.86),
        ("yolo_v3", 80, 608, 140.69),
        ("yolo_v3_spp", 80, 608, 141.45),
        ("yolo_v3_tiny", 80, 416, 5.56),
    ],
)
def test_operations_are_the_published_ones(name: str, classes: int, side: int, billions: float) -> None:
    with shapes_only():
        network = create(name, classes, size=(side, side))
    assert 2 * summarize(network, (3, side, side)).macs / 1e9 == pytest.approx(billions, abs=0.006)


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "file", "seed", "image", "digest"),
    [
        ("yolo_v2_tiny", "yolov2_tiny_voc", 71, "chelsea", "b0d73127a64c6b23"),
        ("yolo_v3_tiny", "yolov3_tiny", 72, "coffee", "ccbd4282b945a6b0"),
    ],
)
def test_outputs_are_the_programs(name: str, file: str, seed: int, image: str, digest: str) -> None:
    network = create(name).eval()
    hashed = hashlib.sha256(np.array([0, 2, 0], np.int32).tobytes() + np.uint64(32_013_312).tobytes())
    for values in _fill(network, np.random.RandomState(seed)):
        hashed.update(values.tobytes())
    assert hashed.hexdigest().startswith(digest)
    maps = network(_letterbox(FOLDER / f"{image}.png", 416))
    with np.load(FOLDER / f"{file}.npz") as stored:
        for map_, key in zip(maps, stored.files, strict=True):
            expected = torch.tensor(stored[key])
            step = -(-map_.shape[2] // expected.shape[1])
            torch.testing.assert_close(map_[0, :, ::step, ::step], expected, rtol=0, atol=1e-4)


def _fill(network: Network, random: np.random.RandomState) -> Iterator[Values]:
    """Draw weights for the network's layers in their order, which must be that of the file."""
    layers = list(network.modules())
    for layer, following in zip(layers, [*layers[1:], None], strict=True):
        if not isinstance(layer, nn.Conv2d):
            continue
        width, fan_in = layer.out_channels, layer.weight[0].numel()
        drawn: list[tuple[Tensor, Values]] = []
        norm = following if isinstance(following, nn.BatchNorm2d) else None
        bias = layer.bias if norm is None else norm.bias
        assert bias is not None
        drawn.append((bias, (0.1 * random.standard_normal(width)).astype(np.float32)))
        if norm is not None:
            norm.eps = 1e-6
            assert norm.running_mean is not None
            assert norm.running_var is not None
            drawn.append((norm.weight, (1 + 0.1 * random.standard_normal(width)).astype(np.float32)))
            drawn.append((norm.running_mean, (0.1 * random.standard_normal(width)).astype(np.float32)))
            drawn.append((norm.running_var, (1 + 0.5 * random.random_sample(width)).astype(np.float32)))
        deviation = np.sqrt(2 / fan_in) * (0.5 if norm is None else 1)
        drawn.append((layer.weight, (deviation * random.standard_normal(layer.weight.numel())).astype(np.float32)))
        for parameter, values in drawn:
            parameter.copy_(torch.tensor(values).reshape(parameter.shape))
            yield values


def _letterbox(path: Path, side: int) -> Tensor:
    """The photograph as large as fits, corners on corners, in the middle of a gray square."""
    with Image.open(path) as image:
        pixels = torch.tensor(np.asarray(image.convert("RGB"))).permute(2, 0, 1)[None] / 255
    height, width = pixels.shape[2:]
    size = (height * side // width, side) if width > height else (side, width * side // height)
    fitted = nn.functional.interpolate(pixels, size, mode="bilinear", align_corners=True)
    top, left = (side - size[0]) // 2, (side - size[1]) // 2
    square = torch.full((1, 3, side, side), 0.5)
    square[:, :, top : top + size[0], left : left + size[1]] = fitted
    return square
