"""What of a segmentation is explained, on a network whose scores are the image's own channels."""

from __future__ import annotations

import numpy as np
import torch

from convolve.tasks.segment import KIND, Segment
from convolve.values import Labels, Preprocessing
from tests.explainers.pixels import linear

CLASSES = ("ground", "disc", "꽃")
STRETCH = Preprocessing(8, 12, 3, "stretch", (0.5,) * 3, (0.5,) * 3)
LETTERBOX = Preprocessing(8, 12, 3, "letterbox", (0.5,) * 3, (0.5,) * 3)


def _images() -> tuple[torch.Tensor, torch.Tensor]:
    """(2, 3, 8, 12), and the class (2, 8, 12) of every pixel: the first mostly disc, the second ground alone."""
    classes = torch.zeros(2, 8, 12, dtype=torch.int64)
    classes[0, 1:] = 1
    classes[0, 6:, 6:] = 2
    images = torch.randn(2, 3, 8, 12, generator=torch.Generator().manual_seed(0))
    return images + 9 * torch.nn.functional.one_hot(classes, 3).movedim(3, 1), classes


def test_by_default_it_is_the_class_of_most_pixels() -> None:
    images, classes = _images()
    explaining = KIND.explaining(Segment(linear(torch.eye(3)), CLASSES), STRETCH)
    said = explaining.said(images, np.array([[8, 12], [50, 31]]), ())
    assert said.labels == ("disc", "ground")
    assert said.classes.tolist() == [[1], [0]]
    assert said.regions is not None
    assert np.array_equal(said.regions[:, 0], [classes[0] == 1, classes[1] == 0])
    shares = images.softmax(1)
    expected = [shares[0, 1][classes[0] == 1].mean(), shares[1, 0].mean()]
    np.testing.assert_allclose(said.scores[:, 0], expected, rtol=1e-5)
    np.testing.assert_allclose(said.confidences, expected, rtol=1e-5)
    assert torch.equal(explaining.shares(images), shares)


def test_classes_that_are_asked_for() -> None:
    images, classes = _images()
    said = KIND.explaining(Segment(linear(torch.eye(3)), CLASSES), STRETCH).said(
        images, np.array([[8, 12]] * 2), (2, 0)
    )
    assert said.labels == ("disc", "ground")
    assert said.classes.tolist() == [[2, 0], [2, 0]]
    assert said.there.tolist() == [[True, True], [False, True]]
    assert said.regions is not None
    assert np.array_equal(said.regions[0], np.stack([classes[0] == 2, classes[0] == 0]))
    assert said.scores[1, 0] == 0
    second = said.take(np.array([1]))
    assert (second.labels, second.classes.tolist()) == (("ground",), [[2, 0]])
    assert second.regions is not None
    assert second.regions.shape == (1, 2, 8, 12)


def test_what_surrounds_a_picture_belongs_to_no_class() -> None:
    """A square picture in a frame of 8x12 lies between columns 2 and 10."""
    images, classes = _images()
    said = KIND.explaining(Segment(linear(torch.eye(3)), CLASSES), LETTERBOX).said(
        images, np.array([[40, 40]] * 2), (0,)
    )
    assert said.regions is not None
    inside = np.zeros((8, 12), dtype=bool)
    inside[:, 2:10] = True
    assert np.array_equal(said.regions[0, 0], inside & (classes[0] == 0).numpy())
    assert np.array_equal(said.regions[1, 0], inside)


def test_a_picture_of_several_classes_is_taken_for_none_truly() -> None:
    labels = Labels(np.array([[1, 1, 0], [1, 0, 1]], np.uint8), CLASSES)
    assert KIND.explaining(Segment(linear(torch.eye(3)), CLASSES), STRETCH).truths(labels) == ("", "")
