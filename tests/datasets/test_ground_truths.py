"""What every ground truth promises, and what a dataset does with several."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread

import numpy as np
import pytest

from convolve.datasets.images import ImageArray
from convolve.datasets.labels import Labels
from convolve.datasets.masks import MaskArray, Masks
from convolve.errors import DataError
from convolve.targets import ArrayTargets
from convolve.values import Dataset, GroundTruth, Placement, Preprocessing, Targets
from tests.datasets.ground_truths import placement

CLASSES = ("cat", "dog", "emu")
SIZES = [(8, 10)] * 6
GOAL = Preprocessing(8, 10, 3, "stretch", (0.5,) * 3, (0.5,) * 3)


def single_label() -> Labels:
    return Labels(np.array([0, 2, 1, 1, 0, 2]), CLASSES)


def multi_label() -> Labels:
    flags = np.array([[1, 0, 0], [0, 0, 0], [1, 1, 1], [0, 1, 0], [1, 0, 1], [0, 0, 1]], dtype=np.uint8)
    return Labels(flags, CLASSES)


def masks() -> Masks:
    array = np.random.default_rng(0).integers(0, 3, (6, 8, 10), dtype=np.uint8)
    array[3] = 1
    return Masks(MaskArray(array), CLASSES, ((10, 20, 30), (40, 50, 60), (70, 80, 90)))


GROUND_TRUTHS = [single_label, multi_label, masks]  # boxes are ragged, and have tests of their own


def unmoved(count: int) -> Placement:
    return placement(SIZES[:count], GOAL)


def array(ground_truth: GroundTruth, indices: list[int]) -> np.ndarray:
    found = ground_truth.targets(np.array(indices), unmoved(len(indices)))
    assert isinstance(found, ArrayTargets)
    return found.values


def words_for(ground_truth: GroundTruth, targets: Targets) -> list[str]:
    return ground_truth.draw(np.zeros((len(targets), 8, 10, 3), np.uint8), targets)[1]


@pytest.fixture(params=GROUND_TRUTHS)
def ground_truth(request: pytest.FixtureRequest) -> GroundTruth:
    build: Callable[[], GroundTruth] = request.param
    return build()


def test_presence_says_which_classes_the_targets_have(ground_truth: GroundTruth) -> None:
    assert ground_truth.classes == CLASSES
    presence = ground_truth.presence()
    assert presence.dtype == bool
    assert presence.shape == (len(ground_truth), 3) == (6, 3)
    described = words_for(ground_truth, ground_truth.targets(np.arange(6), unmoved(6)))
    for flags, words in zip(presence, described, strict=True):
        assert words == " + ".join(name for name, flag in zip(CLASSES, flags, strict=True) if flag)


def test_all_images_are_covered_and_nothing_fails(ground_truth: GroundTruth) -> None:
    assert ground_truth.covers.tolist() == [True] * 6
    assert ground_truth.findings.failed == {}


def test_some_of_the_images_are_as_they_were(ground_truth: GroundTruth) -> None:
    part = ground_truth.take(np.array([4, 1, 4]))
    assert len(part) == 3
    np.testing.assert_array_equal(part.presence(), ground_truth.presence()[[4, 1, 4]])
    np.testing.assert_array_equal(array(part, [0, 1, 2]), array(ground_truth, [4, 1, 4]))
    assert [part.digest(index) for index in range(3)] == [ground_truth.digest(index) for index in (4, 1, 4)]
    np.testing.assert_array_equal(array(part.take(np.array([1])), [0]), array(ground_truth, [1]))


def test_digests_differ_where_targets_do(ground_truth: GroundTruth) -> None:
    digests = [ground_truth.digest(index) for index in range(6)]
    targets = [array(ground_truth, [index]).tobytes() for index in range(6)]
    assert [[one == other for one in digests] for other in digests] == [
        [one == other for one in targets] for other in targets
    ]


def test_more_classes_in_another_order(ground_truth: GroundTruth) -> None:
    more = ground_truth.with_classes(("emu", "fox", "cat", "dog"))
    assert more.classes == ("emu", "fox", "cat", "dog")
    np.testing.assert_array_equal(more.presence()[:, [2, 3, 0]], ground_truth.presence())
    assert not more.presence()[:, 1].any()
    before, after = (each.targets(np.arange(6), unmoved(6)) for each in (ground_truth, more))
    assert [set(words.split(" + ")) for words in words_for(ground_truth, before)] == [
        set(words.split(" + ")) for words in words_for(more, after)
    ]
    back = more.with_classes(("emu", "fox", "cat", "dog")).with_classes(more.classes)
    np.testing.assert_array_equal(array(back, [0, 1, 2, 3, 4, 5]), array(more, [0, 1, 2, 3, 4, 5]))


def test_targets_become_tensors_of_their_type(ground_truth: GroundTruth) -> None:
    found = ground_truth.targets(np.array([5, 2]), unmoved(2))
    assert len(found) == 2
    np.testing.assert_array_equal(found.to("cpu").numpy(), array(ground_truth, [5, 2]))


def test_drawing_keeps_the_images_shape_and_leaves_them_unchanged(ground_truth: GroundTruth) -> None:
    images = np.random.default_rng(1).integers(0, 255, (2, 8, 10, 3), dtype=np.uint8)
    before = images.copy()
    drawn, _ = ground_truth.draw(images, ground_truth.targets(np.array([0, 3]), unmoved(2)))
    assert drawn.shape == images.shape
    assert drawn.dtype == np.uint8
    np.testing.assert_array_equal(images, before)


def test_many_threads_get_the_same(ground_truth: GroundTruth) -> None:
    expected = array(ground_truth, list(range(6)))
    found: list[bool] = []

    def work() -> None:
        for _ in range(20):
            found.append(np.array_equal(array(ground_truth, list(range(6))), expected))
            found.append(ground_truth.presence().shape == (6, 3))

    threads = [Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 160
    assert all(found)


@pytest.mark.parametrize("build", [single_label, multi_label])
def test_a_label_cannot_be_ignored(build: Callable[[], Labels]) -> None:
    with pytest.raises(DataError, match="The class 'emu' is not one of dog, cat; rename or remove it"):
        build().with_classes(("dog", "cat"))
    without = build().take(np.array([0]))  # no emu, but the class is there
    with pytest.raises(DataError, match="'dog' is not one of cat, emu"):
        without.with_classes(("cat", "emu"))


def test_labels_outside_of_the_classes_are_refused() -> None:
    for values in (np.array([0, 3]), np.array([-1, 0])):
        with pytest.raises(DataError, match="lies outside the 3 classes"):
            Labels(values, CLASSES)
    with pytest.raises(DataError, match="2 columns for 3 classes"):
        Labels(np.zeros((4, 2), np.uint8), CLASSES)


def test_single_labels_as_flags() -> None:
    labels = single_label().as_multi_label()
    assert labels.multi_label
    np.testing.assert_array_equal(labels.values, np.eye(3, dtype=np.uint8)[single_label().values])
    np.testing.assert_array_equal(labels.counts(), single_label().counts())
    assert multi_label().counts().tolist() == [3, 2, 3]
    assert labels.values.dtype == np.uint8


def dataset(**ground_truths: GroundTruth) -> Dataset:
    images = ImageArray(np.arange(6 * 8 * 10 * 3, dtype=np.uint64).astype(np.uint8).reshape(6, 8, 10, 3), "x")
    parts = {"train": np.array([0, 1, 2]), "validation": np.array([5, 3]), "test": np.array([4])}
    return Dataset("x", "made", "because", images, ground_truths, parts)


def test_a_dataset_is_restricted_to_what_a_ground_truth_covers() -> None:
    data = dataset(labels=single_label(), masks=masks().take(np.array([0, -1, 2, 3, -1, 5])))
    assert data.for_ground_truth("labels") is data
    part = data.for_ground_truth("masks")
    assert [part.images.name(index) for index in range(len(part))] == ["x#0", "x#2", "x#3", "x#5"]
    assert array(part.ground_truths["labels"], [0, 1, 2, 3]).tolist() == [0, 1, 1, 2]
    assert {name: part.tolist() for name, part in part.given_splits.items()} == {"train": [0, 1], "validation": [2, 3]}
    np.testing.assert_array_equal(array(part.ground_truths["masks"], [3]), array(masks(), [5]))
    assert data.take(np.array([2, 0])).given_splits == {}


def test_what_a_dataset_lacks_is_named() -> None:
    with pytest.raises(DataError, match=r"x has no masks, only labels \(because\)"):
        dataset(labels=single_label()).for_ground_truth("masks")
    with pytest.raises(DataError, match="has no labels, only images"):
        dataset().for_ground_truth("labels")
    with pytest.raises(DataError, match="x has 6 images, but labels for 4"):
        dataset(labels=single_label().take(np.arange(4)))
