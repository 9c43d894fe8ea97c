"""The layers of a Darknet `.cfg`: each section becomes a module, with the shape of its output and where its input is
from.

Options that only the training of the original program reads, such as how it changes images, are known and without
effect here. An option, a layer or a value that is not known is refused, since it could change what the layer computes.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, NamedTuple, final

from torch import nn

from convolve.errors import NetworkError, shorten
from convolve.layers.darknet import LocallyConnected2d, Reorg, darknet_pool
from convolve.layers.darknet_graph import Connected, Route, Shortcut, Upsample, darknet_norm
from convolve.layers.initializers import gaussian
from convolve.untrusted.darknet import Section

HEADS: Final = ("yolo", "region", "detection")
WEIGHTED: Final = ("convolutional", "connected", "local")
_NAMES: Final = {
    "conv": "convolutional",
    "conn": "connected",
    "max": "maxpool",
    "avg": "avgpool",
    "soft": "softmax",
}
_MOST_FILTERS, _MOST_VALUES = 2**16, 2**30
_ACTIVATIONS: Final[Mapping[str, Callable[[], nn.Module]]] = {
    "linear": nn.Identity,
    "leaky": lambda: nn.LeakyReLU(0.1, inplace=True),
    "relu": lambda: nn.ReLU(inplace=True),
    "relu6": lambda: nn.ReLU6(inplace=True),
    "elu": nn.ELU,
    "selu": nn.SELU,
    "logistic": nn.Sigmoid,
    "tanh": nn.Tanh,
    "hardtan": nn.Hardtanh,
    "mish": nn.Mish,
    "swish": nn.SiLU,
}


class Shape(NamedTuple):
    """Of one image's map."""

    channels: int
    height: int
    width: int

    @property
    def values(self) -> int:
        """How many numbers the map has."""
        return self.channels * self.height * self.width


@final
class Options:
    """A section's options, read with their types and bounds. Whatever is wrong with them is a `NetworkError`."""

    def __init__(self, file: str, section: Section, *, known: str) -> None:
        self.kind = _NAMES.get(section.name, section.name)
        self._start, self._options = f"{file}, line {section.line}: [{shorten(section.name)}]", section.options
        unknown = [name for name in section.options if name not in known.split()]
        if unknown:
            raise self.error(f"has the option '{shorten(unknown[0])}', which is not known here")

    def error(self, what: str, remedy: str = "change the file or choose another network") -> NetworkError:
        """The sentence about this section."""
        return NetworkError(f"{self._start} {what}; {remedy}.")

    def text(self, name: str, default: str) -> str:
        """A word."""
        return self._options.get(name, default)

    def whole(self, name: str, default: int, least: int = 0, most: int = 2**12) -> int:
        """A whole number within bounds."""
        return self._within(name, self.text(name, str(default)), least, most)

    def wholes(self, name: str, default: str = "", least: int = 0, most: int = 2**12) -> list[int]:
        """Whole numbers, separated by commas."""
        return [self._within(name, part, least, most) for part in self.text(name, default).split(",") if part]

    def number(self, name: str, default: float, least: float = 0.0, most: float = 1e6) -> float:
        """A number within bounds."""
        return self._number(name, self.text(name, str(default)), least, most)

    def numbers(self, name: str, default: str = "", least: float = 0.0, most: float = 1e6) -> list[float]:
        """Numbers, separated by commas."""
        return [self._number(name, part, least, most) for part in self.text(name, default).split(",") if part]

    def flag(self, name: str, *, default: bool) -> bool:
        """1 or 0."""
        return bool(self.whole(name, int(default), 0, 1))

    def fixed(self, name: str, value: int) -> None:
        """Refuse every value but one, which is also the default."""
        if self.whole(name, value, -(2**31), 2**31) != value:
            raise self.error(f"has {name}={shorten(self.text(name, ''))}, and can only have {name}={value} here")

    def _within(self, name: str, text: str, least: int, most: int) -> int:
        digits = text.removeprefix("-")
        if not (digits.isascii() and digits.isdecimal() and len(digits) < 12 and least <= int(text) <= most):
            raise self.error(f"has {name}={shorten(text)}, which must be a whole number from {least} to {most}")
        return int(text)

    def _number(self, name: str, text: str, least: float, most: float) -> float:
        try:
            number = float(text) if len(text) < 40 else math.nan
        except ValueError:
            number = math.nan
        if not least <= number <= most:
            raise self.error(f"has {name}={shorten(text)}, which must be a number from {least:g} to {most:g}")
        return number


