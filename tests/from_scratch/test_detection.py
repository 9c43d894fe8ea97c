"""IoU, suppression, average precision and YOLO's boxes against torchvision, scikit-learn and the published programs,
and the traces against these.
"""

from __future__ import annotations

import json
import math
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_curve
from torchvision.ops import batched_nms, box_iou, nms

from convolve.from_scratch import yolo
from convolve.from_scratch.arrays import Array
from convolve.from_scratch.average_precision import (
    ImageBoxes,
    area_average_precision,
    eleven_point_average_precision,
    find_true_positives,
    precision_and_recall,
    precision_envelope,
)
from convolve.from_scratch.boxes import box_areas, box_overlaps, intersection_over_union, non_maximum_suppression
from convolve.from_scratch.traces import yolo as yolo_traces
from convolve.from_scratch.traces.average_precision import Detections, Judgments, detections_trace, judged_trace
from convolve.from_scratch.traces.intersection_over_union import IoUInputs, iou_trace
from convolve.from_scratch.traces.suppression import SuppressionInputs, suppression_trace
from convolve.from_scratch.traces.trace import Trace, format_number

few = settings(max_examples=60, deadline=None)
seeds = st.integers(0, 2**32 - 1)
REFERENCES: dict[str, Any] = json.loads((Path(__file__).parent / "detection_references.json").read_text("utf-8"))


def values(trace: Trace, name: str) -> Array:
    """The values of a grid."""
    return np.array(next(grid.values for grid in trace.grids if grid.name == name))


def check_trace(trace: Trace) -> None:
    """Every cell and every shape of the steps exists, and names are not taken twice."""
    shapes = {grid.name: np.array(grid.values).shape for grid in trace.grids}
    assert len(shapes) == len(trace.grids)
    for step in trace.steps:
        for name, row, column in (*step.inputs, *(cell for cell, _ in step.outputs)):
            assert 0 <= row < shapes[name][0]
            assert 0 <= column < shapes[name][1]
        assert step.outputs
    check_equations(trace)
    assert trace.drawing
    drawn = [shape.name for shape in trace.drawing.shapes]
    assert len(drawn) == len(set(drawn))
    assert {name for step in trace.steps for name, _ in step.marks} <= set(drawn)


def written_value(text: str) -> float | None:
    """The value of a calculation as a step writes it; None for words."""
    code = re.sub(r"\(?(-?[\d.]+)\)?²", r"(\1)**2", text.replace("·", "*").replace("σ", "sigma"))
    if re.search(r"[a-zA-Z]", re.sub(r"exp|sigma|max|e[+-]\d", "", code)):
        return None
    names = {"__builtins__": {}, "exp": math.exp, "sigma": lambda x: 1 / (1 + math.exp(-x)), "max": max}
    return float(eval(code, names))  # noqa: S307 - the package's own text


def check_equations(trace: Trace) -> None:
    """Every calculation that is written has the result that is written, within the digits that are."""
    checked = 0
    for line in (line for step in trace.steps for line in step.equations):
        parts = [written_value(part) for part in line.split(" = ") if not re.search(r"[:<>]|not above", part)]
        values = [part for part in parts if part is not None]
        for left, right in pairwise(values):
            assert left == pytest.approx(right, rel=2e-3, abs=2e-3), line
            checked += 1
    assert checked


def random_boxes(random: np.random.Generator, count: int) -> Array:
    """Boxes on whole pixels, many of which overlap."""
    start = random.integers(0, 30, (count, 2))
    return np.concatenate([start, start + random.integers(1, 30, (count, 2))], axis=1).astype(np.float64)


