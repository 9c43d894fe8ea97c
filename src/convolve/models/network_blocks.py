"""A network that a person writes as blocks, in a TOML file: texts of layers, and around them what a text cannot say.

    title = "A small residual network"
    input = "3x32x32"

    [[block]]
    layers = "conv 16 3 same | norm batch | relu"

    [[block]]
    repeat = 2
    residual = "conv 16 3 same | norm batch | relu | conv 16 3 same | norm batch"
    then = "relu"

    [[block]]
    branches = ["conv 16 1 relu", "conv 8 1 relu | conv 16 3 same relu", "pool 3 stride 1 same | conv 16 1 relu"]

    [[block]]
    layers = "gap | dense classes"

A residual block adds what enters it, or what the layers of its `shortcut` make of that, to the output of its layers.
The outputs of branches are concatenated, or joined as `join` says. Instead of a text, `residual`, `shortcut` and each
branch may be a list of blocks. `title` and `input` may be absent: the data decides the input.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from convolve.errors import NetworkError, shorten
from convolve.models.definition import IMAGE
from convolve.models.layer_builder import LayerBuilder, Shape, format_shape
from convolve.models.layer_words import Phrase, parse

JOINS: Final = ("concat", "add", "average", "maximum", "multiply")
"""How the outputs of branches become one."""
_LONGEST_TITLE = 100
_MOST_REPEATS, _MOST_BRANCHES, _DEEPEST = 200, 64, 8
_MODULES = ("layers", "residual", "branches")
_KEYS = (*_MODULES, "shortcut", "join", "then", "repeat")


@dataclass(frozen=True)
class Residual:
    """``layers`` whose output is added to their input, or to what a ``shortcut`` makes of it."""

    layers: Body
    shortcut: Body
    where: str


@dataclass(frozen=True)
class Branches:
    """Bodies that read the same maps, and how their outputs are joined."""

    bodies: tuple[Body, ...]
    join: str
    where: str


@dataclass(frozen=True)
class Repeat:
    """A body that follows itself ``count`` times, each time with weights of its own."""

    body: Body
    count: int


Body = tuple["Phrase | Residual | Branches | Repeat", ...]
"""What follows one another; an empty one passes its input on."""


@dataclass(frozen=True)
class Plan:
    """A network as it is written; ``input`` is None where it does not say its (channels, height, width)."""

    title: str
    body: Body
    input: tuple[int, int, int] | None = None
    in_file: bool = False


def plan_of_text(text: str) -> Plan:
    """The network of a text of layers. Raises `NetworkError`."""
    return Plan(shorten(" ".join(text.split()), _LONGEST_TITLE), tuple(parse(text, "The network's text")))


def plan_of_document(document: Mapping[str, Any], path: str) -> Plan:
    """The network of a TOML document, of a file at ``path``. Raises `NetworkError`."""
    _check_keys(document, ("title", "input", "block"), path)
    title = document.get("title", "")
    if not isinstance(title, str):
        raise NetworkError(f'{path}: its title is no text; write title = "My network".')
    return Plan(title, _blocks(document.get("block", []), path, 1), _input(document.get("input"), path), in_file=True)


def build_body(builder: LayerBuilder, body: Body, source: str = IMAGE) -> str:
    """Add what a body describes; the name of the last layer. Raises `NetworkError`."""
    for part in body:
        if isinstance(part, Phrase):
            source = builder.follow([part], source)
        elif isinstance(part, Repeat):
            for _ in range(part.count):
                source = build_body(builder, part.body, source)
        elif isinstance(part, Residual):
            ends = [build_body(builder, part.layers, source), build_body(builder, part.shortcut, source)]
            source = _join(builder, "add", ends, part.where)
        else:
            ends = [build_body(builder, each, source) for each in part.bodies]
            source = _join(builder, part.join, ends, part.where)
    return source


def phrases_of(body: Body) -> Iterator[Phrase]:
    """The layers of a body as a person wrote them, in order."""
    for part in body:
        if isinstance(part, Phrase):
            yield part
        elif isinstance(part, Repeat):
            yield from phrases_of(part.body)
        else:
            for each in (part.layers, part.shortcut) if isinstance(part, Residual) else part.bodies:
                yield from phrases_of(each)


def _join(builder: LayerBuilder, kind: str, ends: Sequence[str], where: str) -> str:
    shapes = [builder.shapes[end] for end in ends]
    if not _fit(kind, shapes):
        what = " and ".join(dict.fromkeys(map(format_shape, shapes)))
        verb, remedy = "joined", "give the branches the same filters and strides, and 'same' padding"
        if kind == "concat":
            verb, remedy = "concatenated", "give the branches the same strides, and 'same' padding"
        elif " residual" in where:
            verb, remedy = "added", f"give it a shortcut such as {_shortcut(shapes)}, or layers that keep the size"
        raise NetworkError(f"{where}: maps of {what} cannot be {verb}; {remedy}.")
    return builder.join(kind, ends, where)


def _fit(kind: str, shapes: Sequence[Shape]) -> bool:
    """Whether values of these shapes can be joined; a channel's single value is multiplied with all of its map."""
    if kind == "concat":
        return len({shape[1:] for shape in shapes}) == 1
    if kind == "multiply" and len({shape[0] for shape in shapes}) == 1:
        return len({shape[1:] for shape in shapes if shape[1:] != (1, 1)}) <= 1 and len({*map(len, shapes)}) == 1
    return len({*shapes}) == 1


