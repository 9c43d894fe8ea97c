"""Sets of objects and detections, and what other programs make of them."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from convolve.metrics.coco_metrics import CocoMetrics
from convolve.metrics.detections import Detections, ObjectBoxes

REFERENCES = sorted((Path(__file__).parent / "average_precision").glob("*.json"))
METRICS = tuple(field.name for field in fields(CocoMetrics))[:12]
"""In the order of the program's."""


class DetectionSet(NamedTuple):
    """Of images and classes with indices from 0."""

    objects: ObjectBoxes
    detections: Detections
    classes: int
    images: int


class Evaluated(NamedTuple):
    """What pycocotools says, nan for -1: the twelve numbers; (10, C) average precision and recall of each class."""

    stats: npt.NDArray[np.float64]
    precision: npt.NDArray[np.float64]
    recall: npt.NDArray[np.float64]


def read_set(content: dict[str, Any]) -> DetectionSet:
    """A set in the layout of COCO's annotations."""
    images = {image["id"]: index for index, image in enumerate(sorted(content["images"], key=lambda row: row["id"]))}
    kinds = {kind["id"]: index for index, kind in enumerate(content["categories"])}
    annotations, found = content["ground_truth"], content["detections"]

    def column(rows: list[dict[str, Any]], name: str, kind: type) -> npt.NDArray[Any]:
        return np.array([row[name] for row in rows], kind)

    def indices(rows: list[dict[str, Any]]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        classes = [kinds[row["category_id"]] for row in rows]
        return np.array(classes, np.int64), np.array([images[row["image_id"]] for row in rows], np.int64)

    flags = (column(annotations, name, bool) for name in ("iscrowd", "difficult"))
    objects = ObjectBoxes(_corners(annotations), *indices(annotations), column(annotations, "area", float), *flags)
    detections = Detections(_corners(found), column(found, "score", float), *indices(found))
    return DetectionSet(objects, detections, len(kinds), len(images))


def read_reference(path: Path) -> tuple[DetectionSet, dict[str, Any]]:
    """A set and the stored results of the programs."""
    content = json.loads(path.read_text())
    return read_set(content), content


def evaluate_with_pycocotools(made: DetectionSet) -> Evaluated:
    annotations = [
        {"id": row + 1, "image_id": image, "category_id": kind, "bbox": box, "area": area, "iscrowd": int(crowd)}
        for row, (image, kind, box, area, crowd) in enumerate(
            zip(
                made.objects.images.tolist(),
                made.objects.classes.tolist(),
                _sizes(made.objects.boxes),
                made.objects.areas.tolist(),
                made.objects.crowd.tolist(),
                strict=True,
            )
        )
    ]
    results = [
        {"image_id": image, "category_id": kind, "bbox": box, "score": score}
        for image, kind, box, score in zip(
            made.detections.images.tolist(),
            made.detections.classes.tolist(),
            _sizes(made.detections.boxes),
            made.detections.scores.tolist(),
            strict=True,
        )
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        dataset = COCO()
        dataset.dataset = {
            "images": [{"id": index} for index in range(made.images)],
            "categories": [{"id": index} for index in range(made.classes)],
            "annotations": annotations,
        }
        dataset.createIndex()
        evaluation = COCOeval(dataset, dataset.loadRes(results) if results else COCO(), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    precision = evaluation.eval["precision"][:, :, :, 0, 2].mean(axis=1)
    recall = evaluation.eval["recall"][:, :, 0, 2]
    return Evaluated(*(np.where(part == -1, np.nan, part) for part in (evaluation.stats, precision, recall)))


def evaluate_by_voc_rules(made: DetectionSet, index: int, iou: float = 0.5) -> tuple[float, float]:
    """Eleven points and area of a class, one detection after another, with boxes whose last pixel is inside."""
    objects, detections = made.objects, made.detections
    rows = np.flatnonzero(detections.classes == index)
    rows = rows[np.argsort(-detections.scores[rows], kind="stable")]
    hard = objects.crowd | objects.difficult
    positives = int((~hard & (objects.classes == index)).sum())
    if not positives:
        return np.nan, np.nan
    seen, true, false = set(), np.zeros(len(rows)), np.zeros(len(rows))
    for position, row in enumerate(rows):
        best, chosen = -1.0, -1
        left, top, right, bottom = detections.boxes[row] + [1, 1, 0, 0]
        for candidate in np.flatnonzero((objects.classes == index) & (objects.images == detections.images[row])):
            x1, y1, x2, y2 = objects.boxes[candidate] + [1, 1, 0, 0]
            width = max(min(right, x2) - max(left, x1) + 1, 0.0)
            shared = width * max(min(bottom, y2) - max(top, y1) + 1, 0.0)
            union = (right - left + 1) * (bottom - top + 1) + (x2 - x1 + 1) * (y2 - y1 + 1) - shared
            if union > 0 and shared / union > best:
                best, chosen = shared / union, int(candidate)
        if best > iou and hard[chosen]:
            continue
        true[position] = best > iou and chosen not in seen
        false[position] = not true[position]
        seen |= {chosen} if true[position] else set()
    recall = np.cumsum(true) / positives
    precision = np.cumsum(true) / np.maximum(np.cumsum(true) + np.cumsum(false), np.finfo(float).eps)
    return _eleven_points(recall, precision), _area(recall, precision)


def random_set(
    seed: int, *, images: int = 4, classes: int = 3, objects: int = 12, detections: int = 40, steps: int = 5
) -> DetectionSet:
    """Edges in quarters of a pixel, boxes without area, crowds, difficult objects, and scores in a few ``steps``."""
    random = np.random.default_rng(seed)
    corners = random.integers(0, 300, (objects, 2)) / 4
    sides = random.choice([0, 16, 32, 64, 128, 129, 384], (objects, 2)) * random.choice([0.25, 1], (objects, 1))
    boxes = np.hstack([corners, corners + sides])
    areas = np.where(random.random(objects) < 0.5, sides.prod(1), np.round(sides.prod(1) * 0.75))
    flags = random.random((2, objects)) < 0.15
    kinds, image = random.integers(0, classes, objects), random.integers(0, images, objects)
    made = ObjectBoxes(boxes, kinds, image, areas, *flags)
    if objects:
        sources = random.integers(0, objects, detections)
        moves = random.choice([0.0, 0, 0.25, 0.5], (detections, 4)) * np.tile(sides[sources], 2) * random.integers(0, 2)
        edges = np.round((boxes[sources] + random.choice([-1, 1], (detections, 4)) * moves) * 4) / 4
        kinds = np.where(random.random(detections) < 0.8, kinds[sources], random.integers(0, classes, detections))
        image = image[sources]
    else:
        edges = random.integers(0, 300, (detections, 4)) / 4
        kinds, image = random.integers(0, classes, detections), random.integers(0, images, detections)
    edges = np.hstack([np.minimum(edges[:, :2], edges[:, 2:]), np.maximum(edges[:, :2], edges[:, 2:])])
    scores = random.integers(0, steps, detections) / steps
    return DetectionSet(made, Detections(edges, scores, kinds, image), classes, images)


@st.composite
def detection_sets(draw: st.DrawFn) -> DetectionSet:
    """From nothing at all to more than 100 detections of a class in an image."""
    return random_set(
        draw(st.integers(0, 2**32 - 1)),
        images=draw(st.integers(1, 6)),
        classes=draw(st.integers(1, 4)),
        objects=draw(st.integers(0, 30)),
        detections=draw(st.sampled_from([0, 1, 5, 40, 150, 400])),
        steps=draw(st.sampled_from([1, 3, 20, 10**6])),
    )


def _corners(rows: list[dict[str, Any]]) -> npt.NDArray[np.float64]:
    boxes = np.array([row["bbox"] for row in rows], np.float64).reshape(-1, 4)
    return np.hstack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]])


def _sizes(boxes: npt.NDArray[np.float64]) -> list[list[float]]:
    return [[left, top, right - left, bottom - top] for left, top, right, bottom in boxes.tolist()]


def _eleven_points(recall: npt.NDArray[np.float64], precision: npt.NDArray[np.float64]) -> float:
    reached = [precision[recall >= point] for point in np.arange(0.0, 1.1, 0.1)]
    return sum(float(part.max()) / 11 if len(part) else 0.0 for part in reached)


def _area(recall: npt.NDArray[np.float64], precision: npt.NDArray[np.float64]) -> float:
    edges, heights = np.concatenate([[0], recall, [1]]), np.concatenate([[0], precision, [0]])
    for index in range(len(heights) - 1, 0, -1):
        heights[index - 1] = max(heights[index - 1], heights[index])
    changes = np.flatnonzero(edges[1:] != edges[:-1])
    return float(((edges[changes + 1] - edges[changes]) * heights[changes + 1]).sum())
