from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from convolve.datasets.augmentation import Augmentation
from convolve.datasets.batches import Batches, BatchOptions, Groups
from convolve.datasets.cache import PixelSource, open_cache
from convolve.datasets.images import ImageArray
from convolve.datasets.labels import Labels
from convolve.datasets.preprocess import fit_to_input, least_side, normalize, permute, warp
from convolve.errors import DataError
from convolve.targets import ArrayTargets
from convolve.values import Batch, Indices, Placement
from tests.datasets.ground_truths import values
from tests.datasets.synthetic import files, preprocessing, random_image

GOAL = preprocessing(32, 32)
FULL = Augmentation(0.5, True, True, 20.0, 0.1, 0.1, 0.05, 0.2, 0.2, 0.2, 0.1)
OPTIONS = BatchOptions(GOAL, batch=4, seed=7, shuffle=True, augmentation=FULL)
SIZES = [(50 + number, 70 - number) for number in range(11)]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> PixelSource:
    folder = tmp_path_factory.mktemp("batches")
    return open_cache(files(folder / "images", SIZES), GOAL, folder / "caches", 10**9, 1)


@pytest.fixture(scope="module")
def array() -> PixelSource:
    pixels = np.stack([random_image(32, 32, seed=seed) for seed in range(11)])
    return open_cache(ImageArray(pixels, "array"), GOAL, None, 0, 1)


def batches(source: PixelSource, options: BatchOptions = OPTIONS) -> Batches:
    labels = Labels(np.arange(len(source)) % 3, ("a", "b", "c"))
    return Batches(source, labels, np.arange(len(source)), options)


def assert_same(one: Sequence[Batch], other: Sequence[Batch]) -> None:
    assert len(one) == len(other) > 0
    for first, second in zip(one, other, strict=True):
        np.testing.assert_array_equal(first.images, second.images)
        np.testing.assert_array_equal(values(first), values(second))
        np.testing.assert_array_equal(first.indices, second.indices)


@pytest.mark.parametrize("kind", ["source", "array"])
@pytest.mark.parametrize("augmentation", [None, FULL])
def test_the_same_bits_whatever_the_workers_and_wherever_it_begins(
    kind: str, augmentation: Augmentation | None, request: pytest.FixtureRequest
) -> None:
    pixels = request.getfixturevalue(kind)
    options = replace(OPTIONS, augmentation=augmentation)
    expected = list(batches(pixels, replace(options, workers=0)).epoch(3))
    for workers in (1, 2, 4):
        assert_same(list(batches(pixels, replace(options, workers=workers)).epoch(3)), expected)
    again = batches(pixels, options)
    list(again.epoch(2))
    for start in range(3):
        assert_same(list(again.epoch(3, start)), expected[start:])
    assert list(again.epoch(3, 3)) == []


def test_epochs_and_seeds_differ(source: PixelSource) -> None:
    first, second = list(batches(source).epoch(0)), list(batches(source).epoch(1))
    other = list(batches(source, replace(OPTIONS, seed=8)).epoch(0))
    assert not np.array_equal(first[0].indices, second[0].indices)
    assert not np.array_equal(first[0].indices, other[0].indices)
    still = [list(batches(source, replace(OPTIONS, shuffle=False)).epoch(epoch)) for epoch in (0, 1)]
    np.testing.assert_array_equal(still[0][0].indices, still[1][0].indices)
    assert not np.array_equal(still[0][0].images, still[1][0].images)


def test_an_epoch_shows_every_example_once_with_its_label(source: PixelSource) -> None:
    epoch = list(batches(source).epoch(0))
    assert [len(batch.images) for batch in epoch] == [4, 4, 3]
    indices = np.concatenate([batch.indices for batch in epoch])
    np.testing.assert_array_equal(np.sort(indices), np.arange(11))
    np.testing.assert_array_equal(np.concatenate([values(batch) for batch in epoch]), indices % 3)
    for batch in epoch:
        assert batch.images.dtype == np.float32
        assert batch.images.flags.c_contiguous
        assert batch.images.shape[1:] == (32, 32, 3)


def test_without_augmentation_batches_are_what_prediction_sees(tmp_path: Path) -> None:
    images = files(tmp_path / "images", SIZES)
    pixels = open_cache(images, GOAL, tmp_path / "caches", 10**9, 1)
    expected = [fit_to_input(images.read(index, least_side(GOAL)), GOAL) for index in range(len(SIZES))]
    epoch = list(batches(pixels, replace(OPTIONS, augmentation=None, shuffle=False)).epoch(0))
    np.testing.assert_array_equal(
        np.concatenate([batch.images for batch in epoch]), normalize(np.stack(expected), GOAL)
    )


