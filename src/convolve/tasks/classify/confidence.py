"""How far a classifier's confidence can be trusted: what the validation split says of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from convolve.metrics.calibration import RejectThreshold, fit_temperature, reject_threshold, softmax_with_temperature
from convolve.training.manifest import is_number
from convolve.values import Floats

TARGET_ACCURACY = 0.99
"""The accuracy that a reject threshold is to guarantee."""
_SMALLEST = 1e-12


@dataclass(frozen=True)
class Confidence:
    """The temperature that corrects the probabilities, and the confidence below which to reject.

    ``reject`` is None where the validation split cannot support a threshold for `TARGET_ACCURACY`, and for multi-label.
    """

    temperature: float = 1.0
    reject: RejectThreshold | None = None

    @staticmethod
    def from_json(document: Mapping[str, Any]) -> Confidence:
        """What `dataclasses.asdict` gave, as a value. Raises `ValueError`, `KeyError` or `TypeError`."""
        reject = RejectThreshold(**document["reject"]) if document["reject"] else None
        numbers = (document["temperature"], *(vars(reject).values() if reject else ()))
        if not all(is_number(number) and abs(number) < math.inf for number in numbers) or numbers[0] <= 0:
            raise ValueError("confidence holds no numbers, or a temperature that is not above 0")
        return Confidence(document["temperature"], reject)


def fit_confidence(scores: Floats, targets: npt.NDArray[Any], multi_label: bool) -> Confidence:
    """Fit both on the probabilities (N, classes) of a validation split at temperature 1 and its targets."""
    if multi_label:
        return Confidence(fit_temperature(_binary_logits(scores), targets.reshape(-1).astype(np.int64)))
    classes = targets.astype(np.int64)
    temperature = fit_temperature(_logits(scores), classes)
    calibrated = apply_temperature(scores, temperature, multi_label)
    return Confidence(temperature, reject_threshold(calibrated, classes, TARGET_ACCURACY))


def apply_temperature(scores: Floats, temperature: float, multi_label: bool) -> Floats:
    """(N, classes) probabilities at temperature 1 as they are at another one."""
    if multi_label:
        found = softmax_with_temperature(_binary_logits(scores), temperature)[:, 1].reshape(scores.shape)
    else:
        found = softmax_with_temperature(_logits(scores), temperature)
    return found.astype(np.float32)


def _logits(scores: Floats) -> Floats:
    return np.log(np.maximum(scores, _SMALLEST))


def _binary_logits(scores: Floats) -> Floats:
    """(N, C) probabilities of labels to (N C, 2) pairs of 0 and logit."""
    flat = scores.reshape(-1).astype(np.float64).clip(_SMALLEST, 1 - _SMALLEST)
    return np.stack([np.zeros_like(flat), np.log(flat / (1 - flat))], 1).astype(np.float32)
