import numpy as np
import pytest

from convolve.metrics.confusion import (
    accuracy,
    class_metrics,
    confusion_matrix,
    label_metrics,
    macro_average,
    weighted_average,
)


def test_the_lectures_dogs_and_cats() -> None:
    targets = np.repeat([0, 1], [100, 90])
    predicted = np.repeat([0, 1, 1], [90, 10, 90])
    matrix = confusion_matrix(targets, predicted, 2)
    assert matrix.tolist() == [[90, 10], [0, 90]]
    dog = class_metrics(matrix)
    assert (dog.precision[0], dog.recall[0]) == (1.0, 0.9)
    assert accuracy(matrix) == pytest.approx(180 / 190)


def test_a_class_that_nobody_names_has_zero_precision_and_an_absent_one_zero_recall() -> None:
    metrics = class_metrics(confusion_matrix(np.array([0, 0, 1]), np.array([0, 0, 2]), 4))
    assert metrics.precision.tolist() == [1, 0, 0, 0]
    assert metrics.recall.tolist() == [1, 0, 0, 0]
    assert metrics.support.tolist() == [2, 1, 0, 0]
    assert metrics.predictions.tolist() == [2, 0, 1, 0]
    assert macro_average(metrics).f1 == pytest.approx(1 / 3)
    assert weighted_average(metrics).f1 == pytest.approx(2 / 3)


def test_no_images() -> None:
    matrix = confusion_matrix(np.array([], np.int64), np.array([], np.int64), 3)
    assert matrix.shape == (3, 3)
    assert np.isnan(
        [accuracy(matrix), macro_average(class_metrics(matrix)).f1, weighted_average(class_metrics(matrix)).f1]
    ).all()


@pytest.mark.parametrize("wrong", [-1, 3])
def test_an_index_outside_the_classes_is_refused(wrong: int) -> None:
    with pytest.raises(ValueError, match="invalid entry"):
        confusion_matrix(np.array([0, 1]), np.array([0, wrong]), 3)


def test_labels_count_apart() -> None:
    targets = np.array([[1, 1, 0], [0, 1, 0]], np.uint8)
    predicted = np.array([[1, 0, 0], [1, 1, 0]], np.uint8)
    metrics = label_metrics(targets, predicted)
    assert metrics.precision.tolist() == [0.5, 1, 0]
    assert metrics.recall.tolist() == [1, 0.5, 0]
