"""The metrics of a classifier, against scikit-learn."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn import metrics

from convolve.metrics.intervals import accuracy_interval
from convolve.tasks.classify.confidence import Confidence, fit_confidence
from convolve.tasks.classify.evaluation import Evaluation, Predictions, evaluate, measure
from tests.tasks.classify.small import CLASSES, predictions


def evaluation(given: Predictions) -> Evaluation:
    confidence = fit_confidence(given.scores, given.targets, given.multi_label)
    return evaluate(CLASSES, "test", given, confidence)


def as_json(given: Predictions) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(json.dumps(evaluation(given).as_json(), allow_nan=False))
    return document


def test_metrics_agree_with_scikit_learn() -> None:
    given = predictions(multi_label=False)
    predicted = given.scores.argmax(1)
    assert measure(given) == pytest.approx(
        {
            "accuracy": metrics.accuracy_score(given.targets, predicted),
            "top5_accuracy": metrics.top_k_accuracy_score(given.targets, given.scores, k=5),
            "macro_f1": metrics.f1_score(given.targets, predicted, average="macro"),
        },
        rel=1e-4,
    )


def test_multi_label_metrics_agree_with_scikit_learn() -> None:
    given = predictions(multi_label=True)
    expected = {
        "average_precision": metrics.average_precision_score(given.targets, given.scores.astype(np.float64)),
        "roc_auc": metrics.roc_auc_score(given.targets, given.scores.astype(np.float64)),
        "exact_match": metrics.accuracy_score(given.targets, given.scores >= 0.5),
    }
    assert measure(given) == pytest.approx(expected, rel=1e-4)


def test_few_classes_have_no_top_five() -> None:
    given = Predictions(np.eye(3, dtype=np.float32), np.arange(3), np.arange(3), multi_label=False)
    assert set(measure(given)) == {"accuracy", "macro_f1"}


@pytest.mark.parametrize("multi_label", [False, True])
def test_the_json_document_is_complete_and_plain(multi_label: bool) -> None:
    given = predictions(multi_label)
    document = as_json(given)
    assert document["images"] == 300
    assert list(document["classes"]) == list(CLASSES)
    predicted = given.scores >= 0.5 if multi_label else given.scores.argmax(1)
    expected = metrics.precision_recall_fscore_support(given.targets, predicted, average=None, zero_division=0)
    for index, name in enumerate(CLASSES):
        row = document["classes"][name]
        own = [row[key] for key in ("precision", "recall", "f1", "support")]
        assert own == pytest.approx([column[index] for column in expected], rel=1e-6)
    for kind in ("macro", "weighted"):
        expected = metrics.precision_recall_fscore_support(given.targets, predicted, average=kind, zero_division=0)
        own = [document["metrics"][f"{kind}_{name}"] for name in ("precision", "recall", "f1")]
        assert own == pytest.approx(expected[:3], rel=1e-6)
    assert (document["confusion"] is None) == multi_label
    if not multi_label:
        assert document["confusion"] == metrics.confusion_matrix(given.targets, predicted).tolist()


@pytest.mark.parametrize(
    ("multi_label", "names"), [(False, {"accuracy", "top5_accuracy"}), (True, {"exact_match"})], ids=["one", "several"]
)
def test_every_metric_that_is_a_fraction_of_the_images_has_its_interval(multi_label: bool, names: set[str]) -> None:
    document = as_json(predictions(multi_label))
    assert set(document["intervals"]) == names
    for name, (low, high) in document["intervals"].items():
        correct = round(300 * document["metrics"][name])
        assert (low, high) == accuracy_interval(correct, 300)
        assert 0 < low < document["metrics"][name] < high < 1


def test_few_images_have_wide_intervals() -> None:
    given = predictions(multi_label=False, count=3, margin=30.0)
    document = as_json(given)
    assert document["metrics"]["accuracy"] == 1
    low, high = document["intervals"]["accuracy"]
    assert low == pytest.approx(0.438, abs=1e-3)  # Wilson 1927: 3 / (3 + 1.96²)
    assert high == 1


@pytest.mark.parametrize("multi_label", [False, True])
def test_a_single_image_is_enough_to_evaluate(multi_label: bool) -> None:
    found = evaluation(predictions(multi_label, 1))
    json.dumps(found.as_json(), allow_nan=False)
    assert np.isfinite(found.calibration.temperature)


def test_a_threshold_is_in_the_document_only_where_there_is_one() -> None:
    given = predictions(multi_label=False, count=2000, margin=7.0)
    reject = as_json(given)["calibration"]["reject"]
    assert set(reject) == {"threshold", "coverage", "accuracy", "images", "interval"}
    assert reject["interval"] == list(accuracy_interval(round(reject["accuracy"] * reject["images"]), reject["images"]))
    few = replace(given, scores=given.scores[:3], targets=given.targets[:3], indices=given.indices[:3])
    assert as_json(few)["calibration"]["reject"] is None
    assert evaluate(CLASSES, "test", given, Confidence()).as_json()["calibration"]["reject"] is None
