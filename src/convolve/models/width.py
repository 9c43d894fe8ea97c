"""A network with another number of channels and units in every layer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from torch import nn

from convolve.errors import NetworkError
from convolve.layers.dense_block import DenseBlock
from convolve.layers.faster_rcnn import ProposalLayers
from convolve.layers.lecun import RadialBasis, Subsampling, TableConvolution
from convolve.layers.lrn import LocalResponseNorm
from convolve.layers.region_svms import RegionSvms
from convolve.layers.residual import Residual, ZeroPadShortcut
from convolve.models.localization import LocalizationHead
from convolve.models.network import Network

Probes = Callable[[], tuple[Network, Network]]
"""Builds the network, without values, for one more class and for images of one more channel: what differs there is not
the width's.
"""
Counts = dict[str, int]

_WHOLE = 1e-3
"""How far a number of channels may be from a whole one, as factors such as 0.333333 are rounded."""
_COUNTS: tuple[tuple[type[nn.Module], tuple[str, ...]], ...] = (
    (nn.Conv2d, ("in_channels", "out_channels")),
    (nn.ConvTranspose2d, ("in_channels", "out_channels")),
    (nn.Linear, ("in_features", "out_features")),
    (nn.BatchNorm2d, ("num_features",)),
    (nn.GroupNorm, ("num_channels",)),
    (nn.PReLU, ("num_parameters",)),
    (LocalResponseNorm, ("channels",)),
    (Subsampling, ("channels",)),
    (Residual, ("channels",)),
    (ZeroPadShortcut, ("extra",)),
    (DenseBlock, ("growth", "channels")),
    (RegionSvms, ("width",)),
)


def scale(network: Network, factor: float, probes: Probes) -> list[nn.Module]:
    """Multiply every number of channels and units by a factor, except those of images, classes and boxes; the
    convolutions and dense layers that are new, not yet initialized.

    Raises `NetworkError` where a number is not whole any more.
    """
    others, modules = probes(), dict(network.named_modules())
    counts = {name: _scaled_counts(name, module, network, others) for name, module in modules.items()}
    counts = {name: found for name, found in counts.items() if found}
    step = math.gcd(*(unit for name, found in counts.items() for unit in _units(modules[name], found)))
    numerator = round(factor * step)
    if numerator < 1 or abs(factor * step - numerator) > _WHOLE:
        low, high = max(1, math.floor(factor * step)) / step, max(1, math.ceil(factor * step)) / step
        nearest = f"{low:g} and {high:g}" if low < high else f"{low:g}"
        raise NetworkError(
            f"With --width {factor:g}, {network.card.name} would have layers without a whole number of channels; the "
            f"nearest factors are {nearest}."
        )
    new: list[nn.Module] = []
    for name, found in counts.items():
        parent, _, child = name.rpartition(".")
        module = network.get_submodule(name)
        scaled = {attribute: count * numerator // step for attribute, count in found.items()}
        layer = _scaled_layer(module, {**_own_counts(module), **scaled})
        if layer is module:  # which only keeps the number
            for attribute, count in scaled.items():
                setattr(module, attribute, count)
        else:
            setattr(network.get_submodule(parent), child, layer)
            new += [layer] if isinstance(layer, nn.Conv2d | nn.Linear) else []
    for stage, count in network.channels.items():
        if all(other.channels[stage] == count for other in others):
            network.channels[stage] = count * numerator // step
    return new


def why_not_scaled(network: Network) -> str:
    """Why a network has one width only, as the end of a sentence that begins with its name; empty where it has not."""
    if network.card.output == "faces":
        return "is converted from its authors' files, whose weights have one width"
    hidden = 0
    for module in network.modules():
        known = isinstance(module, (TableConvolution, *(kind for kind, _ in _COUNTS)))
        leaf = not any(True for _ in module.children())
        if leaf and not known and any(True for _ in module.parameters()):
            return f"has a layer of a fixed shape ({type(module).__name__})"
        hidden += isinstance(module, nn.Conv2d | nn.Linear)
    return "" if hidden > 1 else "has no layer but the last"


def _own_counts(module: nn.Module) -> Counts:
    names = next((names for kind, names in _COUNTS if isinstance(module, kind)), ())
    return {name: int(getattr(module, name)) for name in names}


def _scaled_counts(name: str, module: nn.Module, network: Network, others: tuple[Network, ...]) -> Counts:
    """The numbers of a module that are neither of images nor of classes."""
    counts = _own_counts(module)
    for other in others:
        twin = other.get_submodule(name)
        if isinstance(twin, TableConvolution):  # whose connections are full in the network itself
            continue
        for attribute, count in _own_counts(twin).items():
            if counts.get(attribute) != count:
                counts.pop(attribute, None)
    if any(module is layer for layer in _ends(network)):
        counts = {attribute: count for attribute, count in counts.items() if not attribute.startswith("out_")}
    if isinstance(module, nn.PReLU) and module.num_parameters == 1:  # of all channels
        return {}
    return counts


def _ends(network: Network) -> Iterator[nn.Module]:
    """Layers that give as many numbers in any width: those of a box, of anchors, and of LeNet-5's codes."""
    head = network.head.scores if isinstance(network.head, LocalizationHead) else network.head
    layers = list(head.children())
    if layers and isinstance(layers[-1], RadialBasis):
        yield [layer for layer in layers if isinstance(layer, nn.Linear)][-1]
    if isinstance(network.head, LocalizationHead):
        yield [layer for layer in network.head.box.modules() if isinstance(layer, nn.Linear)][-1]
    for module in network.head.modules():
        if isinstance(module, ProposalLayers):
            yield from (module.scores, module.deltas)


def _units(module: nn.Module, counts: Counts) -> list[int]:
    """What has to stay whole: the numbers themselves, or those of each group."""
    groups = module.groups if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) else 1
    return [count // groups for count in counts.values()]


def _scaled_layer(module: nn.Module, counts: Counts) -> nn.Module:
    """A layer like a module, with other numbers, on its device; the module itself where it has no weights."""
    device = next((each.device for each in [*module.parameters(), *module.buffers()]), None)
    match module:
        case nn.Conv2d() | nn.ConvTranspose2d():
            options: dict[str, Any] = {
                **{name: getattr(module, name) for name in ("kernel_size", "stride", "padding", "dilation", "groups")},
                **{name: getattr(module, name) for name in ("padding_mode", "output_padding")},
            }
            if isinstance(module, nn.Conv2d):
                del options["output_padding"]
            bias = module.bias is not None
            return type(module)(counts["in_channels"], counts["out_channels"], bias=bias, device=device, **options)
        case nn.Linear():
            return nn.Linear(counts["in_features"], counts["out_features"], module.bias is not None, device=device)
        case nn.BatchNorm2d():
            return nn.BatchNorm2d(counts["num_features"], module.eps, module.momentum, module.affine, device=device)
        case nn.GroupNorm():
            channels = counts["num_channels"]
            groups = channels if module.num_groups == module.num_channels else module.num_groups
            return nn.GroupNorm(groups, channels, module.eps, module.affine, device=device)
        case nn.PReLU():
            return nn.PReLU(counts["num_parameters"], device=device)
        case LocalResponseNorm():
            return module.with_channels(counts["channels"])
        case Subsampling():
            return Subsampling(counts["channels"]).to(device)
        case RegionSvms():
            return RegionSvms(counts["width"], len(module.bias)).to(device)
    return module
