"""Small images of one color with captions of four words and more that name it, two of each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

COLORS = {"red": (210, 40, 40), "green": (40, 180, 60), "blue": (50, 70, 220)}


def caption_folder(root: Path, count: int = 24, seed: int = 0) -> Path:
    """A folder of such images, a little brighter above, with `captions.csv`."""
    random = np.random.default_rng(seed)
    root.mkdir(parents=True, exist_ok=True)
    lines = ["image,caption"]
    for number in range(count):
        name = list(COLORS)[number % len(COLORS)]
        image = np.full((32, 32, 3), COLORS[name]) + random.integers(-20, 21, (32, 32, 3))
        image[:8] += 20
        Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(root / f"{number}.png")
        lines += [f"{number}.png,a wall that is {name}", f"{number}.png,the wall is {name}"]
    (root / "captions.csv").write_text("\n".join(lines))
    return root
