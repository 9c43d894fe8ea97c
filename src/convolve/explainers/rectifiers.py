"""Guided backpropagation and the deconvnet: backward passes with another rule at the rectifiers.

- Springenberg, Dosovitskiy, Brox, Riedmiller 2014, "Striving for Simplicity: The All Convolutional Net", section 3.4
  and figure 1.
- Zeiler, Fergus 2013, "Visualizing and understanding convolutional networks", section 2.1 and figure 2. Pooling hands a
  value to the position that was the largest in the forward pass, a rectifier lets what is positive pass whatever its
  input was, and a convolution applies its filters transposed. That is the gradient but for the rectifiers (Simonyan et
  al. 2013, section 4), and computed so here.

In a network without rectifiers both are the plain gradient.

Deviations of the deconvnet: the paper does not say what becomes of the normalization across maps; here its gradient is
taken. Where pooling windows overlap and share their largest position, what they hand down adds up. Branches and
shortcuts, which the paper's network does not have, add up too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from convolve.errors import ExplainError
from convolve.explainers.feature_maps import layer_maps
from convolve.explainers.gradients import image_gradients
from convolve.explainers.preservation import Layer, preserve, preserves_network
from convolve.explainers.score_targets import ScoreTarget
from convolve.layers.maxout import Maxout

Rule = Callable[[Tensor, Tensor], Tensor]
"""What passes a rectifier backward, of the gradient that arrives there and the rectifier's output."""
_RECTIFIERS = (F.relu, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_)
_IN_PLACE = (torch.relu_, Tensor.relu_)


@preserves_network
def guided_backpropagation(network: nn.Module, images: Tensor, target: ScoreTarget, layer: Layer) -> Tensor:
    """(N, C, H, W) images to (N, H, W), the largest of a pixel's channels; nowhere below 0.

    At each rectifier only what is positive both forward and backward passes,

        R^l = (f^l > 0) (R^(l+1) > 0) R^(l+1)

    The maps are sharp, and mostly show the image's edges: they hardly change when the network's weights are random
    (Adebayo et al. 2018; Nie, Zhang, Patel 2018).
    """
    del layer
    return guided_gradients(network, images, target).abs().amax(1)


def guided_gradients(network: nn.Module, images: Tensor, target: ScoreTarget) -> Tensor:
    """(N, C, H, W) images to (N, C, H, W) guided gradients of each image's score, for images in color."""
    with preserve(network), rectifier_rule(network, lambda gradient, output: gradient.relu() * (output > 0)):
        return image_gradients(network, images, target).float()


@preserves_network
def deconvnet(network: nn.Module, images: Tensor, target: ScoreTarget, layer: Layer) -> Tensor:
    """(N, C, H, W) images to (N, H, W): the score projected back to the pixels, the largest of a pixel's channels."""
    del layer
    with rectifier_rule(network, _positive_gradient):
        return image_gradients(network, images, target).abs().amax(1)


@dataclass(frozen=True)
class Projection:
    """Of N images: the ``patterns`` (N, C, H, W) that a unit's strongest activation projects onto the pixels, and the
    ``positions`` (N, 2), row and column of that activation in its map.
    """

    patterns: Tensor
    positions: Tensor


def project(network: nn.Module, images: Tensor, layer: Layer, channel: int) -> Projection:
    """Each (N, C, H, W) image's strongest activation in one channel of a layer, projected to the pixels (figure 2).

    All other activations of the layer count as 0. Raises `ExplainError` for an unknown layer or channel.
    """
    with preserve(network), rectifier_rule(network, _positive_gradient), torch.enable_grad():
        leaf = images.detach().requires_grad_()
        maps = layer_maps(network, leaf, layer)
        if not 0 <= channel < maps.shape[1]:
            raise ExplainError(f"{layer} has no channel {channel}: its channels are 0 to {maps.shape[1] - 1}.")
        strongest, indices = maps[:, channel].flatten(1).max(1)
        # The gradient of half the square is the activation itself, with which the way down begins.
        (patterns,) = torch.autograd.grad((strongest**2 / 2).sum(), leaf)
    width = maps.shape[3]
    return Projection(patterns.float(), torch.stack([indices // width, indices % width], dim=1))


def _positive_gradient(gradient: Tensor, output: Tensor) -> Tensor:
    del output
    return gradient.relu()


@contextlib.contextmanager
def rectifier_rule(network: nn.Module, rule: Rule) -> Iterator[None]:
    """Inside, each rectifier that is called, as a layer or as a function, follows the rule in the backward pass.

    Maxout keeps its own gradient: it computes maxima with a rectifier, but is none. Leaves hooks on it; use inside
    `preserve`.
    """
    mode = _RectifierMode(rule)
    for layer in network.modules():
        if isinstance(layer, Maxout):
            layer.register_forward_pre_hook(mode.pause)
            layer.register_forward_hook(mode.resume)
    with mode:
        yield


@final
class _RectifierMode(TorchFunctionMode):
    def __init__(self, rule: Rule) -> None:
        super().__init__()
        self.rule = rule
        self.paused = False

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Replace rectifiers; all other calls go through."""
        keywords = dict(kwargs or {})
        if self.paused or func not in _RECTIFIERS:
            return func(*args, **keywords)
        arguments = dict(zip(("input", "inplace"), args, strict=False)) | keywords
        in_place = func in _IN_PLACE or arguments.get("inplace", False)
        return _Rectifier.apply(arguments["input"], self.rule, in_place)

    def pause(self, *_: object) -> None:
        self.paused = True

    def resume(self, *_: object) -> None:
        self.paused = False


@final
class _Rectifier(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, rule: Rule, in_place: bool) -> Tensor:
        """max(0, values), overwriting the values if ``in_place``."""
        if in_place:
            ctx.mark_dirty(values)
        output = values.relu_() if in_place else values.relu()
        ctx.rule = rule
        ctx.save_for_backward(output)
        return output

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        """What the rule lets pass."""
        (output,) = ctx.saved_tensors
        return ctx.rule(gradients[0], output), None, None
