"""The kinds of error and their costs: the authors' program's stored results, and cases followed by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from convolve.errors import DataError
from convolve.metrics.coco_metrics import coco_metrics
from convolve.metrics.detection_errors import KINDS, ErrorCost, ErrorCosts, FoundErrors, error_costs, find_errors
from convolve.metrics.detections import Detections, ObjectBoxes
from tests.metrics.detection_sets import DetectionSet, detection_sets, random_set

_SETS = json.loads((Path(__file__).parent / "tide.json").read_text())["sets"]
_NAMES = {
    "Cls": "classification",
    "Loc": "localization",
    "Both": "both",
    "Dupe": "duplicate",
    "Bkg": "background",
    "Miss": "missed",
    "FalsePos": "false_positives",
    "FalseNeg": "false_negatives",
}
_BOX = [0.0, 0, 100, 10]


def _boxes(rows: list[dict[str, Any]]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    boxes = np.array([row["bbox"] for row in rows], float)
    return np.hstack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]])


def _column(rows: list[dict[str, Any]], name: str) -> Any:
    return np.array([row[name] for row in rows])


def _read(content: dict[str, Any]) -> tuple[ObjectBoxes, Detections]:
    truth, found = content["objects"], content["detections"]
    objects = ObjectBoxes.of(_boxes(truth), _column(truth, "category"), _column(truth, "image"))
    detections = Detections(_boxes(found), _column(found, "score"), _column(found, "category"), _column(found, "image"))
    return objects, detections


@pytest.mark.parametrize("content", _SETS, ids=lambda content: f"{content['classes']} classes")
def test_stored_results_of_the_program_are_met(content: dict[str, Any]) -> None:
    objects, detections = _read(content)
    costs = error_costs(objects, find_errors(objects, detections, content["classes"]))
    results = content["results"]
    np.testing.assert_allclose(costs.average_precision, results["ap50"], rtol=0, atol=1e-12)
    for name, value in results["costs"].items():
        np.testing.assert_allclose(getattr(costs, _NAMES[name]).cost, value, rtol=0, atol=1e-12, err_msg=name)
    assert {name: getattr(costs, _NAMES[name]).count for name in results["counts"]} == results["counts"]


@settings(max_examples=60, deadline=None)
@given(detection_sets())
def test_each_false_detection_has_one_kind_and_no_cost_is_below_0(made: DetectionSet) -> None:
    errors = find_errors(made.objects, made.detections, made.classes)
    judged = errors.judged
    assert ((errors.kinds == -1) == judged.true).all()
    assert errors.kinds.max(initial=-1) < len(KINDS)
    assert not (errors.fixable & (errors.sources < 0)).any()
    costs = error_costs(made.objects, errors)
    by_kind = [getattr(costs, kind) for kind in KINDS]
    assert sum(part.count for part in by_kind) == costs.false_positives.count
    assert costs.missed.count + errors.fixable.sum() == costs.false_negatives.count
    if made.objects.counts(made.classes).any():
        assert all(0 <= part.cost <= 1 for part in [*by_kind, costs.missed])
        assert 0 <= costs.average_precision + costs.false_positives.cost <= 1 + 1e-12


@settings(max_examples=30, deadline=None)
@given(detection_sets())
def test_average_precision_is_that_of_coco(made: DetectionSet) -> None:
    objects = made.objects.take(~made.objects.difficult)
    detections = made.detections.take(np.arange(min(100, len(made.detections))))
    costs = error_costs(objects, find_errors(objects, detections, made.classes))
    expected = coco_metrics(objects, detections, made.classes).ap50
    np.testing.assert_allclose(costs.average_precision, expected, rtol=0, atol=1e-12)


def _find(
    objects: list[tuple[list[float], int]], found: list[tuple[list[float], int]]
) -> tuple[ObjectBoxes, FoundErrors]:
    """Errors in one image, with scores that descend."""
    boxes, kinds = np.array([box for box, _ in objects]).reshape(-1, 4), np.array([kind for _, kind in objects], int)
    made = ObjectBoxes.of(boxes, kinds, np.zeros(len(kinds), np.int64))
    edges, classes = np.array([box for box, _ in found]).reshape(-1, 4), np.array([kind for _, kind in found], int)
    scores = np.linspace(0.9, 0.1, len(found))
    return made, find_errors(made, Detections(edges, scores, classes, np.zeros(len(found), np.int64)), 3)


def _kinds(objects: list[tuple[list[float], int]], found: list[tuple[list[float], int]]) -> list[str]:
    errors = _find(objects, found)[1]
    names = [KINDS[kind] if kind >= 0 else "true" for kind in errors.kinds]
    return [names[position] for position in np.argsort(errors.judged.rows)]


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        (([0.0, 0, 50, 10], 0), "true"),
        (([0.0, 0, 49, 10], 0), "localization"),
        (([0.0, 0, 10, 10], 0), "localization"),
        (([0.0, 0, 9, 10], 0), "background"),
        (([0.0, 0, 50, 10], 1), "classification"),
        (([0.0, 0, 49, 10], 1), "both"),
        (([0.0, 0, 10, 10], 1), "both"),
        (([0.0, 0, 9, 10], 1), "background"),
        (([300.0, 0, 400, 10], 0), "background"),
    ],
)
def test_the_kind_of_a_single_detection(found: tuple[list[float], int], kind: str) -> None:
    assert _kinds([(_BOX, 0)], [found]) == [kind]


def test_a_second_detection_is_a_duplicate_unless_another_class_is_there_too() -> None:
    for second in (_BOX, [0.0, 0, 50, 10]):  # the latter overlaps by exactly a half
        assert _kinds([(_BOX, 0)], [(_BOX, 0), (second, 0)]) == ["true", "duplicate"]
    assert _kinds([(_BOX, 0), (_BOX, 1)], [(_BOX, 0), (_BOX, 0)]) == ["true", "classification"]


def test_localization_comes_before_classification() -> None:
    assert _kinds([(_BOX, 0), ([0.0, 0, 30, 10], 1)], [([0.0, 0, 30, 10], 0)]) == ["localization"]


def test_without_objects_all_is_background_and_nothing_has_a_cost() -> None:
    objects, errors = _find([], [(_BOX, 0), (_BOX, 1)])
    costs = error_costs(objects, errors)
    assert (costs.background.count, costs.false_positives.count, costs.missed.count) == (2, 2, 0)
    assert np.isnan([costs.average_precision, costs.background.cost, costs.missed.cost]).all()


def test_of_the_errors_about_an_object_the_one_of_highest_score_is_fixed() -> None:
    objects, errors = _find([(_BOX, 0)], [(_BOX, 1), ([0.0, 0, 40, 10], 0), (_BOX, 2)])
    by_row = np.argsort(errors.judged.rows)
    assert errors.fixable[by_row].tolist() == [True, False, False]
    assert errors.sources[by_row].tolist() == [0, 0, 0]
    costs = error_costs(objects, errors)
    assert (costs.classification, costs.localization) == (ErrorCost(2, 1.0), ErrorCost(1, 0.0))
    assert (costs.missed.count, costs.false_negatives.count) == (0, 1)


def test_an_error_about_an_object_that_is_found_cannot_be_fixed() -> None:
    objects, errors = _find([(_BOX, 0)], [(_BOX, 0), ([0.0, 0, 40, 10], 0), (_BOX, 1)])
    assert not errors.fixable.any()
    costs = error_costs(objects, errors)
    assert costs.average_precision == 1
    assert costs.localization == costs.classification == ErrorCost(1, 0)


def test_false_positives_cost_what_their_scores_do() -> None:
    objects, errors = _find([(_BOX, 0)], [([300.0, 0, 400, 10], 0), (_BOX, 0)])
    costs = error_costs(objects, errors)
    assert costs.average_precision == 0.5
    assert costs.background == costs.false_positives == ErrorCost(1, 0.5)


def test_missed_objects_cost_what_recall_lacks() -> None:
    objects, errors = _find([(_BOX, 0), ([300.0, 0, 400, 10], 0)], [(_BOX, 0)])
    costs = error_costs(objects, errors)
    assert errors.missed.tolist() == [False, True]
    assert costs.missed == costs.false_negatives
    assert (costs.missed.count, round(costs.missed.cost, 12)) == (1, round(1 - 51 / 101, 12))


def test_a_class_of_which_nothing_is_found_gains_nothing_from_not_being_looked_for() -> None:
    costs = error_costs(*_find([(_BOX, 0), (_BOX, 1)], [(_BOX, 0)]))
    assert costs.average_precision == 0.5
    assert costs.missed == costs.false_negatives == ErrorCost(1, 0)


def test_crowds_and_difficult_objects_are_neither_missed_nor_erred_about() -> None:
    boxes, rows = np.array([_BOX, [0.0, 20, 100, 30]]), np.zeros(2, np.int64)
    objects = ObjectBoxes.of(boxes, rows, rows, np.array([True, False]), np.array([False, True]))
    found = Detections(
        np.vstack([boxes, boxes]), np.linspace(0.9, 0.1, 4), np.array([0, 0, 1, 1]), np.zeros(4, np.int64)
    )
    errors = find_errors(objects, found, 2)
    assert [KINDS[kind] for kind in errors.kinds] == ["background", "background"]
    assert not errors.missed.any()


def test_all_kinds_are_fields_of_the_costs() -> None:
    assert set(KINDS) < set(ErrorCosts.__dataclass_fields__)


def test_a_class_that_is_not_there_is_named() -> None:
    with pytest.raises(DataError, match="The class index 2 of an object is none of the 2 classes"):
        find_errors(random_set(1).objects, random_set(1).detections, 2)
