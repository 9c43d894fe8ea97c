"""The steps in a graph bring an image to the network's input as the run does, and back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn

from convolve.choices import Fit
from convolve.datasets.input_boxes import input_matrices, to_image
from convolve.datasets.preprocess import box_matrices, cached_size, fit_to_input, normalize, source_boxes
from convolve.interop.exportable import Exportable
from convolve.interop.graph_operations import Steps, Value, View
from convolve.interop.onnx import build_model, save_model
from convolve.interop.openvino import CompiledNetwork, add_steps, convert_network, save_graph
from convolve.untrusted.networks import openvino_core
from convolve.values import Pixels, Preprocessing

pytest.importorskip("openvino")

FITS: tuple[Fit, ...] = ("crop", "letterbox", "stretch")
MEAN, STD = (0.485, 0.456, 0.406), (0.2, 0.25, 0.3)
GRAY_LEVELS = 2.0
"""OpenCV rounds to 8 bits after each of three resizes, and the graph never."""


class _Same(nn.Module):
    """Its input, through a convolution, so that there is something to compute."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layer = nn.Conv2d(channels, channels, 1, bias=False)
        with torch.no_grad():
            self.layer.weight.copy_(torch.eye(channels)[:, :, None, None])

    def forward(self, images: Tensor) -> Tensor:
        result: Tensor = self.layer(images)
        return result


def _finish(steps: Steps, outputs: tuple[Value, ...], view: View) -> Mapping[str, Value]:
    """The input, the sizes that lead to it, and boxes of the input in the image."""
    boxes = steps.do.floats([2.0, 3.0, 17.0, 29.0, -5.0, 0.0, 900.0, 30.0], (2, 4))
    sizes = [view.small.height, view.small.width, view.crop.height, view.crop.width, view.top, view.left]
    sizes += [view.filled.height, view.filled.width, view.offset_y, view.offset_x]
    return {"input": outputs[0], "sizes": steps.do.join(sizes), "boxes": steps.in_images(boxes, view)}


def compiled(path: Path, preprocessing: Preprocessing, kind: str, part: Exportable | None = None) -> CompiledNetwork:
    part = part or Exportable(_Same(preprocessing.channels), _finish, ())
    if kind == "onnx":
        save_model(build_model(part, preprocessing, {}), path / "network.onnx")
        return CompiledNetwork(path / "network.onnx", "fp32", 1)
    graph = add_steps(convert_network(part, preprocessing), part, preprocessing)
    save_graph(graph, path / "network.xml", compressed=False)
    return CompiledNetwork(path / "network.xml", "fp32", 1)


def smooth(random: np.random.Generator, height: int, width: int, channels: int = 3) -> Pixels:
    """An image with some detail, and no noise."""
    coarse = random.integers(0, 256, (9, 9, channels), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8).reshape(
        height, width, channels
    )


def expected_sizes(height: int, width: int, preprocessing: Preprocessing) -> npt.NDArray[Any]:
    small = cached_size(height, width, preprocessing)
    box = source_boxes(np.array([small]), preprocessing)
    left, top, wide, high = box[0].tolist()
    matrix = box_matrices(box, preprocessing)[0]
    filled = np.rint([matrix[1, 1] * high, matrix[0, 0] * wide])
    offset = np.rint([matrix[1, 2] + matrix[1, 1] * top, matrix[0, 2] + matrix[0, 0] * left])
    return np.array([*small, high, wide, top, left, *filled, *offset]).astype(np.int64)


@pytest.mark.parametrize("kind", ["openvino", "onnx"])
@pytest.mark.parametrize("fit", FITS)
def test_an_image_comes_to_the_input_as_in_the_run(fit: Fit, kind: str, tmp_path: Path) -> None:
    preprocessing = Preprocessing(40, 32, 3, fit, MEAN, STD)
    network = compiled(tmp_path, preprocessing, kind)
    random = np.random.default_rng(0)
    sizes = [(40, 32), (1, 1), (46, 37), (47, 38), (200, 90), (33, 507), (31, 900), (600, 7), (129, 128)]
    sizes += [(int(height), int(width)) for height, width in random.integers(1, 400, (25, 2))]
    for height, width in sizes:
        image = smooth(random, height, width)
        found = network(image[None])
        assert found["sizes"].tolist() == expected_sizes(height, width, preprocessing).tolist(), (height, width)
        wanted = normalize(fit_to_input(image, preprocessing)[None], preprocessing).transpose(0, 3, 1, 2)
        apart = np.abs(found["input"] - wanted) * 255 * np.array(STD)[:, None, None]
        assert apart.max() < GRAY_LEVELS, (height, width)
        boxes = np.array([[2.0, 3.0, 17.0, 29.0], [-5.0, 0.0, 900.0, 30.0]])
        own = np.array([[height, width]] * 2)
        placed = to_image(boxes, input_matrices(own, preprocessing), own)
        np.testing.assert_allclose(found["boxes"], placed, rtol=1e-5, atol=1e-3)


