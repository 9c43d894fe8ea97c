"""Weights that others trained reach what they are known for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convolve import models
from convolve.interop.matching import ALL_BY_ORDER
from convolve.runtime import choose
from convolve.setup.starting_weights import find_starting_weights
from convolve.tasks.restore.degradation import Degradation
from convolve.tasks.restore.evaluation import baselines, measure
from convolve.tasks.restore.task import Restore
from convolve.tasks.restore.tiled_restoration import restore_image

SHARED = Path(__file__).parents[4] / "shared"
WEIGHTS = SHARED / "weights" / "vdsr" / "VDSR_Adam.caffemodel"
BUTTERFLY = SHARED / "data" / "super_resolution" / "Set5" / "butterfly.png"


@pytest.mark.skipif(not (WEIGHTS.exists() and BUTTERFLY.exists()), reason="no shared weights and data here")
def test_vdsr_of_caffe() -> None:
    """It takes Y of YCbCr over 255, which is the luminance less -16 / 219, over 255 / 219."""
    network = models.create("vdsr").eval()
    assert find_starting_weights(str(WEIGHTS), "vdsr").load(network) == ALL_BY_ORDER
    task = Restore(network, Degradation(upscale=2), (-16 / 219,), (255 / 219,))
    target = np.asarray(Image.open(BUTTERFLY).convert("RGB"))[64:192, 64:192]
    degraded = task.degradation.degrade(target)
    restored = measure(target, restore_image(degraded, task, choose("cpu", "fp32", 1)), 2)
    bicubic = measure(target, baselines(degraded, task.degradation)["bicubic"], 2)
    assert restored["psnr_y"] > bicubic["psnr_y"] + 3
    assert restored["ssim_y"] > bicubic["ssim_y"]
