"""What a validation split says of a classifier's confidence, and what it cannot say."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from convolve.tasks.classify.confidence import TARGET_ACCURACY, Confidence, fit_confidence
from convolve.tasks.classify.evaluation import Predictions
from tests.tasks.classify.small import predictions


def confidence(given: Predictions) -> Confidence:
    return fit_confidence(given.scores, given.targets, given.multi_label)


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_the_temperature_tells_by_how_much_logits_were_multiplied(factor: float, multi_label: bool) -> None:
    given = predictions(multi_label, 2000)
    scores = given.scores.astype(np.float64)
    logits = np.log(scores) - (np.log1p(-scores) if multi_label else 0)
    odds = np.exp(logits * factor)
    sharpened = odds / (1 + odds) if multi_label else odds / odds.sum(1, keepdims=True)
    after = confidence(replace(given, scores=sharpened.astype(np.float32))).temperature
    assert after == pytest.approx(confidence(given).temperature * factor, rel=0.05)


def test_the_reject_threshold_keeps_the_promised_accuracy() -> None:
    assert confidence(predictions(multi_label=False, margin=7.0)).reject is None  # 300 images are too few for 99 %
    given = predictions(multi_label=False, count=2000, margin=7.0)
    found = confidence(given)
    assert found.reject is not None
    logits = torch.from_numpy(np.log(given.scores.astype(np.float64)))
    calibrated = logits.div(found.temperature).softmax(1).numpy()
    answered = calibrated.max(1) >= found.reject.threshold
    assert answered.mean() == pytest.approx(found.reject.coverage, abs=2e-3)
    assert answered.sum() == found.reject.images
    assert (calibrated.argmax(1) == given.targets)[answered].mean() >= TARGET_ACCURACY
    assert found.reject.interval.lower >= TARGET_ACCURACY
    assert 0.5 < answered.mean() < 1


def test_multi_label_has_no_reject_threshold() -> None:
    assert confidence(predictions(multi_label=True, count=2000, margin=9.0)).reject is None


@pytest.mark.parametrize(
    "given", [predictions(multi_label=False), predictions(multi_label=False, count=2000, margin=7)]
)
def test_it_survives_the_manifest(given: Predictions) -> None:
    found = confidence(given)
    assert Confidence.from_json(json.loads(json.dumps(asdict(found)))) == found
