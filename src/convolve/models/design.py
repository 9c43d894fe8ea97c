"""A published network with another activation, normalization, pooling, width and so on: `layers.design.Design`.

The layers of a freshly built network are replaced where they are. Shapes are followed through a copy without values:
dense layers that read a map of another size become as large as that needs, and what does not fit is refused.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from convolve.errors import NetworkError
from convolve.layers.border import BorderOnce
from convolve.layers.design import ActivationName, Design, InitializerName, NormalizationName, PoolingName, flags, given
from convolve.layers.faster_rcnn import TwoStageHead
from convolve.layers.initializers import gaussian, glorot_uniform, he_normal, lecun_fan_in, lecun_uniform, orthogonal
from convolve.layers.lecun import ScaledTanh, Subsampling, TableConvolution
from convolve.layers.lrn import LocalResponseNorm
from convolve.layers.pooling import MinPool2d
from convolve.layers.region_head import RegionHead
from convolve.models.design_sites import (
    ACTIVATIONS,
    LOCAL,
    STATISTICAL,
    Site,
    activation_sites,
    follower,
    last_dense,
    normalizable,
    obstacle,
    pooling_sites,
    side,
    sites,
)
from convolve.models.network import Network
from convolve.models.width import Probes, scale

_BY_NAME: Mapping[ActivationName, Callable[[], nn.Module]] = {
    "none": nn.Identity,
    "relu": nn.ReLU,
    "leaky-relu": nn.LeakyReLU,
    "prelu": nn.PReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "scaled-tanh": ScaledTanh,
}
_INITIALIZERS: Mapping[InitializerName, Callable[[nn.Conv2d | nn.Linear], object]] = {
    "he": he_normal,
    "xavier": glorot_uniform,
    "lecun": lecun_uniform,
    "orthogonal": orthogonal,
    "normal": partial(gaussian, deviation=0.01),
    "zeros": partial(gaussian, deviation=0.0),
}
_RANGES = {"dropout": (0.0, 0.95), "pool_window": (1, 64), "pool_stride": (1, 64), "width": (0.001, 64.0)}
_GROUPS = 32
"""Groups of group normalization, as in Wu and He 2018, where each has two channels at least."""


def redesign(network: Network, design: Design, size: tuple[int, int], channels: int, probes: Probes) -> Network:
    """The network itself, changed by a design; new weights are drawn from torch's generator. It takes images of a
    ``size`` (height, width); ``probes`` builds the same network for one more class or channel, without values.

    Layers whose shape changes are initialized by He's rule, C3 with full connections by LeNet-5's own, unless the
    design names an initializer. Raises `NetworkError` for what the network has nothing of, a value out of its range,
    and what makes layers not fit one another.
    """
    _check(network, design)
    image = torch.empty(1, channels, *size, device="meta")
    skeleton = _without_values(network)
    expected = _shapes(_without_values(network), image)
    for each in (skeleton, network):
        _change(each, design, probes)
    for layer in skeleton.eval().modules():
        if isinstance(layer, nn.Linear):
            layer.register_forward_pre_hook(_fit_to_input)
    try:
        found = _shapes(skeleton, image)
        fitting = found == expected and _channels(skeleton, image) == network.channels
    except (RuntimeError, ValueError, NetworkError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise NetworkError(_misfit(network, design, f" ({reason})")) from error
    if not fitting:
        raise NetworkError(_misfit(network, design))
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Linear):
            _resize(layer, skeleton.get_submodule(name).get_parameter("weight").shape[1])
    if design.initializer:
        for module in network.modules():
            _initialize(module, design.initializer)
    nothing_published = replace(network.card, parameters=None, macs=None, top1_error=None, top5_error=None)
    network.card = replace(nothing_published, evaluation="")
    network.design = design
    return network


def change_head(network: Network, design: Design) -> Network:
    """A network whose head was replaced after its design was applied, with the same activation, dropout and initializer
    in the head; the other parts of a design concern the stages.
    """
    if design.activation:
        _activate(network, design.activation)
    if design.dropout is not None:
        _set_dropout(network, design.dropout)
    if design.initializer:
        for module in network.head.modules():
            _initialize(module, design.initializer)
    network.design = design
    return network


def _check(network: Network, design: Design) -> None:
    """Raise `NetworkError` for a value out of its range, or one that has nothing to work on."""
    for name, value in given(design).items():
        low, high = _RANGES.get(name, (-math.inf, math.inf))
        if isinstance(value, int | float) and not low <= value <= high:
            raise NetworkError(f"{name} cannot be {value}; it must be a number from {low:g} to {high:g}.")
        if reason := obstacle(network, name, design):
            raise NetworkError(f"{network.card.name} {reason}; leave out {flags(design, (name,))}.")


def _change(network: Network, design: Design, probes: Probes) -> None:
    """Replace the layers. Of a network without values, only shapes matter."""
    pooled = design.pooling or design.pool_window or design.pool_stride
    if design.normalization or pooled:
        _compute_borders(network)
    if design.auxiliary is False:
        network.auxiliary = nn.ModuleDict()
    if design.connections == "full":
        _connect_fully(network)
    for layer in scale(network, design.width, probes) if design.width is not None else ():
        he_normal(layer)
    if pooled:
        _replace_poolings(network, design)
    if design.normalization:
        _normalize(network, design.normalization)
    if design.activation:
        _activate(network, design.activation)
    if design.normalization or design.activation:
        _keep_inputs(network)
    if design.dropout is not None:
        _set_dropout(network, design.dropout)


def _compute_borders(network: Network) -> None:
    """Compute every row and column: which are equal, a stage knows of the layers that it was made for alone."""
    for module in network.modules():
        if isinstance(module, BorderOnce):
            module.compute_all()


def _activate(network: Network, name: ActivationName) -> None:
    for site in activation_sites(network):
        _replace(site, _BY_NAME[name]())


def _keep_inputs(network: Network) -> None:
    """Let no layer work in place: what it would overwrite may be what another layer needs now."""
    for module in network.modules():
        if isinstance(module, nn.ReLU | nn.LeakyReLU | nn.ELU | nn.SiLU):
            module.inplace = False


def _replace(site: Site, layer: nn.Module) -> None:
    """Put a layer in place of another, on the same device."""
    parent, name, former = site
    tensor = next(iter([*former.parameters(), *former.buffers(), *parent.parameters()]), None)
    setattr(parent, name, layer if tensor is None else layer.to(tensor.device))


def _insert(parent: nn.Module, layer: nn.Module, name: str, after: str = "", before: str = "") -> None:
    """Insert a layer into those that follow one another in ``parent``."""
    children = list(parent.named_children())
    for each, _ in children:
        delattr(parent, each)
    for each, child in children:
        if each == before:
            parent.add_module(name, layer)
        parent.add_module(each, child)
        if each == after:
            parent.add_module(name, layer)


def _set_dropout(network: Network, probability: float) -> None:
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Dropout)]
    for layer in layers:
        layer.p = probability
    if not layers and (found := last_dense(network)):
        _insert(found[0], nn.Dropout(probability), "dropout", before=found[1])


def _normalize(network: Network, kind: NormalizationName) -> None:
    """Replace the normalization; where the stages have none of the kind's sort, insert it after the
    convolutions.
    """
    statistical, local = list(sites(network, STATISTICAL)), list(sites(network, LOCAL))
    in_stages = any(sites(network.stages, STATISTICAL))
    for site in statistical:
        number = getattr(site[2], "num_features" if isinstance(site[2], nn.BatchNorm2d) else "num_channels")
        if not (kind == "batch" and isinstance(site[2], nn.BatchNorm2d)):
            _replace(site, _normalization(kind, int(number)))
    for site in local if kind != "lrn" else []:
        _replace(site, nn.Identity())
    if kind in ("none", "lrn"):  # then nothing else shifts the maps
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d) and layer.bias is None:
                layer.bias = nn.Parameter(layer.weight.new_zeros(layer.out_channels))
    if kind != "none" and not in_stages and not (kind == "lrn" and local):
        for parent, name, layer in normalizable(network):
            outputs = layer.weight.shape[0] if isinstance(layer, nn.Conv2d) else len(layer.table)
            after = follower(parent, name) if kind == "lrn" else None
            position = after[0] if after and isinstance(after[1], ACTIVATIONS) else name
            norm = _normalization(kind, outputs).to(layer.weight.device)
            _insert(parent, norm, f"{name}_norm", after=position)


def _normalization(kind: NormalizationName, channels: int) -> nn.Module:
    most = max((each for each in range(1, min(_GROUPS, channels // 2) + 1) if channels % each == 0), default=1)
    layers: dict[NormalizationName, Callable[[], nn.Module]] = {
        "none": nn.Identity,
        "batch": lambda: nn.BatchNorm2d(channels),
        "layer": lambda: nn.GroupNorm(1, channels),
        "group": lambda: nn.GroupNorm(most, channels),
        "lrn": lambda: LocalResponseNorm(channels),
    }
    return layers[kind]()


def _replace_poolings(network: Network, design: Design) -> None:
    """Replace the stages' poolings, and correct the strides of the stages' maps."""
    factor = Fraction(1)
    for name, stage in network.stages.items():
        for site in list(pooling_sites(stage)):
            window, stride, padding = (side(site[2], key) for key in ("kernel_size", "stride", "padding"))
            if stride > 1:
                given_window, given_stride = design.pool_window or window, design.pool_stride or stride
                factor *= Fraction(given_stride, stride)
            else:
                given_window, given_stride = window, stride
            up = bool(getattr(site[2], "ceil_mode", False))
            if given_window != window and padding:
                padding = (given_window - 1) // 2
            elif given_window != window and given_stride == stride:  # which keeps the size of the map
                up = given_window > window
            if design.pooling or (given_window, given_stride) != (window, stride):
                layer = _pooling(design.pooling or _kind(site[2]), given_window, given_stride, padding)
                layer.ceil_mode = up
                _replace(site, layer)
        network.strides[name] = int(network.strides[name] * factor)


def _pooling(kind: PoolingName, window: int, stride: int, padding: int) -> nn.MaxPool2d | nn.AvgPool2d | MinPool2d:
    if kind == "average":
        return nn.AvgPool2d(window, stride, padding, count_include_pad=False)
    return (nn.MaxPool2d if kind == "max" else MinPool2d)(window, stride, padding)


def _kind(pooling: nn.Module) -> PoolingName:
    if isinstance(pooling, nn.AvgPool2d | Subsampling):
        return "average"
    return "min" if isinstance(pooling, MinPool2d) else "max"


def _connect_fully(network: Network) -> None:
    for site in list(sites(network, (TableConvolution,))):
        former = cast(TableConvolution, site[2])
        layer = nn.Conv2d(former.channels, len(former.table), former.kernel_size)
        lecun_fan_in(layer)
        _replace(site, layer)


def _initialize(layer: nn.Module, name: InitializerName) -> None:
    """Initialize a convolution or dense layer; one with a table as if it were dense, of the fan in that it has."""
    rule = _INITIALIZERS[name]
    if isinstance(layer, nn.Conv2d | nn.Linear):
        rule(layer)
    elif isinstance(layer, TableConvolution):
        dense = nn.Conv2d(layer.channels, len(layer.table), layer.kernel_size, device=layer.weight.device)
        rule(dense)
        with torch.no_grad():
            kernels = dense.weight.flatten(0, 1)[layer.positions]
            fan = layer.channels * layer.kernel_size**2
            correction = (fan / layer.fan_in()[0]).sqrt() if name in ("he", "xavier", "lecun") else torch.ones(())
            layer.weight.copy_(kernels * correction.to(kernels.device))
            layer.bias.zero_()


def _without_values(network: Network) -> Network:
    """A copy that has shapes but no values, and computes all that is published."""
    shapes: dict[int, object] = {id(buffer): buffer.to("meta") for buffer in network.buffers()}
    for parameter in network.parameters():
        shapes[id(parameter)] = nn.Parameter(parameter.detach().to("meta"), requires_grad=False)
    skeleton = copy.deepcopy(network, shapes).eval()
    for module in skeleton.modules():
        if isinstance(module, BorderOnce | TwoStageHead | RegionHead):
            module.compute_all()
    return skeleton


@torch.no_grad()
def _shapes(skeleton: Network, image: Tensor) -> list[tuple[int, ...]]:
    """The shapes of all outputs; of heads for regions without channels, since they pass on maps as wide as a stage."""
    outputs = skeleton(image)
    found = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    if skeleton.auxiliary:
        skeleton.scores_of_all_heads(image)
    shapes = [tuple(output.shape) for output in found]
    if isinstance(skeleton.head, TwoStageHead | RegionHead):
        return [(*shape[:1], *shape[2:]) for shape in shapes]
    return shapes


@torch.no_grad()
def _channels(skeleton: Network, image: Tensor) -> dict[str, int]:
    return {name: map_.shape[1] for name, map_ in skeleton.features(image).items()}


def _fit_to_input(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    """Make a dense layer without values as large as its input; a hook."""
    _resize(cast(nn.Linear, layer), inputs[0].shape[-1])


def _resize(layer: nn.Linear, features: int) -> None:
    if features != layer.in_features:
        layer.in_features = features
        layer.weight = nn.Parameter(layer.weight.new_empty(layer.out_features, features))
        he_normal(layer)


def _misfit(network: Network, design: Design, reason: str = "") -> str:
    return (
        f"The layers of {network.card.name} do not fit one another any more with {flags(design)}{reason}; choose other "
        "values, or another network."
    )