class Layer(NamedTuple):
    """A layer: its options, its module, the indices of the layers whose outputs it takes (-1 is the image), the shape
    of its output, and by which factor a step of its map is longer than one of its first input; None where the output is
    not a map any more.
    """

    options: Options
    module: nn.Module
    sources: tuple[int, ...]
    shape: Shape
    stride: Fraction | None


@dataclass(frozen=True)
class Built:
    """What a section becomes."""

    module: nn.Module
    shape: Shape
    stride: Fraction | None = Fraction(1)


Maker = Callable[[Options, list[Shape], int | None], Built]
"""Takes a section's options, the shapes of its inputs, and how many channels it is to give, if not as written."""


def read_layer(file: str, section: Section, before: list[Layer], image: Shape, outputs: int | None = None) -> Layer:
    """The layer of a section after those ``before`` it. Raises `NetworkError`."""
    kind = _NAMES.get(section.name, section.name)
    if kind not in _MAKERS:
        raise NetworkError(
            f"{file}, line {section.line}: there is no layer [{shorten(section.name)}] here; choose another network."
        )
    make, known = _MAKERS[kind]
    options = Options(file, section, known=known)
    sources = _sources(options, before)
    shapes = [before[source].shape if source >= 0 else image for source in sources]
    built = make(options, shapes, outputs)
    if min(built.shape) < 1 or built.shape.values > _MOST_VALUES:
        raise options.error(
            f"would give a map of {'x'.join(map(str, built.shape))}", "choose a larger input, or another network"
        )
    return Layer(options, built.module, sources, built.shape, built.stride)


def _sources(options: Options, before: list[Layer]) -> tuple[int, ...]:
    """Where a layer's input is from: an index that is negative counts back from the layer."""
    index = len(before)
    if options.kind == "route":
        given = options.wholes("layers", "", -index, index - 1)
        if not given:
            raise options.error("names no layers")
        sources = [_memory(index + each if each < 0 else each, index, before) for each in given]
    elif options.kind == "shortcut":
        given = options.wholes("from", "", -index, index - 1)
        if len(given) != 1:
            raise options.error("must name one layer with from")
        sources = [index - 1, _memory(index + given[0] if given[0] < 0 else given[0], index, before)]
    else:
        sources = [index - 1]
    for source in sources:
        if source >= 0 and before[source].options.kind in HEADS and options.kind != "cost":
            raise options.error(f"takes the output of [{before[source].options.kind}]")
    return tuple(sources)


def _memory(source: int, index: int, before: list[Layer]) -> int:
    """A layer, or the [dropout] after it that writes into its memory."""
    while source + 1 < index and before[source + 1].options.kind == "dropout":
        source += 1
    return source


def _activation(options: Options) -> nn.Module:
    name = options.text("activation", "logistic")
    if name not in _ACTIVATIONS:
        raise options.error(f"has the activation '{shorten(name)}', and can have {', '.join(_ACTIVATIONS)}")
    return _ACTIVATIONS[name]()


def _side(options: Options, side: int, size: int, stride: int, padding: int) -> int:
    """Of the output."""
    if side + padding < size:
        raise options.error(
            f"has a window of {size}, and its input a side of {side}", "choose a larger input, or another network"
        )
    return (side + padding - size) // stride + 1


