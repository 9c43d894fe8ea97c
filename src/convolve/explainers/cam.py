"""Class activation maps: CAM, and the methods that need no averaging head.

- CAM: Zhou, Khosla, Lapedriza, Oliva, Torralba 2016, "Learning Deep Features for Discriminative Localization".
- Grad-CAM: Selvaraju, Cogswell, Das, Vedantam, Parikh, Batra 2017, "Grad-CAM: Visual Explanations from Deep Networks
  via Gradient-based Localization".
- Grad-CAM++: Chattopadhay, Sarkar, Howlader, Balasubramanian 2018, "Grad-CAM++: Generalized Gradient-based Visual
  Explanations for Deep Convolutional Networks".
- Layer-CAM: Jiang, Zhang, Hou, Cheng, Wei 2021, "LayerCAM: Exploring Hierarchical Class Activation Maps for
  Localization".
- Score-CAM: Wang, Wang, Du, Yang, Zhang, Ding, Mardziel, Hu 2020, "Score-CAM: Score-Weighted Visual Explanations for
  Convolutional Neural Networks".
- Eigen-CAM: Muhammad, Yeasin 2020, "Eigen-CAM: Class Activation Map using Principal Components".

All give (N, h, w) at the resolution of the maps A^k of a layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from convolve.errors import ExplainError
from convolve.explainers.feature_maps import batch_size, layer_maps, map_gradients, title
from convolve.explainers.preservation import Layer, preserves_network
from convolve.explainers.score_targets import ScoreTarget, check_classes
from convolve.models import Network
from convolve.models.localization import LocalizationHead

BATCH = 16
"""Masked images of 256x256 pixels that Score-CAM runs together."""
_ONE = (1, (1, 1), [1, 1])
_OVER_POSITIONS = (((2, 3),), ([2, 3],), (2, 3), ((-2, -1),), ([-2, -1],), (-2, -1))  # as `mean` is called with them


@dataclass(frozen=True)
class AveragingHead:
    """A head that averages: the layers ``before`` the averaging, and the ``dense`` ones after it."""

    before: nn.Sequential
    dense: tuple[nn.Linear, ...]

    def weights(self, classes: Tensor) -> Tensor:
        """(N,) class indices to (N, maps): the weight of each map in the class's score; ``dense`` is not empty."""
        *inner, last = self.dense
        check_classes(classes, last.out_features)
        weights = last.weight[classes.to(last.weight.device)]
        for layer in reversed(inner):
            weights = weights @ layer.weight
        return weights


def averaging_head(network: Network) -> AveragingHead | None:
    """The head of a network that ends in global average pooling and nothing but dense layers; None for any other. Of a
    localization network it is the head that gives the scores.
    """
    head = network.head.scores if isinstance(network.head, LocalizationHead) else network.head
    layers = _layers_in_sequence(head)
    indices = [
        index
        for index, layer in enumerate(layers)
        if isinstance(layer, nn.AdaptiveAvgPool2d) and layer.output_size in _ONE
    ]
    if len(indices) != 1:
        return None
    after = layers[indices[0] + 1 :]
    dense = tuple(layer for layer in after if isinstance(layer, nn.Linear))
    if any(not isinstance(layer, nn.Linear | nn.Flatten | nn.Dropout | nn.Identity) for layer in after):
        return None
    return AveragingHead(nn.Sequential(*layers[: indices[0]]), dense)


