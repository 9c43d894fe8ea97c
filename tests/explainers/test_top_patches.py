from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from convolve.errors import DataError
from convolve.explainers.top_patches import crop_box, sample_channels, top_patches
from convolve.models import Network
from convolve.values import Indices
from tests.explainers.small import images, network

UNITS = np.array([1, 5, 7])


@pytest.fixture(scope="module")
def of() -> Network:
    return network("resnet20_cifar")


def _batches(every: Tensor, numbers: Indices) -> Iterator[tuple[Tensor, Indices]]:
    for start in range(0, len(every), 7):
        yield every[start : start + 7], numbers[start : start + 7]


def test_patches_are_those_of_brute_force(of: Network) -> None:
    every, numbers = images(of, 30), np.random.default_rng(0).permutation(300)[:30]
    found = top_patches(of, _batches(every, numbers), "stage2", UNITS, 4)
    with torch.no_grad():
        maps = of.features(every)["stage2"][:, UNITS]
    for row in range(len(UNITS)):
        best = maps[:, row].flatten(1).max(1).values.argsort(descending=True)[:4]
        assert found.indices[row].tolist() == numbers[best].tolist()
        for column, image in enumerate(best.tolist()):
            position = np.unravel_index(int(maps[image, row].argmax()), maps.shape[2:])
            assert tuple(found.positions[row, column]) == position
            assert found.values[row, column] == pytest.approx(float(maps[image, row].max()), abs=1e-5)
            assert np.array_equal(found.images[int(numbers[image])], every[image].numpy())
    assert set(found.images) == set(found.indices.flatten().tolist())


def test_the_order_of_batches_does_not_matter(of: Network) -> None:
    every, numbers = images(of, 20), np.arange(20)
    found = top_patches(of, _batches(every, numbers), "stage1", UNITS, 3)
    turned = top_patches(of, _batches(every.flip(0), numbers[::-1].copy()), "stage1", UNITS, 3)
    assert np.array_equal(found.indices, turned.indices)
    assert np.array_equal(found.boxes, turned.boxes)


def test_no_more_images_are_held_than_are_returned(of: Network) -> None:
    found = top_patches(of, _batches(images(of, 25), np.arange(25)), "stage3", UNITS[:1], 2)
    assert len(found.images) == 2
    assert all(image.base is None for image in found.images.values())  # no batch is kept alive by a view


def test_too_few_images_are_refused(of: Network) -> None:
    with pytest.raises(DataError, match="fewer than 9 images"):
        top_patches(of, _batches(images(of, 5), np.arange(5)), "stage1", UNITS)


def test_a_patch_is_the_image_inside_its_box_and_0_beyond() -> None:
    image = np.arange(1, 2 * 4 * 5 + 1, dtype=np.float32).reshape(2, 4, 5)
    assert np.array_equal(crop_box(image, np.array([1, 0, 3, 2])), image[:, 0:2, 1:3])
    patch = crop_box(image, np.array([-1, 2, 2, 5]))
    assert patch.shape == (2, 3, 3)
    assert np.array_equal(patch[:, :2, 1:], image[:, 2:4, 0:2])
    assert not patch[:, 2].any()
    assert not patch[:, :, 0].any()
    assert np.array_equal(crop_box(image, np.array([-20, -20, 30, 30])), image)


def test_a_patch_holds_all_that_activates_its_unit(of: Network) -> None:
    every = images(of, 12, larger=2)
    found = top_patches(of, _batches(every, np.arange(12)), "stage1", UNITS, 2)
    (left, top, right, bottom), index = found.boxes[0, 0].tolist(), int(found.indices[0, 0])
    masked = torch.zeros_like(every[:1])
    rows, columns = slice(max(top, 0), bottom), slice(max(left, 0), right)
    masked[:, :, rows, columns] = every[index, :, rows, columns]
    with torch.no_grad():
        row, column = found.positions[0, 0].tolist()
        assert float(of.features(masked)["stage1"][0, 1, row, column]) == pytest.approx(
            float(found.values[0, 0]), abs=1e-5
        )


def test_units_are_drawn_by_the_seed() -> None:
    assert sample_channels(8, 12).tolist() == list(range(8))
    drawn = sample_channels(512, 12, seed=1)
    assert len(set(drawn.tolist())) == 12
    assert np.array_equal(drawn, sample_channels(512, 12, seed=1))
    assert not np.array_equal(drawn, sample_channels(512, 12, seed=2))
