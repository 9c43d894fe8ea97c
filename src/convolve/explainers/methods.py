"""The methods of attribution by name, and what they give for images of any number."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convolve.errors import ExplainError
from convolve.explainers.cam import (
    averaging_head,
    cam,
    eigen_cam,
    grad_cam,
    grad_cam_plus_plus,
    layer_cam,
    score_cam,
)
from convolve.explainers.feature_maps import batch_size, last_maps
from convolve.explainers.gradients import integrated_gradients, saliency, smooth_grad
from convolve.explainers.occlusion import occlusion
from convolve.explainers.preservation import Attribute, Layer, preserve
from convolve.explainers.rectifiers import deconvnet, guided_backpropagation
from convolve.explainers.score_targets import ScoreTarget
from convolve.models import Network

BATCH = 16
"""Images of 256x256 pixels that a method takes together, which bounds its memory."""
EDGES = (
    "In Adebayo et al. 2018 its maps hardly changed while the upper layers were re-initialized: they follow the "
    "image's edges."
)
IMAGE = "In Nie et al. 2018 its maps are a partial recovery of the image, whatever the network decides."
NO_CLASS = "It does not depend on the class: every class gets the same map."


@dataclass(frozen=True)
class Method:
    """One way to ask which parts of an image a score depends on.

    ``attribute(network, images, target, layer)`` takes (N, C, H, W) images as the network does, what is explained of
    each, and a layer or None, and gives (N, h, w) float32 raw values: at the layer's own resolution if ``layered``,
    else at the images'; the network stays as it is. ``signed``: values below 0 speak against the score. ``warning`` is
    empty, or what the literature says against the method.
    """

    name: str
    title: str
    paper: str
    attribute: Attribute
    signed: bool = False
    layered: bool = True
    warning: str = ""


_ALL = (
    Method("cam", "Class activation map", "Zhou et al. 2016, arXiv:1512.04150", cam, signed=True),
    Method("grad-cam", "Grad-CAM", "Selvaraju et al. 2017, arXiv:1610.02391", grad_cam),
    Method("grad-cam++", "Grad-CAM++", "Chattopadhay et al. 2018, arXiv:1710.11063", grad_cam_plus_plus),
    Method("layer-cam", "Layer-CAM", "Jiang et al. 2021, doi:10.1109/TIP.2021.3089943", layer_cam),
    Method("score-cam", "Score-CAM", "Wang et al. 2020, arXiv:1910.01279", score_cam),
    Method("eigen-cam", "Eigen-CAM", "Muhammad, Yeasin 2020, arXiv:2008.00299", eigen_cam, warning=NO_CLASS),
    Method("saliency", "Saliency", "Simonyan et al. 2013, arXiv:1312.6034", saliency, layered=False),
    Method(
        "guided-backpropagation",
        "Guided backpropagation",
        "Springenberg et al. 2014, arXiv:1412.6806",
        guided_backpropagation,
        layered=False,
        warning=EDGES,
    ),
    Method(
        "integrated-gradients",
        "Integrated gradients",
        "Sundararajan et al. 2017, arXiv:1703.01365",
        integrated_gradients,
        signed=True,
        layered=False,
    ),
    Method("smooth-grad", "SmoothGrad", "Smilkov et al. 2017, arXiv:1706.03825", smooth_grad, layered=False),
    Method("occlusion", "Occlusion", "Zeiler, Fergus 2013, arXiv:1311.2901", occlusion, signed=True, layered=False),
    Method("deconvnet", "Deconvnet", "Zeiler, Fergus 2013, arXiv:1311.2901", deconvnet, layered=False, warning=IMAGE),
)
METHODS: Mapping[str, Method] = MappingProxyType({method.name: method for method in _ALL})
"""Every method by name, those that read a layer first."""


def attributions(network: nn.Module, method: str, images: Tensor, target: ScoreTarget, layer: Layer = None) -> Tensor:
    """(N, C, H, W) images, as the network takes them, to (N, H, W) float32 raw values: how much each pixel counts.

    ``network`` is one of `convolve.models` or any other `nn.Module`; ``method`` one of `METHODS`. ``target`` says what
    is explained: `ClassScore(classes)` of outputs (N, K), `RegionScore(classes, regions)` or `SpatialMean(classes)` of
    outputs (N, K, H, W), or anything like `ScoreTarget`. ``layer``, for the methods that read one, is a stage's name, a
    submodule's dotted name, or the submodule; it may be left out for networks of `convolve.models`, which then take the
    last stage whose maps are larger than 1x1. Maps are enlarged bilinearly. Runs under the caller's autocast. The
    network's mode, gradients and hooks stay as they are.

        import torch, torchvision
        from convolve import explainers

        network = torchvision.models.resnet18(weights="DEFAULT")
        images = torch.randn(2, 3, 224, 224)  # normalized as the weights ask
        target = explainers.ClassScore(network(images).argmax(1))
        maps = explainers.attributions(network, "grad-cam", images, target, layer="layer4")
        heatmaps = explainers.scale(maps)  # (2, 224, 224), from 0 to 1

    Raises `ExplainError` for an unknown method, layer or class, a layer for a method that goes down to the pixels, and
    a network or target that the method cannot explain.
    """
    chosen = find_method(method)
    if layer is not None and not chosen.layered:
        raise ExplainError(f"{method} goes down to the pixels and takes no stage or layer; leave out '{layer}'.")
    if len(target) != len(images):
        raise ExplainError(f"{len(images)} images need as many targets, not {len(target)}; give one for each image.")
    count = batch_size(BATCH, images.shape[2:])
    parts = torch.split(images, count), torch.split(torch.arange(len(images), device=images.device), count)
    maps = torch.cat(
        [chosen.attribute(network, some, target.take(rows), layer) for some, rows in zip(*parts, strict=True)]
    )
    if maps.shape[1:] == images.shape[2:]:
        return maps
    return F.interpolate(maps[:, None], images.shape[2:], mode="bilinear", align_corners=False).squeeze(1)


def scale(maps: Tensor) -> Tensor:
    """(N, H, W) maps, each divided by its largest magnitude: 0 to 1, or -1 to 1 for signed ones; zeros stay 0."""
    largest = maps.abs().amax((1, 2), keepdim=True)
    return maps / torch.where(largest > 0, largest, 1)


def find_method(name: str) -> Method:
    """A method by its name. Raises `ExplainError` for an unknown one."""
    if name not in METHODS:
        near = difflib.get_close_matches(name, METHODS, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise ExplainError(f"There is no method named '{name}'.{hint} Known: {', '.join(METHODS)}.")
    return METHODS[name]


def default_method(network: Network, stage: str | None = None) -> tuple[Method, str]:
    """CAM where the network can give it, else Grad-CAM, and why."""
    if averaging_head(network) is None:
        reason = "the network does not end in global average pooling, whose weights alone would give the map"
        return METHODS["grad-cam"], reason
    if stage not in (None, list(network.stages)[-1]):
        return METHODS["grad-cam"], f"cam reads the last stage, not {stage}"
    return METHODS["cam"], "the network ends in global average pooling, so that its weights alone give the map"


def maps_of_targets(network: Network, images: Tensor, indices: Tensor, target: ScoreTarget) -> Tensor:
    """(N, C, H, W) images, and what is explained of those at ``indices`` (M,), to (M, h, w) raw values.

    Several maps of an image cost little more than one, since the stages before the last one with a map run once for
    each image. The maps are those of ``images[indices]`` by `default_method`, at that stage's resolution. The network
    stays as it is. Raises `ExplainError` where there is no map.
    """
    with torch.inference_mode(mode=False), preserve(network), torch.no_grad():
        last, _, _ = last_maps(network, images[:1], None)
        names = list(network.stages)
        before = names[: names.index(last)]
        maps = images
        for name in before:
            maps = network.stages[name](maps)
    rest = network.tail(before[-1]) if before else network
    return default_method(network)[0].attribute(rest, maps[indices], target, None)
