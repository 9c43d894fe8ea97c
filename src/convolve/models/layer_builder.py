"""From layers as a person writes them (`models.layer_words`) to those of a definition, with the shape after each.

Constants are Keras', of local response normalization those of AlexNet's paper. `same` is Keras' too: the output's side
is the input's divided by the stride, rounded up, and an odd rest of the padding is on the right and below.

A layer's name is its word and the number of the last layer with weights before it, that layer included: conv1, relu1,
pool1, conv2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final, cast

from convolve.errors import NetworkError
from convolve.models.definition import IMAGE, LayerDefinition
from convolve.models.definition import Value as Option
from convolve.models.layer_words import ACTIVATIONS, CLASSES, Pair, Phrase

Shape = tuple[int, ...]
MOST_LAYERS: Final = 2_000
_MOST = 2**30
"""Weights of the network, and values that a layer gives."""
_BATCH_NORM = {"eps": 1e-3, "momentum": 0.01}
_LRN = {"size": 5, "alpha": 5e-4, "beta": 0.75, "k": 2.0}
_FUNCTIONS: Final = {"leaky": "leaky_relu"}
_LARGER: Final = "use 'same', fewer poolings, or larger images (--size, of a table --input)"


class TooSmallError(NetworkError):
    """A window is larger than the maps that it is to move over."""


class LayerBuilder:
    """Layers one after another, for an ``image`` of a shape and a number of ``classes``."""

    def __init__(self, image: Shape, classes: int) -> None:
        self.classes = classes
        self.layers: list[LayerDefinition] = []
        self.shapes: dict[str, Shape] = {IMAGE: image}
        self.scores: Phrase | None = None
        """The last layer with weights, as it is written."""
        self._numbered = self._weights = 0

    def follow(self, phrases: Sequence[Phrase], source: str) -> str:
        """Add layers one after another, the first of which takes ``source``; the last one's name."""
        for phrase in phrases:
            if self.layers and self.layers[-1].kind == "softmax":
                raise phrase.error("follows a softmax", "write 'softmax' at the very end, or leave it out")
            if len(self.layers) >= MOST_LAYERS:
                raise phrase.error(f"is more than {MOST_LAYERS:,} layers", "write fewer")
            source = _MAKERS[phrase.word](self, phrase, source)
        return source

    def join(self, kind: str, sources: Sequence[str], where: str) -> str:
        """Add a layer that joins the outputs of others, whose shapes fit; its name."""
        if len(self.layers) >= MOST_LAYERS:
            raise NetworkError(f"{where}: the network has more than {MOST_LAYERS:,} layers; write fewer.")
        shapes = [self.shapes[source] for source in sources]
        if kind == "concat":
            shape = (sum(each[0] for each in shapes), *shapes[0][1:])
        else:
            shape = tuple(max(sides) for sides in zip(*shapes, strict=True))
        if math.prod(shape) > _MOST:
            raise NetworkError(f"{where}: it would give {math.prod(shape):,} values of an image; write fewer branches.")
        return self._add(kind, kind, sources, shape, {})

    def convolution(self, phrase: Phrase, source: str) -> str:
        """`conv` or `depthwise`."""
        channels, *sides = self._maps(phrase, source)
        out = self._outputs(phrase, "filters") if phrase.word == "conv" else channels
        groups = cast("int", phrase.values.get("groups", 1)) if phrase.word == "conv" else channels
        if channels % groups or out % groups:
            what = f"{channels} channels and {out} filters"
            raise phrase.error(f"has {groups} groups for {what}", "take a number that divides both")
        dilation, stride = _pair(phrase, "dilation", (1, 1)), _pair(phrase, "stride", (1, 1))
        kernel = _pair(phrase, "kernel", (1, 1))
        reach = tuple(step * (side - 1) + 1 for step, side in zip(dilation, kernel, strict=True))
        padding, after = self._window(phrase, (sides[0], sides[1]), (reach[0], reach[1]), stride)
        options: dict[str, Option] = {"out": out, "kernel": kernel, "stride": stride, "padding": padding}
        options |= {"dilation": dilation, "groups": groups, "bias": "bias" not in phrase.values}
        weights = out * math.prod(kernel) * channels // groups
        return self._add_weighted(phrase, "convolution", source, (out, *after), (options, weights))

    def pool(self, phrase: Phrase, source: str) -> str:
        """`pool`."""
        channels, *sides = self._maps(phrase, source)
        window = _pair(phrase, "window", (1, 1))
        stride = _pair(phrase, "stride", window)
        padding, after = self._window(phrase, (sides[0], sides[1]), window, stride)
        left, _, top, _ = padding
        if 2 * left > window[1] or 2 * top > window[0]:
            raise phrase.error("has padding of more than half of its window", "take less, or 'same'")
        mode = str(phrase.values.get("mode", "max"))
        options: dict[str, Option] = {"mode": mode, "kernel": window, "stride": stride, "padding": padding}
        return self._add("pool", "pool", [source], (channels, *after), options)

    def global_pool(self, phrase: Phrase, source: str) -> str:
        """`gap`, `global average` or `global max`."""
        channels = self._maps(phrase, source)[0]
        mode = str(phrase.values.get("mode", "average"))
        if mode == "min":
            raise phrase.error("has no meaning here", "write 'global average' or 'global max'")
        return self._add(
            "gap" if mode == "average" else "global", "global_pool", [source], (channels, 1, 1), {"mode": mode}
        )

    def norm(self, phrase: Phrase, source: str) -> str:
        """`norm batch`, `norm layer`, `norm group` or `norm lrn`."""
        shape, kind = self.shapes[source], phrase.values["normalization"]
        if kind == "lrn":
            self._maps(phrase, source)
            return self._add("norm", "lrn", [source], shape, {**_LRN})
        self._weights += 2 * shape[0]
        if kind == "batch":
            return self._add("norm", "batch_norm", [source], shape, {**_BATCH_NORM})
        groups = cast("int", phrase.values.get("groups", 1))
        if shape[0] % groups:
            raise phrase.error(f"has {groups} groups for {shape[0]} channels", "take a number that divides them")
        return self._add("norm", "group_norm", [source], shape, {"groups": groups, "eps": _BATCH_NORM["eps"]})

    def dropout(self, phrase: Phrase, source: str) -> str:
        """`dropout`."""
        return self._add(
            "dropout", "dropout", [source], self.shapes[source], {"p": cast("float", phrase.values["fraction"])}
        )

    def flatten(self, phrase: Phrase, source: str) -> str:
        """`flatten`."""
        return self._add(phrase.word, "flatten", [source], (math.prod(self.shapes[source]),), {})

    def dense(self, phrase: Phrase, source: str) -> str:
        """`dense`."""
        shape = self.shapes[source]
        if shape[1:] not in ((), (1, 1)):
            size = format_shape(shape)
            raise phrase.error(
                f"takes a row of values and gets a map of {size}", "write 'flatten |' or 'gap |' before it"
            )
        units, inputs = self._outputs(phrase, "units"), math.prod(shape)
        if len(shape) > 1:
            source = self._add("flatten", "flatten", [source], (inputs,), {})
        options: dict[str, Option] = {"out": units, "bias": "bias" not in phrase.values}
        return self._add_weighted(phrase, "linear", source, (units,), (options, units * inputs))

    def activation(self, phrase: Phrase, source: str) -> str:
        """An activation as a layer of its own."""
        return self._activate(phrase, phrase.word, source)

    def _activate(self, phrase: Phrase, function: str, source: str) -> str:
        if function == "softmax":
            return self._add(function, function, [source], self.shapes[source], {})
        options: dict[str, Option] = {"function": _FUNCTIONS.get(function, function)}
        options |= {"slope": phrase.below} if function == "leaky" else {}
        return self._add(function, "activation", [source], self.shapes[source], options)

    def _maps(self, phrase: Phrase, source: str) -> tuple[int, int, int]:
        """The shape of the maps that a layer takes."""
        shape = self.shapes[source]
        if len(shape) != 3:
            raise phrase.error(f"takes maps and gets {shape[0]:,} values", "write it before 'flatten' and 'dense'")
        return shape[0], shape[1], shape[2]

    def _outputs(self, phrase: Phrase, name: str) -> int:
        value = phrase.values[name]
        return self.classes if value == CLASSES else cast("int", value)

    def _window(self, phrase: Phrase, sides: Pair, reach: Pair, stride: Pair) -> tuple[tuple[int, int, int, int], Pair]:
        """The padding, and the sides after it, of a window that covers ``reach`` pixels and moves by ``stride``."""
        given = phrase.values.get("padding", "valid")
        before, beyond, after = [], [], []
        for axis, side in enumerate(sides):
            total = 0
            if given == "same":
                total = max((-(-side // stride[axis]) - 1) * stride[axis] + reach[axis] - side, 0)
            elif given != "valid":
                total = 2 * cast("Pair", given)[axis]
            if side + total < reach[axis]:
                window, size = "x".join(map(str, reach)), "x".join(map(str, sides))
                raise TooSmallError(str(phrase.error(f"has a window of {window} for maps of {size}", _LARGER)))
            before.append(total // 2)
            beyond.append(total - total // 2)
            after.append((side + total - reach[axis]) // stride[axis] + 1)
        return (before[1], beyond[1], before[0], beyond[0]), (after[0], after[1])

    def _add_weighted(
        self, phrase: Phrase, kind: str, source: str, shape: Shape, described: tuple[dict[str, Option], int]
    ) -> str:
        """Add a layer with weights, and its activation."""
        options, weights = described
        self._weights += weights + (shape[0] if options["bias"] else 0)
        for count, what in ((self._weights, "weights"), (math.prod(shape), "values of an image")):
            if count > _MOST:
                raise phrase.error(f"would make {count:,} {what}", "take fewer filters or units, or less padding")
        self._numbered += 1
        self.scores = phrase
        name = self._add(phrase.word, kind, [source], shape, options)
        return self._activate(phrase, phrase.activation, name) if phrase.activation else name

    def _add(self, word: str, kind: str, sources: Sequence[str], shape: Shape, options: Mapping[str, Option]) -> str:
        name, again = f"{word}{self._numbered}", 1
        while name in self.shapes:
            again += 1
            name = f"{word}{self._numbered}_{again}"
        self.layers.append(LayerDefinition(name, kind, tuple(sources), options))
        self.shapes[name] = shape
        return name


def format_shape(shape: Shape) -> str:
    """Such as 16x4x4."""
    return "x".join(map(str, shape))


def _pair(phrase: Phrase, name: str, default: Pair) -> Pair:
    return cast("Pair", phrase.values.get(name, default))


_MAKERS: Final[Mapping[str, Callable[[LayerBuilder, Phrase, str], str]]] = {
    "conv": LayerBuilder.convolution,
    "depthwise": LayerBuilder.convolution,
    "pool": LayerBuilder.pool,
    "gap": LayerBuilder.global_pool,
    "global": LayerBuilder.global_pool,
    "norm": LayerBuilder.norm,
    "dropout": LayerBuilder.dropout,
    "flatten": LayerBuilder.flatten,
    "dense": LayerBuilder.dense,
    **dict.fromkeys(ACTIVATIONS, LayerBuilder.activation),
}
