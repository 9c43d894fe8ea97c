import numpy as np
import pytest

from convolve.metrics.confusion import accuracy, confusion_matrix, macro, per_class, per_label, weighted


def test_the_lectures_dogs_and_cats() -> None:
    truth = np.repeat([0, 1], [100, 90])
    predicted = np.repeat([0, 1, 1], [90, 10, 90])
    matrix = confusion_matrix(truth, predicted, 2)
    assert matrix.tolist() == [[90, 10], [0, 90]]
    dog = per_class(matrix)
    assert (dog.precision[0], dog.recall[0]) == (1.0, 0.9)
    assert accuracy(matrix) == pytest.approx(180 / 190)


def test_a_class_that_nobody_names_has_zero_precision_and_an_absent_one_zero_recall() -> None:
    figures = per_class(confusion_matrix(np.array([0, 0, 1]), np.array([0, 0, 2]), 4))
    assert figures.precision.tolist() == [1, 0, 0, 0]
    assert figures.recall.tolist() == [1, 0, 0, 0]
    assert figures.support.tolist() == [2, 1, 0, 0]
    assert figures.predictions.tolist() == [2, 0, 1, 0]
    assert macro(figures).f1 == pytest.approx(1 / 3)
    assert weighted(figures).f1 == pytest.approx(2 / 3)


def test_no_images() -> None:
    matrix = confusion_matrix(np.array([], np.int64), np.array([], np.int64), 3)
    assert matrix.shape == (3, 3)
    assert np.isnan([accuracy(matrix), macro(per_class(matrix)).f1, weighted(per_class(matrix)).f1]).all()


@pytest.mark.parametrize("wrong", [-1, 3])
def test_an_index_outside_the_classes_is_refused(wrong: int) -> None:
    with pytest.raises(ValueError, match="invalid entry"):
        confusion_matrix(np.array([0, 1]), np.array([0, wrong]), 3)


def test_labels_count_apart() -> None:
    truth = np.array([[1, 1, 0], [0, 1, 0]], np.uint8)
    predicted = np.array([[1, 0, 0], [1, 1, 0]], np.uint8)
    figures = per_label(truth, predicted)
    assert figures.precision.tolist() == [0.5, 1, 0]
    assert figures.recall.tolist() == [1, 0.5, 0]
