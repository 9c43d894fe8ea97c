"""FSRCNN: super resolution in the space of the small image.

Dong, Loy, Tang 2016, "Accelerating the super-resolution convolutional neural network", section 3.2 and figure 2;
FSRCNN(56, 12, 4), whose 12,464 weights the paper counts without those of PReLU and biases.

fsrcnn_x3 at 1x11x11: stage1 56x11x11, stage2 12x11x11, stage3 56x11x11

The network takes the small image itself, of luminance alone: features (5x5, 56), shrinking (1x1, 12), mapping (4 times
3x3, 12), expanding (1x1, 56), and a transposed convolution of 9x9 whose stride enlarges. `fsrcnn_x2`, `fsrcnn_x3` and
`fsrcnn_x4` differ in that stride alone. Every convolution but the last has a PReLU for each channel.

Training: stochastic gradient descent, learning rates of 1e-3 and, in the transposed convolution, 1e-4, mean squared
error.

Deviations: weights of the transposed convolution start with a standard deviation of 0.02, not 0.001.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import partial

from torch import nn

from convolve.layers.initializers import he_normal
from convolve.models.network import Card, Network, Stage, Variant

FEATURES, SHRUNK, MAPPINGS = 56, 12, 4
"""d, s and m of the paper."""
LAST = 9
"""Kernel of the transposed convolution."""
_NEGATIVE_SLOPE, _DEVIATION = 0.25, 0.02


def _stage(layers: tuple[tuple[str, int, int, int], ...]) -> Stage:
    """Convolutions of (name, channels that enter, channels that leave, kernel), each with its PReLU."""
    found = OrderedDict[str, nn.Module]()
    for name, channels, width, kernel in layers:
        found[name] = nn.Conv2d(channels, width, kernel, padding=kernel // 2)
        found[f"{name}_prelu"] = nn.PReLU(width, _NEGATIVE_SLOPE)
    return Stage(nn.Sequential(found), layers[-1][2], 1)


def _build(factor: int, card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    del size  # any
    stages = {
        "stage1": _stage((("features", channels, FEATURES, 5),)),
        "stage2": _stage(
            (
                ("shrinking", FEATURES, SHRUNK, 1),
                *((f"mapping{number}", SHRUNK, SHRUNK, 3) for number in range(1, MAPPINGS + 1)),
            )
        ),
        "stage3": _stage((("expanding", SHRUNK, FEATURES, 1),)),
    }
    enlarging = nn.ConvTranspose2d(FEATURES, classes, LAST, factor, padding=LAST // 2, output_padding=factor - 1)
    network = Network(card, stages, enlarging).apply(partial(he_normal, negative_slope=_NEGATIVE_SLOPE))
    nn.init.normal_(enlarging.weight, std=_DEVIATION)
    nn.init.zeros_(enlarging.bias)  # type: ignore[arg-type]
    return network


def _variant(factor: int, parameters: int, macs: int) -> Variant:
    card = Card(
        name=f"fsrcnn_x{factor}",
        title="Accelerating the super-resolution convolutional neural network",
        authors="Dong, Loy, Tang",
        year=2016,
        venue="ECCV 2016",
        address="https://arxiv.org/abs/1608.00367",
        input=(1, 11, 11),
        classes=1,
        minimum=1,
        output="restored",
        own_channels=True,
        any_size=True,
        upscale=factor,
        parameters=parameters,
        macs=macs,
    )
    return Variant(card, partial(_build, factor))


VARIANTS = (_variant(2, 12_809, 1_508_144), _variant(3, 12_809, 1_508_144), _variant(4, 12_809, 1_508_144))
