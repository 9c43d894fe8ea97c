"""What a report and the console show of a classifier, and that they claim no more than the number of images allows."""

from __future__ import annotations

import math

import numpy as np
import pytest
from rich.console import Console

from convolve import models
from convolve.datasets.labels import Labels
from convolve.metrics.calibration import RejectThreshold, reliability
from convolve.metrics.intervals import accuracy_interval
from convolve.reports.notebook import notebook_html
from convolve.reports.page import render
from convolve.reports.report import Headline, Report, Section
from convolve.runtime import choose
from convolve.tasks.classify.confidence import Confidence
from convolve.tasks.classify.evaluation import Evaluation, Predictions, evaluate
from convolve.tasks.classify.report import chance_error, console_output, headlines, report_sections
from convolve.tasks.classify.task import Classify
from convolve.values import Dataset, Floats, Preprocessing
from tests.reports.sample import DIGITS, guesses
from tests.reports.test_page import Page

SPACE = "\N{NO-BREAK SPACE}"


def evaluation(count: int = 800, reject: RejectThreshold | None = None) -> Evaluation:
    """Of the first digits that logistic regression classified."""
    _, true, scores = guesses()
    predictions = Predictions(scores[:count].astype(np.float32), true[:count], np.arange(count), multi_label=False)
    return evaluate(DIGITS, "test", predictions, Confidence(0.5, reject))


def labeled(count: int = 50) -> Evaluation:
    """Of three labels, of which the last never occurs."""
    random = np.random.default_rng(0)
    flags, scores = random.random((count, 3)) < 0.5, random.random((count, 3)).astype(np.float32)
    flags[:, 2], scores[:, 2] = False, 0.1
    predictions = Predictions(scores, flags.astype(np.uint8), np.arange(count), multi_label=True)
    return evaluate(("dog", "cat", "never"), "validation", predictions, Confidence(1.5))


def shown(found: Evaluation) -> tuple[tuple[Headline, ...], tuple[Section, ...]]:
    scans, true, _ = guesses()
    dataset = Dataset("digits", "named", "", scans, {"labels": Labels(true, DIGITS)}, {})
    task = Classify(models.create("linear", 10, 1, (8, 8)), found.classes.names, found.predictions.multi_label)
    preprocessing = Preprocessing(8, 8, 1, "crop", (0.5,), (0.5,))
    return report_sections(task, found, dataset, choose("cpu", "fp32", 1, 10**6), preprocessing)


def page(found: Evaluation) -> Page:
    lines, sections = shown(found)
    return Page(render(Report("t", "s", lines, sections)))


def text(found: Evaluation) -> str:
    return " ".join(page(found).text.split())


def printed(found: Evaluation) -> str:
    console = Console(width=200, no_color=True)
    with console.capture() as capture:
        for line in console_output(found):
            console.print(line)
    return capture.get().replace(SPACE, " ")


def test_every_accuracy_has_its_interval_and_the_number_of_images() -> None:
    found = evaluation()
    low, high = accuracy_interval(round(found.metrics["accuracy"] * 800), 800)
    note = f"95{SPACE}% interval {100 * low:.1f} to {100 * high:.1f}, 800 images"
    accuracy, top5, macro_f1 = headlines(found)
    assert accuracy == Headline("accuracy", f"{100 * found.metrics['accuracy']:.1f}{SPACE}%", note)
    assert top5.label == "top-5 accuracy"
    assert "interval" in top5.note
    assert macro_f1.note == "800 images"
    assert f"test accuracy {100 * found.metrics['accuracy']:.1f} % ({note.replace(SPACE, ' ')})" in printed(found)
    three = headlines(evaluation(3))[0]
    low, high = accuracy_interval(2, 3)
    note = f"95{SPACE}% interval {100 * low:.1f} to {100 * high:.1f}, 3 images"
    assert three == Headline("accuracy", f"66.7{SPACE}%", note)
    assert high - low > 0.5


def test_of_multi_label_the_exact_matches_have_an_interval() -> None:
    found = {headline.label: "interval" in headline.note for headline in headlines(labeled())}
    assert found == {"mean average precision": False, "exact match": True, "macro F1": False, "ROC AUC": False}


def test_sections_of_one_class_per_image() -> None:
    found = page(evaluation())
    anchors = [attributes["id"] for attributes in found.all("section") if "id" in attributes]
    assert anchors == ["confusion", "mistakes", "classes", "calibration"]
    matrix = evaluation().classes.matrix
    assert matrix is not None
    cards = [card["data-cell"] for card in found.all("figure") if "data-cell" in card]
    assert set(cards) == {f"{row}-{column}" for row, column in np.argwhere(matrix)}
    assert {button["data-cell"] for button in found.all("button") if "data-cell" in button} == set(cards)
    assert all("hidden" in card for card in found.all("figure") if "data-cell" in card)
    assert max(map(cards.count, cards)) <= 12
    assert len([card for card in found.all("figure") if "card" in str(card["class"])]) == len(cards) + 24