@few
@given(seed=seeds, sizes=st.tuples(st.integers(1, 5), st.integers(1, 5)))
def test_iou(seed: int, sizes: tuple[int, int]) -> None:
    random = np.random.default_rng(seed)
    p, t = (random_boxes(random, count) for count in sizes)
    iou = intersection_over_union(p, t)
    np.testing.assert_allclose(iou, box_iou(torch.from_numpy(p), torch.from_numpy(t)), rtol=1e-12)
    trace = iou_trace(IoUInputs(p, t))
    check_trace(trace)
    np.testing.assert_allclose(values(trace, "IoU"), iou, rtol=1e-12)
    np.testing.assert_allclose(values(trace, "TP"), box_overlaps(p, t))
    np.testing.assert_allclose(values(trace, "TP") + values(trace, "FP"), np.tile(box_areas(p)[:, None], len(t)))
    np.testing.assert_allclose(values(trace, "TP") + values(trace, "FN"), np.tile(box_areas(t), (len(p), 1)))
    for step in (step for phase in trace.phases[2:] for step in phase.steps):  # the numbers written are those read
        cells = [format_number(values(trace, name)[row, column]) for name, row, column in step.inputs]
        numbers = re.findall(r"[\d.]+", step.equations[0].replace(f"{cells[0]} / (", "("))
        assert numbers[: len(cells)] == cells


def test_iou_counts_the_pixels_of_masks() -> None:
    """TP / (TP + FP + FN), counted pixel by pixel."""
    p, t = np.zeros((2, 90, 90), np.bool_)
    p[10:50, 10:60], t[20:70, 30:80] = True, True
    iou = intersection_over_union(np.array([[10.0, 10, 60, 50]]), np.array([[30.0, 20, 80, 70]])).item()
    assert iou == (p & t).sum() / ((p & t).sum() + (p & ~t).sum() + (~p & t).sum()) == 0.25


def test_boxes_that_touch_do_not_overlap() -> None:
    a = np.array([[0.0, 0, 2, 2]])
    np.testing.assert_array_equal(box_overlaps(a, np.array([[2.0, 0, 4, 2], [5, 5, 6, 6], [1, 1, 2, 3]])), [[0, 0, 1]])


def random_detections(seed: int, count: int, *, tied: bool) -> tuple[Array, Array, Any]:
    random = np.random.default_rng(seed)
    scores = random.integers(0, 6, count) / 5 if tied else random.permutation(count) / count
    return random_boxes(random, count), scores, random.integers(1, 4, count)


@few
@given(seed=seeds, count=st.integers(1, 14), threshold=st.sampled_from([0.0, 0.3, 0.5, 0.9, 1.0]), tied=st.booleans())
def test_suppression(seed: int, count: int, threshold: float, tied: bool) -> None:
    boxes, scores, classes = random_detections(seed, count, tied=tied)
    tensors = torch.from_numpy(boxes), torch.from_numpy(scores)
    one_class = non_maximum_suppression(boxes, scores, np.ones_like(classes), threshold)
    assert one_class.tolist() == nms(*tensors, threshold).tolist()
    several = non_maximum_suppression(boxes, scores, classes, threshold).tolist()
    expected = batched_nms(*tensors, torch.from_numpy(classes), threshold).tolist()
    assert sorted(several) == sorted(expected)
    assert scores[several].tolist() == scores[expected].tolist()


@few
@given(seed=seeds, count=st.integers(1, 10), confidence=st.sampled_from([0.0, 0.4, 1.0]), threshold=st.floats(0, 1))
def test_the_trace_of_suppression(seed: int, count: int, confidence: float, threshold: float) -> None:
    boxes, scores, classes = random_detections(seed, count, tied=True)
    trace = suppression_trace(SuppressionInputs(boxes, scores, classes, confidence, threshold))
    check_trace(trace)
    candidates = np.flatnonzero(scores > confidence)
    chosen = non_maximum_suppression(boxes[candidates], scores[candidates], classes[candidates], threshold)
    assert np.flatnonzero(values(trace, "stays")).tolist() == sorted(candidates[chosen].tolist())
    np.testing.assert_array_equal(values(trace, "A")[:, 0], box_areas(boxes))
    for index in candidates:  # with the better boxes that stay, up to the one that removes it
        better = [
            other
            for other in candidates[chosen]
            if (-scores[other], other) < (-scores[index], index) and classes[other] == classes[index]
        ]
        ious = intersection_over_union(boxes[[index]], boxes[better])[0].tolist()
        compared = ious[: next((rank + 1 for rank, iou in enumerate(ious) if iou > threshold), len(ious))]
        assert values(trace, "o")[index, 0] == max(compared, default=0)
    final = {name: mark for step in trace.steps for name, mark in step.marks}
    assert trace.drawing
    assert {shape.name for shape in trace.drawing.shapes} == set(final)  # none is visible without a step
    expected = ["selected" if stays else "removed" for stays in values(trace, "stays")[:, 0]]
    assert [final[f"box {index + 1}"] for index in range(count)] == expected


