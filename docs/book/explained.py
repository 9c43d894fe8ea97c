"""Draw what every method of `convolve explain` shows of photographs: ``python docs/book/explained.py RUN [FOLDER]``.

RUN is the run that the chapter on explaining trains; the figures go to docs/images unless a FOLDER is named. They are
committed, since they need that run. The photographs are scikit-learn's, and a crop of one of them.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import get_args

import numpy as np
from PIL import Image, ImageDraw
from sklearn.datasets import load_sample_image

import convolve
from convolve.choices import AttributionMethod
from convolve.explainers.methods import METHODS
from convolve.fonts import pillow_font
from convolve.reports.colors import INK, PAPER
from convolve.reports.heatmaps import heatmap_layer, overlay
from convolve.values import Floats, Pixels

IMAGES = Path(__file__).resolve().parent.parent / "images"
SIDE, GAP, LINE, COLUMNS = 120, 4, 26, 2
METHODS_OF_README: tuple[AttributionMethod, ...] = ("cam", "grad-cam", "occlusion")


def photographs() -> dict[str, Pixels]:
    """Three squares: a flower, the same flower in a corner, and a temple, which is no class of the network's."""
    flower, temple = load_sample_image("flower.jpg"), load_sample_image("china.jpg")
    return {"flower": flower[:, 100:527], "corner": flower[:300, :300], "temple": temple[:, 100:527]}


def sheet(images: list[Pixels], attributions: Floats, names: list[str]) -> Image.Image:
    """The images (H, W, 3), and in a block for each method its attributions (images, methods, H, W) over them."""
    block = len(images) * (SIDE + GAP) + 4 * GAP
    rows = -(-(len(names) + 1) // COLUMNS)
    canvas = Image.new("RGB", (COLUMNS * block, rows * (SIDE + LINE + 2 * GAP)), PAPER)
    draw = ImageDraw.Draw(canvas)
    for number, name in enumerate(["", *names]):
        left, top = number % COLUMNS * block, number // COLUMNS * (SIDE + LINE + 2 * GAP)
        draw.text((left, top + LINE // 2), name, fill=INK, font=pillow_font(name, 15), anchor="lm")
        for index, image in enumerate(images):
            tile = image
            if number:
                own = attributions[index, number - 1]
                scaled = own / max(float(np.abs(own).max()), 1e-12)
                tile = overlay(image, heatmap_layer(scaled, METHODS[name].signed, SIDE, SIDE))
            canvas.paste(Image.fromarray(tile), (left + index * (SIDE + GAP), top + LINE))
    return canvas


def main(run: str, folder: Path) -> None:
    """Write `explained.jpg`, all methods, and `explain.png`, a sheet as `convolve explain` writes it."""
    with tempfile.TemporaryDirectory() as temporary:
        images = Path(temporary)
        for number, (name, pixels) in enumerate(photographs().items()):
            Image.fromarray(pixels).save(images / f"{number} {name}.png")
        found = convolve.explain(run, [images], method=get_args(AttributionMethod), out=images / "all", threads=1)
        with np.load(found.arrays) as arrays:
            attributions, names = arrays["attributions"][:, :, 0], arrays["methods"].tolist()
        few = convolve.explain(run, [images / "1 corner.png"], method=METHODS_OF_README, out=images / "few", threads=1)
        example = Image.open(few.images[0].figure).convert("RGB")
    small = [np.asarray(Image.fromarray(pixels).resize((SIDE, SIDE))) for pixels in photographs().values()]
    sheet(small, attributions, names).save(folder / "explained.jpg", quality=88, optimize=True)
    dithered = example.quantize(palette=example.quantize(256), dither=Image.Dither.FLOYDSTEINBERG)
    dithered.save(folder / "explain.png", optimize=True)
    lines = [f"{Path(one.image).stem} {one.prediction} {one.confidence:.1%}\n" for one in found.images]
    sys.stdout.write("".join(lines))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]) if len(sys.argv) > 2 else IMAGES)
