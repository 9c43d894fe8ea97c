"""Before convolution: dense layers on the pixels.

The lectures' linear score function W x and networks of two and three layers, W2 max(0, W1 x) and
W3 max(0, W2 max(0, W1 x)); LeCun, Bottou, Bengio, Haffner 1998, "Gradient-based learning applied to document
recognition", section III.C, the linear classifier and fully connected networks that LeNet-5 is compared with;
Goodfellow, Warde-Farley, Mirza, Courville, Bengio 2013, "Maxout networks", section 5.1, the network for
permutation-invariant MNIST; Saxe, McClelland, Ganguli 2013, "Exact solutions to the nonlinear dynamics of
learning in deep linear neural networks".

linear at 1x28x28: stage1 1x28x28
three_layer_net at 3x32x32: stage1 3x32x32
maxout at 1x28x28: stage1 1x28x28

The only map that such a network has is the image itself: stage 1 passes it on. `linear` is a layer of Rosenblatt's
perceptrons without their threshold, one unit for each class.

A name with widths is a network of any depth: `mlp_500_300_100` has three hidden layers of 500, 300 and 100 units.
Networks that are not in LeCun's table start from orthogonal weights, with which the learning time does not grow with
the depth (Saxe et al. 2013); with LeCun's own, within 2.4 / fan in, signals fade from layer to layer.

Deviations: the lectures do not give the widths of their hidden layers; they are 100 here. LeCun's networks were trained
by squared error on outputs of the squashing function; scores are not squashed here. Widths, pieces and the spread of
the initial weights of the maxout network are those of the authors' configuration. Its dropout scales the remaining
pixels up in training, theirs does not; the norms of its weights' columns are not constrained.
"""

from __future__ import annotations

import math
import re
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from itertools import pairwise

from torch import nn

from convolve.layers.initializers import he_normal, lecun_fan_in, orthogonal, uniform
from convolve.layers.lecun import ScaledTanh
from convolve.layers.maxout import Maxout
from convolve.models.network import Card, Network, Stage, Variant

Activation = Callable[[], nn.Module]
Initializer = Callable[[nn.Module], None]
Source = tuple[str, str, int, str, str]  # title, authors, year, venue, address
PIECES = 5


def _perceptron(
    kind: tuple[Activation, Initializer],
    widths: tuple[int, ...],
    card: Card,
    classes: int,
    channels: int,
    size: tuple[int, int],
) -> Network:
    activation, initializer = kind
    inputs = channels * size[0] * size[1]
    layers = OrderedDict[str, nn.Module](flatten=nn.Flatten())
    for number, width in enumerate(widths, 1):
        layers |= {f"dense{number}": nn.Linear(inputs, width), f"activation{number}": activation()}
        inputs = width
    layers["scores"] = nn.Linear(inputs, classes)
    return Network(card, _pixels(channels), nn.Sequential(layers)).apply(initializer)


def _maxout(widths: tuple[int, ...], card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    inputs = channels * size[0] * size[1]
    layers = OrderedDict[str, nn.Module](flatten=nn.Flatten(), dropout0=nn.Dropout(0.2))
    for number, width in enumerate(widths, 1):
        layers[f"dense{number}"] = uniform(nn.Linear(inputs, PIECES * width), 0.005)
        layers |= {f"maxout{number}": Maxout(PIECES), f"dropout{number}": nn.Dropout(0.5)}
        inputs = width
    layers["scores"] = uniform(nn.Linear(inputs, classes), 0.005)
    return Network(card, _pixels(channels), nn.Sequential(layers))


def _pixels(channels: int) -> dict[str, Stage]:
    return {"stage1": Stage(nn.Identity(), channels, 1)}


def _card(name: str, source: Source, input: tuple[int, int, int], counts: tuple[int, int]) -> Card:  # noqa: A002
    title, authors, year, venue, address = source
    return Card(
        name=name,
        title=title,
        authors=authors,
        year=year,
        venue=venue,
        address=address,
        input=input,
        classes=10,
        minimum=1,
        parameters=counts[0],
        macs=counts[1],
        dense=True,
    )


LECUN = (
    "Gradient-based learning applied to document recognition",
    "LeCun, Bottou, Bengio, Haffner",
    1998,
    "Proceedings of the IEEE 86 (11)",
    "https://doi.org/10.1109/5.726791",
)
LECTURES = (
    "Neural networks of two and three layers",
    "the lectures, after CS231n",
    2017,
    "lectures",
    "https://cs231n.github.io",
)
GOODFELLOW = (
    "Maxout networks",
    "Goodfellow, Warde-Farley, Mirza, Courville, Bengio",
    2013,
    "ICML 2013",
    "https://arxiv.org/abs/1302.4389",
)
DEEPER = (
    "Exact solutions to the nonlinear dynamics of learning in deep linear neural networks",
    "after LeCun et al. 1998 and Saxe, McClelland, Ganguli",
    2013,
    "ICLR 2014",
    "https://arxiv.org/abs/1312.6120",
)
GRAY, COLOR = (1, 28, 28), (3, 32, 32)
TANH, RELU = (ScaledTanh, lecun_fan_in), (nn.ReLU, he_normal)
ANY_DEPTH = (ScaledTanh, orthogonal)
NAME = re.compile(r"mlp(?:_[1-9]\d{0,3})+")
VARIANTS = (
    Variant(_card("linear", LECUN, GRAY, (7_850, 7_840)), partial(_perceptron, TANH, ())),
    Variant(_card("mlp_300", LECUN, GRAY, (238_510, 238_200)), partial(_perceptron, TANH, (300,))),
    Variant(_card("mlp_300_100", LECUN, GRAY, (266_610, 266_200)), partial(_perceptron, TANH, (300, 100))),
    Variant(_card("two_layer_net", LECTURES, COLOR, (308_310, 308_200)), partial(_perceptron, RELU, (100,))),
    Variant(_card("three_layer_net", LECTURES, COLOR, (318_410, 318_200)), partial(_perceptron, RELU, (100, 100))),
    Variant(_card("maxout", GOODFELLOW, GRAY, (1_233_610, 1_231_200)), partial(_maxout, (240, 240))),
)


def family(name: str) -> Variant | None:
    """The network named `mlp_` and its hidden layers' widths, at most 9,999 units each; None for other names."""
    if not NAME.fullmatch(name):
        return None
    widths = tuple(map(int, name.split("_")[1:]))
    macs = sum(inputs * outputs for inputs, outputs in pairwise((math.prod(GRAY), *widths, 10)))
    card = _card(name, DEEPER, GRAY, (macs + sum(widths) + 10, macs))
    return Variant(card, partial(_perceptron, ANY_DEPTH, widths))
