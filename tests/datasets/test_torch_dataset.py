"""A dataset in PyTorch's own data loader."""

from __future__ import annotations

import doctest
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Subset

from convolve.datasets import torch_dataset
from convolve.datasets.batches import Batches, BatchOptions
from convolve.datasets.cache import open_cache
from convolve.datasets.images import JoinedImages
from convolve.datasets.labels import Labels
from convolve.datasets.masks import MaskFiles, Masks
from convolve.datasets.torch_dataset import ImageDataset
from convolve.errors import DataError
from convolve.values import IGNORE, Dataset
from tests.datasets.ground_truths import values
from tests.datasets.synthetic import files, preprocessing

SIZES = [(50 + number, 70 - number) for number in range(6)]
GOAL = preprocessing(32, 40)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Six images with labels and flags, the first five with masks."""
    images = files(tmp_path, SIZES)
    for number, (height, width) in enumerate(SIZES[:5]):
        mask = np.zeros((height, width), np.uint8)
        mask[:, : 10 + 5 * number] = 1
        mask[:4] = 9
        Image.fromarray(mask).save(tmp_path / f"{number}_mask.png")
    reader = MaskFiles(tmp_path, tuple(f"{number}_mask.png" for number in range(5)), (0, 1), (9,))
    masks = Masks(reader, ("road", "sky"), ((0, 0, 0), (1, 1, 1)), np.array([0, 1, 2, 3, 4, -1]))
    labels = Labels(np.array([0, 2, 1, 1, 0, 2]), ("a", "b", "c"))
    flags = Labels(np.eye(3, dtype=np.uint8)[[0, 2, 1, 1, 0, 2]], ("a", "b", "c"))
    return Dataset(str(tmp_path), "made", "", images, {"labels": labels, "masks": masks, "flags": flags}, {})


@pytest.mark.parametrize("name", ["labels", "flags", "masks"])
@pytest.mark.parametrize("workers", [0, 2])
def test_a_data_loader_gives_what_batches_give(dataset: Dataset, name: str, workers: int, tmp_path: Path) -> None:
    examples = ImageDataset(dataset, name, GOAL)
    loader = DataLoader(examples, batch_size=4, num_workers=workers)
    source = open_cache(examples.dataset.images, GOAL, tmp_path / "cache", 1 << 30)
    options = BatchOptions(GOAL, 4, 0, shuffle=False)
    expected = list(Batches(source, examples.ground_truth, np.arange(len(examples)), options).epoch(0))
    found = list(loader)
    assert len(found) == len(expected) == 2
    for (images, targets), batch in zip(found, expected, strict=True):
        np.testing.assert_array_equal(images.numpy(), batch.images.transpose(0, 3, 1, 2))
        np.testing.assert_array_equal(targets.numpy(), values(batch))
    assert found[0][0].shape == (4, 3, 32, 40)
    assert found[0][1].dtype == (torch.int64 if name == "labels" else torch.uint8)


def test_without_preprocessing_images_and_masks_are_as_they_are(dataset: Dataset) -> None:
    examples = ImageDataset(dataset, "masks")
    image, mask = examples[-3]
    np.testing.assert_allclose(image.numpy(), dataset.images.read(2).transpose(2, 0, 1) / 255, atol=1e-7)
    assert mask.shape == image.shape[1:] == (52, 68)
    assert set(mask[4:, :20].unique().tolist()) == {1}
    assert set(mask[4:, 20:].unique().tolist()) == {0}
    assert (mask[:4] == IGNORE).all()


def test_examples_count_from_the_end_too(dataset: Dataset) -> None:
    images = JoinedImages((dataset.images.take(np.arange(4)), dataset.images.take(np.arange(4, 6))))
    examples = ImageDataset(replace(dataset, images=images), "labels")
    assert torch.equal(examples[-1][0], examples[5][0])
    assert not torch.equal(examples[-1][0], examples[4][0])


def test_images_without_a_mask_are_left_out(dataset: Dataset) -> None:
    assert (len(ImageDataset(dataset, "labels")), len(ImageDataset(dataset, "masks"))) == (6, 5)
    assert ImageDataset(dataset, "masks").classes == ("road", "sky")
    with pytest.raises(IndexError, match="no example 5: the dataset has 5"):
        ImageDataset(dataset, "masks")[5]
    with pytest.raises(DataError, match="has no boxes, only labels, masks, flags"):
        ImageDataset(dataset, "boxes")


def test_a_split_is_a_subset_and_another_process_can_have_it(dataset: Dataset) -> None:
    examples = ImageDataset(dataset, "masks", GOAL)
    examples.ground_truth.presence()
    again = pickle.loads(pickle.dumps(examples))  # noqa: S301 - our own
    part = Subset(again, [3, 1])
    for position, index in enumerate((3, 1)):
        assert torch.equal(part[position][0], examples[index][0])
        assert torch.equal(part[position][1], examples[index][1])


def test_the_example_in_the_docstring() -> None:
    results = doctest.testmod(torch_dataset)
    assert (results.failed, results.attempted) == (0, 5)