def test_gray_images_and_several_at_once(tmp_path: Path) -> None:
    preprocessing = Preprocessing(28, 28, 1, "crop", (0.5,), (0.25,))
    network, random = compiled(tmp_path, preprocessing, "openvino"), np.random.default_rng(1)
    images = np.stack([smooth(random, 50, 70, 1) for _ in range(3)])
    found = network(images)["input"]
    for image, one in zip(images, found, strict=True):
        wanted = normalize(fit_to_input(image, preprocessing)[None], preprocessing).transpose(0, 3, 1, 2)[0]
        assert np.abs(one - wanted).max() * 255 * 0.25 < GRAY_LEVELS


def test_ties_go_to_the_even_number(tmp_path: Path) -> None:
    """Sizes whose proportions lead exactly between two whole numbers; NumPy rounds these to the even one, and floating
    point may miss the tie by its last bit, so that the size is one pixel off at most.
    """
    preprocessing = Preprocessing(20, 20, 3, "letterbox", MEAN, STD)
    network, exact = compiled(tmp_path, preprocessing, "openvino"), 0
    sizes = [(height, 2 * 23 * factor) for factor in (1, 2, 3) for height in range(1, 2 * 23 * factor, 2)]
    for height, width in sizes:
        found = network(np.zeros((1, height, width, 3), np.uint8))["sizes"][:2]
        wanted = cached_size(height, width, preprocessing)
        assert np.abs(found - np.array(wanted)).max() <= 1
        exact += tuple(found.tolist()) == wanted
    assert exact >= 0.95 * len(sizes)


@pytest.mark.parametrize("size", [(20, 24), (200, 144)])
def test_a_graph_of_one_fixed_size_answers_the_same(size: tuple[int, int], tmp_path: Path) -> None:
    preprocessing = Preprocessing(24, 32, 3, "stretch", MEAN, STD)
    images = smooth(np.random.default_rng(0), *size)[None]
    wanted = compiled(tmp_path, preprocessing, "openvino")(images)["input"]
    core = openvino_core()
    network = core.read_model(tmp_path / "network.xml")
    network.reshape([1, *size, 3])
    found = core.compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})([images])["input"]
    np.testing.assert_allclose(found, wanted, atol=1e-4)


class _PaddedToBlocks(nn.Module):
    """Its input, padded by a quotient of sizes that is negative until it is rounded down, and by a remainder."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = _Same(1)

    def forward(self, images: Tensor) -> Tensor:
        height, width = images.shape[2:]
        rows = torch.arange(-(-(height - 3) // 16) * 16) % max(1, 2 * (height - 1))
        columns = torch.arange(-(-(width - 3) // 16) * 16) % max(1, 2 * (width - 1))
        rows, columns = torch.minimum(rows, 2 * (height - 1) - rows), torch.minimum(columns, 2 * (width - 1) - columns)
        padded: Tensor = self.layer(images).index_select(2, rows).index_select(3, columns)
        return padded


@pytest.mark.parametrize("kind", ["openvino", "onnx"])
def test_sizes_are_rounded_as_in_python(kind: str, tmp_path: Path) -> None:
    if kind == "onnx":
        pytest.importorskip("onnxscript")
    module = _PaddedToBlocks().eval()
    part = Exportable(module, lambda steps, outputs, view: {"padded": outputs[0]}, (), any_size=True)
    network = compiled(tmp_path, Preprocessing(32, 32, 1, "tiles", (0.5,), (0.5,)), kind, part)
    random = np.random.default_rng(0)
    for height, width in ((32, 32), (40, 23), (20, 67)):
        images = random.integers(0, 256, (1, height, width, 1), dtype=np.uint8)
        with torch.no_grad():
            expected = module(torch.from_numpy(images.transpose(0, 3, 1, 2)).float() / 127.5 - 1)
        np.testing.assert_allclose(network(images)["padded"], expected.numpy(), atol=1e-5)