def _sequence(module: nn.Module, norm: nn.Module | None, activation: nn.Module) -> nn.Module:
    """The layers that do something, in order."""
    layers = {"conv": module, "norm": norm, "activation": activation}
    used = {name: layer for name, layer in layers.items() if layer is not None and type(layer) is not nn.Identity}
    return nn.Sequential(OrderedDict(used))


def _convolutional(options: Options, inputs: list[Shape], outputs: int | None) -> Built:
    channels, height, width = inputs[0]
    filters = outputs or options.whole("filters", 1, 1, _MOST_FILTERS)
    size, stride = options.whole("size", 1, 1, 64), options.whole("stride", 1, 1, 64)
    padding = size // 2 if options.flag("pad", default=False) else options.whole("padding", 0, 0, 64)
    groups = options.whole("groups", 1, 1, _MOST_FILTERS)
    if channels % groups or filters % groups:
        raise options.error(f"has {groups} groups, which do not divide {channels} channels and {filters} filters")
    normalized = options.flag("batch_normalize", default=False)
    layer = gaussian(
        nn.Conv2d(channels, filters, size, stride, padding, groups=groups, bias=not normalized),
        math.sqrt(2 / (size**2 * channels / groups)),
    )
    norm = darknet_norm(filters) if normalized else None
    shape = Shape(filters, *(_side(options, side, size, stride, 2 * padding) for side in (height, width)))
    return Built(_sequence(layer, norm, _activation(options)), shape, Fraction(stride))


def _local(options: Options, inputs: list[Shape], outputs: int | None) -> Built:
    del outputs
    channels, height, width = inputs[0]
    filters = options.whole("filters", 1, 1, _MOST_FILTERS)
    size, stride = options.whole("size", 1, 1, 64), options.whole("stride", 1, 1, 64)
    padding = options.whole("pad", 0, 0, 1)
    if padding and size != 3:
        raise options.error(f"has pad=1 and size={size}, and can only have size=3 with it")
    sides = tuple(_side(options, side, size, stride, 2 * padding) for side in (height, width))
    layer = LocallyConnected2d(channels, filters, (sides[0], sides[1]), size, stride, padding)
    return Built(_sequence(layer, None, _activation(options)), Shape(filters, *sides), Fraction(stride))


def _connected(options: Options, inputs: list[Shape], outputs: int | None) -> Built:
    count = outputs or options.whole("output", 1, 1, _MOST_FILTERS)
    if inputs[0].values * count > _MOST_VALUES:
        raise options.error(f"would have {inputs[0].values * count:,} weights")
    layer = Connected(inputs[0].values, count, normalized=options.flag("batch_normalize", default=False))
    return Built(_sequence(layer, None, _activation(options)), Shape(count, 1, 1), None)


def _maxpool(options: Options, inputs: list[Shape], outputs: int | None) -> Built:
    del outputs
    channels, height, width = inputs[0]
    stride = options.whole("stride", 1, 1, 64)
    size = options.whole("size", stride, 1, 64)
    padding = options.whole("padding", size - 1, 0, size)
    sides = (_side(options, side, size, stride, padding) for side in (height, width))
    return Built(darknet_pool(size, stride, padding), Shape(channels, *sides), Fraction(stride))


def _avgpool(options: Options, inputs: list[Shape], outputs: int | None) -> Built:
    del options, outputs
    return Built(nn.AdaptiveAvgPool2d(1), Shape(inputs[0].channels, 1, 1), None)


