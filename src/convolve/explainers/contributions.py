"""A class's score as a sum: what each part of the features adds to it, and the bias.

Zhou, Khosla, Lapedriza, Oliva, Torralba 2016, "Learning deep features for discriminative localization", equation 1,
for heads of pooling and a dense layer; the same sum holds for every head that is affine in the last map.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from convolve.errors import NetworkError
from convolve.explainers.feature_maps import chosen_stage, map_of
from convolve.explainers.penultimate import penultimate, scoring_layer
from convolve.explainers.question import check_one_answer
from convolve.explainers.untouched import untouched
from convolve.models import Network
from convolve.values import Floats

_ROUNDING = 1e-4


@dataclass(frozen=True)
class Contributions:
    """``scores`` (N,) of one class for each image: the sum of its ``values``, and its ``bias`` (N,).

    ``values`` are (N, channels, h, w), every channel at every place of the last map, where the head is affine in it;
    else (N, features), those that the last dense layer reads.
    """

    values: Floats
    bias: Floats
    scores: Floats


def contributions(network: Network, images: Tensor, classes: Tensor) -> Contributions:
    """What adds up to the scores of ``classes`` (N,), one for each of the ``images`` (N, C, H, W).

    Raises `NetworkError` for a head that neither is affine nor ends in a dense layer, and for a network for pixels.
    """
    check_one_answer(network, "A score as a sum of contributions")
    with untouched(network), torch.no_grad():
        maps = map_of(network, images, chosen_stage(network, None))
    if is_affine(network, maps):
        return _of_places(network, maps, classes)
    return _of_features(network, images, classes)


def is_affine(network: Network, maps: Tensor) -> bool:
    """Whether the head is a matrix and a bias on a map like the last stage's ``maps`` (N, C, h, w): f(a) + f(b) is
    f(a + b) + f(0) for two random maps, within rounding.
    """
    random = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, 1, *maps.shape[1:], generator=random).to(maps.device)
    with untouched(network), torch.no_grad():
        parts = network.head(torch.stack([first, second, first + second, torch.zeros_like(first)])[:, 0])
    return torch.allclose(
        parts[0] + parts[1], parts[2] + parts[3], rtol=_ROUNDING, atol=_ROUNDING * float(parts.abs().max())
    )


def _of_places(network: Network, maps: Tensor, classes: Tensor) -> Contributions:
    with untouched(network), torch.enable_grad():
        with torch.no_grad():
            scores = network.head(maps).gather(1, classes[:, None])[:, 0]
            bias = network.head(torch.zeros_like(maps)).gather(1, classes[:, None])[:, 0]
        inputs = maps.detach().clone().requires_grad_()
        chosen = network.head(inputs).gather(1, classes[:, None]).sum()
        (weights,) = torch.autograd.grad(chosen, inputs)
    return Contributions(_array(maps * weights), _array(bias), _array(scores))


def _of_features(network: Network, images: Tensor, classes: Tensor) -> Contributions:
    layer = scoring_layer(network)
    last = list(network.head.modules())[-1]
    if not isinstance(layer, nn.Linear) or last is not layer:
        raise NetworkError(
            f"The network's head ends in {type(last).__name__}, not in a dense layer, so that its scores are no sum of "
            "contributions; take a map of its heat instead."
        )
    features = penultimate(network, images)
    weights = layer.weight.detach()[classes].float()
    bias = _bias(layer)[classes]
    with untouched(network), torch.no_grad():
        scores = network(images).gather(1, classes[:, None])[:, 0]
    return Contributions(_array(features * weights), _array(bias), _array(scores))


def _bias(layer: nn.Linear) -> Tensor:
    found: Tensor | None = layer.bias
    return layer.weight.new_zeros(layer.out_features) if found is None else found.detach()


def _array(values: Tensor) -> Floats:
    found: Floats = values.detach().float().cpu().numpy()
    return found
