"""Images of one disc or square each, and their boxes as Pascal VOC has them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from convolve.datasets.boxes import Boxes
from convolve.values import Indices

CLASSES = ("disc", "square")
NETWORK = "localize_resnet20_cifar"


def shapes_folder(root: Path, count: int, seed: int = 0) -> Path:
    """``count`` images of 64x48 or 48x64 pixels."""
    random = np.random.default_rng(seed)
    for name in ("JPEGImages", "Annotations"):
        (root / name).mkdir(parents=True)
    for number in range(count):
        width, height = ((64, 48), (48, 64))[number % 2]
        kind, side = number // 2 % 2, int(random.integers(14, 30))
        x, y = int(random.integers(0, width - side)), int(random.integers(0, height - side))
        image = Image.fromarray(random.integers(80, 120, (height, width, 3)).astype(np.uint8))
        draw = ImageDraw.Draw(image)
        (draw.ellipse, draw.rectangle)[kind](
            (x, y, x + side - 1, y + side - 1), fill=((220, 40, 40), (40, 90, 220))[kind]
        )
        image.save(root / "JPEGImages" / f"{number:03}.png")
        edges = "".join(
            f"<{name}>{value}</{name}>"
            for name, value in zip(("xmin", "ymin", "xmax", "ymax"), (x + 1, y + 1, x + side, y + side), strict=True)
        )
        (root / "Annotations" / f"{number:03}.xml").write_text(
            f"<annotation><filename>{number:03}.png</filename><size><width>{width}</width><height>{height}</height>"
            f"<depth>3</depth></size><object><name>{CLASSES[kind]}</name><bndbox>{edges}</bndbox></object></annotation>"
        )
    return root


def boxes_of(rows: list[list[tuple[float, float, float, float, int]]], size: tuple[int, int] = (40, 50)) -> Boxes:
    """Boxes of images of one size, each with left, top, right, bottom and class index."""
    flat = np.array([row for image in rows for row in image], dtype=np.float64).reshape(-1, 5)
    none: np.ndarray[tuple[int], np.dtype[np.bool_]] = np.zeros(len(flat), dtype=bool)
    sizes: Indices = np.tile(np.array(size, dtype=np.int64), (len(rows), 1))
    return Boxes(
        boxes=flat[:, :4],
        class_indices=flat[:, 4].astype(np.int64),
        first=np.cumsum([0, *map(len, rows)]).astype(np.int64),
        sizes=sizes,
        classes=CLASSES,
        areas=(flat[:, 2] - flat[:, 0]) * (flat[:, 3] - flat[:, 1]),
        crowd=none,
        difficult=none.copy(),
        covers=np.ones(len(rows), dtype=bool),
    )
