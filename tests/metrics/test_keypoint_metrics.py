"""Average precision of keypoints, against COCO's own program."""

from __future__ import annotations

from contextlib import redirect_stdout
from dataclasses import astuple
from io import StringIO

import numpy as np
import pytest

from convolve.datasets.point_sets import COCO_SIGMAS
from convolve.errors import DataError
from convolve.metrics.keypoint_metrics import (
    KeypointDetections,
    KeypointObjects,
    keypoint_metrics,
    object_keypoint_similarity,
)

POINTS = len(COCO_SIGMAS)


def scene(seed: int, images: int = 12) -> tuple[KeypointObjects, KeypointDetections]:
    """Persons of all sizes, crowds and persons without points among them, and detections near and far."""
    random = np.random.default_rng(seed)
    count = 40
    sides = random.choice([20.0, 60.0, 150.0], (count, 1)) * random.uniform(0.8, 1.2, (count, 2))
    corners = random.uniform(0, 300, (count, 2)).round(2)
    points = (corners[:, None] + random.random((count, POINTS, 2)) * sides[:, None]).round()
    labeled = random.random((count, POINTS)) < 0.6
    labeled[::9] = False
    crowd = np.zeros(count, dtype=bool)
    crowd[::13] = True
    owner = random.integers(images, size=count)
    areas = (sides.prod(1) * random.uniform(0.4, 1.0, count)).round(3)
    objects = KeypointObjects(points, labeled, owner, areas, np.concatenate([corners, corners + sides], 1), crowd)
    copies = np.concatenate([np.arange(count), random.integers(count, size=60)])
    spread = random.choice([0.01, 0.05, 0.15, 0.5], len(copies))[:, None, None] * sides[copies].mean(1)[:, None, None]
    found = points[copies] + random.standard_normal((len(copies), POINTS, 2)) * spread
    scores = random.integers(0, 40, len(copies)) / 40
    return objects, KeypointDetections(found.round(2), scores, owner[copies])


def by_pycocotools(objects: KeypointObjects, detections: KeypointDetections) -> list[float]:
    coco_api = pytest.importorskip("pycocotools.coco")
    evaluation = pytest.importorskip("pycocotools.cocoeval")

    def flat(points: np.ndarray, flags: np.ndarray) -> list[float]:
        return np.concatenate([points, flags[:, None] * 2.0], 1).reshape(-1).tolist()

    annotations = [
        {
            "id": number + 1,
            "image_id": int(objects.images[number]) + 1,
            "category_id": 1,
            "keypoints": flat(objects.points[number], objects.labeled[number]),
            "num_keypoints": int(objects.labeled[number].sum()),
            "area": float(objects.areas[number]),
            "iscrowd": int(objects.crowd[number]),
            "bbox": [*objects.boxes[number, :2], *(objects.boxes[number, 2:] - objects.boxes[number, :2])],
        }
        for number in range(len(objects.points))
    ]
    images = sorted({*objects.images.tolist(), *detections.images.tolist()})
    results = [
        {
            "image_id": int(image) + 1,
            "category_id": 1,
            "keypoints": flat(points, np.ones(POINTS)),
            "score": float(score),
        }
        for points, score, image in zip(detections.points, detections.scores, detections.images, strict=True)
    ]
    with redirect_stdout(StringIO()):
        truth = coco_api.COCO()
        truth.dataset = {
            "images": [{"id": image + 1} for image in images],
            "annotations": annotations,
            "categories": [{"id": 1, "name": "person"}],
        }
        truth.createIndex()
        judge = evaluation.COCOeval(truth, truth.loadRes(results), "keypoints")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return [float(value) for value in judge.stats]


@pytest.mark.parametrize("seed", range(6))
def test_equal_to_cocos_program(seed: int) -> None:
    objects, detections = scene(seed)
    found = astuple(keypoint_metrics(objects, detections, COCO_SIGMAS))
    expected = [np.nan if value == -1 else value for value in by_pycocotools(objects, detections)]
    assert 0.05 < expected[0] < 0.95
    assert found == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_similarity_by_hand() -> None:
    """A point at a distance of sqrt(area) k has exp(-1/2)."""
    sigma, area = 0.1, 400.0
    objects = KeypointObjects(
        np.zeros((1, 2, 2)), np.array([[True, False]]), np.zeros(1, int), np.array([area]), np.zeros((1, 4)),
        np.zeros(1, bool),
    )  # fmt: skip
    points = np.array([[[2 * sigma * np.sqrt(area), 0.0], [99.0, 99.0]]])
    assert object_keypoint_similarity(objects, points, np.full(2, sigma))[0] == pytest.approx(np.exp(-0.5))


def test_no_object_has_no_metric() -> None:
    objects, detections = scene(0)
    none = KeypointObjects(
        objects.points[:0], objects.labeled[:0], objects.images[:0], objects.areas[:0], objects.boxes[:0],
        objects.crowd[:0],
    )  # fmt: skip
    assert np.isnan(astuple(keypoint_metrics(none, detections, COCO_SIGMAS))).all()


def test_arrays_that_do_not_fit_are_refused() -> None:
    objects, detections = scene(0)
    with pytest.raises(DataError, match="need an image, an area"):
        KeypointObjects(
            objects.points, objects.labeled, objects.images[1:], objects.areas, objects.boxes, objects.crowd
        )
    with pytest.raises(DataError, match="need points, a score"):
        KeypointDetections(detections.points, detections.scores[1:], detections.images)
