"""Exports made by hand: small graphs whose answers anybody can work out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from convolve.exports.card import ExportCard, ExportPrecision, write_card
from convolve.untrusted.networks import openvino
from convolve.values import Preprocessing

COLORS = ("red", "green", "blue")
SHARPNESS = 8.0
"""By what the mean of a channel, from 0 to 1, is multiplied to be the score of its class."""
Answers = Mapping[str, Any]
Build = Callable[[Any, Any], Answers]


def write_export(
    folder: Path,
    task: str,
    build: Build,
    state: Mapping[str, Any],
    *,
    precision: ExportPrecision = "fp32",
    side: int = 16,
    batch: int = -1,
) -> Path:
    """An export whose graph gives what ``build`` makes of opset15 and of the images (N, H, W, 3) as float32."""
    library = openvino()
    ops = library.opset15
    images = ops.parameter([batch, -1, -1, 3], np.uint8, name="images")
    images.output(0).set_names({"images"})
    results = []
    for name, value in build(ops, ops.convert(images, "f32")).items():
        value.output(0).set_names({name})
        results.append(ops.result(value, name=name))
    folder.mkdir(parents=True)
    library.save_model(library.Model(results, [images], "small"), folder / "network.xml", compress_to_fp16=False)
    card = ExportCard(
        convolve="0.1.0",
        task=task,
        network="by_hand",
        title="By hand",
        paper="nobody 2026",
        parameters=3,
        macs=9,
        input=Preprocessing(side, side, 3, "stretch", (0.5,) * 3, (0.5,) * 3),
        engine="openvino",
        precision=precision,
        main="network.xml",
        state=state,
        source={"run": "run", "data": "colors", "epoch": 1},
        metrics={"validation": {"images": 10, "metrics": {"accuracy": 0.9}, "intervals": {}}},
    )
    write_card(folder, card)
    return folder


def classifier(folder: Path, classes: Sequence[str] = COLORS, *, multi_label: bool = False, **changes: Any) -> Path:
    """Which channel is brightest: softmax of the channels' means from 0 to 1, times `SHARPNESS`, at temperature 2."""

    def build(ops: Any, images: Any) -> Answers:
        means = ops.divide(ops.reduce_mean(images, ops.constant([1, 2]), False), ops.constant(np.float32(255)))
        scores = ops.multiply(means, ops.constant(np.float32(SHARPNESS)))
        return {"probabilities": ops.sigmoid(scores) if multi_label else ops.softmax(scores, 1)}

    state = {
        "classes": list(classes),
        "multi_label": multi_label,
        "confidence": {"temperature": 2.0, "reject": None},
    }
    return write_export(folder, "classify", build, state, **changes)


def segmentation(folder: Path, *, confident: bool = True) -> Path:
    """The brightest channel of each pixel, and its value from 0 to 1."""

    def build(ops: Any, images: Any) -> Answers:
        found = ops.topk(images, ops.constant(1), 3, "max", "value", "i64", stable=True)
        axis = ops.constant([3])
        classes = ops.convert(ops.squeeze(found.output(1), axis), "u8")
        confidence = ops.divide(ops.squeeze(found.output(0), axis), ops.constant(np.float32(255)))
        return {"classes": classes, **({"confidence": confidence} if confident else {})}

    colors = [[255, 0, 0], [0, 255, 0], [0, 0, 255]]
    return write_export(folder, "segment", build, {"classes": list(COLORS), "colors": colors})


def detector(folder: Path, threshold: float = 0.5, classes: Sequence[str] = ("left", "right")) -> Path:
    """In each image its left half with the mean of the red channel as the score, and its right half with that of the
    green one; the more confident first.
    """

    def build(ops: Any, images: Any) -> Answers:
        shape = ops.shape_of(images, "i64")

        def sides(*axes: int) -> Any:
            return ops.convert(ops.gather(shape, ops.constant(list(axes)), ops.constant(0)), "f32")

        count = ops.gather(shape, ops.constant([0]), ops.constant(0))
        two = ops.constant(np.array([2], np.int64))
        pairs = ops.concat([count, two], 0)
        means = ops.divide(ops.reduce_mean(images, ops.constant([1, 2]), False), ops.constant(np.float32(255)))
        both = ops.slice(means, ops.constant([0]), ops.constant([2]), ops.constant([1]), ops.constant([1]))
        ordered = ops.topk(both, ops.constant(2), 1, "max", "value", "i64", stable=True)
        halves = ops.constant(np.array([[0, 0, 0.5, 1], [0.5, 0, 1, 1]], np.float32))
        boxes = ops.multiply(halves, sides(2, 1, 2, 1))
        classes_ = ops.reshape(ordered.output(1), ops.constant([-1]), False)
        numbers = ops.range(ops.constant(0), ops.squeeze(count, ops.constant([0])), ops.constant(1), "i64")
        image = ops.broadcast(ops.unsqueeze(numbers, ops.constant([1])), pairs)
        return {
            "boxes": ops.gather(boxes, classes_, ops.constant(0)),
            "scores": ops.reshape(ordered.output(0), ops.constant([-1]), False),
            "classes": ops.add(classes_, ops.constant(np.array([0], np.int64))),
            "image": ops.reshape(image, ops.constant([-1]), False),
        }

    state = {"classes": list(classes), "nms": "per-class", "nms_iou": 0.45, "threshold": threshold}
    return write_export(folder, "detect", build, state)


def plain(color: Sequence[int], height: int = 12, width: int = 20) -> npt.NDArray[np.uint8]:
    """(H, W, 3) of one color."""
    return np.broadcast_to(np.array(color, np.uint8), (height, width, 3)).copy()


def probabilities(color: Sequence[int], temperature: float = 1.0) -> npt.NDArray[np.float64]:
    """What `classifier` gives for an image of one color, at another temperature than its own."""
    scores = np.exp(np.array(color, np.float64) / 255 * SHARPNESS / temperature)
    found: npt.NDArray[np.float64] = scores / scores.sum()
    return found
