"""Any recognized dataset for a training loop of one's own: a `torch.utils.data.Dataset`."""

from __future__ import annotations

from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from convolve.datasets.preprocess import fit_matrix, least_side, normalize, resize_for_cache, warp
from convolve.values import Dataset, Placement, Preprocessing


@final
class ImageDataset(torch.utils.data.Dataset[tuple[Tensor, Any]]):
    """The images of a dataset with one of its ground truths, `labels` or `masks`, as tensors.

    An example is an image (C, H, W) float32 and its target: of labels a class index () int64, or flags (classes,) uint8
    where an image may have several; of masks class indices (H, W) uint8, 255 where no class is meant.

    With a ``preprocessing``, images are brought to its size and normalized, as the networks of convolve see them
    without augmentation, and masks follow them. Without one they have their own sizes and values from 0 to 1. Images of
    which the ground truth says nothing are left out. `torch.utils.data.Subset` takes the indices of a split.

    >>> from torch.utils.data import DataLoader
    >>> from convolve.datasets.layouts import open_dataset
    >>> examples = ImageDataset(open_dataset("digits"), "labels")
    >>> images, labels = next(iter(DataLoader(examples, batch_size=4)))
    >>> images.shape, labels
    (torch.Size([4, 1, 8, 8]), tensor([0, 1, 2, 3]))

    """

    def __init__(self, dataset: Dataset, ground_truth: str, preprocessing: Preprocessing | None = None) -> None:
        """Raises `DataError` when the dataset has no such ground truth."""
        self.dataset = dataset.for_ground_truth(ground_truth)
        self.ground_truth = self.dataset.ground_truths[ground_truth]
        self.preprocessing = preprocessing

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order of their indices."""
        return self.ground_truth.classes

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[Tensor, Any]:
        """An image and its target. Raises `ImageError` when it cannot be read."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"There is no example {index}: the dataset has {len(self)}.")
        index %= len(self)
        if self.preprocessing is None:
            pixels = self.dataset.images.read(index)
            height, width, channels = pixels.shape
            preprocessing = Preprocessing(height, width, channels, "stretch", (0.0,) * channels, (1.0,) * channels)
        else:
            preprocessing = self.preprocessing
            pixels = resize_for_cache(self.dataset.images.read(index, least_side(preprocessing)), preprocessing)
        size = np.array([pixels.shape[:2]], dtype=np.int64)
        matrices = fit_matrix(pixels.shape[0], pixels.shape[1], preprocessing)[None]
        image = torch.from_numpy(normalize(warp([pixels], matrices, preprocessing), preprocessing)[0])
        targets = self.ground_truth.targets(np.array([index]), Placement(matrices, size, preprocessing)).to("cpu")
        return image.permute(2, 0, 1).contiguous(), targets[0] if isinstance(targets, Tensor) else targets
