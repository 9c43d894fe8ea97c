"""Masks of images of any size, predicted whole or in tiles."""

from __future__ import annotations

import itertools
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from convolve.choices import Fit
from convolve.datasets.preprocess import normalize
from convolve.models import Card, Network, Stage
from convolve.runtime import choose
from convolve.tasks.segment.task import Segment
from convolve.tasks.segment.tiled_prediction import _axes, predict_image, probability_bands
from convolve.values import IGNORE, Floats, Pixels, Preprocessing

INPUT = Preprocessing(64, 64, 3, "crop", (0.5,) * 3, (0.25,) * 3)
RUNTIME = choose("cpu", "fp32", 1)


class Head(nn.Module):
    """Maps back to pixels."""

    def forward(self, maps: list[Tensor], size: tuple[int, int]) -> Tensor:
        return F.interpolate(maps[0], scale_factor=4, mode="nearest")[:, :, : size[0], : size[1]]


def task(classes: int = 3, seed: int = 0) -> Segment:
    """Of stride 4; a pixel depends on what lies less than 12 pixels away."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layers = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, classes, 3, 1, 1)
        )
    card = Card("test", "", "", 2026, "", "", (3, 64, 64), classes, 4)
    network = Network(card, {"stage1": Stage(layers, classes, 4)}, Head(), head_inputs=("stage1",))
    return Segment(network.eval(), tuple("abcdefg"[:classes]))


def noise(height: int, width: int, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """As few pixels as possible go through the network together."""
    monkeypatch.setattr("convolve.tasks.segment.tiled_prediction.PIXELS_AT_ONCE", 0)


def tiled(view: Pixels, segment: Segment) -> Floats:
    """(classes, H, W) all of them as one."""
    return torch.cat([band.clone() for band in probability_bands(view, segment, RUNTIME, INPUT)], 1).numpy()


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("shape", [(64, 64), (64, 256), (200, 64), (128, 192), (64, 66), (66, 130)])
def test_tiles_give_what_the_whole_gives(shape: tuple[int, int]) -> None:
    """Where the edge of a tile that has weight 0 covers the receptive field: 12 of 32 pixels of overlap."""
    view, segment = noise(*shape), task()
    with torch.inference_mode():
        images = RUNTIME.images(normalize(view[None], INPUT))
        rows, columns = _axes(shape, (64, 64), 4)
        padded = F.pad(images, (0, columns.reach - shape[1], 0, rows.reach - shape[0]), mode="reflect")
        whole = segment.probabilities(padded)[0, :, : shape[0], : shape[1]].numpy()
    np.testing.assert_allclose(tiled(view, segment), whole, atol=1e-6)


@pytest.mark.usefixtures("small_tiles")
def test_probabilities_of_a_pixel_sum_to_one() -> None:
    found = tiled(noise(150, 333), task())
    assert found.shape == (3, 150, 333)
    np.testing.assert_allclose(found.sum(0), 1, atol=1e-5)


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("fit", ["crop", "stretch", "letterbox", "tiles"])
def test_a_prediction_lies_where_its_image_does(fit: Fit) -> None:
    """A network that tells bright from dark, pixel by pixel, draws a rectangle where it is, at any size."""
    layer = nn.Conv2d(3, 2, 1)
    nn.init.zeros_(layer.weight)
    layer.bias = None
    layer.weight.data[1] = 5
    card = Card("test", "", "", 2026, "", "", (3, 64, 64), 2, 1)

    class Same(nn.Module):
        def forward(self, maps: list[Tensor], size: tuple[int, int]) -> Tensor:
            return maps[0]

    segment = Segment(Network(card, {"stage1": Stage(layer, 2, 1)}, Same(), head_inputs=("stage1",)).eval(), ("a", "b"))
    for height, width in ((64, 64), (300, 211), (40, 170), (33, 20)):
        target = np.zeros((height, width), np.uint8)
        target[height // 5 : height // 2, width // 3 : width * 3 // 4] = 1
        image = np.repeat(target[..., None] * 255, 3, axis=2)
        found = predict_image(image, (height, width), segment, RUNTIME, replace(INPUT, fit=fit))
        scale = max(1.0, max(height, width) / 64)
        edge = 2 * (height // 2 - height // 5 + width * 3 // 4 - width // 3)
        assert np.count_nonzero(found != target) <= (0 if fit == "tiles" else edge * scale / 2 + 2)
        half = predict_image(image, (height // 2, width // 2), segment, RUNTIME, replace(INPUT, fit=fit))
        assert half.shape == (height // 2, width // 2)
        assert np.mean(half == target[1 : height // 2 * 2 : 2, 1 : width // 2 * 2 : 2]) > 0.9


def test_probabilities_are_interpolated_as_torch_does() -> None:
    segment, image = task(), noise(64, 64)
    found = predict_image(image, (160, 224), segment, RUNTIME, replace(INPUT, fit="stretch"))
    probabilities = torch.from_numpy(tiled(image, segment))[None]
    expected = F.interpolate(probabilities, (160, 224), mode="bilinear").argmax(1)[0].numpy()
    assert np.mean(found == expected) > 0.99  # OpenCV interpolates in steps of 1/32


@pytest.mark.usefixtures("small_tiles")
def test_bands_leave_no_seams(monkeypatch: pytest.MonkeyPatch) -> None:
    image, segment = noise(90, 150), task()
    before = predict_image(image, (90, 150), segment, RUNTIME, INPUT)
    monkeypatch.setattr("convolve.tasks.segment.tiled_prediction._BAND", 700)
    assert np.array_equal(predict_image(image, (90, 150), segment, RUNTIME, INPUT), before)


def test_pixels_below_the_threshold_are_ignored() -> None:
    image, segment = noise(64, 64), task()
    confidence = tiled(image, segment).max(0)
    found = predict_image(image, (64, 64), segment, RUNTIME, INPUT, threshold=0.4)
    assert np.array_equal(found == IGNORE, confidence < np.float32(0.4))
    assert 0 < np.mean(found == IGNORE) < 1


@pytest.mark.parametrize("channels", [1, 3])
def test_gray_and_color(channels: int) -> None:
    image = noise(70, 90)[..., :channels]
    assert predict_image(image, (70, 90), task(), RUNTIME, INPUT).shape == (70, 90)


def test_memory_grows_with_the_tile_not_with_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more pixels than `PIXELS_AT_ONCE` go through the network together."""
    segment, most = task(), []
    plain = segment.network.forward

    def counting(images: Tensor) -> Tensor | tuple[Tensor, ...]:
        most.append(images.shape[0] * images.shape[2] * images.shape[3])
        return plain(images)

    monkeypatch.setattr(segment.network, "forward", counting)
    predict_image(noise(256, 4096), (256, 4096), segment, RUNTIME, replace(INPUT, height=256, width=256))
    assert len(most) == 5
    assert max(most) <= 512 * 512


