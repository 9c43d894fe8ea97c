"""What a report and the console show of a segmentation."""

from __future__ import annotations

import io
from base64 import b64decode
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from convolve.datasets.layouts import open_dataset
from convolve.datasets.masks import Masks
from convolve.metrics.segmentation import pixel_confusion, pixel_metrics
from convolve.models import create
from convolve.reports.notebook import notebook_html
from convolve.reports.page import render
from convolve.reports.report import Report, Section
from convolve.runtime import choose
from convolve.tasks.segment.evaluation import EvaluatedImage, Evaluation
from convolve.tasks.segment.report import WRONG, compare_masks, headlines, report_sections, side_by_side
from convolve.tasks.segment.task import Segment
from convolve.values import IGNORE, Dataset, Preprocessing
from tests.reports.test_page import Page
from tests.tasks.segment.small import folder

COLORS = ((0, 0, 0), (200, 30, 40), (10, 90, 220))
NAMES = ("ground", "bright <disc>", "어두운 것")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return open_dataset(str(folder(tmp_path_factory.mktemp("masks"), 6)))


@pytest.fixture(scope="module")
def evaluation(dataset: Dataset) -> Evaluation:
    """Of predictions that see no third class."""
    masks = dataset.ground_truths["masks"]
    assert isinstance(masks, Masks)
    worst, matrix = [], np.zeros((3, 3), np.int64)
    for index in range(len(dataset)):
        target = masks.read(index)
        predicted = np.where(target == 2, 0, target)
        own = pixel_confusion(target, predicted, 3)
        matrix += own
        worst.append(EvaluatedImage(index, pixel_metrics(own).mean_iou, target, predicted))
    found, boundary = pixel_metrics(matrix), np.array([0.5, 0.9, np.nan])
    names = ("mean_iou", "pixel_accuracy", "mean_accuracy", "weighted_iou")
    metrics = {name: getattr(found, name) for name in names} | {"boundary_f": 0.7}
    return Evaluation("test", len(dataset), NAMES, metrics, matrix, found.iou, boundary, tuple(worst[:4]))


def sections(evaluation: Evaluation, dataset: Dataset) -> tuple[Section, ...]:
    task = Segment(create("fcn1s_resnet20_cifar", 3, 3, (32, 32)), NAMES, COLORS)
    preprocessing = Preprocessing(32, 32, 3, "crop", (0.5,) * 3, (0.5,) * 3)
    return report_sections(task, evaluation, dataset, choose("cpu", "fp32", 1, 10**6), preprocessing)[1]


def test_sections_show_the_matrix_the_worst_images_and_every_class(evaluation: Evaluation, dataset: Dataset) -> None:
    page = Page(render(Report("t", "s", headlines(evaluation), sections(evaluation, dataset))))
    assert not page.open
    assert [section["id"] for section in page.all("section") if "id" in section] == ["confusion", "worst", "classes"]
    assert [image["alt"] for image in page.all("img")] == [dataset.images.name(index) for index in range(4)]
    words = " ".join(page.text.split())
    assert f"Mean IoU{100 * evaluation.metrics['mean_iou']:.1f} %6 images" in words
    assert f"mean IoU {100 * evaluation.worst[0].mean_iou:.1f} %" in words
    assert "bright <disc>" in words
    colors = [str(swatch["style"]) for swatch in page.all("i") if "style" in swatch]
    assert colors == ["--c:#000000", "--c:#c81e28", "--c:#0a5adc"]
    values = [cell["data-value"] for cell in page.all("td") if "data-value" in cell]
    assert values[:2] == [str(evaluation.matrix[0].sum()), f"{evaluation.iou[0]:.6f}"]
    assert values[-6:] == [str(evaluation.matrix[2].sum()), "0.000000", "0.000000", "0.000000", "0.000000", "-1"]


def test_the_console_prints_metrics_and_classes(evaluation: Evaluation) -> None:
    console = Console(width=120, no_color=True)
    with console.capture() as capture:
        for line in evaluation.to_console():
            console.print(line)
    words = capture.get().replace("\N{NO-BREAK SPACE}", " ")
    assert f"test mean IoU {100 * evaluation.metrics['mean_iou']:.1f} % (6 images)" in words
    row = next(line for line in words.splitlines() if "bright" in line)
    fraction = evaluation.matrix[1].sum() / evaluation.matrix.sum()
    assert row.split()[-6:] == [f"{100 * evaluation.iou[1]:.1f}", "%", "90.0", "%", f"{100 * fraction:.1f}", "%"]


def test_a_notebook_shows_three_of_the_worst_images(evaluation: Evaluation, dataset: Dataset) -> None:
    html = notebook_html(headlines(evaluation), sections(evaluation, dataset))
    page = Page(html)
    assert not page.open
    assert len(page.all("img")) == 3
    assert "Mean IoU" in page.text
    assert len([cell for cell in page.all("td") if "style" in cell]) == np.count_nonzero(evaluation.matrix)


def test_comparisons_are_of_the_masks_size_and_leave_out_what_is_gone(tmp_path: Path) -> None:
    root = folder(tmp_path, 2)
    found = open_dataset(str(root))
    small = np.zeros((20, 20), np.uint8)
    answers = [EvaluatedImage(index, 0.5, small, small) for index in range(2)]
    (comparison, _) = compare_masks(found, answers, COLORS)
    image = Image.open(io.BytesIO(b64decode(comparison.image.partition(",")[2])))
    assert image.size == (4 * 20 + 3 * 4, 20)
    (root / "images" / "0.png").unlink()
    assert [one.name for one in compare_masks(found, answers, COLORS)] == ["images/1.png"]


def test_an_error_is_red_next_to_its_ground_truth() -> None:
    target = np.array([[0, 1, 2], [0, IGNORE, 2]], np.uint8)
    predicted = np.array([[0, 2, 2], [0, 1, 2]], np.uint8)
    image = np.full((2, 3, 1), 77, np.uint8)
    found = side_by_side(image, target, predicted, COLORS)
    assert found.shape == (2, 4 * 3 + 3 * 4, 3)
    assert (found[:, :3] == 77).all()
    assert found[0, 8].tolist() == list(COLORS[1])
    assert found[1, 8].tolist() == [255, 255, 255]  # ignored pixels are white
    assert found[0, 15].tolist() == list(COLORS[2])
    red = (found[:, 21:] == WRONG).all(2)
    assert red.tolist() == [[False, True, False], [False, False, False]]
