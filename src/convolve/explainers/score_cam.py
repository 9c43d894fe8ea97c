"""Score-CAM.

Wang, Wang, Du, Yang, Zhang, Ding, Mardziel, Hu 2020, "Score-CAM: Score-Weighted Visual Explanations for Convolutional
Neural Networks", equations 6 to 10 and algorithm 1: no slopes; a map counts as much as the class's score of the image
of which only what the map covers is left,

    L_c = relu(sum_k alpha_k A^k)   with   alpha = softmax_k S_c(X * s(up(A^k)))   and   s(M) = (M - min) / (max - min)

Maps are enlarged bilinearly. The paper subtracts the score of a blank image from each of these, which the softmax over
the maps cancels. It costs a forward pass per map: 2,048 for ResNet-50. Maps that are the same everywhere cover nothing,
and the blank image that each of them leaves is scored but once.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from convolve.explainers.slopes import scores_of, stage_maps
from convolve.explainers.together import at_once
from convolve.explainers.untouched import leaves_untouched
from convolve.models import Network

BATCH = 16
"""Masked images of 256x256 pixels that run at once."""


@leaves_untouched
@torch.no_grad()
def score_cam(network: Network, images: Tensor, classes: Tensor, stage: str | None) -> Tensor:
    """(N, C, H, W) images to (N, h, w), at the stage's resolution, nowhere below 0."""
    maps = stage_maps(network, images, stage)[1].float()
    blank = network(torch.zeros_like(images[:1]))
    scores = [
        _masked_scores(network, image, kind, found, scores_of(blank, kind))
        for image, kind, found in zip(torch.split(images, 1), torch.split(classes, 1), maps, strict=True)
    ]
    return (maps * torch.stack(scores).softmax(1)[:, :, None, None]).sum(1).relu()


def _masked_scores(network: Network, image: Tensor, kind: Tensor, maps: Tensor, blank: Tensor) -> Tensor:
    """(channels,) scores of a (1, C, H, W) image's (1,) class behind each of its (channels, h, w) maps."""
    scores = blank.repeat(len(maps))
    living = (maps.amax((1, 2)) > maps.amin((1, 2))).nonzero().squeeze(1)
    for some in torch.split(living, at_once(BATCH, image.shape[2:])):
        masks = F.interpolate(maps[some][:, None], image.shape[2:], mode="bilinear", align_corners=False)
        lowest = masks.amin((2, 3), keepdim=True)
        masks.sub_(lowest).div_(masks.amax((2, 3), keepdim=True))
        scores[some] = scores_of(network((image * masks).to(memory_format=_layout(image))), kind.expand(len(some)))
    return scores


def _layout(image: Tensor) -> torch.memory_format:
    last = image.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if last else torch.contiguous_format
