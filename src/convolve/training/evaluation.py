"""A task's metrics on a split, batch by batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

from convolve.runtime import Runtime
from convolve.training.step import Learnable
from convolve.values import Batch


def evaluate_batches(task: Learnable, batches: Iterable[Batch], runtime: Runtime) -> dict[str, float]:
    """The mean of each of the task's losses over the images, and its metrics, in evaluation mode."""
    evaluator, images, sums = task.evaluator(), 0, Counter[str]()
    with evaluation_mode(task.network):
        for batch in batches:
            with torch.inference_mode(), runtime.arithmetic():
                targets = batch.targets.to(runtime.device)
                losses, predictions = task.loss_and_predictions(runtime.images(batch.images), targets)
            evaluator.add(predictions, batch)
            images += len(batch.images)
            for name, value in losses.items():
                sums[name] += value.item() * len(batch.images)  # type: ignore[assignment]
    return {name: total / images for name, total in sums.items()} | evaluator.metrics()


@contextmanager
def evaluation_mode(network: nn.Module) -> Iterator[None]:
    """Evaluation mode for the length of a block; every module's own mode is restored, also after an exception."""
    modes = {name: part.training for name, part in network.named_modules()}
    network.eval()
    try:
        yield
    finally:
        for name, part in network.named_modules():
            part.training = modes[name]
