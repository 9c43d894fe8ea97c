"""A network in words: its layers by name, what each takes, and their options, as files of other programs give them.

Readers of those files make it, `models.graph_file` builds a network of it, and a run keeps it as `network.json`.

All maps are (N, C, H, W). Paddings are (left, right, top, bottom), kernels, strides and dilations (height, width).
Tensors are named `LAYER.weight`, `LAYER.bias`, `LAYER.running_mean` and `LAYER.running_var`, in PyTorch's shapes.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, cast

IMAGE: Final = "image"
"""What the first layers take."""

Value = bool | int | float | str | tuple[int | float, ...]

INITIALIZERS: Final = ("torch", "glorot_uniform")
"""How weights may start: as torch's layers do, or as Keras' do."""

_FORMAT = 1
_MOST_LAYERS = 10_000
_LARGEST = 2**24
_LARGEST_SIDE, _MOST_CHANNELS = 2**13, 2**10
_LONGEST_SHOWN: Final = 40
"""Characters of a wrong value in a message."""


class Option(NamedTuple):
    """What an option of a layer may be: ``check`` a value, ``says`` what it must be; None where there is no default."""

    check: Callable[[Any], bool]
    says: str
    default: Value | None = None


class Kind(NamedTuple):
    """A kind of layers: its options, and the fewest and most inputs."""

    options: Mapping[str, Option]
    fewest: int = 1
    most: int = 1


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _LARGEST


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _whole(low: int, high: int = _LARGEST, default: int | None = None) -> Option:
    return Option(
        lambda value: _is_whole(value) and low <= value <= high, f"a whole number from {low} to {high:,}", default
    )


def _number(default: float | None = None, low: float = -math.inf) -> Option:
    says = "a number" if low == -math.inf else f"a number of at least {low:g}"
    return Option(lambda value: _is_number(value) and value >= low, says, default)


def _flag(*, default: bool | None = None) -> Option:
    return Option(lambda value: isinstance(value, bool), "true or false", default)


def _choice(*words: str, default: str | None = None) -> Option:
    return Option(lambda value: isinstance(value, str) and value in words, f"one of {', '.join(words)}", default)


def _wholes(count: int, low: int, default: tuple[int, ...] | None = None) -> Option:
    """As many whole numbers as ``count``, or up to sixteen where it is 0."""

    def check(value: Any) -> bool:
        right = isinstance(value, tuple) and (len(value) == count if count else 0 < len(value) <= 16)
        return right and all(_is_whole(each) and each >= low for each in value)

    return Option(check, f"{count or 'some'} whole numbers of at least {low}", default)


def _numbers(default: tuple[float, ...] | None = None) -> Option:
    def check(value: Any) -> bool:
        return isinstance(value, tuple) and len(value) <= _MOST_LAYERS and all(map(_is_number, value))

    return Option(check, "numbers", default)


FUNCTIONS: Final = (
    *("relu", "leaky_relu", "prelu", "elu", "selu", "sigmoid", "tanh", "relu6", "hard_sigmoid", "hard_swish", "swish"),
    *("gelu", "softplus", "softsign", "threshold", "hard_tanh", "abs", "exp", "log", "square", "sqrt"),
)
"""What an activation may be. `leaky_relu` has a `slope`; `elu` its `alpha`; `threshold` gives `value` for all of at
most `threshold`; `hard_tanh` keeps values between `low` and `high`; `hard_sigmoid` is `slope` x + `shift` between 0
and 1; `softplus` has its `beta`; `prelu` has one weight for all channels or for each.
"""

_ELEMENTWISE = Kind({}, fewest=2, most=64)
_WINDOW = {
    "kernel": _wholes(2, 1),
    "stride": _wholes(2, 1),
    "padding": _wholes(4, 0),
}
_CONVOLUTION = {
    "out": _whole(1),
    **_WINDOW,
    "dilation": _wholes(2, 1, (1, 1)),
    "groups": _whole(1, default=1),
    "bias": _flag(default=True),
}

KINDS: Final[Mapping[str, Kind]] = {
    "convolution": Kind(_CONVOLUTION),
    "deconvolution": Kind({**_CONVOLUTION, "output_padding": _wholes(2, 0, (0, 0))}),
    "linear": Kind({"out": _whole(1), "bias": _flag(default=True)}),
    "pool": Kind(
        {
            "mode": _choice("max", "average", "min"),
            **_WINDOW,
            "ceil": _flag(default=False),
            "count_padding": _flag(default=False),
        }
    ),
    "global_pool": Kind({"mode": _choice("max", "average")}),
    "batch_norm": Kind({"eps": _number(low=0), "momentum": _number(0.1, low=0), "affine": _flag(default=True)}),
    "group_norm": Kind({"groups": _whole(1), "eps": _number(low=0)}),
    "scale": Kind({"bias": _flag(default=True)}),
    "lrn": Kind(
        {
            "size": _whole(1, 2**12),
            "alpha": _number(),
            "beta": _number(),
            "k": _number(),
            "within": _flag(default=False),
        }
    ),
    "activation": Kind(
        {
            "function": _choice(*FUNCTIONS),
            "slope": _number(0.2),
            "shift": _number(0.5),
            "alpha": _number(1.0),
            "beta": _number(1.0, low=1e-6),
            "threshold": _number(0.0),
            "value": _number(0.0),
            "low": _number(-1.0),
            "high": _number(1.0),
        }
    ),
    "softmax": Kind({"axis": _whole(1, 3, default=1), "log": _flag(default=False)}),
    "dropout": Kind({"p": Option(lambda value: _is_number(value) and 0 <= value < 1, "a number from 0 to below 1")}),
    "identity": Kind({}),
    "flatten": Kind({}),
    "reshape": Kind({"shape": _wholes(0, -1)}),
    "permute": Kind({"order": _wholes(0, 0)}),
    "concat": Kind({"axis": _whole(1, 3, default=1)}, most=1024),
    "add": Kind({"coefficients": _numbers(())}, fewest=2, most=64),
    "multiply": _ELEMENTWISE,
    "maximum": _ELEMENTWISE,
    "minimum": _ELEMENTWISE,
    "average": _ELEMENTWISE,
    "pad": Kind({"padding": _wholes(4, 0), "value": _number(0.0)}),
    "crop": Kind({"offset": _wholes(2, 0)}, fewest=2, most=2),
    "cut": Kind({"padding": _wholes(4, 0)}),
    "upsample": Kind(
        {"factor": _wholes(2, 1), "mode": _choice("nearest", "bilinear"), "align_corners": _flag(default=False)}
    ),
    "depth_to_space": Kind({"factor": _whole(1, 64)}),
    "l2_normalize": Kind({"eps": _number(1e-12, low=0), "axis": _whole(1, 3, default=1)}),
    "power": Kind({"scale": _number(1.0), "shift": _number(0.0), "power": _number(1.0)}),
    "slice": Kind({"axis": _whole(1, 3, default=1), "begin": _whole(0), "end": _whole(1)}),
}
"""Every kind of layers.

