"""Which maps of a network stand for an image's content and which for its style.

Gatys, Ecker, Bethge 2016, "Image style transfer using convolutional neural networks" (section 3): in VGG the content is
that of conv4_2, the style that of conv1_1, conv2_1, conv3_1, conv4_1 and conv5_1, after their ReLU. That is the first
activation of each stage for the style, and the second one of the last stage but one for the content, which is what
`default_layers` takes of any network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from convolve.errors import NetworkError, OptionError
from convolve.models import Network
from convolve.models.design_sites import ACTIVATIONS


@dataclass(frozen=True)
class StyleLayers:
    """The names of layers, such as `stage4.relu4_2`: below `Network.stages`."""

    content: tuple[str, ...]
    style: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """All of them, each once."""
        return tuple(dict.fromkeys((*self.content, *self.style)))


def default_layers(network: Network) -> StyleLayers:
    """The layers of section 3, in any network. A layer with an activation inside, such as a residual block, counts as
    one. Raises `NetworkError` where a network has no stage with an activation.
    """
    found = [layers for name, stage in network.stages.items() if (layers := _activated(name, stage))]
    if not found:
        raise NetworkError(
            f"{network.label} has no stage with an activation; name its --content-layers, --style-layers."
        )
    last_but_one = found[-2] if len(found) > 1 else found[-1]
    return StyleLayers(tuple(last_but_one[1:2] or last_but_one[:1]), tuple(layers[0] for layers in found))


def choose_layers(network: Network, content: Sequence[str], style: Sequence[str]) -> StyleLayers:
    """Those layers, or the default ones in place of none. Raises `OptionError` for a layer that there is not."""
    known = {name for name, _ in network.stages.named_modules() if name}
    for name in (*content, *style):
        if name not in known:
            stage = name.partition(".")[0]
            inner = network.stages[stage].named_children() if stage in network.stages else ()
            some = [f"{stage}.{each}" for each, _ in inner] or list(network.stages)
            raise OptionError(f"{network.label} has no layer '{name}' in a stage; it has {', '.join(some)}.")
    if content and style:
        return StyleLayers(tuple(content), tuple(style))
    usual = default_layers(network)
    return StyleLayers(tuple(content) or usual.content, tuple(style) or usual.style)


def _activated(stage: str, layers: nn.Module) -> list[str]:
    """The layers of a stage that are an activation or have one inside, in their order."""
    names = [
        f"{stage}.{name}"
        for name, layer in layers.named_children()
        if any(isinstance(each, ACTIVATIONS) for each in layer.modules())
    ]
    return names or [stage for each in layers.modules() if isinstance(each, ACTIVATIONS)][:1]
