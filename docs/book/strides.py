"""Draw the predictions of segmentation networks next to the ground truth:
``python docs/book/strides.py DATA RUN … IMAGE.png``.

One row for each of three images of the test split: the image, the prediction of each run, the ground truth, as in
figure 4 of Shelhamer, Long and Darrell 2016. The figure of the docs is committed, because it needs the runs.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import convolve
from convolve.datasets.layouts import open_dataset
from convolve.datasets.masks import Masks, colorize
from convolve.fonts import pillow_font
from convolve.reports.colors import INK, PAPER

SIZE, GAP, LINE, ROWS = (240, 180), 6, 26, 3


def columns(data: str, runs: list[str]) -> dict[str, list[Image.Image]]:
    """By heading: the images, the masks that each run predicts, and the ground truth."""
    dataset = open_dataset(data)
    test = json.loads((Path(runs[0]) / "splits.json").read_text())["test"]
    chosen = [test[position] for position in np.linspace(0, len(test) - 1, ROWS).round().astype(int)]
    names = [dataset.images.name(index) for index in range(len(dataset.images))]
    indices = [names.index(name) for name in chosen]
    images = [Image.fromarray(dataset.images.read(index)) for index in indices]
    found = {"": images}
    with tempfile.TemporaryDirectory() as folder:
        for number, image in enumerate(images):
            image.save(Path(folder) / f"{number}.png")
        for run in runs:
            predictions = convolve.predict(run, [folder], out=Path(folder) / Path(run).name)
            found[Path(run).name] = [
                Image.open(each.as_json()["mask"]).convert("RGB") for each in predictions.predictions
            ]
    masks = dataset.ground_truths.get("masks")
    if isinstance(masks, Masks):
        found["ground truth"] = [Image.fromarray(colorize(masks.colors, masks.read(index))) for index in indices]
    return found


def draw_columns(found: dict[str, list[Image.Image]]) -> Image.Image:
    """All columns in one image, with their headings above."""
    width, height = SIZE
    canvas = Image.new("RGB", (len(found) * (width + GAP) - GAP, LINE + ROWS * (height + GAP) - GAP), PAPER)
    draw = ImageDraw.Draw(canvas)
    for column, (heading, images) in enumerate(found.items()):
        left = column * (width + GAP)
        draw.text((left + width // 2, LINE // 2), heading, fill=INK, font=pillow_font(heading, 15), anchor="mm")
        for row, image in enumerate(images):
            canvas.paste(image.resize(SIZE), (left, LINE + row * (height + GAP)))
    return canvas


if __name__ == "__main__":
    _, data, *runs, path = sys.argv
    draw_columns(columns(data, runs)).quantize(255).save(path, optimize=True)
