"""Options as frozen dataclasses: nested inside, flat outside.

A dataclass whose field is annotated ``Annotated[Group, Flat]`` (or ``flat("Heading")``) shows the group's fields as its
own on the command line, in Python keywords and in forms; files keep the groups as sections.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from cyclopts import Parameter

from convolve.errors import OptionError

Options = TypeVar("Options")
Flat = Parameter(name="*")
_WORDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false", Path: "a path"}


def flat(title: str) -> Parameter:
    """`Flat`, under a heading of its own in the help."""
    return Parameter(name="*", group=title)


@dataclass(frozen=True)
class Option:
    """One option: the ``path`` of field names that leads to it, its type, its default, and whether it may stand
    without its name.
    """

    path: tuple[str, ...]
    kind: Any
    default: object
    positional: bool

    @property
    def name(self) -> str:
        """The word that people use."""
        return self.path[-1]


def fields(cls: type) -> Iterator[Option]:
    """Every option of a dataclass, the groups' fields in place of the groups."""
    hints = typing.get_type_hints(cls)
    for spec in dataclasses.fields(cls):
        hint = hints[spec.name]
        if dataclasses.is_dataclass(hint):
            for inner in fields(cast(type, hint)):
                path = (spec.name, *inner.path)
                yield dataclasses.replace(inner, path=path, positional=inner.positional and not spec.kw_only)
        else:
            yield Option((spec.name,), hint, spec.default, not spec.kw_only)


def build(cls: type[Options], keywords: Mapping[str, object]) -> Options:
    """Make a dataclass from flat keywords. Raises `OptionError` for an unknown name or a value of another type."""
    known = {option.name: option for option in fields(cls)}
    nested: dict[str, Any] = {}
    for name, value in keywords.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {near[0]}?" if near else f"Known: {', '.join(known)}."
            raise OptionError(f"There is no option '{name}'. {hint}")
        inner = nested
        for part in known[name].path[:-1]:
            inner = inner.setdefault(part, {})
        inner[name] = _checked(name, value, known[name].kind)
    return _make(cls, nested)


def from_sections(cls: type[Options], sections: Mapping[str, Any], source: str) -> Options:
    """Make a dataclass from a TOML or JSON document whose tables are its groups. Raises `OptionError`."""
    known = {".".join(option.path) for option in fields(cls)}
    flat: dict[str, Any] = {}
    for name, value in sections.items():
        entries = {f"{name}.{key}": inner for key, inner in value.items()} if isinstance(value, dict) else {name: value}
        for path, inner in entries.items():
            if path not in known:
                raise OptionError(f"{source} has an entry '{path}' that does not exist; take it out or correct it.")
            flat[path.rpartition(".")[2]] = inner
    try:
        return build(cls, flat)
    except OptionError as error:
        raise OptionError(f"{source}: {error}") from None


def to_sections(options: object) -> dict[str, Any]:
    """The document that `from_sections` reads; what is None is left out."""
    found: dict[str, Any] = {}
    for spec in dataclasses.fields(cast(Any, options)):
        value = getattr(options, spec.name)
        if dataclasses.is_dataclass(value):
            value = to_sections(value) or None
        if value is not None:
            found[spec.name] = str(value) if isinstance(value, Path) else value
    return found


def merge(base: Options, over: Options) -> Options:
    """`base` with every field of `over` that is not None."""
    changes: dict[str, Any] = {}
    for spec in dataclasses.fields(cast(Any, base)):
        new = getattr(over, spec.name)
        if dataclasses.is_dataclass(new):
            changes[spec.name] = merge(getattr(base, spec.name), new)
        elif new is not None:
            changes[spec.name] = new
    return cast(Options, dataclasses.replace(cast(Any, base), **changes))


def _make(cls: type[Options], nested: Mapping[str, Any]) -> Options:
    hints = typing.get_type_hints(cls)
    values = {
        name: _make(cast(type, hints[name]), value) if isinstance(value, dict) else value
        for name, value in nested.items()
    }
    try:
        return cls(**values)
    except TypeError:
        required = [spec.name for spec in dataclasses.fields(cast(Any, cls)) if _required(spec)]
        missing = [name for name in required if name not in values]
        raise OptionError(f"Say also: {', '.join(missing)}.") from None


def _required(spec: dataclasses.Field[Any]) -> bool:
    return spec.default is dataclasses.MISSING and spec.default_factory is dataclasses.MISSING


def _checked(name: str, value: object, hint: Any) -> object:
    """The value as its type has it: whole numbers serve as floats, strings as paths and paths as strings, and one item
    as a tuple of one; anything else is refused.
    """
    union = isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
    choices = typing.get_args(hint) if union else (hint,)
    for choice in choices:
        origin = typing.get_origin(choice)
        if origin is Literal:
            if value in typing.get_args(choice):
                return value
        elif origin is tuple:
            items = value if isinstance(value, list | tuple) else (value,)
            return tuple(_checked(name, item, typing.get_args(choice)[0]) for item in items)
        elif choice is float and type(value) is int:
            return float(value)
        elif choice is Path and isinstance(value, str):
            return Path(value)
        elif choice is str and isinstance(value, Path):
            return str(value)
        elif type(value) is choice or (choice is Path and isinstance(value, Path)):
            return value
    raise OptionError(f"{name} cannot be {value!r}; it takes {_described(choices)}.")


def _described(choices: tuple[Any, ...]) -> str:
    words: list[str] = []
    for choice in choices:
        if typing.get_origin(choice) is Literal:
            words += [str(item) for item in typing.get_args(choice)]
        elif choice is not type(None):
            words.append(_WORDS.get(choice, str(choice)))
    return " or ".join(words)