def test_an_iou_of_exactly_the_threshold_stays() -> None:
    boxes = np.array([[0.0, 0, 2, 2], [0, 0, 2, 1]])  # IoU 1/2
    scores, classes = np.array([0.9, 0.8]), np.ones(2, np.int64)
    assert non_maximum_suppression(boxes, scores, classes, 0.5).tolist() == [0, 1]
    assert non_maximum_suppression(boxes, scores, classes, 0.49).tolist() == [0]
    trace = suppression_trace(SuppressionInputs(boxes, scores, classes, 0, 0.5))
    assert trace.steps[-2].equations[-1] == "0.5 is not above 0.5: box 2 is left"


@pytest.mark.parametrize("reference", REFERENCES["average_precision"], ids=lambda reference: reference["name"])
def test_average_precision_is_that_of_pascal_voc(reference: dict[str, Any]) -> None:
    found, objects = np.array(reference["detections"]), np.array(reference["objects"])
    order = np.argsort(-found[:, 5], kind="stable")
    images = [boxes[:, 0].astype(np.int64) for boxes in (found[order], objects)]
    hits = find_true_positives(ImageBoxes(images[0], found[order, 1:5]), ImageBoxes(images[1], objects[:, 1:]), 0.5)
    precision, recall = precision_and_recall(hits, len(objects))
    assert (precision[-1], recall[-1]) == (reference["precision_end"], reference["recall_end"])
    area = area_average_precision(precision, recall)
    assert area == pytest.approx(reference["ap_area"], abs=1e-12)
    with_rounding = [np.max(precision[recall >= level], initial=0) for level in np.arange(0.0, 1.1, 0.1)]
    assert np.mean(with_rounding) == pytest.approx(reference["ap_11point"], abs=1e-12)
    exact = [np.max(precision[10 * np.cumsum(hits) >= tenth * len(objects)], initial=0) for tenth in range(11)]
    eleven = eleven_point_average_precision(precision, recall)
    assert eleven == pytest.approx(np.mean(exact), abs=1e-12)
    trace = detections_trace(Detections(found[:, :5], found[:, 5], objects, 0.5))
    check_trace(trace)
    np.testing.assert_array_equal(values(trace, "hit")[:, 0], hits)
    np.testing.assert_array_equal(values(trace, "E")[:, 0], precision_envelope(precision))
    assert values(trace, "AP").item() == pytest.approx(area, abs=1e-12)
    assert values(trace, "AP11").item() == pytest.approx(eleven, abs=1e-12)


def test_a_recall_of_exactly_3_of_10_counts() -> None:
    """The steps of 0.1 that VOC's program adds up end above 0.3."""
    precision, recall = precision_and_recall(np.array([1.0, 1, 1, 0]), 10)
    assert eleven_point_average_precision(precision, recall) == pytest.approx(4 / 11)
    assert (recall >= np.arange(0.0, 1.1, 0.1)[3]).sum() == 0


