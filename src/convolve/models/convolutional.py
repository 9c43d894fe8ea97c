"""A classifier's stages made to take images of any size, and its weights with them.

Long, Shelhamer, Darrell 2015, "Fully convolutional networks for semantic segmentation", section 3.1 and figure 2;
`convolve.models.fcn` reads what is made here.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor, nn

from convolve.errors import NetworkError
from convolve.layers.border import Band, BorderOnce, treats_rows_alike
from convolve.layers.convolutional import as_convolution, dilate, keep_size, round_up
from convolve.layers.geometry import ReceptiveField, windows
from convolve.models.network import Network, Stage


def convolutional_stages(network: Network) -> dict[str, Stage]:
    """The classifier's stages, and what of its head works on maps as one more: the layers before a global pooling or
    before the layer of scores. Raises `NetworkError` for a network that is no classifier with convolutions.
    """
    if network.head_inputs or not any(True for _ in network.stages.parameters()):
        raise NetworkError(f"{network.card.name} is no classifier with convolutions; choose one, as in fcn8s_resnet18.")
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
    """A classifier's tensors under the names and shapes that they have in the network made of it; the rest stays."""
    names = list(network.stages)
    own = {name.removeprefix(f"stages.{names[-1]}."): name for name in network.state_dict() if f".{names[-1]}." in name}
    found = dict(state)
    for name in state:
        place = own.get(name.removeprefix("head."))
        if name.startswith("head.") and place:
            value, wanted = found.pop(name), network.state_dict()[place]
            found[place] = value.reshape(wanted.shape) if value.numel() == wanted.numel() else value
    return found


def dilated(stages: Mapping[str, Stage], stride: int) -> dict[str, Stage]:
    """The stages with no stride above the given one. Raises `NetworkError` where a pooling strides there."""
    found, dilation = dict(stages), 1
    for name, stage in stages.items():
        if stage.stride > stride:
            dilation = dilate(stage.layers.modules(), dilation)
            found[name] = replace(stage, stride=stage.stride // dilation)
    return found


def bordered(stages: Mapping[str, Stage], border: int) -> dict[str, float]:
    """Pad the first convolution. Where, in pixels, the first unit of each map stands then; for chains of layers."""
    field, found = ReceptiveField(1, 1, 0), {}
    for name, stage in stages.items():
        for layer in stage.layers.modules():
            if isinstance(layer, nn.Conv2d) and field.size == 1:
                layer.padding = (border, border)
            round_up(layer)
            window = windows(layer)
            field = field.through(window[0]) if window else field
        found[name] = field.offset + (field.size - 1) / 2
    return found


def border_once(stages: Mapping[str, Stage], border: int) -> dict[str, Stage]:
    """The stages that `bordered` has padded, those in front as `BorderOnce`: up to the first one for which it would not
    pay, or with a layer that is not known to leave equal rows equal.
    """
    found, before = dict(stages), Band(-border, 0)
    for name, stage in stages.items():
        behind = before.through(stage.layers)
        if not treats_rows_alike(stage.layers) or behind.start < 0 or behind.stop < behind.start + 2:
            break
        found[name] = replace(stage, layers=BorderOnce(stage.layers, before, behind))
        before = behind
    return found


def evenly(stages: Mapping[str, Stage]) -> dict[str, float]:
    """Pad every layer. Where the first units stand, taking each to cover a square of the image as wide as its stride;
    behind even kernels half of that before.
    """
    found, before = {}, 0.0
    for name, stage in stages.items():
        for layer in stage.layers.modules():
            keep_size(layer)
            if isinstance(layer, nn.Conv2d) and layer.kernel_size[0] % 2 == 0:
                before += stage.stride / 2
        found[name] = (stage.stride - 1) / 2 - before
    return found
