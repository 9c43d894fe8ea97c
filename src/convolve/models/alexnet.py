"""AlexNet.

Krizhevsky, Sutskever, Hinton 2012, "ImageNet classification with deep convolutional neural networks", figure 2 and
sections 3 and 5; Jia et al. 2014, "Caffe", its `CaffeNet`; and the one-tower table of the lectures.

alexnet at 3x227x227: stage1 96x27x27, stage2 256x13x13, stage3 384x13x13, stage4 384x13x13, stage5 256x6x6
alexnet_one_tower at 3x224x224: stage1 96x55x55, stage2 256x27x27, stage3 384x13x13, stage4 384x13x13, stage5 256x6x6
caffenet at 3x227x227: stage1 96x27x27, stage2 256x13x13, stage3 384x13x13, stage4 384x13x13, stage5 256x6x6

A stage is a convolution with what follows it. Two towers are convolutions in two groups: kernels of the second, fourth
and fifth layer are connected to the maps of their own tower only. The lectures' table has one tower, a dense
5x5x96x256, and its poolings after the second, third and fifth layer. CaffeNet pools before it normalizes, with Caffe's
constants. Training: PCA color augmentation (section 4.1: `--pca 0.1`), random crops and flips.

Deviations: the paper's figure has inputs of 224x224, from which its 55x55 maps do not come; they come from 227x227.
Poolings round up, as in the authors' cuda-convnet and in Caffe. Neighbors in the normalization are counted over both
towers (the paper's N are all maps of the layer). The eigenvalues by which colors are shifted are those of values
between 0 and 1, for a tenth of an eigenvalue of values up to 255 would be more than white.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial

from torch import nn

from convolve.layers.initializers import gaussian
from convolve.layers.lrn import LocalResponseNorm, caffe_lrn
from convolve.models.network import Card, Network, Stage, Variant

Convolution = tuple[int, int, int, int, int, float]
Follower = Callable[[int], nn.Module]
Table = tuple[tuple[Convolution, tuple[Follower, ...]], ...]


def pool(width: int) -> nn.Module:
    """Overlapping pooling (section 3.4).

    Shape: (N, width, H, W) -> (N, width, H / 2, W / 2)
    """
    del width
    return nn.MaxPool2d(3, 2, ceil_mode=True)


def norm(width: int) -> nn.Module:
    """Local response normalization with the paper's constants (section 3.3).

    Shape: (N, width, H, W) -> (N, width, H, W)
    """
    return LocalResponseNorm(width)


def caffe_norm(width: int) -> nn.Module:
    """Local response normalization with CaffeNet's constants; its alpha is divided by the window.

    Shape: (N, width, H, W) -> (N, width, H, W)
    """
    return caffe_lrn(width, 5, 1e-4, 0.75)


FIGURE_2: Table = (  # width, kernel, stride, padding, groups, bias; then what follows the rectifier
    ((96, 11, 4, 0, 1, 0.0), (norm, pool)),
    ((256, 5, 1, 2, 2, 1.0), (norm, pool)),
    ((384, 3, 1, 1, 1, 0.0), ()),
    ((384, 3, 1, 1, 2, 1.0), ()),
    ((256, 3, 1, 1, 2, 1.0), (pool,)),
)
CAFFENET: Table = (
    ((96, 11, 4, 0, 1, 0.0), (pool, caffe_norm)),
    ((256, 5, 1, 2, 2, 1.0), (pool, caffe_norm)),
    *FIGURE_2[2:],
)
ONE_TOWER: Table = (
    ((96, 11, 4, 2, 1, 0.0), (norm,)),
    ((256, 5, 1, 2, 1, 1.0), (norm, pool)),
    ((384, 3, 1, 1, 1, 0.0), (pool,)),
    ((384, 3, 1, 1, 1, 1.0), ()),
    ((256, 3, 1, 1, 1, 1.0), (pool,)),
)


def stages_of(table: Table, channels: int) -> dict[str, Stage]:
    """A stage for each row of a table."""
    stages: dict[str, Stage] = {}
    step = 1
    for number, ((width, kernel, stride, padding, groups, bias), followers) in enumerate(table, 1):
        conv = gaussian(nn.Conv2d(channels, width, kernel, stride, padding, groups=groups), 0.01, bias)
        layers = OrderedDict[str, nn.Module]({f"conv{number}": conv, f"relu{number}": nn.ReLU(inplace=True)})
        layers |= {f"{follower.__name__}{number}": follower(width) for follower in followers}
        channels, step = width, step * stride * 2 ** followers.count(pool)
        stages[f"stage{number}"] = Stage(nn.Sequential(layers), width, step)
    return stages


def build(
    table: Table, hidden: tuple[float, float], card: Card, classes: int, channels: int, size: tuple[int, int]
) -> Network:
    """A stage for each row of a table, then three dense layers; ``hidden`` is (deviation, bias) of the first two.

    The last map has a side of one unit at ``card.minimum`` pixels, and of one more for every 32 more pixels.
    """
    stages = stages_of(table, channels)
    rows, columns = ((side - card.minimum) // 32 + 1 for side in size)
    return Network(card, stages, _head(table[-1][0][0] * rows * columns, classes, *hidden))


def _head(inputs: int, classes: int, deviation: float, bias: float) -> nn.Module:
    return nn.Sequential(
        OrderedDict(
            flatten=nn.Flatten(),
            fc6=gaussian(nn.Linear(inputs, 4096), deviation, bias),
            relu6=nn.ReLU(inplace=True),
            dropout6=nn.Dropout(0.5),
            fc7=gaussian(nn.Linear(4096, 4096), deviation, bias),
            relu7=nn.ReLU(inplace=True),
            dropout7=nn.Dropout(0.5),
            fc8=gaussian(nn.Linear(4096, classes), 0.01),
        )
    )


_ALEXNET = Card(
    name="alexnet",
    title="ImageNet classification with deep convolutional neural networks",
    authors="Krizhevsky, Sutskever, Hinton",
    year=2012,
    venue="NIPS 2012",
    address="https://papers.nips.cc/paper/4824-imagenet-classification-with-deep-convolutional-neural-networks",
    input=(3, 227, 227),
    classes=1000,
    minimum=39,
    parameters=60_965_224,
    macs=724_406_816,
    top1_error=40.7,
    top5_error=18.2,
    evaluation="mean of ten crops (section 4.1; Table 2, 1 CNN)",
)
_ONE_TOWER = Card(
    name="alexnet_one_tower",
    title="AlexNet in one tower, as the lectures' table has it",
    authors="after Krizhevsky, Sutskever, Hinton",
    year=2012,
    venue="lectures",
    address=_ALEXNET.address,
    input=(3, 224, 224),
    classes=1000,
    minimum=35,
    parameters=62_378_344,
    macs=3_041_370_656,
    note=(
        "The slide's table has no pooling after conv1 but one after conv3: conv2 reads 55x55 maps where the paper's "
        "reads 27x27, hence 3.04 G multiply-adds; the paper's two towers (`alexnet`) need 0.72 G."
    ),
)
_CAFFENET = Card(
    name="caffenet",
    title="Caffe: Convolutional architecture for fast feature embedding",
    authors="Jia, Shelhamer, Donahue, Karayev, Long, Girshick, Guadarrama, Darrell",
    year=2014,
    venue="ACM Multimedia 2014",
    address="https://arxiv.org/abs/1408.5093",
    input=(3, 227, 227),
    classes=1000,
    minimum=39,
    parameters=60_965_224,
    macs=724_406_816,
    top1_error=42.6,
    top5_error=19.6,
    evaluation="central crop (notes of Caffe's release)",
)
VARIANTS = (
    Variant(_ALEXNET, partial(build, FIGURE_2, (0.01, 1.0))),
    Variant(_ONE_TOWER, partial(build, ONE_TOWER, (0.01, 1.0))),
    Variant(_CAFFENET, partial(build, CAFFENET, (0.005, 1.0))),
)
