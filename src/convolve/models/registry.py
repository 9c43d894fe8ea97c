"""Networks by name: `create` looks a name up and calls its paper's builder."""

from __future__ import annotations

import difflib
import re

import torch

from convolve.choices import NETWORK_FILES
from convolve.errors import NetworkError
from convolve.models import (
    alexnet,
    bn_inception,
    darknet_file,
    deconvnet,
    dense,
    densenet,
    fcn,
    googlenet,
    graph_file,
    inception_v4,
    keras_lectures,
    lenet,
    nin,
    preact_resnet,
    prelu_net,
    resnet,
    resnet_cifar,
    resnet_options,
    resnext,
    segnet,
    senet,
    senet_cifar,
    squeezenet,
    unet,
    vgg,
    yolo_compact,
    yolo_family,
    yolo_v1,
    yolo_v2,
    yolo_v3,
    zfnet,
)
from convolve.models.foreign import library_of
from convolve.models.foreign import variant as library_variant
from convolve.models.network import Card, Network, Variant

# fmt: off
_PAPERS = (
    dense, lenet, alexnet, zfnet, nin, keras_lectures, vgg, googlenet, bn_inception, prelu_net, resnet, resnet_options,
    resnet_cifar, preact_resnet, inception_v4, densenet, resnext, senet, senet_cifar, fcn, unet, deconvnet, segnet,
    squeezenet, yolo_v1, yolo_v2, yolo_v3, yolo_compact,
)
# fmt: on
_NEAREST, _LIKENESS = 3, 0.65
_VARIANTS: dict[str, Variant] = {variant.card.name: variant for paper in _PAPERS for variant in paper.VARIANTS}


def names() -> list[str]:
    """The names of all networks except other libraries', oldest paper first, in the order of its table."""
    return sorted(_VARIANTS, key=lambda name: _VARIANTS[name].card.year)


def card(name: str) -> Card:
    """What is known of a network, without building it. Raises `NetworkError` for an unknown name."""
    return _variant(name).card


def create(
    name: str,
    classes: int | None = None,
    channels: int | None = None,
    size: tuple[int, int] | None = None,
    seed: int = 0,
) -> Network:
    """Build a network by name, randomly initialized from ``seed``; torch's own random state stays as it was.

    ``classes``, ``channels`` and ``size`` (height, width in pixels) are the published ones unless given. Under
    `torch.device("meta")` the weights have shapes but no values. Raises `NetworkError` for an unknown name, less than
    one class or channel, or an image too small for the network or not divisible as it needs.
    """
    variant = _variant(name)
    published = variant.card.input
    classes = variant.card.classes if classes is None else classes
    channels = published[0] if channels is None else channels
    size = size or published[1:]
    if min(classes, channels) < 1:
        raise NetworkError(f"{name} needs at least one class and one channel, not {classes} and {channels}.")
    if min(size) < variant.card.minimum:
        raise NetworkError(
            f"{name} cannot take images of {size[0]}x{size[1]}: its smallest side is {variant.card.minimum} pixels; "
            "choose a larger size or another network."
        )
    if size[0] % variant.card.multiple or size[1] % variant.card.multiple:
        raise NetworkError(
            f"{name} cannot take images of {size[0]}x{size[1]}: its sides must be multiples of {variant.card.multiple} "
            "pixels; choose such a size or another network."
        )
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return variant.build(variant.card, classes, channels, size)


def counterpart(name: str, output: str) -> str | None:
    """The name of the network of the same layers with another `Card.output`: a classifier's FCN or YOLO v2, or the
    classifier that one of these is made of.

    The name itself where the output is right already; None where there is no counterpart. Raises `NetworkError`.
    """
    own = card(name)
    if own.output == output:
        return name
    if own.output == "image":
        families = {"pixels": fcn.name_for, "boxes": yolo_family.name_for}
        return families[output](name) if output in families else None
    return counterpart(own.classifier, output) if own.classifier else None


def nearest(name: str) -> list[str]:
    """The three names, or fewer, that are most like a wrong one, apart from case, spaces, hyphens and the like."""
    known = {_letters(network): network for network in _VARIANTS}
    wanted = _letters(name)
    near = difflib.get_close_matches(wanted, known, n=_NEAREST, cutoff=_LIKENESS)
    begins = [network for network in known if wanted and network.startswith(wanted)]
    return [known[network] for network in dict.fromkeys([*near, *begins])][:_NEAREST]


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _variant(name: str) -> Variant:
    if name in _VARIANTS:
        return _VARIANTS[name]
    if "/" in name and library_of(name):
        return library_variant(name)
    if name.endswith(NETWORK_FILES):
        return graph_file.variant(name) if name.endswith(".json") else darknet_file.variant(name)
    families = (fcn.family, yolo_family.family, yolo_compact.family)
    variant = dense.family(name) or next(filter(None, (family(name, _variant) for family in families)), None)
    if variant is None:
        near = nearest(name)
        hint = f" Did you mean {', '.join(near[:-1])}{' or ' if near[:-1] else ''}{near[-1]}?" if near else ""
        raise NetworkError(
            f"There is no network named '{name}'.{hint} `convolve networks` lists them; timm/NAME and "
            "torchvision/NAME are those libraries' networks."
        )
    return variant
