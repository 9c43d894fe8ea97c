"""Small images of colored shapes with boxes around them, and a small network that finds them in a moment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast, final

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from convolve.datasets.boxes import Boxes
from convolve.datasets.images import ImageFiles
from convolve.layers.box_head import BoxHead, Candidates, Maps
from convolve.models import Card, Network
from convolve.models.network import Stage, Variant
from convolve.targets import BoxTensors
from convolve.values import Dataset, Pixels

CLASSES = ("disc", "네모")
NAME = "small_detector"
STRIDE = 8


def scene(random: np.random.Generator, shape: tuple[int, int] = (64, 80)) -> tuple[Pixels, list[list[float]]]:
    """An image (H, W, 3) of up to three shapes, and left, top, right, bottom and class of each."""
    image = np.full((*shape, 3), 110, dtype=np.int64)
    found: list[list[float]] = []
    for _ in range(int(random.integers(0, 4))):
        side = int(random.integers(12, 25))
        left, top = (int(random.integers(0, length - side)) for length in shape[::-1])
        box = [left, top, left + side, top + side]
        if any(box[0] < b[2] and b[0] < box[2] and box[1] < b[3] and b[1] < box[3] for b in found):
            continue
        kind = int(random.integers(2))
        if kind:
            image[top : top + side, left : left + side] = (40, 70, 230)
        else:
            rows, columns = np.ogrid[: shape[0], : shape[1]]
            inside = (rows + 0.5 - top - side / 2) ** 2 + (columns + 0.5 - left - side / 2) ** 2 <= side**2 / 4
            image[inside] = (240, 60, 40)
        found.append([*box, kind])
    image += random.integers(-15, 16, image.shape)
    return image.clip(0, 255).astype(np.uint8), found


def voc_folder(root: Path, count: int = 24, shape: tuple[int, int] = (64, 80), seed: int = 0) -> Path:
    """A folder as Pascal VOC has it: images, and an XML file for each."""
    random = np.random.default_rng(seed)
    for name in ("JPEGImages", "Annotations"):
        (root / name).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        image, objects = scene(random, shape)
        Image.fromarray(image).save(root / "JPEGImages" / f"{number:03}.png")
        (root / "Annotations" / f"{number:03}.xml").write_text(_annotation(number, shape, objects), encoding="utf-8")
    return root


def dataset(root: Path, count: int = 24, shape: tuple[int, int] = (64, 80), seed: int = 0) -> Dataset:
    """The same images and boxes without a reader's help."""
    voc_folder(root, count, shape, seed)
    random = np.random.default_rng(seed)
    objects = [scene(random, shape)[1] for _ in range(count)]
    rows = np.array([row for found in objects for row in found]).reshape(-1, 5)
    none = np.zeros(len(rows), dtype=bool)
    boxes = Boxes(
        boxes=rows[:, :4],
        class_indices=rows[:, 4].astype(np.int64),
        first=np.cumsum([0, *map(len, objects)]).astype(np.int64),
        sizes=np.tile(np.array(shape, dtype=np.int64), (count, 1)),
        classes=CLASSES,
        areas=(rows[:, 2] - rows[:, 0]) * (rows[:, 3] - rows[:, 1]),
        crowd=none,
        difficult=none,
        covers=np.ones(count, dtype=bool),
    )
    images = ImageFiles(root, tuple(f"JPEGImages/{number:03}.png" for number in range(count)))
    return Dataset(str(root), "boxes", "by hand", images, {"boxes": boxes}, {})


