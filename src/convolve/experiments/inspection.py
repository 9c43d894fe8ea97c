"""What experiments ask of a trained network apart from its error: the error on shifted images, and that of a changed
network.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from convolve.experiments.training import Trained
from convolve.models import Network
from convolve.training.evaluation import evaluation_mode
from convolve.values import Floats

MOST_IMAGES = 2_000
_DIRECTIONS = ((0, 1), (0, -1), (1, 0), (-1, 0))


def shifted_error(trained: Trained, pixels: int) -> float:
    """The error in per cent on test images that are shifted by some ``pixels`` of the input left, right, up and down;
    what comes in is black.
    """
    shifts = [(pixels * down, pixels * right) for down, right in _DIRECTIONS] if pixels else [(0, 0)]
    return _error(trained, trained.prepared.task.network, shifts)


def error_of(network: Network, trained: Trained) -> float:
    """The error in per cent of a network on the test images of another one."""
    return _error(trained, network, [(0, 0)])


def _error(trained: Trained, network: Network, shifts: Sequence[tuple[int, int]]) -> float:
    """On the first 2,000 test images."""
    test, runtime = trained.test, trained.test.runtime
    mean, std = test.preprocessing.mean, test.preprocessing.std
    black = np.array([-m / s for m, s in zip(mean, std, strict=True)], np.float32)
    wrong = seen = 0
    with evaluation_mode(network), torch.inference_mode(), runtime.arithmetic():
        for batch in test.batches.epoch(0):
            classes = batch.targets.to("cpu")
            for down, right in shifts:
                scores = network(runtime.images(shift_images(batch.images, down, right, black)))
                wrong += int((scores.argmax(dim=1).cpu() != classes).sum())
                seen += len(classes)
            if seen >= MOST_IMAGES * len(shifts):
                break
    return 100 * wrong / seen


def shift_images(images: Floats, down: int, right: int, fill: Floats) -> Floats:
    """Images (N, H, W, C) moved by whole pixels, with ``fill`` (C,) where nothing was."""
    height, width = images.shape[1:3]
    moved = np.broadcast_to(fill, images.shape).astype(images.dtype)
    rows, columns = slice(max(down, 0), height + min(down, 0)), slice(max(right, 0), width + min(right, 0))
    from_rows, from_columns = slice(max(-down, 0), height - max(down, 0)), slice(max(-right, 0), width - max(right, 0))
    moved[:, rows, columns] = images[:, from_rows, from_columns]
    return moved
