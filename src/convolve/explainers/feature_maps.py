"""The maps that leave a layer of a network, and the gradient of a score with respect to them.

A layer is a stage of a network from `convolve.models`, which needs no hook, or any submodule of any `nn.Module`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from convolve.errors import ExplainError, NetworkError
from convolve.explainers.gradients import gradient
from convolve.explainers.preservation import Layer, preserve
from convolve.explainers.score_targets import ScoreTarget
from convolve.models import Network
from convolve.values import Floats

_SIDE = 256


def feature_maps(network: Network, images: Tensor) -> dict[str, Floats]:
    """(N, C, H, W) network inputs to each stage's maps (N, channels, h, w), by the stage's name."""
    with preserve(network), torch.no_grad():
        return {name: maps.float().cpu().numpy() for name, maps in network.features(images).items()}


def choose_stage(network: Network, stage: str | None) -> str:
    """That stage, or the last one for None. Raises `NetworkError` for one that the network does not have."""
    names = list(network.stages)
    if stage is not None and stage not in names:
        raise NetworkError(f"{network.card.name} has no stage '{stage}'; its stages are {', '.join(names)}.")
    return stage or names[-1]


def stage_maps(network: Network, images: Tensor, stage: str) -> Tensor:
    """(N, C, H, W) to the maps (N, channels, h, w) of one stage, computing nothing after it; gradients flow through."""
    for name, layers in network.stages.items():
        images = layers(images)
        if name == stage:
            break
    return images


def layer_maps(network: nn.Module, images: Tensor, layer: Layer = None) -> Tensor:
    """The maps (N, channels, h, w) that leave a layer.

    For None, of a network from `convolve.models`, it is the last stage whose maps are larger than 1x1: what the head
    reads while positions are still known. That is the layer that the authors of the methods take and others choose by
    hand. In VGG and AlexNet it comes after the last pooling (7x7, 6x6); in networks that activate before they add
    (DenseNet, pre-activation ResNet) the last stage ends in that activation, so that its maps are those that are
    pooled. Raises `ExplainError` for a layer that the network does not have, or that gives no maps.
    """
    stage = _stage_of(network, layer)
    if isinstance(network, Network) and (layer is None or stage):
        return last_maps(network, images, stage)[1]
    outputs: list[Any] = []
    with _hook(network, layer, outputs.append):
        network(images)
    return _maps(outputs, network, layer)


def last_maps(network: Network, images: Tensor, stage: str | None) -> tuple[str, Tensor, Mapping[str, Tensor]]:
    """The stage that `layer_maps` reads by default or that is named, its maps, and the earlier maps that the head of a
    segmentation network reads.
    """
    names = list(network.stages)
    maps, earlier = images, dict[str, Tensor]()
    result = names[0], maps, earlier
    for name in names:
        maps = network.stages[name](maps)
        if name in network.head_inputs:
            earlier = {**earlier, name: maps}
        if stage is not None or name == names[0] or maps.shape[2:].numel() > 1:
            result = name, maps, earlier
        if name == stage:
            break
    return result


def map_gradients(network: nn.Module, images: Tensor, target: ScoreTarget, layer: Layer) -> tuple[Tensor, Tensor]:
    """A layer's maps (N, channels, h, w), and the gradient of the images' scores with respect to them; both float32.

    No graph is recorded before the layer, and the gradient stops at its maps: for the last stage that costs one forward
    pass and the backward pass of the head.
    """
    stage, size = _stage_of(network, layer), images.shape[2:]
    if isinstance(network, Network) and (layer is None or stage):
        with torch.no_grad():
            name, maps, earlier = last_maps(network, images, stage)
        gradients = gradient(lambda leaf: target(network(leaf, name, earlier, size)), maps)
        return maps.float(), gradients.float()
    leaves: list[Any] = []

    def cut_graph(output: Any) -> Any:
        leaves.append(output.detach().requires_grad_() if isinstance(output, Tensor) else output)
        return leaves[-1].clone() if isinstance(output, Tensor) else output  # layers after it may work in place

    with torch.enable_grad(), _hook(network, layer, cut_graph):
        scores = target(network(images))
        maps = _maps(leaves, network, layer)
        (gradients,) = torch.autograd.grad(scores.sum(), maps)
    return maps.detach().float(), gradients.float()


def batch_size(most: int, size: Sequence[int]) -> int:
    """How many images of that (height, width) run together: ``most`` of 256x256 pixels or less, fewer of larger ones,
    so that memory is bounded.
    """
    return max(1, min(most, most * _SIDE**2 // (size[0] * size[1])))


def title(network: nn.Module) -> str:
    """The network's name in an error message."""
    return network.card.name if isinstance(network, Network) else type(network).__name__


def _stage_of(network: nn.Module, layer: Layer) -> str | None:
    """The name of the stage that a layer is; None for any other layer."""
    if not isinstance(network, Network):
        return None
    return next((name for name, layers in network.stages.items() if layer in (name, f"stages.{name}", layers)), None)


def _submodule(network: nn.Module, layer: Layer) -> nn.Module:
    """Raises `ExplainError` for a layer that the network does not have."""
    if layer is None:
        raise ExplainError(
            f"{title(network)} does not say which maps its head reads; name the layer whose maps to take, such as the "
            "last convolutional block."
        )
    modules: dict[str, nn.Module] = dict(network.named_modules())
    if isinstance(layer, str) and layer in modules:
        return modules[layer]
    if isinstance(layer, nn.Module) and any(layer is module for module in modules.values()):
        return layer
    what = f"'{layer}'" if isinstance(layer, str) else f"that {type(layer).__name__}"
    if isinstance(network, Network):
        raise ExplainError(f"{title(network)} has no stage {what}; its stages are {', '.join(network.stages)}.")
    names = ", ".join(name for name, _ in network.named_children())
    raise ExplainError(f"{title(network)} has no layer {what}; its layers are {names} and those inside them.")


@contextmanager
def _hook(network: nn.Module, layer: Layer, replace: Callable[[Any], Any]) -> Iterator[None]:
    """Inside, what leaves the layer is what ``replace`` makes of it, or stays as it is where that gives None."""
    handle = _submodule(network, layer).register_forward_hook(lambda _layer, _inputs, output: replace(output))
    try:
        yield
    finally:
        handle.remove()


def _maps(outputs: Sequence[Any], network: nn.Module, layer: Layer) -> Tensor:
    """The one output that a layer gave. Raises `ExplainError` for none, several, and such as is no map."""
    name = f"'{layer}'" if isinstance(layer, str) else f"that {type(layer).__name__}"
    if len(outputs) != 1:
        raise ExplainError(
            f"The layer {name} of {title(network)} runs {len(outputs)} times in a pass; name one that runs once."
        )
    if not isinstance(outputs[0], Tensor) or outputs[0].dim() != 4:
        raise ExplainError(
            f"The layer {name} of {title(network)} gives no maps (N, channels, h, w); name one that does."
        )
    return outputs[0]
