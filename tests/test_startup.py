"""What a single prediction waits for: torch, and nothing that it does not use."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import convolve

UNUSED = ("matplotlib", "sklearn", "scipy", "timm", "torchvision.models", "jinja2", "torch._dynamo", "sympy")
SCRIPT = f"""
import sys
from convolve.cli import main
try:
    main()
finally:
    print("imported:", [name for name in {UNUSED!r} if name in sys.modules], "torch" in sys.modules)
"""


def predict(run: Path, image: Path, *words: str) -> str:
    """What `convolve predict` prints in a process of its own, and then which of `UNUSED` it has imported."""
    command = [sys.executable, "-c", SCRIPT, "predict", str(run), str(image), *words]
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


@pytest.mark.parametrize("name", UNUSED)
def test_all_that_must_not_be_imported_exists(name: str) -> None:
    assert importlib.util.find_spec(name)
