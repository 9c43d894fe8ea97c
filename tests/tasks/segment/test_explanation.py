"""What of a segmentation is explained, on a network whose scores are the image's own channels."""

from __future__ import annotations

import numpy as np
import torch

from convolve.explainers.score_targets import RegionScore
from convolve.tasks.segment.task import Segment
from convolve.values import Preprocessing
from tests.explainers.dense_prediction import linear

CLASSES = ("ground", "disc", "꽃")
STRETCH = Preprocessing(8, 12, 3, "stretch", (0.5,) * 3, (0.5,) * 3)
LETTERBOX = Preprocessing(8, 12, 3, "letterbox", (0.5,) * 3, (0.5,) * 3)
COLORS = ((0, 0, 0), (200, 20, 20), (20, 20, 200))
TASK = Segment(linear(torch.eye(3)), CLASSES, COLORS)


def _images() -> tuple[torch.Tensor, torch.Tensor]:
    """(2, 3, 8, 12), and the class (2, 8, 12) of each pixel: the first mostly disc, the second ground alone."""
    classes = torch.zeros(2, 8, 12, dtype=torch.int64)
    classes[0, 1:] = 1
    classes[0, 6:, 6:] = 2
    images = torch.randn(2, 3, 8, 12, generator=torch.Generator().manual_seed(0))
    return images + 9 * torch.nn.functional.one_hot(classes, 3).movedim(3, 1), classes


def test_by_default_it_is_the_class_of_most_pixels() -> None:
    images, classes = _images()
    targets = TASK.explanation_targets(images, np.array([[8, 12], [50, 31]]), (), STRETCH)
    assert targets.predictions == ("disc", "ground")
    assert targets.names == (("disc",), ("ground",))
    assert targets.relation == "mostly"
    assert targets.colors == dict(zip(CLASSES, COLORS, strict=True))
    assert targets.regions is not None
    assert np.array_equal(targets.regions[:, 0], [classes[0] == 1, classes[1] == 0])
    softmax = images.softmax(1)
    expected = [softmax[0, 1][classes[0] == 1].mean(), softmax[1, 0].mean()]
    np.testing.assert_allclose(targets.scores[:, 0], expected, rtol=1e-5)
    assert targets.confidences is not None
    np.testing.assert_allclose(targets.confidences, expected, rtol=1e-5)
    assert torch.equal(TASK.probabilities(images), softmax)
    (target,) = targets.targets
    assert isinstance(target, RegionScore)
    torch.testing.assert_close(target(softmax), torch.tensor(expected))


def test_classes_of_the_options() -> None:
    images, classes = _images()
    targets = TASK.explanation_targets(images, np.array([[8, 12]] * 2), (2, 0), STRETCH)
    assert targets.predictions == ("disc", "ground")
    assert targets.names == (("꽃", "ground"),) * 2
    assert targets.present.tolist() == [[True, True], [False, True]]
    assert targets.regions is not None
    assert np.array_equal(targets.regions[0], np.stack([classes[0] == 2, classes[0] == 0]))
    assert targets.scores[1, 0] == 0
    second = targets.take(np.array([1]))
    assert (second.predictions, second.names) == (("ground",), (("꽃", "ground"),))
    assert second.regions is not None
    assert second.regions.shape == (1, 2, 8, 12)
    torch.testing.assert_close(second.targets[1](images[1:]), images[1:, 0].mean((1, 2)))


def test_padding_around_an_image_belongs_to_no_class() -> None:
    """A square image in an input of 8x12 lies between columns 2 and 10."""
    images, classes = _images()
    targets = TASK.explanation_targets(images, np.array([[40, 40]] * 2), (0,), LETTERBOX)
    assert targets.regions is not None
    inside = np.zeros((8, 12), dtype=bool)
    inside[:, 2:10] = True
    assert np.array_equal(targets.regions[0, 0], inside & (classes[0] == 0).numpy())
    assert np.array_equal(targets.regions[1, 0], inside)
