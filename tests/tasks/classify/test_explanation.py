"""What of a classifier is explained."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from convolve.datasets.labels import Labels
from convolve.explainers.score_targets import ClassScore
from convolve.tasks.classify.task import Classify
from convolve.values import Preprocessing
from tests.explainers.small import images, network

CLASSES = tuple("abcdef")
PREPROCESSING = Preprocessing(32, 32, 3, "crop", (0.5,) * 3, (0.5,) * 3)
SIZES = np.array([[40, 30]] * 3)


@pytest.mark.parametrize("multi_label", [False, True])
def test_the_likeliest_or_the_classes_of_the_options(multi_label: bool) -> None:
    task = Classify(network("resnet20_cifar"), CLASSES, multi_label)
    given = images(task.network, 3)
    with torch.no_grad():
        expected, scores = task.predict(given).numpy(), task.network(given)
    best = expected.argmax(1)
    targets = task.explanation_targets(given, SIZES, (), PREPROCESSING)
    assert targets.regions is None
    assert targets.present.all()
    assert targets.names == tuple((CLASSES[index],) for index in best)
    np.testing.assert_array_equal(targets.scores[:, 0], expected.max(1))
    np.testing.assert_array_equal(targets.confidences, expected.max(1))
    present = [";".join(np.array(CLASSES)[row >= 0.5]) for row in expected]
    assert list(targets.predictions) == (present if multi_label else [CLASSES[index] for index in best])
    (target,) = targets.targets
    assert isinstance(target, ClassScore)
    assert torch.equal(target(scores), scores[torch.arange(3), torch.from_numpy(best)])
    assert torch.equal(task.probabilities(given).detach(), torch.from_numpy(expected))
    chosen = task.explanation_targets(given, SIZES, (4, 1), PREPROCESSING)
    assert chosen.names == (("e", "b"),) * 3
    np.testing.assert_array_equal(chosen.scores, expected[:, [4, 1]])
    assert torch.equal(chosen.targets[1](scores), scores[:, 1])
    assert chosen.predictions == targets.predictions


def test_some_of_the_images() -> None:
    task = Classify(network("resnet20_cifar"), CLASSES)
    given = images(task.network, 3)
    targets = task.explanation_targets(given, SIZES, (4, 1), PREPROCESSING)
    some = targets.take(np.array([2, 0]))
    assert some.predictions == (targets.predictions[2], targets.predictions[0])
    assert targets.confidences is not None
    assert some.confidences is not None
    np.testing.assert_array_equal(some.confidences, targets.confidences[[2, 0]])
    np.testing.assert_array_equal(some.scores, targets.scores[[2, 0]])
    assert (len(some.names), len(some.targets), len(some.targets[0])) == (2, 2, 2)


def test_ground_truth_labels_are_the_labels() -> None:
    for labels, words in (
        (Labels(np.array([1, 2, 0]), CLASSES), ("c", "a")),
        (Labels(np.array([[0] * 6, [1, 0, 1, 0, 0, 0], [0] * 6], np.uint8), CLASSES), ("a;c", "")),
    ):
        task = Classify(network("resnet20_cifar"), CLASSES, labels.multi_label)
        assert task.ground_truth_labels(labels, np.array([1, 2])) == words
