"""Networks by name: `create` looks a name up and calls its paper's builder."""

from __future__ import annotations

import difflib
import re
from dataclasses import replace
from functools import partial

import torch

from convolve.choices import NETWORK_FILES
from convolve.errors import NetworkError
from convolve.layers.design import Design, flags
from convolve.models import (
    alexnet,
    alexnet_gap,
    bn_inception,
    colorization_zhang,
    darknet_file,
    deconvnet,
    deeppose,
    dense,
    densenet,
    dncnn,
    edsr,
    embedding,
    espcn,
    fast_rcnn,
    fastdepth,
    faster_rcnn,
    fcn,
    fsrcnn,
    googlenet,
    graph_file,
    inception_v4,
    johnson,
    keras_lectures,
    lenet,
    localization,
    mtcnn,
    nin,
    own_network,
    partial_conv_unet,
    preact_resnet,
    prelu_net,
    rcnn,
    resnet,
    resnet_cifar,
    resnet_options,
    resnext,
    segnet,
    senet,
    senet_cifar,
    show_and_tell,
    show_attend_and_tell,
    simple_baseline,
    spp_net,
    squeezenet,
    srcnn,
    stacked_hourglass,
    unet,
    vdsr,
    vgg,
    yolo_compact,
    yolo_family,
    yolo_v1,
    yolo_v2,
    yolo_v3,
    zfnet,
)
from convolve.models.definition import NetworkDefinition
from convolve.models.design import redesign
from convolve.models.design_sites import is_ours
from convolve.models.foreign import library_of
from convolve.models.foreign import variant as library_variant
from convolve.models.network import Card, Network, Variant

# fmt: off
_PAPERS = (
    dense, lenet, alexnet, zfnet, nin, keras_lectures, vgg, googlenet, bn_inception, prelu_net, resnet, resnet_options,
    resnet_cifar, preact_resnet, inception_v4, densenet, resnext, senet, senet_cifar, fcn, unet, deconvnet, segnet,
    squeezenet, alexnet_gap, rcnn, spp_net, fast_rcnn, yolo_v1, yolo_v2, yolo_v3, mtcnn, yolo_compact, faster_rcnn,
    stacked_hourglass, simple_baseline, srcnn, vdsr, espcn, fsrcnn, edsr, dncnn, partial_conv_unet, colorization_zhang,
    show_and_tell, show_attend_and_tell, fastdepth, johnson,
)
# fmt: on
_NEAREST, _LIKENESS = 3, 0.65
_VARIANTS: dict[str, Variant] = {variant.card.name: variant for paper in _PAPERS for variant in paper.VARIANTS}


def names() -> list[str]:
    """The names of all networks except other libraries', oldest paper first, in the order of its table."""
    return sorted(_VARIANTS, key=lambda name: _VARIANTS[name].card.year or 0)


def card(name: str) -> Card:
    """What is known of a network, without building it. Raises `NetworkError` for an unknown name."""
    return _variant(name).card


def create(
    name: str,
    classes: int | None = None,
    channels: int | None = None,
    size: tuple[int, int] | None = None,
    seed: int = 0,
    design: Design | None = None,
) -> Network:
    """Build a network by name, randomly initialized from ``seed``; torch's own random state stays as it was.

    ``classes``, ``channels`` and ``size`` (height, width in pixels) are the published ones unless given. Under
    `torch.device("meta")` the weights have shapes but no values. A ``design`` changes the network, see
    `models.design.redesign`. Raises `NetworkError` for an unknown name, less than one class or channel, an image too
    small for the network or not divisible as it needs, or a design that the network cannot have.
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
    if design and replace(design, initializer=None) != Design() and not takes_design(name):
        raise NetworkError(
            f"{variant.card.label} is described outside of convolve, and options do not change its layers; change them "
            f"there, or leave out {flags(replace(design, initializer=None))}."
        )
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        network = variant.build(variant.card, classes, channels, size)
        if design is None or design == Design():
            return network
        return redesign(network, design, size, channels, partial(_probes, variant, classes, channels, size))


def takes_design(name: str) -> bool:
    """Whether a design may change a network's layers: not where it is described by a library, in a file or a text."""
    return is_ours(name) and not own_network.is_text(name)


