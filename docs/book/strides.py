"""Draw what networks say of every pixel beside the truth: ``python docs/book/strides.py DATA RUN … PICTURE.png``.

A row for each of three pictures of the test split, spread over it: the picture, each run's answer, the truth; as
Shelhamer, Long and Darrell 2016 show the three strides in their figure 4. The picture of the docs is committed, since
it needs the runs.
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
    """By their headings: the pictures, what each run's network says of them, and the truth."""
    dataset = open_dataset(data)
    test = json.loads((Path(runs[0]) / "splits.json").read_text())["test"]
    chosen = [test[place] for place in np.linspace(0, len(test) - 1, ROWS).round().astype(int)]
    names = [dataset.images.name(place) for place in range(len(dataset.images))]
    places = [names.index(name) for name in chosen]
    pictures = [Image.fromarray(dataset.images.read(place)) for place in places]
    found = {"": pictures}
    with tempfile.TemporaryDirectory() as made:
        for number, picture in enumerate(pictures):
            picture.save(Path(made) / f"{number}.png")
        for run in runs:
            answers = convolve.predict(run, [made], out=Path(made) / Path(run).name)
            found[Path(run).name] = [Image.open(answer.mask).convert("RGB") for answer in answers.answers]
    masks = dataset.ground_truths.get("masks")
    truths = []
    if isinstance(masks, Masks):
        truths = [Image.fromarray(colorize(masks.colors, masks.read(place))) for place in places]
    return found | {"truth": truths}


def drawn(found: dict[str, list[Image.Image]]) -> Image.Image:
    """All of it, headings above."""
    width, height = SIZE
    canvas = Image.new("RGB", (len(found) * (width + GAP) - GAP, LINE + ROWS * (height + GAP) - GAP), PAPER)
    draw = ImageDraw.Draw(canvas)
    for column, (heading, pictures) in enumerate(found.items()):
        left = column * (width + GAP)
        draw.text((left + width // 2, LINE // 2), heading, fill=INK, font=pillow_font(heading, 15), anchor="mm")
        for row, picture in enumerate(pictures):
            canvas.paste(picture.resize(SIZE), (left, LINE + row * (height + GAP)))
    return canvas


if __name__ == "__main__":
    _, data, *runs, place = sys.argv
    drawn(columns(data, runs)).quantize(255).save(place, optimize=True)