@given(
    size=st.tuples(st.integers(1, 3000), st.integers(1, 3000)),
    input_size=st.tuples(st.integers(8, 400), st.integers(8, 400)),
    stride=st.sampled_from([1, 4, 8, 16, 32]),
)
def test_tiles_cover_every_pixel_and_fit_into_memory(
    size: tuple[int, int], input_size: tuple[int, int], stride: int
) -> None:
    axes = _axes(size, input_size, stride)
    for axis, length in zip(axes, size, strict=True):
        assert axis.starts[0] == 0
        assert length <= axis.reach < length + stride or axis.reach == axis.tile == length
        assert all(start % stride == 0 for start in axis.starts)
        steps = [after - before for before, after in itertools.pairwise(axis.starts)]
        assert all(0 < step <= axis.tile - axis.overlap for step in steps)
    assert axes[0].tile * axes[1].tile <= max(512 * 512, (input_size[0] + stride) * (input_size[1] + stride))


_LARGE = """
import re
from pathlib import Path
import numpy as np
from convolve.models import create
from convolve.runtime import choose
from convolve.tasks.segment.task import Segment
from convolve.tasks.segment.tiled_prediction import predict_image
from convolve.values import Preprocessing
size = Preprocessing(256, 256, 3, "crop", (0.5,) * 3, (0.25,) * 3)
network = create("fcn8s_resnet18", 11, 3, (256, 256)).eval()
image = np.zeros((1024, 2048, 3), np.uint8)
found = predict_image(image, (1024, 2048), Segment(network, tuple("abcdefghijk")), choose("cpu", "fp32", 1), size)
assert found.shape == (1024, 2048)
print(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_large_image_takes_less_than_two_gigabytes() -> None:
    done = subprocess.run([sys.executable, "-c", _LARGE], capture_output=True, text=True, check=True)
    assert int(done.stdout) * 1024 < 2e9
