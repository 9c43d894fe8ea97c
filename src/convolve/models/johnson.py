"""Johnson's image transformation network: a style in one pass.

Johnson, Alahi, Fei-Fei 2016, "Perceptual losses for real-time style transfer and super-resolution", section 3.1, and
table 1 and figure 1 of its supplementary material.

johnson at 3x256x256: stage1 32x336x336, stage2 64x168x168, stage3 128x64x64

The image is reflected at its edges by 40 pixels on every side, and the residual blocks, whose convolutions are not
padded, use them up again. A residual block is two convolutions with a ReLU between them; what enters is added without
its two outermost rows and columns, and nothing follows the sum. The head enlarges by convolutions of stride 1/2. The
result has pixels from 0 to 1, by a scaled tanh. `johnson` has batch normalization, as published; `johnson_instance` has
instance normalization (Ulyanov, Vedaldi, Lempitsky 2016, "Instance normalization: the missing ingredient for fast
stylization", equation 6), with a scale and a shift of each channel.

Training: Adam with a learning rate of 1e-3, two epochs of batches of 4 photographs at 256x256.

Deviations: weights start as He's, which the paper leaves open. Sides need not be multiples of 4: what the head makes
beyond the image's last row and column is cut off.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import final

from torch import Tensor, nn

from convolve.layers.description import Series, Skip
from convolve.layers.initializers import he_normal
from convolve.models.network import Card, Network, Stage, Variant

BORDER = 40
FIRST = (9, 32)
"""Kernel and width of the first convolution."""
SHRINKING = (64, 128)
"""Widths of the convolutions of stride 2."""
BLOCKS = 5
ENLARGING = (64, 32)
"""Widths of the convolutions of stride 1/2."""
LAST = 9
"""Kernel of the last convolution."""

_Normalization = Callable[[int], nn.Module]


@final
class CroppedResidual(nn.Module):
    """y = branch(x) + x, of which as many outer rows and columns are left out as the branch loses."""

    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, H - 4, W - 4)."""
        merged: Tensor = self.branch(maps)
        lost = (maps.shape[2] - merged.shape[2]) // 2
        return merged + maps[:, :, lost:-lost, lost:-lost]

    def describe(self) -> Skip:
        """A branch with a skip."""
        return Skip("branch")


@final
class Enlarging(nn.Module):
    """From the last stage's map to an image of the size that entered."""

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, maps: list[Tensor], size: tuple[int, int]) -> Tensor:
        """[(N, 128, h, w)] and (H, W) to (N, classes, H, W) with pixels from 0 to 1."""
        image: Tensor = self.layers(maps[0])
        return (1 + image[:, :, : size[0], : size[1]].tanh()) / 2

    def describe(self) -> Series:
        """Its layers, one after another."""
        return Series(("layers",))


def _instance_norm(width: int) -> nn.GroupNorm:
    """Each map is a group of its own."""
    return nn.GroupNorm(width, width)


def _normalized(number: int, layer: nn.Module, width: int, norm: _Normalization) -> dict[str, nn.Module]:
    name = f"{'up' if isinstance(layer, nn.ConvTranspose2d) else 'conv'}{number}"
    return {name: layer, f"norm{number}": norm(width), f"relu{number}": nn.ReLU(inplace=True)}


def _block(width: int, norm: _Normalization) -> CroppedResidual:
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        conv1=nn.Conv2d(width, width, 3),
        norm1=norm(width),
        relu1=nn.ReLU(inplace=True),
        conv2=nn.Conv2d(width, width, 3),
        norm2=norm(width),
    )
    return CroppedResidual(nn.Sequential(layers))


def _build(norm: _Normalization, card: Card, classes: int, channels: int) -> Network:
    kernel, width = FIRST
    layers: dict[str, nn.Module] = {"reflection": nn.ReflectionPad2d(BORDER)}
    layers |= _normalized(1, nn.Conv2d(channels, width, kernel, padding=kernel // 2), width, norm)
    stages = [layers]
    for number, wider in enumerate(SHRINKING, 2):
        stages.append(_normalized(number, nn.Conv2d(width, wider, 3, 2, padding=1), wider, norm))
        width = wider
    stages[-1] |= {f"block{number}": _block(width, norm) for number in range(1, BLOCKS + 1)}
    widths = (FIRST[1], *SHRINKING)
    named = {
        f"stage{number}": Stage(nn.Sequential(OrderedDict(each)), widths[number - 1], 2 ** (number - 1))
        for number, each in enumerate(stages, 1)
    }
    head: dict[str, nn.Module] = {}
    for number, narrower in enumerate(ENLARGING, 1):
        enlarging = nn.ConvTranspose2d(width, narrower, 3, 2, padding=1, output_padding=1)
        head |= _normalized(number, enlarging, narrower, norm)
        width = narrower
    head["conv"] = nn.Conv2d(width, classes, LAST, padding=LAST // 2)
    last = list(named)[-1]
    network = Network(card, named, Enlarging(nn.Sequential(OrderedDict(head))), head_inputs=(last,))
    return network.apply(he_normal)


def _build_batch(card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    del size  # any
    return _build(nn.BatchNorm2d, card, classes, channels)


def _build_instance(card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    del size  # any
    return _build(_instance_norm, card, classes, channels)


_CARD = Card(
    name="johnson",
    title="Perceptual losses for real-time style transfer and super-resolution",
    authors="Johnson, Alahi, Fei-Fei",
    year=2016,
    venue="ECCV 2016",
    address="https://arxiv.org/abs/1603.08155",
    input=(3, 256, 256),
    classes=3,
    minimum=BORDER + 1,
    output="stylized",
    own_channels=True,
    parameters=1_679_235,
    macs=10_938_507_264,
)
_INSTANCE = replace(
    _CARD,
    name="johnson_instance",
    title="Instance normalization: the missing ingredient for fast stylization",
    authors="Ulyanov, Vedaldi, Lempitsky",
    venue="arXiv",
    address="https://arxiv.org/abs/1607.08022",
    note="Johnson's network with instance normalization.",
)
VARIANTS = (Variant(_CARD, _build_batch), Variant(_INSTANCE, _build_instance))