def test_multi_scale_changes_the_size_every_ten_batches_for_pixels_and_targets(source: PixelSource) -> None:
    class Sizes:
        def targets(self, indices: Indices, placement: Placement) -> ArrayTargets:
            height, width = placement.preprocessing.height, placement.preprocessing.width
            extents = placement.matrices[:, [0, 1], [0, 1]] * placement.sizes[:, ::-1]
            assert (np.abs(extents) >= [width - 0.5, height - 0.5]).all()
            return ArrayTargets(np.tile([height, width], (len(indices), 1)))

    options = replace(OPTIONS, augmentation=Augmentation(multi_scale=0.9, flip=True, noise=0.1), batch=2)
    drawn = Batches(source, Sizes(), np.arange(11), replace(options, preprocessing=replace(GOAL, height=64, width=64)))
    epochs = [list(drawn.epoch(epoch)) for epoch in range(20)]
    shapes = [batch.images.shape[1:3] for epoch in epochs for batch in epoch]
    for batch, shape in zip((batch for epoch in epochs for batch in epoch), shapes, strict=True):
        assert {tuple(row) for row in values(batch)} == {shape}
    assert set(shapes) == {(32, 32), (64, 64), (96, 96)}
    assert all(len(set(shapes[start : start + 10])) == 1 for start in range(0, 120, 10))
    assert_same(list(drawn.epoch(7, 3)), epochs[7][3:])


def test_later_batches_do_not_overwrite_earlier_ones(array: PixelSource) -> None:
    for options in (OPTIONS, replace(OPTIONS, augmentation=None)):
        earlier = [(batch.images, batch.images.copy()) for batch in batches(array, options).epoch(0)]
        for images, copy in earlier:
            np.testing.assert_array_equal(images, copy)


def test_an_incomplete_last_batch_can_be_left_out(source: PixelSource) -> None:
    assert len(batches(source)) == 3
    short = batches(source, replace(OPTIONS, drop_last=True))
    assert [len(batch.images) for batch in short.epoch(0)] == [4, 4]
    assert len(short) == 2
    only = batches(source, replace(OPTIONS, batch=20, drop_last=True))
    assert [len(batch.images) for batch in only.epoch(0)] == [11]


def test_weights_draw_examples_in_proportion(array: PixelSource) -> None:
    weights = np.array([0, 0, 0, 0, 0, 0, 0, 1, 3, 0, 0], dtype=np.float32)
    drawn = batches(array, replace(OPTIONS, sampler=weights))
    indices = np.concatenate([batch for epoch in range(200) for batch in drawn.order(epoch)])
    assert set(indices.tolist()) == {7, 8}
    assert (indices == 8).mean() == pytest.approx(0.75, abs=0.04)
    np.testing.assert_array_equal(next(iter(drawn.epoch(5))).indices, drawn.order(5)[0])


@pytest.mark.parametrize("together", [2, 4])
def test_groups_follow_one_another(array: PixelSource, together: int) -> None:
    """Five images of one group, five of another and one alone, which comes several times."""
    values = np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2])
    drawn = batches(array, replace(OPTIONS, sampler=Groups(values, together)))
    seen = set()
    for epoch in range(50):
        order = np.concatenate(drawn.order(epoch))
        assert len(order) == 11
        whole = values[order[: 11 // together * together]].reshape(-1, together)
        assert (whole == whole[:, :1]).all()
        seen |= set(order.tolist())
        np.testing.assert_array_equal(order, np.concatenate(drawn.order(epoch)))
    assert seen == set(range(11))
    np.testing.assert_array_equal(next(iter(drawn.epoch(5))).indices, drawn.order(5)[0])


def test_leaving_early_leaves_no_thread_and_opencv_as_it_was(source: PixelSource) -> None:
    before = cv2.getNumThreads()
    epoch = batches(source).epoch(0)
    next(epoch)
    epoch.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("convolve")]
    assert cv2.getNumThreads() == before


def test_slices_of_an_array_need_no_threads(array: PixelSource) -> None:
    epoch = batches(array, replace(OPTIONS, augmentation=None, workers=2)).epoch(0)
    next(epoch)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("convolve")]


@pytest.mark.parametrize("budget", [0, 10**9])
def test_unreadable_images_are_left_out(tmp_path: Path, budget: int) -> None:
    images = files(tmp_path / "images", SIZES)
    (tmp_path / "images" / "4.png").write_bytes(b"not an image")
    pixels = open_cache(images, GOAL, tmp_path / "caches", budget, 1)
    weights = np.ones(11, np.float32)
    for options in (OPTIONS, replace(OPTIONS, sampler=weights)):
        indices = np.concatenate([batch.indices for batch in batches(pixels, options).epoch(0)])
        assert 4 not in indices
    epoch = list(batches(open_cache(images, GOAL, tmp_path / "caches", budget, 1)).epoch(0))
    assert sum(len(batch.images) for batch in epoch) == sum(len(batch.targets) for batch in epoch) == 10


def test_nothing_readable_is_one_sentence(tmp_path: Path) -> None:
    images = files(tmp_path / "images", SIZES[:2])
    for name in images.names:
        (tmp_path / "images" / name).write_bytes(b"not an image")
    with pytest.raises(DataError, match="None of the images"):
        batches(open_cache(images, GOAL, tmp_path / "caches", 10**9, 1))
    streamed = batches(open_cache(images, GOAL, tmp_path / "others", 0, 1), replace(OPTIONS, augmentation=None))
    with pytest.raises(DataError, match="None of the 2 images"):
        list(streamed.epoch(0))