def test_multi_label_has_no_matrix() -> None:
    found = page(labeled(20))
    assert not [table for table in found.all("table") if "matrix" in str(table["class"])]
    words = text(labeled(20))
    assert "predicted dog, cat" in words
    assert "predicted nothing" in words
    assert "No reject threshold" not in words
    assert "confusion" not in printed(labeled())


def test_many_images_leave_out_those_of_the_cells_first(monkeypatch: pytest.MonkeyPatch) -> None:
    full = shown(evaluation())[1]
    size = sum(example.size for example in full[1].context["mistakes"])  # type: ignore[attr-defined]
    monkeypatch.setattr("convolve.tasks.classify.report._BYTES", size + 1000)
    bounded = shown(evaluation())[1]
    assert bounded[1].context["mistakes"] == full[1].context["mistakes"]
    assert sum(example.size for example in bounded[0].context["examples"]) <= 1000  # type: ignore[attr-defined]


def test_a_reject_threshold_is_given_with_its_images_and_only_where_there_is_one() -> None:
    reject = RejectThreshold(0.75, 0.8, 0.995, 400)
    low, high = accuracy_interval(398, 400)
    found = evaluation(reject=reject)
    words = text(found)
    assert "Reject threshold: least confidence of an answer75.0 %" in words
    assert "400 validation images" in words
    assert f"99.5 %95 % interval {100 * low:.1f} to {100 * high:.1f}" in words
    line = printed(found).split("calibration error")[1]
    assert "0.75" in line
    assert "400 validation images" in line
    assert f"interval {100 * low:.1f} to {100 * high:.1f}" in line
    assert "No reject threshold" in text(evaluation())
    assert "Reject threshold:" not in text(evaluation())
    assert "validation images" not in printed(evaluation())


def test_few_images_are_said_to_be_too_few_for_calibration() -> None:
    assert "Too few images to judge calibration: on 12 images even a perfectly" in text(evaluation(12))
    assert "Too few" not in text(evaluation())


@pytest.mark.parametrize("count", [30, 300, 3000])
def test_the_error_by_chance_is_that_of_calibrated_predictions(count: int) -> None:
    random = np.random.default_rng(count)
    errors, expected = [], []
    for _ in range(300):
        confidence = random.uniform(0.2, 1, count)
        bins = reliability(confidence, random.random(count) < confidence)
        errors.append(bins.error)
        expected.append(chance_error(bins))
    assert np.mean(expected) == pytest.approx(np.mean(errors), rel=0.1)
    assert math.isnan(chance_error(reliability(np.zeros(0), np.zeros(0, bool))))


def test_a_notebook_shows_metrics_matrix_and_mistakes() -> None:
    html = notebook_html(*shown(evaluation()))
    found = Page(html)
    assert not found.open
    assert not found.all("script")
    assert f"95{SPACE}% interval" in found.text
    matrix = evaluation().classes.matrix
    assert matrix is not None
    colors = [str(cell["class"]).split()[0] for cell in found.all("td") if "style" in cell]
    assert colors == ["r" if row == column else "w" for row, column in np.argwhere(matrix)]
    images = found.all("img")
    assert len(images) == 8
    assert all(str(image["src"]).startswith("data:image/") for image in images)
    assert len(html) < 60_000


def test_a_notebook_escapes_names_and_shows_pairs_of_many_classes() -> None:
    names = tuple(f"<b>{index}" for index in range(30))
    scores: Floats = np.full((31, 30), 0.01, np.float32)
    scores[np.arange(31), [*range(1, 30), 0, 1]] = 0.9
    predictions = Predictions(scores, np.array([*range(30), 0]), np.arange(31), multi_label=False)
    found = Page(notebook_html(*shown(evaluate(names, "test", predictions, Confidence()))))
    assert not found.open
    assert not found.all("table")
    assert "<b>0 predicted as <b>1 2 images, 100.0 %" in " ".join(found.text.split())


def test_large_matrices_are_left_to_the_report() -> None:
    names = tuple(f"c{index}" for index in range(40))
    scores = np.eye(40, dtype=np.float32)
    predictions = Predictions(scores, np.arange(40), np.arange(40), multi_label=False)
    found = printed(evaluate(names, "test", predictions, Confidence()))
    assert "confusion matrix" not in found
    assert "and 10 more in the report" in found
    assert "confusion matrix: rows are true classes" in printed(evaluation())