`linear` takes its input's values in the order C, H, W. `pool` with `ceil` follows Caffe: the output's size is rounded
up, and a last window that would begin beyond the image and the padding before it is left out; with `count_padding` an
average divides by the window's part inside the padded map, otherwise inside of the map. `lrn` has the `alpha` of
`torch.nn.functional.local_response_norm`, which it divides by the size; `within` a map the window is size x size.
`batch_norm` has weight and bias where it is `affine`, and its statistics move by `momentum` as torch's do; `group_norm`
of one group is layer normalization; `scale` has a weight for each channel. `reshape` has no batch axis:
0 keeps an axis, -1 is what is left. `permute` has one: its order begins with 0. The axis of `softmax`, `concat`,
`slice` and `l2_normalize` counts the batch as 0. `crop` gives the first input the second one's height and width,
`offset` from above and from the left; `cut` takes `padding` away. `power` is (shift + scale x) ^ power.
`depth_to_space` is PyTorch's `pixel_shuffle`. `softmax` with `log` gives the logarithms.
"""


@dataclass(frozen=True)
class LayerDefinition:
    """One layer: its name in the file, its kind, the names of the layers that it takes (or `IMAGE`), its options.

    Raises `ValueError`, with a sentence, for an unknown kind and for options that it does not take.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    options: Mapping[str, Value]

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"the layer {self.name!r} is of the kind {self.kind!r}, which is not known")
        kind = KINDS[self.kind]
        for name in self.options:
            if name not in kind.options:
                raise ValueError(f"the layer {self.name!r} has an option {name!r}, which no {self.kind} layer has")
        for name, option in kind.options.items():
            value = self.options.get(name, option.default)
            if value is None:
                raise ValueError(f"the layer {self.name!r} ({self.kind}) has no {name}, which must be {option.says}")
            if not option.check(value):
                shown = repr(value) if len(repr(value)) <= _LONGEST_SHOWN else f"{repr(value)[:_LONGEST_SHOWN]}…"
                raise ValueError(
                    f"the layer {self.name!r} ({self.kind}) has {name} {shown}, which must be {option.says}"
                )
        if not kind.fewest <= len(self.inputs) <= kind.most:
            expected = f"{kind.fewest}" if kind.fewest == kind.most else f"{kind.fewest} to {kind.most}"
            raise ValueError(
                f"the layer {self.name!r} ({self.kind}) takes {len(self.inputs)} inputs, which must be {expected}"
            )

    def value(self, option: str) -> Value:
        """What the option is, or its default."""
        return cast("Value", self.options.get(option, KINDS[self.kind].options[option].default))

    def whole(self, option: str) -> int:
        """The whole number that an option is."""
        return cast("int", self.value(option))

    def number(self, option: str) -> float:
        """The number that an option is."""
        return float(cast("float", self.value(option)))

    def flag(self, option: str) -> bool:
        """Whether an option is set."""
        return self.value(option) is True

    def text(self, option: str) -> str:
        """The word that an option is."""
        return str(self.value(option))

    def wholes(self, option: str) -> tuple[int, ...]:
        """The whole numbers that an option is."""
        return tuple(int(each) for each in self.numbers(option))

    def numbers(self, option: str) -> tuple[float, ...]:
        """The numbers that an option is."""
        return cast("tuple[float, ...]", self.value(option))


