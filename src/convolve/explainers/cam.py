"""Class activation maps.

Zhou, Khosla, Lapedriza, Oliva, Torralba 2016, "Learning Deep Features for Discriminative Localization", section 2: in a
network whose maps f_k are averaged over all places and weighted by one dense layer, the class's score is

    S_c = sum_k w_k^c mean_xy f_k(x, y) + b_c = mean_xy M_c(x, y) + b_c   with   M_c(x, y) = sum_k w_k^c f_k(x, y)

so the map M_c says how much each place adds to the score, at the cost of one forward pass. Layers between the last
stage and the averaging are applied to the maps first; dense layers in a row, without anything but dropout between them,
count as their product; without any, as in network in network, the map of a class is its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from convolve.errors import ExplainError
from convolve.explainers.slopes import check_classes, stage_maps
from convolve.explainers.untouched import leaves_untouched
from convolve.models import Network

_ONE = (1, (1, 1), [1, 1])
_OVER_PLACES = (((2, 3),), ([2, 3],), (2, 3), ((-2, -1),), ([-2, -1],), (-2, -1))  # as `mean` is given them


@dataclass(frozen=True)
class AveragedHead:
    """A head that averages: the layers ``before`` the averaging, and the ``dense`` ones behind it."""

    before: nn.Sequential
    dense: tuple[nn.Linear, ...]

    def weights(self, classes: Tensor) -> Tensor:
        """(N,) classes to (N, maps): the weight of every map in each class's score; ``dense`` is not empty."""
        *inner, last = self.dense
        check_classes(classes, last.out_features)
        weights = last.weight[classes.to(last.weight.device)]
        for layer in reversed(inner):
            weights = weights @ layer.weight
        return weights


def averaged_head(network: Network) -> AveragedHead | None:
    """The head of a network that ends in global average pooling and nothing but dense layers; None for any other."""
    layers = _in_row(network.head)
    places = [place for place, layer in enumerate(layers) if _averages(layer)]
    if len(places) != 1:
        return None
    behind = layers[places[0] + 1 :]
    dense = tuple(layer for layer in behind if isinstance(layer, nn.Linear))
    if any(not isinstance(layer, nn.Linear | nn.Flatten | nn.Dropout | nn.Identity) for layer in behind):
        return None
    return AveragedHead(nn.Sequential(*layers[: places[0]]), dense)


@leaves_untouched
@torch.no_grad()
def cam(network: Network, images: Tensor, classes: Tensor, stage: str | None) -> Tensor:
    """(N, C, H, W) images to (N, h, w): what each place adds to the class's score, at the last stage's resolution.

    Raises `ExplainError` for a network without global average pooling, and for any stage but the last.
    """
    name, head, last = network.card.name, averaged_head(network), list(network.stages)[-1]
    if network.head_inputs:
        raise ExplainError(
            f"{name} tells the class of every pixel, so that it has no global average pooling from whose weights CAM "
            "could read its map; take grad-cam."
        )
    if head is None:
        raise ExplainError(
            f"{name} has no global average pooling right before a dense layer, from whose weights CAM reads its map; "
            "give it such a head with --gap, or take grad-cam."
        )
    if stage not in (None, last):
        raise ExplainError(f"CAM reads the stage before the pooling, {last} in {name}; for {stage} take grad-cam.")
    maps: Tensor = head.before(stage_maps(network, images, last)[1]).float()
    if not head.dense:
        check_classes(classes, maps.shape[1])
        return maps[torch.arange(len(maps)), classes.to(maps.device)]
    return (maps * head.weights(classes)[:, :, None, None]).sum(1)


def _in_row(head: nn.Module) -> list[nn.Module]:
    """A head's layers in order, also of another library's head, which is a recording; none if it is no such row."""
    if isinstance(head, nn.Sequential):
        return list(head)
    if not isinstance(head, fx.GraphModule):
        return []
    calls = list(head.graph.nodes)
    layers = [_layer(head, call) for call in calls[1:-1]]
    straight = all(call.all_input_nodes == [before] for before, call in pairwise(calls))
    return [layer for layer in layers if layer] if straight and None not in layers else []


def _layer(head: fx.GraphModule, call: fx.Node) -> nn.Module | None:
    """The layer that a recorded call runs, or that does the same; None for any other function."""
    if call.op == "call_module":
        return head.get_submodule(str(call.target))
    if call.target is F.adaptive_avg_pool2d and call.args[1] in _ONE:
        return nn.AdaptiveAvgPool2d(1)
    if call.target == "mean" and tuple(call.args[1:]) in _OVER_PLACES:
        return nn.AdaptiveAvgPool2d(1)
    if call.target in (torch.flatten, "flatten", "clone"):
        return nn.Identity() if call.target == "clone" else nn.Flatten()
    return None


def _averages(layer: nn.Module) -> bool:
    return isinstance(layer, nn.AdaptiveAvgPool2d) and layer.output_size in _ONE