def _shortcut(shapes: Sequence[Shape]) -> str:
    """A shortcut that may fit: from the second shape to the first one."""
    own, entering = shapes
    stride = -(-entering[-1] // own[-1]) if len(own) == len(entering) == 3 else 1
    return f"'conv {own[0]} 1{f' stride {stride}' if stride > 1 else ''}'"


def _blocks(entries: object, where: str, depth: int) -> Body:
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise NetworkError(
            f'{where}: there are no blocks; write [[block]] and below it layers = "conv 8 3 relu", for example.'
        )
    if depth > _DEEPEST:
        raise NetworkError(f"{where}: blocks are more than {_DEEPEST} deep in one another; write them flatter.")
    found: list[Phrase | Residual | Branches | Repeat] = []
    for number, entry in enumerate(entries, 1):
        found += _block(entry, f"{where}, block {number}", depth)
    return tuple(found)


def _block(entry: Mapping[str, Any], where: str, depth: int) -> Body:
    _check_keys(entry, _KEYS, where)
    given = [name for name in _MODULES if name in entry]
    if len(given) != 1:
        count = "none" if not given else " and ".join(given)
        raise NetworkError(
            f"{where}: a block has one of {', '.join(_MODULES)}, and this has {count}; write one of them."
        )
    for name, module in (("shortcut", "residual"), ("join", "branches")):
        if name in entry and module != given[0]:
            raise NetworkError(f"{where}: {name} belongs to {module}, and the block has {given[0]}; leave it out.")
    repeat = entry.get("repeat", 1)
    if not isinstance(repeat, int) or isinstance(repeat, bool) or not 1 <= repeat <= _MOST_REPEATS:
        raise NetworkError(
            f"{where}: repeat is {shorten(repr(repeat), 40)}; write a whole number from 1 to {_MOST_REPEATS}."
        )
    then = _body(entry["then"], f"{where}, then", depth) if "then" in entry else ()
    body = (*_module(entry, given[0], where, depth), *then)
    return body if repeat == 1 or not body else (Repeat(body, repeat),)


def _module(entry: Mapping[str, Any], kind: str, where: str, depth: int) -> Body:
    value = entry[kind]
    if kind == "layers":
        return _body(value, where, depth)
    if kind == "residual":
        shortcut = _body(entry["shortcut"], f"{where}, shortcut", depth) if "shortcut" in entry else ()
        return (Residual(_body(value, f"{where}, residual", depth), shortcut, f"{where}, residual"),)
    if not isinstance(value, list) or not 2 <= len(value) <= _MOST_BRANCHES:
        raise NetworkError(
            f'{where}: branches are a list of 2 to {_MOST_BRANCHES} texts; write branches = ["conv 8 1", ""].'
        )
    join = entry.get("join", "concat")
    if not isinstance(join, str) or join not in JOINS:
        raise NetworkError(f"{where}: join is {shorten(repr(join), 40)}; write one of {', '.join(JOINS)}.")
    bodies = tuple(_body(each, f"{where}, branch {number}", depth) for number, each in enumerate(value, 1))
    return (Branches(bodies, join, where),)


def _body(value: object, where: str, depth: int) -> Body:
    if isinstance(value, str):
        return tuple(parse(value, where)) if value.strip() else ()
    if isinstance(value, list):
        return _blocks(value, where, depth + 1)
    raise NetworkError(
        f'{where}: it is neither a text of layers nor a list of blocks; write "conv 8 3 relu", for example.'
    )


def _input(value: object, path: str) -> tuple[int, int, int] | None:
    if value is None:
        return None
    parts = value.lower().split("x") if isinstance(value, str) else []
    if len(parts) != 3 or not all(part.isascii() and part.isdecimal() and len(part) < 6 for part in parts):
        raise NetworkError(
            f'{path}: input is {shorten(repr(value), 40)}; write channels x height x width, such as "3x32x32".'
        )
    return int(parts[0]), int(parts[1]), int(parts[2])


def _check_keys(table: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key[:40], known, n=1, cutoff=0.6)
            advice = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(known)}."
            raise NetworkError(f"{where}: '{shorten(key, 40)}' is no key; {advice}")
