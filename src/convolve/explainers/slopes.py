"""What every method here stands on: a stage's maps, the score of a class, and how the score changes with either."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from convolve.errors import ExplainError
from convolve.models import Network


def stage_maps(network: Network, images: Tensor, stage: str | None = None) -> tuple[str, Tensor]:
    """The name of a stage and the maps (N, channels, h, w) that leave it.

    Unless named it is the last stage whose map is larger than 1x1: what the head reads, where it still knows places.
    That is the layer that the authors of the methods take and others choose by hand. In VGG and AlexNet it comes
    behind the last pooling (7x7, 6x6); in networks that activate before they add (DenseNet, pre-activation ResNet) the
    last stage ends in that activation, so that its maps are the ones that are pooled. Raises `ExplainError` for an
    unknown stage.
    """
    name, maps, _ = _stage_maps(network, images, stage)
    return name, maps


def _stage_maps(network: Network, images: Tensor, stage: str | None) -> tuple[str, Tensor, dict[str, Tensor]]:
    """The same, and those maps up to there that the head of a network for pixels reads."""
    names = list(network.stages)
    if stage is not None and stage not in names:
        raise ExplainError(f"{network.card.name} has no stage '{stage}'; its stages are {', '.join(names)}.")
    maps, read = images, dict[str, Tensor]()
    found = names[0], maps, read
    for name in names:
        maps = network.stages[name](maps)
        if name in network.head_inputs:
            read = {**read, name: maps}
        if stage is not None or name == names[0] or maps.shape[2:].numel() > 1:
            found = name, maps, read
        if name == stage:
            break
    return found


def scores_of(scores: Tensor, classes: Tensor) -> Tensor:
    """(N, K) scores to (N,) float32, those of each image's class.

    Raises `ExplainError` for a class out of range, and for the scores of pixels.
    """
    if scores.dim() != 2:
        raise ExplainError("The network tells the class of every pixel; say by a `Question` which pixels are meant.")
    check_classes(classes, scores.shape[1])
    return scores.gather(1, classes[:, None].to(scores.device)).squeeze(1).float()


def check_classes(classes: Tensor, count: int) -> None:
    """Raise `ExplainError` unless all (N,) classes lie in 0 … count - 1."""
    for number in classes.tolist():
        if not 0 <= number < count:
            raise ExplainError(f"There is no class {number}: the network's {count} classes are 0 to {count - 1}.")


def map_slopes(network: Network, images: Tensor, classes: Tensor, stage: str | None) -> tuple[Tensor, Tensor]:
    """A stage's maps (N, channels, h, w) and the slope of the class's score along them, both float32.

    What stands before the stage runs without a graph, and the slope stops at the maps: for the last stage that costs
    one forward pass and the head's backward pass.
    """
    with torch.no_grad():
        name, maps, earlier = _stage_maps(network, images, stage)
    size = images.shape[2:]
    return maps.float(), _slope(lambda leaf: network.forward_from(name, leaf, earlier, size), maps, classes).float()


def image_slopes(network: Network, images: Tensor, classes: Tensor) -> Tensor:
    """(N, C, H, W) slope of each image's class's score along the image's values."""
    return _slope(network, images, classes)


def _slope(scores: Callable[[Tensor], Tensor], inputs: Tensor, classes: Tensor) -> Tensor:
    with torch.enable_grad():
        leaf = inputs.detach().requires_grad_()
        (slope,) = torch.autograd.grad(scores_of(scores(leaf), classes).sum(), leaf)
    return slope
