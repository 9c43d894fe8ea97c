"""Heat maps of the images' size, by the name of a method."""

from __future__ import annotations

import difflib

import torch
from torch import Tensor
from torch.nn import functional as F

from convolve.errors import ExplainError
from convolve.explainers.methods import METHODS, Method
from convolve.explainers.together import at_once
from convolve.models import Network

BATCH = 16
"""Images of 256x256 pixels that a method sees at once, which bounds its memory."""


def heat_maps(network: Network, method: str, images: Tensor, classes: Tensor, stage: str | None = None) -> Tensor:
    """(N, C, H, W) images as the network takes them and (N,) classes to (N, H, W) float32 raw values.

    ``stage``: the name of a stage, or None for the last with a map (`slopes.stage_maps`). Maps of a stage are enlarged
    bilinearly. Runs under the caller's autocast, and leaves nothing on the network (`untouched`). Raises `ExplainError`
    for an unknown method, stage or class, a stage for a method that goes down to the pixels, and a network that the
    method cannot read.
    """
    chosen = named(method)
    if stage is not None and not chosen.staged:
        raise ExplainError(f"{method} goes down to the pixels and takes no stage; leave out '{stage}'.")
    if len(classes) != len(images):
        raise ExplainError(f"{len(images)} images need as many classes, not {len(classes)}; give one class per image.")
    count = at_once(BATCH, images.shape[2:])
    parts = zip(torch.split(images, count), torch.split(classes, count), strict=True)
    maps = torch.cat([chosen.heat(network, some, kinds, stage) for some, kinds in parts])
    if maps.shape[1:] == images.shape[2:]:
        return maps
    return F.interpolate(maps[:, None], images.shape[2:], mode="bilinear", align_corners=False).squeeze(1)


def scaled(maps: Tensor) -> Tensor:
    """(N, H, W) maps, each divided by its largest magnitude: 0 to 1, or -1 to 1 for signed ones; empty ones stay 0."""
    largest = maps.abs().amax((1, 2), keepdim=True)
    return maps / torch.where(largest > 0, largest, 1)


def named(method: str) -> Method:
    """A method by its name. Raises `ExplainError` for an unknown one."""
    if method not in METHODS:
        near = difflib.get_close_matches(method, METHODS, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise ExplainError(f"There is no method named '{method}'.{hint} Known: {', '.join(METHODS)}.")
    return METHODS[method]
