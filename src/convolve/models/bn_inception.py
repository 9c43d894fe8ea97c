"""BN-Inception.

Ioffe, Szegedy 2015, "Batch normalization: accelerating deep network training by reducing internal covariate shift",
figure 5.

bn_inception at 3x224x224: stage1 64x112x112, stage2 192x56x56, stage3 320x28x28, stage4 608x14x14, stage5 1024x7x7
bn_inception_slim at 3x65x96: stage1 64x33x48, stage2 192x16x24, stage3 320x8x12, stage4 576x4x6, stage5 1024x2x3

Stages 4 and 5 begin with the modules of stride 2, 3c and 4e. The first convolution is separable with depth multiplier
8, as the appendix says; in `bn_inception_caffe` it is dense, as in the Caffe files that are commonly used. Figure 5
contradicts itself at 4c and 4d: the widths of their branches add up to 608, its column of output sizes says 576. The
widths are followed here and in the Caffe files; `bn_inception_slim`, after the authors' later code in TF-slim, has
pool projections of 96 and so 576.

Deviations: section 4.2 speaks of 13.6 million parameters, and of no dense layers but the last; figure 5 adds up to
11.28 million, and is followed. TensorFlow's white paper (Abadi et al. 2015, section 6) repeats the number, of learnable
parameters, together with 2 billion multiply-adds, which agree; what is counted is not stated anywhere that was found.
It is neither the interpretation of the first convolution (a difference of 6,696) nor running statistics (20,032). A
guess: an auxiliary head as in the authors' later Inception-v3, convolutions of 1x1x128 and 4x4x768 and the scores on
the averages of a map of 576, has 2,417,384, which with `bn_inception_slim` makes 13.61 million. Average pooling counts
its padding and max poolings between stages round up, as in Caffe. Where a map's side is odd, the pooling of 3c and 4e
extends to where the parallel convolutions end.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from functools import partial

from torch import nn

from convolve.layers.inception import Step, chain, concatenate, conv_norm, pooling
from convolve.layers.initializers import he_normal
from convolve.models.network import Card, Network, Stage, Variant

AVERAGE = pooling(partial(nn.AvgPool2d, 3, 1, padding=1))
MAX = pooling(partial(nn.MaxPool2d, 3, 1, padding=1))


def inception(one: int, three: tuple[int, int], double: tuple[int, int], pool: Step, project: int) -> Step:
    """A row of figure 5: (N, C, H, W) to (N, 1x1 + 3x3 + double 3x3 + pool proj, H, W); pairs: reduced, wide."""
    return concatenate(
        conv_norm(one),
        chain(conv_norm(three[0]), conv_norm(three[1], 3)),
        chain(conv_norm(double[0]), conv_norm(double[1], 3), conv_norm(double[1], 3)),
        chain(pool, conv_norm(project)),
    )


def reduction(three: tuple[int, int], double: tuple[int, int]) -> Step:
    """A row "stride 2" with "max + pass through": (N, C, H, W) to (N, 3x3 + double 3x3 + C, H / 2, W / 2)."""
    return concatenate(
        chain(conv_norm(three[0]), conv_norm(three[1], 3, 2)),
        chain(conv_norm(double[0]), conv_norm(double[1], 3), conv_norm(double[1], 3, 2)),
        chain(pooling(partial(nn.ZeroPad2d, (0, 2, 0, 2))), pooling(partial(nn.MaxPool2d, 3, 2))),  # maps are >= 0
    )


FIGURE_5: dict[str, dict[str, Step]] = {
    "stage3": {
        "inception3a": inception(64, (64, 64), (64, 96), AVERAGE, 32),
        "inception3b": inception(64, (64, 96), (64, 96), AVERAGE, 64),
    },
    "stage4": {
        "inception3c": reduction((128, 160), (64, 96)),
        "inception4a": inception(224, (64, 96), (96, 128), AVERAGE, 128),
        "inception4b": inception(192, (96, 128), (96, 128), AVERAGE, 128),
        "inception4c": inception(160, (128, 160), (128, 160), AVERAGE, 128),
        "inception4d": inception(96, (128, 192), (160, 192), AVERAGE, 128),
    },
    "stage5": {
        "inception4e": reduction((128, 192), (192, 256)),
        "inception5a": inception(352, (192, 320), (160, 224), AVERAGE, 128),
        "inception5b": inception(352, (192, 320), (192, 224), MAX, 128),
    },
}
SLIM = FIGURE_5 | {
    "stage4": FIGURE_5["stage4"]
    | {
        "inception4c": inception(160, (128, 160), (128, 160), AVERAGE, 96),
        "inception4d": inception(96, (128, 192), (160, 192), AVERAGE, 96),
    }
}


def separable(channels: int) -> tuple[nn.Module, int]:
    """The first convolution with depth multiplier 8: (N, channels, H, W) to (N, 64, H / 2, W / 2)."""
    layers = OrderedDict(
        depthwise=nn.Conv2d(channels, 8 * channels, 7, 2, padding=3, groups=channels, bias=False),
        pointwise=nn.Conv2d(8 * channels, 64, 1, bias=False),
        norm=nn.BatchNorm2d(64),
        relu=nn.ReLU(inplace=True),
    )
    return nn.Sequential(layers), 64


dense = conv_norm(64, 7, 2)


def stages(first: Step, rows: Mapping[str, Mapping[str, Step]], channels: int) -> dict[str, Stage]:
    """The stages of figure 5 for images of so many channels."""
    conv1, channels = first(channels)
    found = {"stage1": Stage(nn.Sequential(OrderedDict(conv1=conv1)), channels, 2)}
    layers = OrderedDict[str, nn.Module](pool1=nn.MaxPool2d(3, 2, ceil_mode=True))
    layers["conv2_reduce"], channels = conv_norm(64)(channels)
    layers["conv2"], channels = conv_norm(192, 3)(channels)
    found["stage2"] = Stage(nn.Sequential(layers), channels, 4)
    layers = OrderedDict(pool2=nn.MaxPool2d(3, 2, ceil_mode=True))
    for number, (stage, modules) in enumerate(rows.items(), 3):
        for name, module in modules.items():
            layers[name], channels = module(channels)
        found[stage] = Stage(nn.Sequential(layers), channels, 2**number)
        layers = OrderedDict()
    return found


def _build(
    first: Step,
    rows: Mapping[str, Mapping[str, Step]],
    card: Card,
    classes: int,
    channels: int,
    size: tuple[int, int],
) -> Network:
    del size
    head = OrderedDict(pool5=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), fc=nn.Linear(1024, classes))
    return Network(card, stages(first, rows, channels), nn.Sequential(head)).apply(he_normal)


def _variant(
    name: str,
    first: Step,
    rows: Mapping[str, Mapping[str, Step]],
    counts: tuple[int, int],
    errors: tuple[float, float] | None = None,
) -> Variant:
    card = Card(
        name=name,
        title="Batch normalization: accelerating deep network training by reducing internal covariate shift",
        authors="Ioffe, Szegedy",
        year=2015,
        venue="ICML 2015",
        address="https://arxiv.org/abs/1502.03167",
        input=(3, 224, 224),
        classes=1000,
        minimum=7,
        parameters=counts[0],
        macs=counts[1],
        top1_error=errors[0] if errors else None,
        top5_error=errors[1] if errors else None,
        evaluation="one network, one crop (figure 4)" if errors else "",
    )
    return Variant(card, partial(_build, first, rows))


VARIANTS = (
    _variant("bn_inception", separable, FIGURE_5, (11_278_528, 1_948_605_440), (25.2, 7.82)),
    _variant("bn_inception_caffe", dense, FIGURE_5, (11_285_224, 2_032_600_064)),
    _variant("bn_inception_slim", separable, SLIM, (11_188_288, 1_934_857_216)),
)