@dataclass(frozen=True)
class NetworkDefinition:
    """Layers in an order in which they can be computed, and the names of those whose outputs leave the network.

    ``source`` is the program that wrote the file, ``title`` the network's name in it, ``input`` the image's (channels,
    height, width), ``initializer`` one of `INITIALIZERS`. Raises `ValueError`, with a sentence, where the layers do not
    belong together.
    """

    source: str
    title: str
    input: tuple[int, int, int]
    layers: tuple[LayerDefinition, ...]
    outputs: tuple[str, ...]
    initializer: str = INITIALIZERS[0]

    def __post_init__(self) -> None:
        channels, *sides = self.input
        if self.initializer not in INITIALIZERS:
            raise ValueError(f"its initializer is {self.initializer!r}, which must be one of {', '.join(INITIALIZERS)}")
        if not 1 <= channels <= _MOST_CHANNELS or not all(1 <= side <= _LARGEST_SIDE for side in sides):
            raise ValueError(f"its input is {'x'.join(map(str, self.input))}, which no image is")
        if not 1 <= len(self.layers) <= _MOST_LAYERS:
            raise ValueError(f"it has {len(self.layers):,} layers, which must be 1 to {_MOST_LAYERS:,}")
        known = {IMAGE}
        for layer in self.layers:
            for source in layer.inputs:
                if source not in known:
                    raise ValueError(f"the layer {layer.name!r} takes {source!r}, which is no layer before it")
            if layer.name in known or not layer.name:
                raise ValueError(
                    f"two of its layers are called {layer.name!r}" if layer.name else "a layer has no name"
                )
            known.add(layer.name)
        if not self.outputs or not set(self.outputs) <= known - {IMAGE}:
            raise ValueError("its outputs are not among its layers")

    def layer(self, name: str) -> LayerDefinition:
        """The layer of this name."""
        return next(layer for layer in self.layers if layer.name == name)


def to_document(definition: NetworkDefinition) -> dict[str, Any]:
    """The definition as a JSON document."""
    layers = [
        {
            "name": layer.name,
            "kind": layer.kind,
            "inputs": list(layer.inputs),
            "options": {name: list(each) if isinstance(each, tuple) else each for name, each in layer.options.items()},
        }
        for layer in definition.layers
    ]
    return {
        "format": _FORMAT,
        "source": definition.source,
        "title": definition.title,
        "input": list(definition.input),
        "layers": layers,
        "outputs": list(definition.outputs),
        "initializer": definition.initializer,
    }


def from_document(document: Any) -> NetworkDefinition:
    """The definition that a JSON document holds. Raises `ValueError`, with a sentence, where it holds none."""
    if not isinstance(document, dict) or document.get("format") != _FORMAT:
        raise ValueError(f"it is no definition of a network in format {_FORMAT}")
    shape = _list(document, "input")
    if len(shape) != 3 or not all(map(_is_whole, shape)):
        raise ValueError("its input is not three whole numbers")
    return NetworkDefinition(
        source=_text(document, "source"),
        title=_text(document, "title"),
        input=(shape[0], shape[1], shape[2]),
        layers=tuple(_layers(_list(document, "layers"))),
        outputs=_texts(document, "outputs"),
        initializer=_text(document, "initializer") if "initializer" in document else INITIALIZERS[0],
    )


def _layers(entries: Sequence[Any]) -> Iterator[LayerDefinition]:
    for entry in entries:
        if not isinstance(entry, dict) or not isinstance(entry.get("options"), dict):
            raise ValueError("one of its layers is not a table with options")
        options = {name: tuple(each) if isinstance(each, list) else each for name, each in entry["options"].items()}
        yield LayerDefinition(_text(entry, "name"), _text(entry, "kind"), _texts(entry, "inputs"), options)


def _list(table: Mapping[str, Any], name: str) -> list[Any]:
    value = table.get(name)
    if not isinstance(value, list):
        raise ValueError(f"its {name} are no list")
    return value


def _text(table: Mapping[str, Any], name: str) -> str:
    value = table.get(name)
    if not isinstance(value, str):
        raise ValueError(f"its {name} is no text")
    return value


def _texts(table: Mapping[str, Any], name: str) -> tuple[str, ...]:
    values = _list(table, name)
    if not all(isinstance(value, str) for value in values):
        raise ValueError(f"its {name} are no texts")
    return tuple(values)
