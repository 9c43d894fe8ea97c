"""Support vector machines and box regressions over regions, against scikit-learn and closed forms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.svm import LinearSVC

from convolve.tasks.detect import region_training
from convolve.tasks.detect.region_training import RegionFeatures, fit_moves, mine_negatives


def image(folder: Path, number: int, features: Any, overlaps: Any, classes: list[int]) -> RegionFeatures:
    """An image whose last features are those of its objects."""
    file = folder / f"{number}.npy"
    np.save(file, np.asarray(features, dtype=np.float32))
    count = len(features) - len(classes)
    overlaps = np.asarray(overlaps, dtype=np.float64).reshape(count, len(classes))
    return RegionFeatures(file, np.zeros((count, 4)), np.zeros((len(classes), 4)), np.array(classes), overlaps)


def clouds(folder: Path, images: int, count: int) -> list[RegionFeatures]:
    """Images of one object of class 0 each, among regions that do not overlap it."""
    random = np.random.default_rng(5)
    made = []
    for number in range(images):
        features = np.concatenate([random.normal(-1, 2, (count, 6)), random.normal(3, 1, (1, 6))])
        made.append(image(folder, number, features, np.zeros((count, 1)), [0]))
    return made


def test_a_machine_on_one_image_is_that_of_scikit_learn_with_the_papers_constants(tmp_path: Path) -> None:
    (one,) = clouds(tmp_path, 1, 200)
    ((weight, bias),) = mine_negatives([one], 1, 2.0)
    machine = LinearSVC(
        C=0.001, loss="hinge", class_weight={1: 2.0}, intercept_scaling=10.0, tol=1e-6, max_iter=10**6, random_state=0
    )
    features = 2.0 * one.features()
    machine.fit(np.concatenate([features[-1:], features[:-1]]), [1] + [0] * 200)
    np.testing.assert_allclose(weight, machine.coef_[0], atol=0.02)
    np.testing.assert_allclose(bias, machine.intercept_[0], atol=0.02)


def test_only_regions_below_an_overlap_of_30_percent_are_negatives_and_only_objects_positives(tmp_path: Path) -> None:
    """Of regions at 0, 0.29, 0.3 and 0.9 the first two."""
    taken: list[int] = []

    class Recorder:
        coef_, intercept_ = np.zeros((1, 2)), [0.0]

        def fit(self, features: Any, labels: Any) -> None:
            taken.extend(int(value) for value, label in zip(features[:, 0], labels, strict=True) if not label)
            assert [value for value, label in zip(features[:, 0], labels, strict=True) if label] == [50]

    features = [[10, 0], [29, 0], [30, 0], [90, 0], [50, 0]]
    one = image(tmp_path, 0, features, [[0], [0.29], [0.3], [0.9]], [0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sklearn.svm.LinearSVC", lambda **_: Recorder())
        mine_negatives([one], 1, 1.0)
    assert taken == [10, 29]


def test_what_is_ignored_gives_no_negatives_around_it(tmp_path: Path) -> None:
    features = [[-4.0, 0], [9, 9], [4, 0], [9, 9]]
    one = image(tmp_path, 0, features, [[0, 0.0], [0, 0.5]], [0, -1])
    machine = region_training.SupportVectorMachine(np.array([[4.0, 0]], np.float32), 2)
    machine.take(one.features()[:1])
    machine.fit()
    ((weight, bias),) = mine_negatives([one], 1, 1.0)
    np.testing.assert_allclose(weight, machine.weight)
    assert bias == machine.bias


def test_later_images_give_only_hard_negatives_and_the_result_is_near_that_of_all(tmp_path: Path) -> None:
    images = clouds(tmp_path, 12, 300)
    ((weight, bias),) = mine_negatives(images, 1, 1.0)
    every = np.concatenate([one.features()[:-1] for one in images])
    objects = np.concatenate([one.features()[-1:] for one in images])
    machine = region_training.SupportVectorMachine(objects, 6)
    machine.take(every)
    machine.fit()
    margins = np.concatenate([objects, every]) @ np.stack([weight, machine.weight], 1) + [bias, machine.bias]
    assert np.corrcoef(margins.T)[0, 1] > 0.99
    assert len(machine.negatives) < len(every)


def test_a_class_without_examples_is_never_found(tmp_path: Path) -> None:
    machines = mine_negatives(clouds(tmp_path, 2, 20), 2, 1.0)
    assert machines[1][1] == -10
    assert not machines[1][0].any()


def test_moves_are_the_ridge_regression_of_scikit_learn_on_whitened_deltas() -> None:
    random = np.random.default_rng(1)
    features = random.normal(size=(500, 12)).astype(np.float32) * 5
    deltas = features @ random.normal(size=(12, 4)) * 0.01 + random.normal(0.05, 0.1, (500, 4))
    moves = fit_moves(features, deltas)
    mean = deltas.mean(0)
    covariance = np.cov(deltas.T, bias=True) + 0.001 * np.eye(4)
    left, values, right = np.linalg.svd(covariance)
    root = (left * np.sqrt(values)) @ right
    extended = np.concatenate([features, np.ones((500, 1))], 1).astype(np.float64)
    ridge = Ridge(alpha=1000.0, fit_intercept=False).fit(extended, (deltas - mean) @ np.linalg.inv(root))
    np.testing.assert_allclose(extended @ moves.T, ridge.predict(extended) @ root + mean, atol=1e-8)


def test_without_a_near_region_boxes_stay_where_they_are() -> None:
    assert not fit_moves(np.zeros((0, 7), np.float32), np.zeros((0, 4))).any()
    assert fit_moves(np.zeros((0, 7), np.float32), np.zeros((0, 4))).shape == (4, 8)
