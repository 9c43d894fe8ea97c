"""What a single prediction waits for: torch, and nothing that it does not use; by an export not even torch."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import convolve

UNUSED = (
    "matplotlib",
    "sklearn",
    "scipy",
    "timm",
    "torchvision",
    "jinja2",
    "torch._dynamo",
    "sympy",
    "triton",
    "openvino",
    "h5py",
    "onnx",
    "nncf",
    "google.protobuf",
    "fontTools",
    "convolve.reports",
)
EXPORT_UNUSED = (
    *(name for name in UNUSED if name != "openvino"),
    "torch",
    "safetensors",
    "openvino.tools.ovc",
    "convolve.models",
    "convolve.runtime",
    "convolve.metrics.calibration",
    "convolve.datasets.layouts",
)
SCRIPT = """
import sys
from convolve.cli import main
unused = sys.argv.pop(1).split()
try:
    main()
finally:
    print("imported:", [name for name in unused if name in sys.modules], "torch" in sys.modules)
"""


def predict(folder: Path, image: Path, *words: str, unused: Sequence[str] = UNUSED) -> str:
    """What `convolve predict` prints in a process of its own, and then what it has imported of ``unused`` modules."""
    command = [sys.executable, "-c", SCRIPT, " ".join(unused), "predict", str(folder), str(image), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_predicting_a_class_imports_nothing_unused(digits_run: Path, tmp_path: Path) -> None:
    Image.new("L", (16, 16)).save(tmp_path / "one.png")
    printed = predict(digits_run, tmp_path / "one.png")
    assert "one.png" in printed
    assert printed.splitlines()[-1] == "imported: [] True"


def test_predicting_masks_imports_nothing_unused(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for folder in ("images", "masks"):
        (tmp_path / "data" / folder).mkdir(parents=True)
        for number in range(8):
            pixels = random.integers(0, 2 if folder == "masks" else 255, (16, 16), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "data" / folder / f"{number}.png")
    run = tmp_path / "run"
    convolve.train(str(tmp_path / "data"), network="unet_same", size=16, epochs=1, threads=1, progress=False, out=run)
    printed = predict(run, tmp_path / "data" / "images" / "0.png", "--out", str(tmp_path / "found"))
    assert (tmp_path / "found").is_dir()
    assert printed.splitlines()[-1] == "imported: [] True"


def test_predicting_boxes_imports_nothing_unused(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    images, annotations = [], []
    (tmp_path / "data").mkdir()
    for number in range(8):
        pixels = random.integers(0, 100, (64, 64, 3), np.uint8)
        pixels[8:40, 8:40] = 220
        Image.fromarray(pixels).save(tmp_path / "data" / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "width": 64, "height": 64})
        box = {"bbox": [8, 8, 32, 32], "area": 1024, "iscrowd": 0}
        annotations.append({"id": number, "image_id": number, "category_id": 1, **box})
    document = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "square"}]}
    (tmp_path / "data" / "annotations.json").write_text(json.dumps(document))
    run, data = tmp_path / "run", str(tmp_path / "data")
    convolve.train(data, network="yolo_compact", size=64, epochs=1, threads=1, progress=False, out=run)
    printed = predict(run, tmp_path / "data" / "0.png", "--threshold", "0")
    assert "square" in printed
    assert printed.splitlines()[-1] == "imported: [] True"


@pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="openvino is not installed")
@pytest.mark.parametrize("task", ["classifier", "segmentation", "detector"])
def test_predicting_by_an_export_imports_no_torch(task: str, tmp_path: Path) -> None:
    from tests.exports import small_exports

    folder = getattr(small_exports, task)(tmp_path / "export")
    Image.new("RGB", (16, 16), (250, 0, 0)).save(tmp_path / "one.png")
    printed = predict(folder, tmp_path / "one.png", unused=EXPORT_UNUSED)
    assert {"classifier": "red 99", "segmentation": "red 100.0%", "detector": "1 left"}[task] in printed
    assert printed.splitlines()[-1] == "imported: [] False"


@pytest.mark.parametrize("name", sorted({*UNUSED, *EXPORT_UNUSED} - {"triton"}))
def test_all_that_must_not_be_imported_exists(name: str) -> None:
    assert importlib.util.find_spec(name)
