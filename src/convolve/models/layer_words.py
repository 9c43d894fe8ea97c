"""The language in which a person writes a network: layers from left to right, `|` or a line's end between them.

    conv 8 3 same relu | pool 2 | conv 16 3 relu | pool 2 | flatten | dense 64 sigmoid | dense classes

`conv FILTERS KERNEL`, `depthwise KERNEL`, `pool WINDOW`, `gap`, `global max`, `norm batch`, `norm layer`,
`norm group GROUPS`, `norm lrn`, `dropout FRACTION`, `flatten`, `dense UNITS`, an activation, and `softmax` at the end.
FILTERS and UNITS may be `classes`; a window may be `3x5`, height first. What is left out is as in Keras: stride 1, of a
pooling its window; no padding; no groups.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from convolve.errors import NetworkError, shorten

CLASSES: Final = "classes"
"""Stands for the number of the data's classes."""

Pair = tuple[int, int]
"""Down and across."""
Value = int | float | str | Pair
ACTIVATIONS: Final = ("relu", "leaky", "elu", "sigmoid", "tanh", "softmax")
"""What may follow a layer's numbers; `softmax` at the network's end alone."""

_LARGEST, _LONGEST_WORD = 10**7, 40


class Grammar(NamedTuple):
    """What a layer takes: ``numbers`` in this order, ``options`` in any order, and an activation."""

    numbers: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    activation: bool = False
    example: str = ""


LAYERS: Final[Mapping[str, Grammar]] = {
    "conv": Grammar(
        ("filters", "kernel"), ("stride", "padding", "groups", "dilation", "bias"), activation=True, example="conv 16 3"
    ),
    "depthwise": Grammar(
        ("kernel",), ("stride", "padding", "dilation", "bias"), activation=True, example="depthwise 3"
    ),
    "pool": Grammar(("window",), ("stride", "padding", "mode"), example="pool 2"),
    "gap": Grammar(example="gap"),
    "global": Grammar((), ("mode",), example="global average"),
    "norm": Grammar(("normalization",), (), example="norm batch"),
    "dropout": Grammar(("fraction",), (), example="dropout 0.5"),
    "flatten": Grammar(example="flatten"),
    "dense": Grammar(("units",), ("bias",), activation=True, example="dense 64"),
    "relu": Grammar(example="relu"),
    "leaky": Grammar(example="leaky 0.1"),
    "elu": Grammar(example="elu"),
    "sigmoid": Grammar(example="sigmoid"),
    "tanh": Grammar(example="tanh"),
    "softmax": Grammar(example="softmax"),
}
"""Every layer by its word."""

_WITH_NUMBER: Final = {"stride": "stride", "pad": "padding", "groups": "groups", "dilation": "dilation"}
_ALONE: Final[Mapping[str, tuple[str, str]]] = {
    "same": ("padding", "same"),
    "valid": ("padding", "valid"),
    "max": ("mode", "max"),
    "average": ("mode", "average"),
    "min": ("mode", "min"),
    "nobias": ("bias", "no"),
}
NORMALIZATIONS: Final = ("batch", "layer", "group", "lrn")
_ELSEWHERE: Final = {
    **dict.fromkeys(("conv2d", "convolution", "convolution2d"), "conv 16 3"),
    **dict.fromkeys(("maxpool", "maxpooling", "maxpooling2d", "maxpool2d"), "pool 2"),
    **dict.fromkeys(("avgpool", "averagepooling2d", "avgpool2d"), "pool 2 average"),
    **dict.fromkeys(("globalaveragepooling2d", "avg", "mean", "average"), "gap"),
    **dict.fromkeys(("batchnorm", "bn", "batchnormalization", "batch_norm", "batch"), "norm batch"),
    **dict.fromkeys(("layernorm", "layernormalization"), "norm layer"),
    **dict.fromkeys(("fc", "linear", "fully"), "dense 64"),
    **dict.fromkeys(("leakyrelu", "leaky_relu"), "leaky"),
    "lrn": "norm lrn",
}
"""What other programs call a layer, and how it is written here."""


class Word(NamedTuple):
    """A word, and the number of its first character in the text, counted from 1."""

    text: str
    character: int


@dataclass(frozen=True)
class Phrase:
    """One layer as it is written: its ``word``, the values of what follows, its activation, and where it is."""

    word: str
    values: Mapping[str, Value]
    activation: str | None
    below: float
    where: str
    written: str

    def error(self, problem: str, remedy: str) -> NetworkError:
        """What to raise where the layer cannot be as it is written."""
        return NetworkError(f"{self.where}: '{shorten(self.written, 60)}' {problem}; {remedy}.")


def parse(text: str, origin: str) -> list[Phrase]:
    """The layers of a text, which messages call ``origin``. Raises `NetworkError` with the word and where it is."""
    phrases = [_Reader(words, f"{origin}, layer {number}").read() for number, words in enumerate(_layers(text), 1)]
    if not phrases:
        raise NetworkError(f"{origin} has no layers; write some, such as 'conv 8 3 relu | flatten | dense classes'.")
    return phrases


def _layers(text: str) -> Iterator[list[Word]]:
    for part in re.finditer(r"[^|\n]+", text):
        words = [Word(found[0], part.start() + found.start() + 1) for found in re.finditer(r"\S+", part[0])]
        if words:
            yield words


