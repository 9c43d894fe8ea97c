"""Weights that others trained reach what they are known for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import convolve
from convolve import models
from convolve.interop.matching import ALL_BY_ORDER
from convolve.runtime import choose
from convolve.setup.restore import restore_task
from convolve.setup.runtime_options import RuntimeOptions
from convolve.setup.starting_weights import find_starting_weights
from convolve.tasks.restore.degradation import Degradation
from convolve.tasks.restore.evaluation import baselines, measure
from convolve.tasks.restore.task import Restore
from convolve.tasks.restore.tiled_restoration import restore_image
from convolve.training.run import open_run
from convolve.untrusted.networks import openvino_core
from tests.interop.caffe.make_outputs import HERE, NETWORKS, make_input, summarize

SHARED = Path(__file__).parents[4] / "shared"
WEIGHTS = SHARED / "weights" / "vdsr" / "VDSR_Adam.caffemodel"
BUTTERFLY = SHARED / "data" / "super_resolution" / "Set5" / "butterfly.png"
TENSORFLOW = SHARED / "weights" / "super_resolution_tf"
FULL_RANGE = 20 * np.log10(255 / 219)
"""By how much PSNR is less of gray levels from 0 to 255 than of Y from 16 to 235, in dB."""


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


@pytest.mark.skipif(not (WEIGHTS.exists() and BUTTERFLY.exists()), reason="no shared weights and data here")
def test_caffe_files_become_a_run(tmp_path: Path) -> None:
    """Its network gives what OpenCV gives for the files, whose last layer adds the image; its gain is VDSR's."""
    files = (str(WEIGHTS), str(WEIGHTS.with_name("VDSR_net_deploy.prototxt")))
    options: dict[str, Any] = {"task": "restore", "upscale": 2, "out": tmp_path / "run", "progress": False}
    found = convolve.convert(files, **options)
    assert (found.network, found.task, found.outputs) == ("vdsr", "restore", 1)
    assert found.notes[0].startswith("the network is taken to see Y from 16 to 235")
    task, _ = restore_task(open_run(tmp_path / "run"), RuntimeOptions(device="cpu", precision="fp32", threads=1))
    images = torch.from_numpy(make_input(*NETWORKS["vdsr"][2:]))
    with torch.inference_mode():
        restored = (images + task.network(images)).numpy()
    stored = np.load(HERE / "vdsr.npz")
    (row,) = (row for layer, row in zip(stored["layers"], stored["rows"], strict=True) if layer == "sum")
    assert np.abs(summarize(restored) - row).max() <= 1e-4 * row[-1]
    (tmp_path / "data").mkdir()
    Image.open(BUTTERFLY).crop((64, 64, 192, 192)).save(tmp_path / "data" / "part.png")
    metrics = convolve.evaluate(tmp_path / "run", tmp_path / "data", threads=1, progress=False).evaluation.metrics
    assert metrics["psnr_gain"] > 3


@pytest.mark.skipif(not (TENSORFLOW.is_dir() and BUTTERFLY.exists()), reason="no shared weights and data here")
@pytest.mark.parametrize(("name", "factor", "published"), [("ESPCN", 2, 34.5), ("FSRCNN", 2, 34.2), ("ESPCN", 4, None)])
def test_graphs_of_tensorflow_become_exports(name: str, factor: int, published: float | None, tmp_path: Path) -> None:
    """Published: mean PSNR of gray levels on Set5, where bicubic interpolation has 33.1."""
    pytest.importorskip("openvino")
    file = TENSORFLOW / f"{name}_x{factor}.pb"
    out = tmp_path / "export"
    found = convolve.convert(file, task="restore", downscaling="opencv-cubic", out=out, progress=False)
    assert (found.task, found.is_export, found.outputs) == ("restore", True, 0)
    gray = np.asarray(Image.open(BUTTERFLY).convert("L"))[:80, :60]
    Image.fromarray(gray).save(tmp_path / "gray.png")
    convolve.predict(out, str(tmp_path / "gray.png"), out=tmp_path, threads=1, precision="fp32", progress=False)
    restored = np.asarray(Image.open(tmp_path / "gray_restored.png"), np.float64)
    network = openvino_core().compile_model(str(file), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    (expected,) = network([gray[None, ..., None].astype(np.float32) / 255]).values()
    assert np.abs(restored - 255 * expected.squeeze().clip(0, 1)).max() < 0.51
    if published:
        evaluation = convolve.evaluate(out, BUTTERFLY.parent, threads=1, progress=False).evaluation
        assert evaluation.metrics["psnr_y"] - FULL_RANGE == pytest.approx(published, abs=0.3)
        assert evaluation.as_json()["baselines"]["bicubic"]["psnr_y"] - FULL_RANGE == pytest.approx(33.1, abs=0.05)
