"""A class's score as a sum: what each part of the features adds to it, and the bias.

Zhou, Khosla, Lapedriza, Oliva, Torralba 2016, "Learning deep features for discriminative localization", equation 1,
for heads of pooling and a dense layer; the same sum holds for every head that is affine in the last maps.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from convolve.errors import NetworkError
from convolve.explainers.feature_maps import choose_stage, stage_maps
from convolve.explainers.preservation import preserve
from convolve.explainers.score_targets import check_image_output
from convolve.layers.lecun import RadialBasis
from convolve.models import Network
from convolve.values import Floats

_ROUNDING = 1e-4
_SCORING = nn.Linear | nn.Conv2d | RadialBasis


@dataclass(frozen=True)
class Contributions:
    """``scores`` (N,) of one class for each image: the sum of its ``values``, and its ``bias`` (N,).

    ``values`` are (N, channels, h, w), each channel at each position of the last maps, where the head is affine in
    them; else (N, features), those that the last dense layer takes in.
    """

    values: Floats
    bias: Floats
    scores: Floats


def contributions(network: Network, images: Tensor, classes: Tensor) -> Contributions:
    """What adds up to the scores of ``classes`` (N,), one for each of the ``images`` (N, C, H, W).

    Raises `NetworkError` for a head that neither is affine nor ends in a dense layer, and for a segmentation network.
    """
    check_image_output(network, "A score as a sum of contributions")
    with preserve(network), torch.no_grad():
        maps = stage_maps(network, images, choose_stage(network, None))
    if is_affine(network, maps):
        return _of_positions(network, maps, classes)
    return _of_features(network, images, classes)


def is_affine(network: Network, maps: Tensor) -> bool:
    """Whether the head is a matrix and a bias on maps like the last stage's ``maps`` (N, C, h, w): f(a) + f(b) is
    f(a + b) + f(0) for two random maps, within rounding.
    """
    random = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, 1, *maps.shape[1:], generator=random).to(maps.device)
    with preserve(network), torch.no_grad():
        parts = network.head(torch.stack([first, second, first + second, torch.zeros_like(first)])[:, 0])
    return torch.allclose(
        parts[0] + parts[1], parts[2] + parts[3], rtol=_ROUNDING, atol=_ROUNDING * float(parts.abs().max())
    )


def scoring_layer(network: Network) -> nn.Module:
    """The last layer of the head that has weights. Raises `NetworkError` for a head without."""
    layers = [layer for layer in network.head.modules() if isinstance(layer, _SCORING)]
    if not layers:
        raise NetworkError("The network's head has no layer with weights, so that there are no features before it.")
    return layers[-1]


def penultimate_features(network: Network, images: Tensor) -> Tensor:
    """(N, C, H, W) network inputs to (N, features): what the `scoring_layer` takes in.

    Of maps, as the last 1x1 convolution of network in network takes them, it is each channel's mean.
    """
    inputs: list[Tensor] = []
    with preserve(network), torch.no_grad():
        scoring_layer(network).register_forward_pre_hook(lambda _layer, arguments: inputs.append(arguments[0]))
        network(images)
    features = inputs[0].float()
    return features.mean((2, 3)) if features.dim() == 4 else features


def _of_positions(network: Network, maps: Tensor, classes: Tensor) -> Contributions:
    with preserve(network), torch.enable_grad():
        with torch.no_grad():
            scores = network.head(maps).gather(1, classes[:, None])[:, 0]
            bias = network.head(torch.zeros_like(maps)).gather(1, classes[:, None])[:, 0]
        inputs = maps.detach().clone().requires_grad_()
        total = network.head(inputs).gather(1, classes[:, None]).sum()
        (weights,) = torch.autograd.grad(total, inputs)
    return Contributions(_array(maps * weights), _array(bias), _array(scores))


def _of_features(network: Network, images: Tensor, classes: Tensor) -> Contributions:
    layer = scoring_layer(network)
    last = list(network.head.modules())[-1]
    if not isinstance(layer, nn.Linear) or last is not layer:
        raise NetworkError(
            f"The network's head ends in {type(last).__name__}, not in a dense layer, so that its scores are no sum of "
            "contributions; take a heatmap instead."
        )
    features = penultimate_features(network, images)
    weights = layer.weight.detach()[classes].float()
    bias: Tensor | None = layer.bias
    biases = layer.weight.new_zeros(layer.out_features) if bias is None else bias.detach()
    with preserve(network), torch.no_grad():
        scores = network(images).gather(1, classes[:, None])[:, 0]
    return Contributions(_array(features * weights), _array(biases[classes]), _array(scores))


def _array(values: Tensor) -> Floats:
    array: Floats = values.detach().float().cpu().numpy()
    return array
