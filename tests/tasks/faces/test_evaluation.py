"""Metrics of found faces worked by hand, and the images of the most mistakes in the report."""

from __future__ import annotations

import io
from base64 import b64decode
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from convolve.datasets.boxes import Boxes
from convolve.datasets.images import ImageArray, ImageFiles
from convolve.metrics.detections import Detections
from convolve.tasks.faces.evaluation import Evaluation, measure
from convolve.tasks.faces.report import report_sections, worst_images
from convolve.tasks.objects import objects_of
from convolve.values import Dataset, Pixels
from tests.tasks.localize.small import boxes_of

FACE = (100.0, 100.0, 200.0, 200.0)
NEAR = (100.0, 100.0, 180.0, 200.0)  # an IoU of 0.8
APART = (300.0, 300.0, 400.0, 400.0)
NONE: tuple[tuple[float, ...], ...] = ()


def ground_truth() -> Boxes:
    """A face in the first, the second and the fourth image; another one in the second image is difficult."""
    found = boxes_of([[(*FACE, 0)], [(*FACE, 0), (*APART, 0)], [], [(*FACE, 0)]], (480, 480))
    return replace(found, classes=("face",), difficult=np.array([False, False, True, False]))


def evaluation(indices: tuple[int, ...] = (0, 1, 2, 3)) -> Evaluation:
    """Found in the four images: the face; the face and the difficult one; what is none; nothing."""
    found = ([NEAR], [FACE, APART], [APART], NONE)
    boxes = [box for index in indices for box in found[index]]
    image = np.array([number for number, index in enumerate(indices) for _ in found[index]])
    detections = Detections(np.array(boxes), np.linspace(0.9, 0.8, len(boxes)), np.zeros(len(boxes), np.int64), image)
    return measure("all", objects_of(ground_truth(), np.array(indices)), detections, indices)


def dataset() -> Dataset:
    images = ImageArray(np.full((4, 480, 480, 3), 128, np.uint8), "gray")
    return Dataset("/nowhere", "boxes", "by hand", images, {"boxes": ground_truth()}, {})


def pixels(uri: str) -> Pixels:
    return np.array(Image.open(io.BytesIO(b64decode(uri.partition(",")[2]))))


def test_metrics_worked_by_hand() -> None:
    """Two of three faces are found, and one alarm is false; what is difficult counts nowhere."""
    found = evaluation()
    assert found.images == 4
    assert found.metrics["precision"] == pytest.approx(2 / 3)
    assert found.metrics["recall"] == pytest.approx(2 / 3)
    assert found.metrics["f1"] == pytest.approx(2 / 3)
    assert found.metrics["ap50"] == pytest.approx(67 / 101)  # of 101 recalls those up to 2/3
    # At IoUs of 0.85 to 0.95 only one face is found, after a false alarm: 34 of 101 recalls, with a precision of 1/2.
    assert found.metrics["ap"] == pytest.approx((7 * 67 + 3 * 34 / 2) / 101 / 10)
    document = found.as_json()
    assert (document["split"], document["images"], document["faces"], document["found"]) == ("all", 4, 3, 4)


def test_what_cannot_be_said_is_null_and_a_dash() -> None:
    found = measure(
        "all", objects_of(ground_truth(), np.array([2])), evaluation().detections.take(np.zeros(0, np.int64)), (2,)
    )
    assert found.as_json()["metrics"]["ap50"] is None
    written = io.StringIO()
    console = Console(file=written, width=80)
    for line in found.to_console():
        console.print(line)
    assert "all AP50 – (1 image)" in written.getvalue()


def test_the_images_of_the_most_mistakes_are_drawn() -> None:
    """The third has a false alarm in red, the fourth a missed face, green and dashed; the others are right."""
    found = evaluation((0, 2, 1, 3))
    alarm, missed = worst_images(found, dataset())
    assert (alarm.name, alarm.note) == ("gray#2", "0 faces missed, 1 false alarm")
    assert (missed.name, missed.note) == ("gray#3", "1 face missed, 0 false alarms")
    red, green = (pixels(each.image).astype(int) for each in (alarm, missed))
    assert np.abs(red[350, 301] - (214, 39, 40)).max() < 60
    assert np.abs(red[150, 101] - 128).max() < 60
    edge = np.abs(green[102:198, 101] - (44, 160, 44)).max(1) < 60
    assert 0.2 < edge.mean() < 0.8  # dashed


def test_faces_that_are_found_are_blue_next_to_the_true_ones() -> None:
    first = (220.0, 220.0, 260.0, 260.0)
    objects = objects_of(ground_truth(), np.array([0]))
    detections = Detections(np.array([NEAR, first]), np.array([0.9, 0.8]), np.zeros(2, np.int64), np.zeros(2, np.int64))
    (worst,) = worst_images(measure("all", objects, detections, (0,)), dataset())
    drawn = pixels(worst.image).astype(int)
    assert np.abs(drawn[150, 178] - (31, 119, 180)).max() < 60  # the right edge of what is found
    assert np.abs(drawn[150, 198] - (44, 160, 44)).max() < 60  # that of the true face
    assert np.abs(drawn[240, 221] - (214, 39, 40)).max() < 60


def test_an_image_that_is_gone_is_left_out_of_the_report() -> None:
    gone = ImageFiles(Path("/nowhere"), tuple(f"{number}.png" for number in range(4)))
    headlines, sections = report_sections(evaluation(), replace(dataset(), images=gone))
    assert [each.label for each in headlines] == ["AP50", "AP", "precision", "recall", "F1"]
    assert [each.anchor for each in sections] == ["classes"]
    assert [each.anchor for each in report_sections(evaluation(), dataset())[1]] == ["classes", "worst"]
