"""A classifier's stages converted to take images of any size, and its weights with them.

Long, Shelhamer, Darrell 2015, "Fully convolutional networks for semantic segmentation", sections 3.1 and 3.2 and figure
2; `convolve.models.fcn` puts the paper's head on what is converted here.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import replace

from torch import Tensor, nn

from convolve.errors import NetworkError
from convolve.layers.border import Band, BorderOnce, keeps_rows_equal
from convolve.layers.description import windows
from convolve.layers.geometry import ReceptiveField
from convolve.models.network import Network, Stage

_POOLINGS = nn.MaxPool2d | nn.AvgPool2d


def convolutional_stages(network: Network) -> dict[str, Stage]:
    """The classifier's stages, and as one more stage those layers of its head that can work on maps: the layers before
    a global pooling or before the last dense layer. Raises `NetworkError` for a network that is not a convolutional
    classifier.
    """
    if network.head_inputs or not any(True for _ in network.stages.parameters()):
        raise NetworkError(
            f"{network.card.name} is not a convolutional classifier; name one that is, as in fcn8s_resnet18."
        )
    stages = {
        name: Stage(layers, network.channels[name], network.strides[name]) for name, layers in network.stages.items()
    }
    last = list(stages.values())[-1]
    channels, layers = last.channels, OrderedDict[str, nn.Module]()
    learning = [part for part, layer in network.head.named_children() if any(True for _ in layer.parameters())]
    for part, layer in network.head.named_children():
        if isinstance(layer, nn.AdaptiveAvgPool2d) or part == learning[-1]:
            break
        if isinstance(layer, nn.Linear):
            layers[part] = as_convolution(layer, channels)
            channels = layer.out_features
        elif not isinstance(layer, nn.Flatten):
            layers[part] = layer
    if layers:
        stages[f"stage{len(stages) + 1}"] = Stage(nn.Sequential(layers), channels, last.stride)
    return stages


def convolutional_state(network: Network, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A classifier's state dict under the names and shapes of the network made of it; all else stays as it is."""
    last = list(network.stages)[-1]
    own = network.state_dict()
    by_layer = {name.removeprefix(f"stages.{last}."): name for name in own if f".{last}." in name}
    converted = dict(state)
    for name in state:
        new_name = by_layer.get(name.removeprefix("head."))
        if name.startswith("head.") and new_name:
            value, shape = converted.pop(name), own[new_name].shape
            converted[new_name] = value.reshape(shape) if value.numel() == shape.numel() else value
    return converted


def dilate_stages(stages: Mapping[str, Stage], stride: int) -> dict[str, Stage]:
    """The stages, dilated so that none has a larger stride. Raises `NetworkError` where a pooling has one there."""
    dilated, dilation = dict(stages), 1
    for name, stage in stages.items():
        if stage.stride > stride:
            dilation = dilate(stage.layers.modules(), dilation)
            dilated[name] = replace(stage, stride=stage.stride // dilation)
    return dilated


def pad_border(stages: Mapping[str, Stage], border: int) -> dict[str, float]:
    """Pad the first convolution by ``border`` and let poolings round up, as in Caffe. Returns the center of each map's
    first unit, in pixels of the image. For stages that are plain chains of layers.
    """
    field, centers = ReceptiveField(1, 1, 0), {}
    for name, stage in stages.items():
        for layer in stage.layers.modules():
            if isinstance(layer, nn.Conv2d) and field.size == 1:
                layer.padding = (border, border)
            if isinstance(layer, _POOLINGS):
                layer.ceil_mode = True
            sides = windows(layer)
            field = field.through(sides[0]) if sides else field
        centers[name] = float(field.offset + (field.size - 1) / 2)
    return centers


def compute_border_once(stages: Mapping[str, Stage], border: int) -> dict[str, Stage]:
    """The stages that `pad_border` has padded, the first ones as `BorderOnce`: up to the first stage that has no equal
    rows to spare, or a layer that is not known to keep equal rows equal.
    """
    faster, band = dict(stages), Band(-border, 0)
    for name, stage in stages.items():
        output_band = band.through(stage.layers)
        if not keeps_rows_equal(stage.layers) or output_band.start < 0 or output_band.stop < output_band.start + 2:
            break
        faster[name] = replace(stage, layers=BorderOnce(stage.layers, band, output_band))
        band = output_band
    return faster


def pad_evenly(stages: Mapping[str, Stage]) -> dict[str, float]:
    """Pad every layer so that each map covers the image evenly. Returns the center of each map's first unit, in pixels
    of the image: of a square as wide as the stride, shifted by half of that by every even kernel before it.
    """
    centers, shift = {}, 0.0
    for name, stage in stages.items():
        for layer in stage.layers.modules():
            pad_same(layer)
            if isinstance(layer, nn.Conv2d) and layer.kernel_size[0] % 2 == 0:
                shift += stage.stride / 2
        centers[name] = (stage.stride - 1) / 2 - shift
    return centers


def as_convolution(layer: nn.Linear, channels: int) -> nn.Conv2d:
    """A dense layer on square maps of ``channels`` as a convolution over the whole map, with the same weights
    (section 3.1).
    """
    side = math.isqrt(layer.in_features // channels)
    convolution = nn.Conv2d(channels, layer.out_features, side, device="meta")
    convolution.weight = nn.Parameter(layer.weight.detach().reshape(convolution.weight.shape))
    convolution.bias = nn.Parameter(layer.bias.detach())
    return convolution


def pad_same(layer: nn.Module) -> None:
    """Pad a layer's window so that n units of a side become n / stride, rounded up. Layers without a window stay.

    A convolution of even kernel gives one unit more: its units are centered between those that it reads. Raises
    `NetworkError` for a layer that cannot be padded.
    """
    if isinstance(layer, nn.ZeroPad2d):
        layer.padding = (0, 0, 0, 0)  # the next layer pads now
    sides = windows(layer)
    if not sides:
        return
    even = any(side.kernel % 2 == 0 for side in sides)
    down, across = (side.dilation * (side.kernel - (not even)) // 2 for side in sides)
    padding = (down, across)
    if isinstance(layer, _POOLINGS):
        layer.padding, layer.ceil_mode = ((0, 0), True) if even else (padding, False)
    elif isinstance(layer, nn.Conv2d) and not (even and max(layer.stride) > 1):
        layer.padding = padding
    elif any(side.kernel > 1 for side in sides):
        raise NetworkError(
            f"A {type(layer).__name__} cannot be padded to keep the size of its map; choose another classifier."
        )


def dilate(layers: Iterable[nn.Module], dilation: int) -> int:
    """Remove the strides from a stage's convolutions and dilate those after them, so that all of its units are computed
    as before, and those between them too (section 3.2, filter rarefaction). Returns the dilation for the next stage.

    ``dilation`` is that of the stages before. Raises `NetworkError` where a pooling has a stride.
    """
    factor = dilation
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            sides = windows(layer) or ()
            layer.padding = tuple(side.padding * factor for side in sides)
            layer.dilation = (factor, factor)
            if max(layer.stride) > 1:
                factor = dilation * layer.stride[0]
                layer.stride = (1, 1)
        elif any(side.stride > 1 for side in windows(layer) or ()):
            raise NetworkError(
                "Only convolutions can be dilated, and a pooling of this classifier has a stride; choose a ResNet."
            )
    return factor