@final
class SmallHead(nn.Module):
    """Two boxes in each cell of one map: sigmoids of position and objectness, exponentials of the sides, a softmax."""

    anchors: Tensor

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.register_buffer("anchors", torch.tensor([[[12.0, 12.0], [24.0, 24.0]]]))
        self.layer = nn.Conv2d(channels, 2 * (5 + classes), 1)

    def forward(self, maps: list[Tensor], size: tuple[int, int]) -> Maps:
        del size
        return (self.layer(maps[0]),)

    def _parts(self, outputs: Maps) -> tuple[Tensor, Tensor, Tensor]:
        """(N, H, W, 2, 4) boxes as center and sides, (N, H, W, 2) objectness, (N, H, W, 2, C) classes, both raw."""
        found = outputs[0].float()
        values = found.reshape(len(found), 2, -1, *found.shape[2:]).permute(0, 3, 4, 1, 2)
        rows, columns = torch.meshgrid(*(torch.arange(side) for side in values.shape[1:3]), indexing="ij")
        corners = torch.stack([columns, rows], -1)[:, :, None].to(values)
        centers = (corners + values[..., :2].sigmoid()) * STRIDE
        sides = values[..., 2:4].clamp(max=4).exp() * self.anchors[0]
        return torch.cat([centers, sides], -1), values[..., 4], values[..., 5:]

    def decode(self, outputs: Maps, size: tuple[int, int]) -> Candidates:
        del size
        boxes, objectness, classes = self._parts(outputs)
        edges = torch.cat([boxes[..., :2] - boxes[..., 2:] / 2, boxes[..., :2] + boxes[..., 2:] / 2], -1)
        return Candidates(edges.flatten(1, 3), (objectness.sigmoid()[..., None] * classes.softmax(-1)).flatten(1, 3))

    def loss(
        self, outputs: Maps, targets: BoxTensors, size: tuple[int, int], random: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        del random
        boxes, objectness, classes = self._parts(outputs)
        count, (height, width) = len(boxes), boxes.shape[1:3]
        sides, centers = targets.boxes[:, 2:] - targets.boxes[:, :2], (targets.boxes[:, 2:] + targets.boxes[:, :2]) / 2
        columns, rows = (centers / STRIDE).long().unbind(1)
        anchor = (sides[:, None] / self.anchors[0]).log().abs().sum(-1).argmin(1)
        index = targets.image, rows.clamp(max=height - 1), columns.clamp(max=width - 1), anchor
        wanted = torch.zeros_like(objectness)
        wanted[index] = 1.0
        found = F.binary_cross_entropy_with_logits(objectness, wanted, reduction="sum") / count
        place = F.smooth_l1_loss(boxes[index], torch.cat([centers, sides], 1), reduction="sum", beta=1.0) / count / 4
        kind = F.cross_entropy(classes[index], targets.classes, reduction="sum") / count
        del size
        return {"loss": found + place + kind, "objectness": found, "place": place, "kind": kind}

    def fit_anchors(self, sides: Tensor, seed: int) -> None:
        del seed
        ordered = sides[sides.prod(1).argsort()]
        self.anchors[0] = torch.stack([part.mean(0) for part in ordered.tensor_split(2)])


def build(card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    """Three stages of two convolutions, and the head."""
    del size
    stages, inner = {}, channels
    for number, outer in enumerate((16, 32, 64), 1):
        layers = [*_convolution(inner, outer, 2), *_convolution(outer, outer, 1)]
        stages[f"stage{number}"] = Stage(nn.Sequential(*layers), outer, 2**number)
        inner = outer
    return Network(card, stages, SmallHead(inner, classes), head_inputs=("stage3",))


VARIANT = Variant(
    Card(NAME, "A small detector", "nobody", 2016, "nowhere", "", (3, 64, 64), 2, 8, parameters=70_000, output="boxes"),
    build,
)


def head_of(network: Network) -> BoxHead:
    return cast(BoxHead, network.head)


def _convolution(inner: int, outer: int, stride: int) -> Sequence[nn.Module]:
    return nn.Conv2d(inner, outer, 3, stride, 1, bias=False), nn.BatchNorm2d(outer), nn.ReLU()


def _annotation(number: int, shape: tuple[int, int], objects: Sequence[Sequence[float]]) -> str:
    size = f"<size><width>{shape[1]}</width><height>{shape[0]}</height><depth>3</depth></size>"
    found = "".join(
        f"<object><name>{CLASSES[int(kind)]}</name><difficult>0</difficult><bndbox><xmin>{left + 1:.0f}</xmin>"
        f"<ymin>{top + 1:.0f}</ymin><xmax>{right:.0f}</xmax><ymax>{bottom:.0f}</ymax></bndbox></object>"
        for left, top, right, bottom, kind in objects
    )
    return f"<annotation><filename>{number:03}.png</filename>{size}{found}</annotation>"
