"""Splits: disjoint, complete, stratified, repeatable; groups whole; what is given is kept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convolve.datasets.images import ImageFiles
from convolve.datasets.labels import Labels
from convolve.datasets.splits import SplitPlan, split, with_subset
from convolve.errors import DataError
from convolve.values import Dataset, Flags, Indices, Splits

COUNTS = st.lists(st.integers(1, 40), min_size=1, max_size=8)


def dataset(values: np.ndarray, names: list[str] | None = None, parts: Mapping[str, Indices] | None = None) -> Dataset:
    count = values.shape[1] if values.ndim == 2 else int(values.max()) + 1
    labels = Labels(values, tuple(f"class{number}" for number in range(count)))
    names = names or [f"{index}.png" for index in range(len(values))]
    return Dataset("set", "folders", "made", ImageFiles(Path("set"), tuple(names)), {"labels": labels}, parts or {})


def draw(data: Dataset, validation: float = 0.15, test: float = 0.15, **more: object) -> Splits:
    plan = SplitPlan(validation, test, **{"group_by": None, "seed": 0, **more})  # type: ignore[arg-type]
    return split(data, data.ground_truths["labels"], plan, np.arange(len(data)))


def together(splits: Splits) -> list[int]:
    return sorted(np.concatenate([splits.train, splits.validation, splits.test]).tolist())


@settings(deadline=None)
@given(COUNTS, st.floats(0.05, 0.4), st.floats(0.05, 0.4), st.integers(0, 2**32))
def test_every_class_is_split_by_the_fractions(counts: list[int], validation: float, test: float, seed: int) -> None:
    values = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    if max(counts) < 3:
        return  # too few to set some aside, which a test below asks about
    splits = draw(dataset(values), validation, test, seed=seed)
    assert together(splits) == list(range(len(values)))
    for part, fraction in ((splits.validation, validation), (splits.test, test)):
        found = np.bincount(values[part], minlength=len(counts))
        assert (np.abs(found - np.array(counts) * fraction) < 2).all()
    assert (np.bincount(values[splits.train], minlength=len(counts)) > 0).all()


@pytest.mark.parametrize("classes", [2, 10, 100])
def test_totals_are_right_although_classes_are_tiny(classes: int) -> None:
    splits = draw(dataset(np.repeat(np.arange(classes), 4)), 0.1, 0.1)
    for part in (splits.validation, splits.test):
        assert abs(len(part) - 0.4 * classes) <= 1


def test_the_seed_decides() -> None:
    data = dataset(np.arange(200) % 4)
    first, again, other = draw(data), draw(data), draw(data, seed=1)
    np.testing.assert_array_equal(first.test, again.test)
    np.testing.assert_array_equal(first.validation, again.validation)
    assert set(first.test) != set(other.test)


@settings(deadline=None)
@given(st.lists(st.integers(2, 30), min_size=2, max_size=6), st.integers(2, 6), st.integers(0, 99))
def test_folds_cover_everything_once_and_share_the_test(counts: list[int], folds: int, seed: int) -> None:
    values = np.repeat(np.arange(len(counts)), counts)
    data = dataset(values)
    if len(values) < 3 * folds + 3 * len(counts):
        return
    found = [draw(data, 0.2, 0.1, seed=seed, fold=fold, folds=folds) for fold in range(folds)]
    for splits in found:
        np.testing.assert_array_equal(splits.test, found[0].test)
        assert together(splits) == list(range(len(values)))
        assert set(values[splits.train]) == set(values)
    validated = np.concatenate([splits.validation for splits in found])
    assert len(set(validated)) == len(validated)
    pool = np.setdiff1d(np.arange(len(values)), found[0].test)
    alone = [index for index in pool if (values[pool] == values[index]).sum() == 1]
    assert set(validated) == set(pool) - set(alone)
    sizes = [len(splits.validation) for splits in found]
    assert max(sizes) - min(sizes) <= 1


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.integers(8, 40), st.booleans())
def test_groups_never_cross(seed: int, groups: int, multi_label: bool) -> None:
    random = np.random.default_rng(seed)
    of_image = np.repeat(np.arange(groups), random.integers(1, 6, groups))
    count = len(of_image)
    values = random.integers(0, 2, (count, 3), dtype=np.uint8) if multi_label else random.integers(0, 3, count)
    names = [f"patient{group}/{index}.png" for index, group in enumerate(of_image)]
    data = dataset(values if multi_label else np.append(values[:-1], 2), names)
    for more in ({}, {"fold": 1, "folds": 3}):
        splits = draw(data, 0.2, 0.2, group_by=r"patient(\d+)", seed=seed, **more)
        assert together(splits) == list(range(count))
        sides = [set(of_image[part]) for part in (splits.train, splits.validation, splits.test)]
        assert not sides[0] & sides[1]
        assert not sides[0] & sides[2]
        assert not sides[1] & sides[2]
        flags = data.ground_truths["labels"].presence()
        assert ((flags[splits.train].sum(0) > 0) == (flags.sum(0) > 0)).all()


def test_groups_are_stratified_and_near_their_fraction() -> None:
    random = np.random.default_rng(0)
    of_image = np.repeat(np.arange(200), random.integers(1, 8, 200))
    label = (np.arange(200) % 4)[of_image]
    splits = draw(
        dataset(label, [f"{group}_{index}" for index, group in enumerate(of_image)]), 0.2, 0.2, group_by=r"^\d+"
    )
    for part in (splits.validation, splits.test):
        fractions = np.bincount(label[part], minlength=4) / np.bincount(label)
        assert np.abs(fractions - 0.2).max() < 0.03


def test_several_labels_are_stratified() -> None:
    random = np.random.default_rng(0)
    values = (random.random((2000, 5)) < [0.5, 0.3, 0.1, 0.02, 0.01]).astype(np.uint8)
    splits = draw(dataset(values), 0.1, 0.2)
    assert "iteratively stratified" in splits.origin
    for part, fraction in ((splits.validation, 0.1), (splits.test, 0.2)):
        assert abs(len(part) / 2000 - fraction) < 0.01
        assert np.abs(values[part].sum(0) - fraction * values.sum(0)).max() <= 2


def test_a_class_that_would_be_held_out_completely_is_learned_from() -> None:
    values = np.zeros((9, 3), np.uint8)
    for image, label in ((2, 2), (3, 0), (3, 2), (5, 0), (5, 1), (6, 2), (7, 0), (8, 1)):
        values[image, label] = 1
    splits = draw(dataset(values), 0.4, 0.4)
    assert (values[splits.train].sum(0) > 0).all()
    assert together(splits) == list(range(9))


def test_given_splits_are_used_as_they_are() -> None:
    parts = {"train": np.arange(60), "validation": np.arange(60, 80), "test": np.arange(80, 100)}
    splits = draw(dataset(np.arange(100) % 5, parts=parts))
    assert splits.origin == "as the dataset gives them"
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [60, 20, 20]
    assert (splits.test >= 80).all()


@pytest.mark.parametrize(("kept", "taken"), [("test", "validation"), ("validation", "test")])
def test_what_is_not_given_is_taken_from_training(kept: str, taken: str) -> None:
    parts = {"train": np.arange(80), kept: np.arange(80, 100)}
    splits = draw(dataset(np.arange(100) % 5, parts=parts), 0.25, 0.25)
    np.testing.assert_array_equal(getattr(splits, kept), np.arange(80, 100))
    assert (np.bincount(getattr(splits, taken) % 5) == 4).all()
    assert (getattr(splits, taken) < 80).all()
    assert f"the given {kept}" in splits.origin
    assert f"25 % {taken}" in splits.origin


def test_folds_split_given_training_and_validation_anew() -> None:
    parts = {"train": np.arange(60), "validation": np.arange(60, 80), "test": np.arange(80, 100)}
    found = [draw(dataset(np.arange(100) % 5, parts=parts), fold=fold, folds=4) for fold in range(4)]
    assert sorted(np.concatenate([splits.validation for splits in found])) == list(range(80))
    assert all((splits.test == np.arange(80, 100)).all() for splits in found)
    assert "fold 1 of 4" in found[0].origin


def test_unusable_images_are_in_no_split() -> None:
    data = dataset(np.arange(100) % 5)
    splits = split(data, data.ground_truths["labels"], SplitPlan(0.1, 0.1, None, 0), np.arange(0, 100, 2))
    assert together(splits) == list(range(0, 100, 2))


def test_a_fraction_of_0_gives_an_empty_split() -> None:
    splits = draw(dataset(np.arange(10) % 2), 0.0, 0.0)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (10, 0, 0)


@pytest.mark.parametrize(
    ("group_by", "sentence"),
    [
        ("(", "not a regular expression"),
        ("patient", "does not match 2 of 2 names, such as 0.png"),
        (".png", "too few groups to set some aside for test"),
    ],
)
def test_group_by_that_cannot_serve(group_by: str, sentence: str) -> None:
    data = dataset(np.arange(2), ["0.png", "1.png"])
    with pytest.raises(DataError, match=sentence):
        draw(data, group_by=group_by)


def test_groups_across_given_parts_are_reported() -> None:
    names = [f"p{index % 5}_{index}" for index in range(20)]
    parts = {"train": np.arange(10), "validation": np.arange(10, 15), "test": np.arange(15, 20)}
    with pytest.raises(DataError, match="separate 5 of 5 groups; drop --group-by, or those splits"):
        draw(dataset(np.arange(20) % 2, names, parts), group_by="p([0-9])")


@pytest.mark.parametrize(
    "plan", [{"validation": 0.5, "test": 0.5}, {"validation": -0.1}, {"fold": 2, "folds": 2}, {"seed": -1}]
)
def test_plans_out_of_range(plan: dict[str, float]) -> None:
    with pytest.raises(DataError):
        SplitPlan(**{"validation": 0.1, "test": 0.1, "group_by": None, "seed": 0, **plan})  # type: ignore[arg-type]


def test_nothing_to_learn_from() -> None:
    parts = {"validation": np.arange(5), "test": np.arange(5, 10)}
    with pytest.raises(DataError, match="leaves no image to learn from"):
        draw(dataset(np.arange(10) % 2, parts=parts))


def test_one_image_a_class_leaves_nothing_to_set_aside() -> None:
    with pytest.raises(DataError, match="too few images of a class to set some aside for test"):
        draw(dataset(np.arange(4)))


class WithoutClasses:
    """A ground truth that knows no classes, such as captions."""

    classes = ()

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def presence(self) -> Flags:
        return np.zeros((self.count, 0), dtype=bool)


def test_what_has_no_classes_is_split_at_random_and_groups_stay_whole() -> None:
    names = [f"scene{index // 4}_{index}.png" for index in range(200)]
    ground_truth = WithoutClasses(200)
    images = ImageFiles(Path("set"), tuple(names))
    data = Dataset("set", "pairs", "made", images, {"captions": ground_truth}, {})  # type: ignore[dict-item]
    for seed in range(3):
        splits = split(data, ground_truth, SplitPlan(0.2, 0.1, None, seed), np.arange(200))  # type: ignore[arg-type]
        assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [140, 40, 20]
        assert together(splits) == list(range(200))
        assert splits.origin == f"10 % test, 20 % validation, the rest train; at random with seed {seed}"
        assert np.diff(splits.validation).max() > 1
    splits = split(data, ground_truth, SplitPlan(0.2, 0.1, r"scene\d+", 0), np.arange(200))  # type: ignore[arg-type]
    scenes = [set(part // 4) for part in (splits.train, splits.validation, splits.test)]
    assert [len(scene) for scene in scenes] == [35, 10, 5]
    assert len(set().union(*scenes)) == 50
    few = split(data, ground_truth, SplitPlan(0.2, 0.2, None, 0), np.arange(3))  # type: ignore[arg-type]
    assert [len(few.train), len(few.validation), len(few.test)] == [1, 1, 1]


@settings(deadline=None)
@given(COUNTS, st.floats(0, 1), st.integers(0, 99))
def test_a_subset_has_each_class_in_proportion(counts: list[int], fraction: float, seed: int) -> None:
    values = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    whole = Splits(np.arange(len(values)), np.empty(0, np.int64), np.empty(0, np.int64), "all")
    labels = dataset(values).ground_truths["labels"]
    count = len(counts) + int(fraction * (len(values) - len(counts)))
    found = with_subset(whole, labels, count, seed)
    assert len(set(found.train.tolist())) == len(found.train) == count
    own = np.bincount(values[found.train], minlength=len(counts))
    assert (own >= 1).all()
    wanted = np.maximum(np.array(counts) * count / len(values), 1)
    assert (np.abs(own - wanted) <= 1 + len(counts) / 2).all()
    larger = with_subset(whole, labels, min(count + 3, len(values)), seed)
    assert set(found.train.tolist()) <= set(larger.train.tolist())


def test_a_subset_of_equal_classes_is_equal_and_the_seed_draws_it() -> None:
    data = dataset(np.arange(300) % 3)
    splits, labels = draw(data), data.ground_truths["labels"]
    found = [with_subset(splits, labels, 60, seed) for seed in (0, 0, 1)]
    assert all(np.bincount(each.train % 3).tolist() == [20, 20, 20] for each in found)
    assert all(set(each.train.tolist()) <= set(splits.train.tolist()) for each in found)
    np.testing.assert_array_equal(found[0].train, found[1].train)
    assert set(found[0].train.tolist()) != set(found[2].train.tolist())
    for name in ("validation", "test"):
        np.testing.assert_array_equal(getattr(found[0], name), getattr(splits, name))
    assert found[0].origin.endswith("; 60 of 210 training images, stratified by class with seed 0")


def test_a_subset_counts_an_image_of_several_classes_for_the_rarest() -> None:
    values = np.zeros((200, 3), dtype=bool)
    values[:, 0], values[::4, 1], values[:8, 2] = True, True, True
    data = dataset(values)
    whole = Splits(np.arange(200), np.empty(0, np.int64), np.empty(0, np.int64), "all")
    found = with_subset(whole, data.ground_truths["labels"], 50, 0)
    assert values[found.train].sum(0).tolist()[0] == 50
    assert 11 <= values[found.train, 1].sum() <= 15
    assert values[found.train, 2].sum() == 2


@pytest.mark.parametrize(
    ("count", "message"),
    [
        (211, "There are 210 training images, not 211; give --subset at most that."),
        (2, "2 training images leave 1 of 3 classes without any; give --subset more."),
    ],
)
def test_a_subset_that_cannot_be(count: int, message: str) -> None:
    data = dataset(np.arange(300) % 3)
    with pytest.raises(DataError) as caught:
        with_subset(draw(data), data.ground_truths["labels"], count, 0)
    assert str(caught.value) == message