def define(name: str, classes: int, image: tuple[int, int, int]) -> NetworkDefinition | None:
    """The layers of a network that a person wrote as a text or a TOML file, for an ``image`` of (channels, height,
    width); None for any other network. Raises `NetworkError`.
    """
    return own_network.define(name, classes, image) if name.endswith(".toml") or own_network.is_text(name) else None


def counterpart(name: str, output: str) -> str | None:
    """The name of the network of the same layers with another `Card.output`: a classifier's FCN, YOLO v2, localization
    network, simple baseline, DeepPose or Show and Tell, or the classifier that one of these is made of.

    The name itself where the output is right already; None where there is no counterpart. Raises `NetworkError`.
    """
    own = card(name)
    if own.output == output:
        return name
    if own.output == "image":
        families = {
            "pixels": fcn.name_for,
            "boxes": yolo_family.name_for,
            "box": localization.name_for,
            "points": simple_baseline.name_for,
            "coordinates": deeppose.name_for,
            "text": show_and_tell.name_for,
            "embedding": embedding.name_for,
        }
        described = name.endswith(NETWORK_FILES) or " " in name
        return families[output](name) if output in families and not described else None
    return counterpart(own.classifier, output) if own.classifier else None


def card_of_counterpart(card: Card, output: str) -> Card:
    """The card of a classifier's `counterpart` with an output; the card itself where it is no classifier's, or there is
    no counterpart. Raises `NetworkError` for one that cannot be made of this classifier.
    """
    other = counterpart(card.name, output) if card.output == "image" else None
    return _variant(other).card if other else card


def nearest(name: str) -> list[str]:
    """The three names, or fewer, that are most like a wrong one, apart from case, spaces, hyphens and the like."""
    known = {_letters(network): network for network in _VARIANTS}
    wanted = _letters(name)
    near = difflib.get_close_matches(wanted, known, n=_NEAREST, cutoff=_LIKENESS)
    begins = [network for network in known if wanted and network.startswith(wanted)]
    return [known[network] for network in dict.fromkeys([*near, *begins])][:_NEAREST]


def _probes(variant: Variant, classes: int, channels: int, size: tuple[int, int]) -> tuple[Network, Network]:
    """The network for one more class, and for images of one more channel, both without values."""
    with torch.device("meta"):
        return (
            variant.build(variant.card, classes + 1, channels, size),
            variant.build(variant.card, classes, channels + 1, size),
        )


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _variant(name: str) -> Variant:
    if name in _VARIANTS:
        return _VARIANTS[name]
    if "/" in name and library_of(name):
        return library_variant(name)
    if name.endswith(NETWORK_FILES):
        files = {".cfg": darknet_file.variant, ".json": graph_file.variant, ".toml": own_network.variant}
        return files[name[name.rindex(".") :]](name)
    families = (
        *(fcn.family, rcnn.family, spp_net.family, fast_rcnn.family, yolo_family.family, yolo_compact.family),
        *(faster_rcnn.family, localization.family, simple_baseline.family, deeppose.family, mtcnn.family),
        *(show_and_tell.family, show_attend_and_tell.family, embedding.family),
    )
    variant = dense.family(name) or next(filter(None, (family(name, _variant) for family in families)), None)
    if variant is None and own_network.is_text(name):
        return own_network.variant(name)
    if variant is None:
        near = nearest(name)
        hint = f" Did you mean {', '.join(near[:-1])}{' or ' if near[:-1] else ''}{near[-1]}?" if near else ""
        raise NetworkError(
            f"There is no network named '{name}'.{hint} `convolve networks` lists them; timm/NAME and "
            "torchvision/NAME are those libraries' networks."
        )
    return variant
