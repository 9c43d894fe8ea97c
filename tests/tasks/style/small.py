"""A painting, and a small loss network with random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.torch import save_file

import convolve
from convolve import models


def style_options(root: Path) -> dict[str, object]:
    """The options of a training, whose files are written to a folder."""
    return {"style": str(_painting(root)), "loss_network": str(_loss_network(root))}


def _painting(root: Path) -> Path:
    """Red and green tiles."""
    tiles = np.random.default_rng(0).integers(0, 2, (12, 12))[:, :, None] * np.array([200, -200, 0]) + [20, 220, 20]
    Image.fromarray(tiles.astype(np.uint8).repeat(4, 0).repeat(4, 1)).save(root / "painting.png")
    return root / "painting.png"


def _loss_network(root: Path) -> Path:
    """A run of `simple_cnn` that was not trained."""
    save_file(models.create("simple_cnn", classes=3, seed=1).state_dict(), root / "random.safetensors")
    convolve.convert([root / "random.safetensors"], network="simple_cnn", out=root / "loss", progress=False)
    return root / "loss"
