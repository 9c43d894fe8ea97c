"""Images in tiles are those in one piece."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from convolve import models
from convolve.layers.design import Design
from convolve.runtime import choose
from convolve.tasks.style import stylization
from convolve.tasks.style.instance_statistics import fixed_statistics, measure_statistics
from convolve.tasks.style.loss_source import LossSource
from convolve.tasks.style.stylization import stylize
from convolve.tasks.style.task import Style
from convolve.values import Pixels

RUNTIME = choose("cpu", "fp32", 1)


def _task(name: str) -> Style:
    network = models.create(name, seed=1, design=Design(width=0.25)).eval()
    return Style(network, LossSource("", "", "", "", 48, 1.0, 1.0), (0.4,) * 3, (0.25,) * 3)


def _image(height: int, width: int) -> Pixels:
    rows, columns = np.mgrid[:height, :width]
    waves = [127 + 100 * np.sin(rows * a + columns * b) for a, b in ((0.05, 0.1), (0.2, 0.03), (0.11, 0.17))]
    return np.stack(waves, 2).astype(np.uint8)


@pytest.mark.parametrize("size", [(110, 150), (43, 140)])
def test_tiles_cannot_be_told_from_the_whole(size: tuple[int, int]) -> None:
    task, image = _task("johnson"), _image(*size)
    whole, tiled = (stylize(image, task, RUNTIME, tile).astype(int) for tile in (1000, 72))
    assert whole.shape == (*size, 3)
    assert np.abs(whole - tiled).max() <= 1


def test_tiles_with_instance_normalization_have_no_seams(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the statistics of the whole image they are the whole image; each by its own they are not."""
    task, image = _task("johnson_instance"), _image(110, 150)
    image[:, :75] //= 6
    whole = stylize(image, task, RUNTIME, 1000).astype(int)
    assert np.abs(whole - stylize(image, task, RUNTIME, 72)).max() <= 1
    monkeypatch.setattr(stylization, "fixed_statistics", lambda *_: torch.inference_mode())
    assert np.abs(whole - stylize(image, task, RUNTIME, 72)).mean() > 10


@torch.no_grad()
def test_fixed_statistics_are_those_of_the_layers_and_leave_no_hook() -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 6, 3), torch.nn.GroupNorm(2, 6), torch.nn.GroupNorm(6, 6))
    for layer in network[1:]:
        torch.nn.init.normal_(layer.weight, generator=torch.Generator().manual_seed(1))  # type: ignore[arg-type]
    images = torch.rand(1, 3, 12, 14, generator=torch.Generator().manual_seed(0))
    expected = network(images)
    statistics: Any = measure_statistics(network, images)
    with fixed_statistics(network, statistics):
        torch.testing.assert_close(network(images), expected, rtol=1e-4, atol=1e-5)
        assert not torch.allclose(network(2 * images), expected, atol=0.1)
    assert not any(module._forward_hooks for module in network.modules())


def test_small_images_are_reflected() -> None:
    task = _task("johnson")
    assert stylize(_image(5, 60), task, RUNTIME).shape == (5, 60, 3)