@few
@given(hits=st.lists(st.booleans(), min_size=1, max_size=12).filter(any), seed=seeds)
def test_precision_and_recall_are_scikit_learns(hits: list[bool], seed: int) -> None:
    scores = np.random.default_rng(seed).permutation(len(hits)) / len(hits)
    trace = judged_trace(Judgments(scores, np.array(hits, np.float64), sum(hits)))
    check_trace(trace)
    precision, recall, _ = precision_recall_curve(hits, scores)
    np.testing.assert_allclose(values(trace, "P")[:, 0], precision[-2::-1])  # without the point at recall 0
    np.testing.assert_allclose(values(trace, "R")[:, 0], recall[-2::-1])
    levels = np.linspace(0, 1, 200_001)[1:]
    rank = np.searchsorted(values(trace, "R")[:, 0], levels - 1e-9)
    numerical = values(trace, "E")[rank, 0].mean()  # the area, as a sum over narrow columns
    assert values(trace, "AP").item() == pytest.approx(numerical, abs=1e-4)


def test_detections_of_an_image_without_objects_are_false_positives() -> None:
    found, objects = np.array([[7.0, 0, 0, 9, 9], [1, 0, 0, 9, 9]]), np.array([[1.0, 0, 0, 9, 9], [2, 0, 0, 9, 9]])
    trace = detections_trace(Detections(found, np.array([0.9, 0.8]), objects, 0.5))
    assert values(trace, "hit").ravel().tolist() == [0, 1]
    assert values(trace, "AP").item() == 0.25
    detections, targets = (ImageBoxes(rows[:, 0].astype(np.int64), rows[:, 1:]) for rows in (found, objects))
    assert find_true_positives(detections, targets, 0.5).tolist() == [0, 1]


@pytest.mark.parametrize("reference", REFERENCES["yolo"], ids=lambda one: f"{one['version']}-{one['cell']}")
def test_boxes_and_scores_are_those_of_the_published_program(reference: dict[str, Any]) -> None:
    version, rows = reference["version"], np.array(reference["rows"])
    anchors = reference["anchors"] and np.array(reference["anchors"], np.float64)
    row, column = reference["cell"]
    cell = yolo.Cell(row, column, reference["count"], reference["side"])
    t, c, objectness = rows[:, :4], rows[:, 4:-1], rows[:, -1]
    boxes = yolo.decode_v1(t, cell) if version == "v1" else yolo.decode_v2(t, cell, anchors)
    scores = {"v1": yolo.v1_scores, "v2": yolo.v2_scores, "v3": yolo.v3_scores}[version](c, objectness)
    threshold = REFERENCES["threshold"][version]
    given = yolo_traces.Descriptors(version, rows, yolo_traces.GridCell(*cell), anchors, threshold)
    trace = yolo_traces.yolo_trace(given)
    check_trace(trace)
    np.testing.assert_allclose(values(trace, "b"), boxes, rtol=1e-12)
    np.testing.assert_allclose(values(trace, "box"), yolo.corners(boxes), rtol=1e-12)
    np.testing.assert_allclose(values(trace, "score"), scores, rtol=1e-12)
    np.testing.assert_array_equal(values(trace, "stays"), scores > threshold)
    for box, score, box_reference, score_reference in zip(
        boxes, scores, reference["boxes"], reference["scores"], strict=True
    ):
        if box_reference is None:  # it has no object
            assert (score < threshold).all()
            continue
        np.testing.assert_allclose(box, box_reference, rtol=2e-6, atol=2e-4)
        np.testing.assert_allclose(np.where(score > threshold, score, 0), score_reference, rtol=2e-6, atol=1e-7)


def test_float32_stays_float32() -> None:
    t, cell = np.ones((2, 4), np.float32), yolo.Cell(1, 2, 7, 64)
    anchors, ones = np.ones((2, 2), np.float32), np.ones(2, np.float32)
    boxes = (yolo.decode_v1(t, cell), yolo.decode_v2(t, cell, anchors), yolo.corners(t))
    scores = (yolo.v1_scores(t, ones), yolo.v2_scores(t, ones), yolo.v3_scores(t, ones))
    overlaps = (box_areas(t), box_overlaps(t, t), intersection_over_union(yolo.corners(t), yolo.corners(t)))
    assert {array.dtype for array in (*boxes, *scores, *overlaps)} == {np.dtype(np.float32)}
