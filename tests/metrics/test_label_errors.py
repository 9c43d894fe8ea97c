"""Confident learning: the authors' package as recorded, and what must hold for any labels and probabilities."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convolve.errors import DataError
from convolve.metrics.label_errors import LabelErrors, find_label_errors
from convolve.values import Floats, Indices

CASES: list[dict[str, Any]] = json.loads((Path(__file__).parent / "cleanlab.json").read_text())["cases"]


def drawn(seed: int, images: int, classes: int) -> tuple[Floats, Indices]:
    """Probabilities and labels that mostly agree."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, images)
    scores = random.normal(size=(images, classes)) + 2 * np.eye(classes)[labels] * (random.random((images, 1)) > 0.1)
    exponentials = np.exp(scores)
    return (exponentials / exponentials.sum(1, keepdims=True)).astype(np.float32), labels.astype(np.int64)


def found_in(case: dict[str, Any]) -> LabelErrors:
    return find_label_errors(np.array(case["probabilities"]), np.array(case["labels"]))


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["name"]))
def test_errors_and_their_order_are_those_of_the_authors_package(case: dict[str, Any]) -> None:
    assert found_in(case).indices.tolist() == case["errors"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["name"]))
def test_thresholds_are_those_of_the_authors_package(case: dict[str, Any]) -> None:
    recorded = [np.inf if value is None else value for value in case["thresholds"]]
    np.testing.assert_allclose(found_in(case).thresholds, recorded, atol=1e-8)


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["name"]))
def test_the_joint_is_the_authors_confident_joint_with_the_labels_frequencies(case: dict[str, Any]) -> None:
    counts = np.array(case["confident_joint"], np.float64)
    frequencies = np.bincount(case["labels"], minlength=len(counts)) / len(case["labels"])
    expected = counts / counts.sum(1, keepdims=True) * frequencies[:, None]
    np.testing.assert_allclose(found_in(case).joint, expected, atol=1e-12)


def test_flipped_labels_are_found_before_all_others() -> None:
    random = np.random.default_rng(0)
    true = random.integers(0, 5, 1000)
    probabilities = np.full((1000, 5), 0.02) + 0.9 * np.eye(5)[true]
    probabilities += random.normal(0, 0.01, probabilities.shape).clip(-0.02, 0.02)
    labels, flipped = true.copy(), np.sort(random.choice(1000, 20, replace=False))
    labels[flipped] = (labels[flipped] + random.integers(1, 5, 20)) % 5
    found = find_label_errors(probabilities, labels)
    assert np.sort(found.indices[:20]).tolist() == flipped.tolist()
    assert found.suggested[:20].tolist() == true[found.indices[:20]].tolist()
    assert found.estimated == pytest.approx(0.02, abs=0.01)


@given(seed=st.integers(0, 10_000), images=st.integers(1, 40), classes=st.integers(2, 6))
def test_properties(seed: int, images: int, classes: int) -> None:
    probabilities, labels = drawn(seed, images, classes)
    found = find_label_errors(probabilities, labels)
    assert len(np.unique(found.indices)) == len(found.indices)
    assert (found.suggested != labels[found.indices]).all()
    assert (np.diff(found.margins) >= 0).all()
    own, other = (probabilities[found.indices, which] for which in (labels[found.indices], found.suggested))
    np.testing.assert_allclose(found.margins, own - other, atol=1e-6)
    assert (found.margins < 0).all()
    np.testing.assert_allclose(found.joint.sum(1), np.bincount(labels, minlength=classes) / images, atol=1e-12)
    assert 0 <= found.estimated < 1


@given(seed=st.integers(0, 10_000))
def test_names_of_classes_do_not_matter(seed: int) -> None:
    probabilities, labels = drawn(seed, 60, 4)
    order = np.random.default_rng(seed).permutation(4)
    plain = find_label_errors(probabilities, labels)
    renamed = find_label_errors(probabilities[:, order], np.argsort(order)[labels])
    assert renamed.indices.tolist() == plain.indices.tolist()
    assert order[renamed.suggested].tolist() == plain.suggested.tolist()


def test_labels_that_a_network_always_agrees_with_are_not_doubted() -> None:
    found = find_label_errors(np.eye(3, dtype=np.float32)[[0, 1, 2, 0]], np.array([0, 1, 2, 0]))
    assert (len(found.indices), found.estimated) == (0, 0.0)


def test_no_images_have_no_errors() -> None:
    found = find_label_errors(np.zeros((0, 3), np.float32), np.zeros(0, np.int64))
    assert len(found.indices) == 0
    assert np.isnan(found.estimated)


@pytest.mark.parametrize("probabilities", [np.full((2, 2), np.nan), np.ones((2, 1))])
def test_what_says_nothing_of_a_label_is_refused(probabilities: Floats) -> None:
    with pytest.raises(DataError, match="finite probabilities of two classes"):
        find_label_errors(probabilities, np.array([0, 0]))