@preserves_network
@torch.no_grad()
def cam(network: nn.Module, images: Tensor, target: ScoreTarget, layer: Layer) -> Tensor:
    """(N, C, H, W) images to (N, h, w): what each position adds to the class's score, at the last stage's resolution.

    Section 2 of the paper: in a network whose maps f_k are averaged over all positions and weighted by one dense layer,
    the class's score is

        S_c = sum_k w_k^c mean_xy f_k(x, y) + b_c = mean_xy M_c(x, y) + b_c   with   M_c(x, y) = sum_k w_k^c f_k(x, y)

    so that the map M_c costs one forward pass. Layers between the last stage and the averaging are applied to the maps
    first; dense layers in a row, with nothing but dropout between them, count as their product; without any, as in
    network in network, the map of a class is its own.

    Raises `ExplainError` for a network without global average pooling, any stage but the last, and a target that is not
    a class's score.
    """
    if not isinstance(network, Network):
        raise ExplainError(
            f"CAM reads the weights of a head of `convolve.models`, and {title(network)} is of another make; take "
            "grad-cam, which gives the same map up to scale where the network averages."
        )
    name, last = network.card.name, list(network.stages)[-1]
    if target.classes is None or target.regions is not None or network.head_inputs:
        raise ExplainError(
            f"CAM explains the score of a class for the image as a whole, and what is explained of {name} is not that; "
            "take grad-cam."
        )
    head = averaging_head(network)
    if head is None:
        raise ExplainError(
            f"{name} has no global average pooling right before a dense layer, from whose weights CAM reads its map; "
            "give it such a head with --gap, or take grad-cam."
        )
    if layer not in (None, last, network.stages[last]):
        raise ExplainError(f"CAM reads the stage before the pooling, {last} in {name}; for {layer} take grad-cam.")
    maps: Tensor = head.before(layer_maps(network, images, last)).float()
    if not head.dense:
        check_classes(target.classes, maps.shape[1])
        return maps[torch.arange(len(maps)), target.classes.to(maps.device)]
    return (maps * head.weights(target.classes)[:, :, None, None]).sum(1)


@preserves_network
def grad_cam(network: nn.Module, images: Tensor, target: ScoreTarget, layer: Layer) -> Tensor:
    """(N, C, H, W) images to (N, h, w), nowhere below 0; equations 1 and 2 of the paper:

        L_c = relu(sum_k alpha_k^c A^k)   with   alpha_k^c = mean_ij dS_c / dA^k_ij

    Where the maps are averaged and weighted by a dense layer alone, alpha is w / (h w) and the map that of CAM, divided
    by the number of positions, without what speaks against the class.
    """
    maps, gradients = map_gradients(network, images, target, layer)
    return (maps * gradients.mean((2, 3), keepdim=True)).sum(1).relu()


@preserves_network
def grad_cam_plus_plus(network: nn.Module, images: Tensor, target: ScoreTarget, layer: Layer) -> Tensor:
    """(N, C, H, W) images to (N, h, w), nowhere below 0; equations 5 and 19 of the paper.

    As Grad-CAM, but the weight of a map is a weighted sum of the gradients that speak for the class,

        w_k = sum_ij alpha_ij relu(g_ij)
        alpha_ij = g_ij^2 / (2 g_ij^2 + g_ij^3 sum_ab A_ab) = 1 / (2 + g_ij sum_ab A_ab)

    so that a small object counts as much as a large one. g is the gradient of the score with respect to the map; the
    exponential of the score, whose gradient the paper takes, only scales the map of an image.
    """
    maps, gradients = map_gradients(network, images, target, layer)
    positive = gradients.relu()
    weights = (positive / (2 + positive * maps.sum((2, 3), keepdim=True))).sum((2, 3), keepdim=True)
    return (maps * weights).sum(1).relu()


@preserves_network
def layer_cam(network: nn.Module, images: Tensor, target: ScoreTarget, layer: Layer) -> Tensor:
    """(N, C, H, W) images to (N, h, w), nowhere below 0; equations 5 to 7 of the paper.

    Each position of each map has its own weight, its gradient where that speaks for the class,

        L_c = relu(sum_k relu(dS_c / dA^k_ij) A^k_ij)

    which also makes sense of early layers, whose maps are fine.
    """
    maps, gradients = map_gradients(network, images, target, layer)
    return (gradients.relu_() * maps).sum(1).relu()


