"""COCO's metrics against its program: stored results, photographs' objects, and sets made at random."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from convolve.errors import DataError
from convolve.metrics.coco_metrics import MAX_DETECTIONS, THRESHOLDS, CocoMetrics, coco_metrics, limit_detections
from convolve.metrics.detections import Detections, ObjectBoxes
from tests.metrics.detection_sets import (
    METRICS,
    REFERENCES,
    DetectionSet,
    detection_sets,
    evaluate_with_pycocotools,
    random_set,
    read_reference,
    read_set,
)

_ANNOTATIONS = "shared/data/coco_mini/annotations/instances_val2017.json"


def _assert_equal(found: object, expected: Any) -> None:
    values = np.where(np.asarray(expected, float) == -1, np.nan, np.asarray(expected, float))
    np.testing.assert_allclose(np.asarray(found), values, rtol=0, atol=1e-12)


def _assert_as_pycocotools(made: DetectionSet) -> CocoMetrics:
    metrics = coco_metrics(made.objects, made.detections, made.classes)
    oracle = evaluate_with_pycocotools(made)
    assert tuple(metrics.summary()) == METRICS
    _assert_equal(list(metrics.summary().values()), oracle.stats)
    _assert_equal(metrics.class_ap_by_iou, oracle.precision)
    _assert_equal(metrics.class_recall_by_iou, oracle.recall)
    return metrics


def test_there_are_the_six_references() -> None:
    assert [path.stem for path in REFERENCES] == [
        "crowds", "difficult", "duplicates", "many_and_empty", "no_area_and_exact_half", "ties",
    ]  # fmt: skip


@pytest.mark.parametrize("path", REFERENCES, ids=lambda path: path.stem)
def test_stored_results_of_the_program_are_met(path: Path) -> None:
    made, content = read_reference(path)
    metrics = coco_metrics(made.objects, made.detections, made.classes)
    results = content["results"]["coco"]
    _assert_equal([getattr(metrics, name.lower()) for name in results["stats"]], list(results["stats"].values()))
    for index, kind in enumerate(content["categories"]):
        expected = results["per_class"][kind["name"]]
        _assert_equal(metrics.class_ap[index], expected["AP"])
        _assert_equal(metrics.class_ap50[index], expected["AP50"])
        _assert_equal(metrics.class_ar_100[index], expected["AR_100"])
        _assert_equal(metrics.class_ap_by_iou[:, index], expected["AP_by_iou"])
        _assert_equal(metrics.class_recall_by_iou[:, index], expected["recall_by_iou"])


@pytest.mark.parametrize("path", REFERENCES, ids=lambda path: path.stem)
def test_the_program_itself_agrees_with_its_stored_results(path: Path) -> None:
    made, content = read_reference(path)
    _assert_equal(evaluate_with_pycocotools(made).stats, list(content["results"]["coco"]["stats"].values()))


@settings(max_examples=200, deadline=None)
@given(detection_sets())
def test_any_set_is_measured_as_by_the_program(made: DetectionSet) -> None:
    _assert_as_pycocotools(made)


@pytest.mark.parametrize("seed", range(3))
def test_more_than_a_hundred_detections_of_a_class_in_an_image(seed: int) -> None:
    made = random_set(seed, images=2, classes=2, objects=40, detections=1500, steps=400)
    counts = np.bincount(made.detections.images * 2 + made.detections.classes)
    assert counts.max() > MAX_DETECTIONS
    _assert_as_pycocotools(made)
    limited = limit_detections(made.detections)
    assert np.bincount(limited.images * 2 + limited.classes).tolist() == np.minimum(counts, MAX_DETECTIONS).tolist()


def test_objects_of_photographs_are_measured_as_by_the_program() -> None:
    path = next((parent / _ANNOTATIONS for parent in Path(__file__).parents if (parent / _ANNOTATIONS).exists()), None)
    if path is None:
        pytest.skip("needs the annotations of COCO-mini")
    content = json.loads(path.read_text())
    random = np.random.default_rng(0)
    kinds = [kind["id"] for kind in content["categories"]]
    found = []
    for annotation in content["annotations"] * 2:
        left, top, width, height = annotation["bbox"]
        scale = random.choice([0.02, 0.1, 0.3])
        moved = np.array([left, top, width, height]) + random.normal(0, scale, 4) * [width, height, width, height]
        kind = annotation["category_id"] if random.random() < 0.8 else random.choice(kinds)
        box = np.round(np.maximum(moved, [0, 0, 1, 1]), 2)
        score = float(np.round(random.random(), 2))
        found.append({"image_id": annotation["image_id"], "category_id": kind, "bbox": box.tolist(), "score": score})
    for image in content["images"]:
        for _ in range(8):
            corner, side = random.integers(0, 400, 2), random.integers(0, 200, 2)
            kind = int(random.choice(kinds))
            box = [*corner.tolist(), *side.tolist()]
            found.append({"image_id": image["id"], "category_id": kind, "bbox": box, "score": float(random.random())})
    objects = [annotation | {"difficult": False} for annotation in content["annotations"]]
    metrics = _assert_as_pycocotools(read_set(content | {"ground_truth": objects, "detections": found}))
    assert 0.05 < metrics.ap < metrics.ap50 < 0.95
    assert np.isnan(metrics.class_ap).any()


def _single(box: list[float], found: list[float], **flags: bool) -> CocoMetrics:
    one = np.zeros(1, np.int64)
    columns = {name: np.array([value]) for name, value in flags.items()}
    objects = ObjectBoxes.of(np.array([box], float), one, one, **columns)
    return coco_metrics(objects, Detections(np.array([found], float), np.ones(1), one, one), 1)


@pytest.mark.parametrize(("width", "reached"), [(50, 1), (75, 6), (95, 10), (49, 0), (100, 10)])
def test_an_overlap_of_exactly_the_threshold_is_enough(width: float, reached: int) -> None:
    metrics = _single([0, 0, 100, 10], [0, 0, width, 10])
    assert metrics.class_ap_by_iou[:, 0].tolist() == [1.0] * reached + [0.0] * (10 - reached)
    assert THRESHOLDS.round(2).tolist() == [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95]


@pytest.mark.parametrize(("side", "sizes"), [(32, "small medium"), (96, "medium large"), (33, "medium"), (31, "small")])
def test_both_ends_belong_to_a_range_of_areas(side: float, sizes: str) -> None:
    metrics = _single([0, 0, side, side], [0, 0, side, side])
    measured = {name: getattr(metrics, f"ap_{name}") for name in ("small", "medium", "large")}
    assert {name: value for name, value in measured.items() if not np.isnan(value)} == dict.fromkeys(sizes.split(), 1.0)


def test_crowds_are_ignored_and_difficult_objects_are_not() -> None:
    assert np.isnan(_single([0, 0, 8, 8], [0, 0, 8, 8], crowd=True).ap)
    assert _single([0, 0, 8, 8], [0, 0, 8, 8], difficult=True).ap == 1.0


def test_without_objects_all_is_nan_and_without_detections_0() -> None:
    made = random_set(0, objects=6, detections=4)
    none = np.zeros(0, np.int64)
    without = coco_metrics(made.objects.take(none), made.detections, 3)
    assert all(np.isnan(getattr(without, name)) for name in METRICS)
    assert np.isnan(without.class_ap).all()
    undetected = coco_metrics(made.objects, made.detections.take(none), 3)
    assert (undetected.ap, undetected.ap50, undetected.ar_100) == (0.0, 0.0, 0.0)


def test_the_order_of_images_decides_between_equal_scores_and_not_the_order_of_detections() -> None:
    boxes = np.tile([0.0, 0, 4, 4], (2, 1))
    objects = ObjectBoxes.of(boxes[:1], np.array([0]), np.array([1]))
    detections = Detections(boxes, np.ones(2), np.zeros(2, np.int64), np.array([1, 0]))
    assert coco_metrics(objects, detections, 1).ap == 0.5


@pytest.mark.parametrize("part", ["object", "detection"])
def test_a_class_that_is_not_there_is_named(part: str) -> None:
    made = random_set(1)
    classes = int((made.objects if part == "object" else made.detections).classes.max())
    objects = made.objects if part == "object" else made.objects.take(made.objects.classes < classes)
    with pytest.raises(DataError, match=f"The class index {classes} of .* is none of the {classes} classes"):
        coco_metrics(objects, made.detections, classes)