def test_several_labels_per_image_come_as_rows(array: PixelSource) -> None:
    flags = np.random.default_rng(0).integers(0, 2, (11, 3), dtype=np.uint8)
    (batch,) = Batches(array, Labels(flags, ("a", "b", "c")), np.array([5, 9]), OPTIONS).epoch(0)
    np.testing.assert_array_equal(values(batch), flags[batch.indices])
    assert set(batch.indices.tolist()) == {5, 9}


class Recorder:
    """Remembers how batches asked for targets."""

    def __init__(self) -> None:
        self.requests: list[tuple[Indices, Placement]] = []

    def targets(self, indices: Indices, placement: Placement) -> ArrayTargets:
        self.requests.append((indices, placement))
        return ArrayTargets(indices)


@pytest.mark.parametrize("augmentation", [None, FULL])
def test_targets_are_asked_for_with_the_placement_of_the_pixels(
    source: PixelSource, augmentation: Augmentation | None
) -> None:
    recorder = Recorder()
    options = replace(OPTIONS, augmentation=augmentation, workers=0)
    (batch, *_) = Batches(source, recorder, np.arange(11), options).epoch(1)
    ((indices, placement), *_) = recorder.requests
    np.testing.assert_array_equal(indices, batch.indices)
    assert placement.preprocessing == GOAL
    assert placement.sizes.tolist() == [list(source.get(index).shape[:2]) for index in indices.tolist()]
    if augmentation is None:
        pixels = [source.get(index) for index in indices.tolist()]
        np.testing.assert_array_equal(batch.images, normalize(warp(pixels, placement.matrices, GOAL), GOAL))


def test_pixels_of_the_input_size_stay_where_they_are(array: PixelSource) -> None:
    recorder = Recorder()
    list(Batches(array, recorder, np.arange(11), replace(OPTIONS, augmentation=None)).epoch(0))
    for indices, placement in recorder.requests:
        assert placement.sizes.tolist() == [[32, 32]] * len(indices)
        assert placement.matrices.tolist() == [[[1, 0, 0], [0, 1, 0]]] * len(indices)


@pytest.mark.parametrize("kind", ["source", "array"])
@pytest.mark.parametrize("augmentation", [None, FULL])
def test_pixels_are_permuted_in_the_same_way_after_augmentation(
    kind: str, augmentation: Augmentation | None, request: pytest.FixtureRequest
) -> None:
    pixels = request.getfixturevalue(kind)
    plain = replace(OPTIONS, augmentation=augmentation, workers=0)
    permuted = replace(plain, preprocessing=replace(GOAL, permutation=5))
    pairs = zip(batches(pixels, plain).epoch(0), batches(pixels, permuted).epoch(0), strict=True)
    order = permute(np.arange(32 * 32, dtype=np.float32).reshape(1, 32, 32, 1), 5).reshape(-1).astype(np.int64)
    assert sorted(order.tolist()) == list(range(32 * 32))
    assert (np.abs(np.diff(order)) > 32).mean() > 0.8  # neighbors are far from one another
    for one, other in pairs:
        flat = one.images.reshape(len(one.images), -1, 3)
        np.testing.assert_array_equal(flat[:, order].reshape(one.images.shape), other.images)


def test_the_seed_draws_the_permutation() -> None:
    image = np.arange(64, dtype=np.float32).reshape(1, 8, 8, 1)
    np.testing.assert_array_equal(permute(image, 0), permute(image, 0))
    assert not np.array_equal(permute(image, 0), permute(image, 1))
    assert permute(image, 0).reshape(-1)[:5].tolist() == [0, 54, 43, 38, 21]


def test_shifted_images_are_filled_as_augmentation_fills(array: PixelSource) -> None:
    plain = batches(array, replace(OPTIONS, augmentation=None, shuffle=False))
    for x, y in ((3, 0), (-2, 0), (0, 5), (0, -1)):
        for one, other in zip(plain.epoch(0), plain.shifted(x, y).epoch(0), strict=True):
            widths = ((0, 0), (max(y, 0), max(-y, 0)), (max(x, 0), max(-x, 0)), (0, 0))
            padded = np.pad(one.images, widths, mode="reflect")
            expected = padded[:, max(-y, 0) :, max(-x, 0) :][:, :32, :32]
            np.testing.assert_allclose(other.images, expected, atol=1e-5)
    assert_same(list(plain.epoch(0)), list(plain.shifted(0, 0).epoch(0)))


def test_a_shift_counts_in_pixels_of_the_input_and_moves_targets_too(source: PixelSource) -> None:
    recorder = Recorder()
    plain = Batches(source, recorder, np.arange(11), replace(OPTIONS, augmentation=None, shuffle=False, workers=0))
    for subject in (plain, plain.shifted(4, -2)):
        list(subject.epoch(0))
    half = len(recorder.requests) // 2
    for (_, before), (_, after) in zip(recorder.requests[:half], recorder.requests[half:], strict=True):
        moved = after.matrices - before.matrices
        np.testing.assert_allclose(moved, np.broadcast_to([[0, 0, 4], [0, 0, -2]], moved.shape), atol=1e-12)