@preserves_network
@torch.no_grad()
def score_cam(network: nn.Module, images: Tensor, target: ScoreTarget, layer: Layer) -> Tensor:
    """(N, C, H, W) images to (N, h, w), nowhere below 0; equations 6 to 10 and algorithm 1 of the paper.

    No gradients: a map counts as much as the score of the image of which only what the map covers is left,

        L_c = relu(sum_k alpha_k A^k)
        alpha = softmax_k S_c(X * s(up(A^k)))   with   s(M) = (M - min) / (max - min)

    Maps are enlarged bilinearly. The paper subtracts the score of a blank image from each of these, which the softmax
    over the maps cancels. It costs a forward pass per map: 2,048 for ResNet-50. Constant maps cover nothing, and the
    blank image that each of them leaves is scored only once.
    """
    maps = layer_maps(network, images, layer).float()
    blank = network(torch.zeros_like(images[:1]))
    scores = []
    for index, (image, own) in enumerate(zip(torch.split(images, 1), maps, strict=True)):
        one = target.take(torch.tensor([index], device=images.device))
        found = one(blank).repeat(len(own))
        varying = (own.amax((1, 2)) > own.amin((1, 2))).nonzero().squeeze(1)
        for some in torch.split(varying, batch_size(BATCH, image.shape[2:])):
            masks = F.interpolate(own[some][:, None], image.shape[2:], mode="bilinear", align_corners=False)
            lowest = masks.amin((2, 3), keepdim=True)
            masks.sub_(lowest).div_(masks.amax((2, 3), keepdim=True))
            masked = (image * masks).to(memory_format=_memory_format(image))
            found[some] = one.take(torch.zeros_like(some))(network(masked))
        scores.append(found)
    return (maps * torch.stack(scores).softmax(1)[:, :, None, None]).sum(1).relu()


@preserves_network
@torch.no_grad()
def eigen_cam(network: nn.Module, images: Tensor, target: ScoreTarget, layer: Layer) -> Tensor:
    """(N, C, H, W) images to (N, h, w), nowhere below 0; section III of the paper.

    The maps of a layer, read as one vector per position, projected on their first principal component. It regards no
    class: every class gets the same map.

    Deviations: the vectors are centered before, as principal components are and as others have it; the paper's formula
    leaves their mean in. Its sign, which is arbitrary, is taken so that positions with long vectors are positive. What
    is negative is cut off.
    """
    del target
    maps = layer_maps(network, images, layer).float()
    vectors = maps.flatten(2).transpose(1, 2)
    centered = vectors - vectors.mean(1, keepdim=True)
    component = torch.linalg.svd(centered, full_matrices=False).Vh[:, 0]
    projected = (centered * component[:, None]).sum(2)
    positive = (projected * vectors.norm(dim=2)).sum(1, keepdim=True) >= 0
    return torch.where(positive, projected, -projected).relu().view(-1, *maps.shape[2:])


def _layers_in_sequence(head: nn.Module) -> list[nn.Module]:
    """A head's layers in order, also of another library's head, which is a traced graph; none if it is no sequence."""
    if isinstance(head, nn.Sequential):
        return [layer for part in head for layer in (_layers_in_sequence(part) or [part])]
    if not isinstance(head, fx.GraphModule):
        return []
    calls = list(head.graph.nodes)
    layers = [_layer_of(head, call) for call in calls[1:-1]]
    straight = all(call.all_input_nodes == [before] for before, call in pairwise(calls))
    return [layer for layer in layers if layer] if straight and None not in layers else []


def _layer_of(head: fx.GraphModule, call: fx.Node) -> nn.Module | None:
    """The layer that a traced call runs, or that does the same; None for any other function."""
    if call.op == "call_module":
        return head.get_submodule(str(call.target))
    if call.target is F.adaptive_avg_pool2d and call.args[1] in _ONE:
        return nn.AdaptiveAvgPool2d(1)
    if call.target == "mean" and tuple(call.args[1:]) in _OVER_POSITIONS:
        return nn.AdaptiveAvgPool2d(1)
    if call.target in (torch.flatten, "flatten", "clone"):
        return nn.Identity() if call.target == "clone" else nn.Flatten()
    return None


def _memory_format(image: Tensor) -> torch.memory_format:
    last = image.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if last else torch.contiguous_format
