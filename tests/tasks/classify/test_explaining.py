"""What of a classifier is explained."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from convolve.tasks.classify import KIND, Classify
from convolve.values import Labels, Preprocessing
from tests.explainers.small import images, network

CLASSES = tuple("abcdef")
PREPROCESSING = Preprocessing(32, 32, 3, "crop", (0.5,) * 3, (0.5,) * 3)
SIZES = np.array([[40, 30]] * 3)


@pytest.mark.parametrize("multiple", [False, True])
def test_the_likeliest_or_what_is_asked_for(multiple: bool) -> None:
    task = Classify(network("resnet20_cifar"), CLASSES, multiple)
    given = images(task.network, 3)
    explaining = KIND.explaining(task, PREPROCESSING)
    with torch.no_grad():
        shares = task.predict(given).numpy()
    said = explaining.said(given, SIZES, ())
    assert said.regions is None
    assert said.there.all()
    assert said.classes[:, 0].tolist() == shares.argmax(1).tolist()
    np.testing.assert_array_equal(said.scores[:, 0], shares.max(1))
    np.testing.assert_array_equal(said.confidences, shares.max(1))
    present = [";".join(np.array(CLASSES)[row >= 0.5]) for row in shares]
    assert list(said.labels) == (present if multiple else [CLASSES[place] for place in shares.argmax(1)])
    asked = explaining.said(given, SIZES, (4, 1))
    assert asked.classes.tolist() == [[4, 1]] * 3
    np.testing.assert_array_equal(asked.scores, shares[:, [4, 1]])
    assert asked.labels == said.labels


def test_truths_are_the_labels() -> None:
    explaining = KIND.explaining(Classify(network("resnet20_cifar"), CLASSES), PREPROCESSING)
    assert explaining.truths(Labels(np.array([2, 0]), CLASSES)) == ("c", "a")
    assert explaining.truths(Labels(np.array([[1, 0, 1, 0, 0, 0], [0] * 6], np.uint8), CLASSES)) == ("a;c", "")