def _route(options: Options, inputs: list[Shape], outputs: int | None) -> Built:
    del outputs
    groups = options.whole("groups", 1, 1, _MOST_FILTERS)
    group = options.whole("group_id", 0, 0, groups - 1)
    if len({shape[1:] for shape in inputs}) > 1 or any(shape.channels % groups for shape in inputs):
        sides = " and ".join("x".join(map(str, shape)) for shape in inputs)
        raise options.error(f"cannot join maps of {sides}", "choose an input of another size, or another network")
    channels = sum(shape.channels // groups for shape in inputs)
    return Built(Route(groups, group), Shape(channels, *inputs[0][1:]))


def _shortcut(options: Options, inputs: list[Shape], outputs: int | None) -> Built:
    del outputs
    maps, other = inputs
    if maps[1:] != other[1:]:
        sides = " and ".join("x".join(map(str, shape)) for shape in inputs)
        raise options.error(f"cannot add maps of {sides}", "choose an input of another size, or another network")
    return Built(Shortcut(_activation(options)), maps)


def _reorg(options: Options, inputs: list[Shape], outputs: int | None) -> Built:
    del outputs
    channels, height, width = inputs[0]
    stride = options.whole("stride", 1, 1, 64)
    options.fixed("reverse", 0)
    if channels % stride**2 or height % stride or width % stride:
        raise options.error(
            f"cannot reorganize a map of {channels}x{height}x{width} with stride {stride}",
            "choose an input of another size, or another network",
        )
    return Built(Reorg(stride), Shape(channels * stride**2, height // stride, width // stride), Fraction(stride))


def _upsample(options: Options, inputs: list[Shape], outputs: int | None) -> Built:
    del outputs
    channels, height, width = inputs[0]
    factor = options.whole("stride", 2, 1, 64)
    module = Upsample(factor, options.number("scale", 1.0, -1e6))
    return Built(module, Shape(channels, height * factor, width * factor), Fraction(1, factor))


def _dropout(options: Options, inputs: list[Shape], outputs: int | None) -> Built:
    del outputs
    return Built(nn.Dropout(options.number("probability", 0.5, 0.0, 0.99)), inputs[0])


def _softmax(options: Options, inputs: list[Shape], outputs: int | None) -> Built:
    del outputs
    options.fixed("groups", 1)
    return Built(nn.Identity(), inputs[0])


def _nothing(options: Options, inputs: list[Shape], outputs: int | None) -> Built:
    del options, outputs
    return Built(nn.Identity(), inputs[0])


_CONVOLUTION = "filters size stride pad padding groups activation batch_normalize"
_TRAINED = "jitter random absolute forced max resize hue saturation exposure"
_LOSS = "object_scale noobject_scale class_scale coord_scale"
_FORK = (
    "iou_thresh iou_loss iou_normalizer cls_normalizer obj_normalizer max_delta nms_kind beta_nms counters_per_class "
    "label_smooth_eps focal_loss"
)
"""Of a later version of the program, in training and suppression."""
_YOLO = f"mask anchors classes num ignore_thresh truth_thresh scale_x_y {_TRAINED} {_FORK}"
_REGION = f"anchors bias_match classes coords num softmax rescore thresh background {_LOSS} {_TRAINED}"
_DETECTION = f"classes coords rescore side num softmax sqrt {_LOSS} {_TRAINED}"
_MAKERS: Final[Mapping[str, tuple[Maker, str]]] = {
    "convolutional": (_convolutional, _CONVOLUTION),
    "local": (_local, "filters size stride pad activation"),
    "connected": (_connected, "output activation batch_normalize"),
    "maxpool": (_maxpool, "size stride padding"),
    "avgpool": (_avgpool, ""),
    "route": (_route, "layers groups group_id"),
    "shortcut": (_shortcut, "from activation"),
    "reorg": (_reorg, "stride reverse"),
    "upsample": (_upsample, "stride scale"),
    "dropout": (_dropout, "probability"),
    "softmax": (_softmax, "groups"),
    "cost": (_nothing, "type"),
    "yolo": (_nothing, _YOLO),
    "region": (_nothing, _REGION),
    "detection": (_nothing, _DETECTION),
}
"""By name: what makes the layer, and the options that it may have."""