class _Reader:
    """Reads the words of one layer."""

    def __init__(self, words: Sequence[Word], origin: str) -> None:
        self.words, self.origin = words, origin
        self.next = 1
        self.name = words[0].text.lower()
        self.values: dict[str, Value] = {}

    def read(self) -> Phrase:
        """The layer."""
        if self.name not in LAYERS:
            raise self.error(self.words[0], "is no layer", _advice(self.name, LAYERS, "layers are"))
        grammar = LAYERS[self.name]
        for number in grammar.numbers:
            self.values[number] = self.number(number)
        activation, below = None, 0.1
        if self.name == "leaky" and self.more():
            below = self.factor()
        while self.more():
            word = self.take()
            name = word.text.lower()
            if name in _WITH_NUMBER and _WITH_NUMBER[name] in grammar.options:
                self.set(_WITH_NUMBER[name], self.whole(word, name), word)
            elif name in _ALONE and _ALONE[name][0] in grammar.options:
                self.set(*_ALONE[name], word)
            elif name in ACTIVATIONS and grammar.activation:
                if activation:
                    raise self.error(word, f"follows '{activation}'", "keep one activation")
                activation = name
                below = self.factor() if name == "leaky" and self.more() and _is_number(self.peek()) else below
            else:
                raise self.unknown(word, grammar)
        if self.name == "global" and "mode" not in self.values:
            raise self.error(self.words[0], "does not say of what", "write 'global average' or 'global max'")
        written = " ".join(word.text for word in self.words)
        where = f"{self.origin}, character {self.words[0].character}"
        return Phrase(self.name, self.values, activation, below, where, written)

    def more(self) -> bool:
        """Whether a word is left."""
        return self.next < len(self.words)

    def peek(self) -> str:
        """The next word, which stays."""
        return self.words[self.next].text

    def take(self) -> Word:
        """The next word."""
        self.next += 1
        return self.words[self.next - 1]

    def set(self, option: str, value: Value, word: Word) -> None:
        """Set an option that is not set yet."""
        if option in self.values:
            raise self.error(word, f"sets the {option} a second time", "keep one")
        self.values[option] = value

    def number(self, name: str) -> Value:
        """The number that must follow, or the kind of a normalization."""
        example = LAYERS[self.name].example
        if not self.more():
            raise self.error(self.words[0], f"needs its {name}", f"write it as in '{example}'")
        word = self.take()
        text = word.text.lower()
        if name == "normalization":
            if text not in NORMALIZATIONS:
                raise self.error(word, "is no normalization", _advice(text, NORMALIZATIONS, "there are"))
            if text == "group":
                self.values["groups"] = self.whole(word, "group")
            return text
        if name == "fraction":
            if not _is_number(text) or not 0 <= float(text) < 1:
                raise self.error(word, "is no fraction of values to drop", "write one from 0 to below 1, such as 0.5")
            return float(text)
        if name in ("filters", "units") and text == CLASSES:
            return CLASSES
        value = _window(text) if name in ("kernel", "window") else _whole(text)
        if value is None:
            kind = "a whole number, or two as in 3x5," if name in ("kernel", "window") else "a whole number"
            raise self.error(word, f"is not the {name} of {self.name}, {kind} from 1", f"write it as in '{example}'")
        return value

    def whole(self, option: Word, name: str) -> Value:
        """The number after an option's word: of a stride, padding or dilation for both sides."""
        if not self.more():
            raise self.error(option, "needs a number", f"write '{name} {0 if name == 'pad' else 2}', for example")
        word = self.take()
        least = 0 if name == "pad" else 1
        pair = name in ("stride", "pad", "dilation")
        value = _window(word.text.lower(), least) if pair else _whole(word.text, least)
        if value is None:
            raise self.error(word, f"is no {name}", f"write a whole number from {least}, such as '{name} 2'")
        return value

    def factor(self) -> float:
        """By what a leaky rectifier multiplies values below 0."""
        word = self.take()
        if not _is_number(word.text) or not 0 <= float(word.text) <= 1:
            raise self.error(word, "is not what leaky multiplies values below 0 by", "write a number from 0 to 1")
        return float(word.text)

    def unknown(self, word: Word, grammar: Grammar) -> NetworkError:
        """What to raise for a word that the layer does not take."""
        name = word.text.lower()
        taken = [option for option, value in _WITH_NUMBER.items() if value in grammar.options]
        taken += [option for option, (value, _) in _ALONE.items() if value in grammar.options]
        taken += ACTIVATIONS if grammar.activation else ()
        if name in LAYERS:
            return self.error(word, f"is a layer of its own and not of {self.name}", f"write '| {name}'")
        return self.error(word, f"is nothing that {self.name} takes", _advice(name, taken, "it takes"))

    def error(self, word: Word, problem: str, remedy: str) -> NetworkError:
        """What to raise because of a word."""
        end = "" if remedy.endswith("?") else "."
        shown = shorten(word.text, _LONGEST_WORD)
        return NetworkError(f"{self.origin}, character {word.character}: '{shown}' {problem}; {remedy}{end}")


def _advice(name: str, known: Sequence[str] | Mapping[str, object], otherwise: str) -> str:
    if known is LAYERS and name in _ELSEWHERE:
        return f"write '{_ELSEWHERE[name]}', for example"
    near = difflib.get_close_matches(name[:_LONGEST_WORD], known, n=1, cutoff=0.6)
    if near:
        return f"did you mean '{near[0]}'?"
    return f"{otherwise} {', '.join(known)}" if known else "leave it out, or write | before the next layer"


def _whole(text: str, least: int = 1) -> int | None:
    value = int(text) if re.fullmatch(r"[0-9]{1,8}", text) else -1
    return value if least <= value <= _LARGEST else None


def _window(text: str, least: int = 1) -> Pair | None:
    down, cross, across = text.partition("x")
    values = _whole(down, least), _whole(across if cross else down, least)
    return None if values[0] is None or values[1] is None else (values[0], values[1])


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[0-9]{1,9}(\.[0-9]{0,9})?|\.[0-9]{1,9}", text) is not None
