"""Options as frozen dataclasses: nested inside, flat outside.

A dataclass whose field is annotated ``Annotated[Group, Flat, Parameter(group="Heading")]`` shows the group's fields as
its own on the command line and as Python keywords; files keep the groups as sections. A field of type `TaskOptions`
holds the options that only one task has: they are flags and keywords too, and are checked once the task is known.
"""

from __future__ import annotations

import ast
import dataclasses
import difflib
import inspect
import textwrap
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, cast

from cyclopts import Parameter

from convolve.errors import OptionError

Options = TypeVar("Options")
TaskOptions = Annotated[Mapping[str, object], Parameter(parse=False)]
"""Options of one task by name, not yet checked."""
Flat = Parameter(name="*")
_MOST_CHARACTERS = 200
"""Of a value in a sentence."""
_TYPE_NAMES = {int: "a whole number", float: "a number", str: "text", bool: "true or false", Path: "a path"}


@dataclass(frozen=True)
class PathLike:
    """Marks text that names a file or a folder, for which Python also takes a `Path`."""


@dataclass(frozen=True)
class Option:
    """One option: the ``name`` that people use, the ``path`` of field names that leads to it, its type, its default,
    whether it is positional, other names of its flag, and whether it is text that is `PathLike`.
    """

    name: str
    path: tuple[str, ...]
    type: Any
    default: object
    positional: bool
    aliases: tuple[str, ...] = ()
    path_like: bool = False


def fields(cls: type) -> Iterator[Option]:
    """Every option of a dataclass, the groups' fields in place of the groups, without those of a task."""
    hints, annotated = typing.get_type_hints(cls), typing.get_type_hints(cls, include_extras=True)
    for spec in dataclasses.fields(cls):
        hint = hints[spec.name]
        if dataclasses.is_dataclass(hint):
            for inner in fields(cast(type, hint)):
                path = (spec.name, *inner.path)
                yield dataclasses.replace(inner, path=path, positional=inner.positional and not spec.kw_only)
        elif spec.name != "task_options":
            marks = getattr(annotated[spec.name], "__metadata__", ())
            aliases = tuple(name for mark in marks if isinstance(mark, Parameter) for name in mark.alias or ())
            path_like = any(isinstance(mark, PathLike) for mark in marks)
            yield Option(spec.name, (spec.name,), hint, spec.default, not spec.kw_only, aliases, path_like)


def descriptions(cls: type) -> dict[str, str]:
    """The docstring under each field of a dataclass, on one line, by the field's name."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    found: dict[str, str] = {}
    for statement, following in zip(definition.body, definition.body[1:], strict=False):  # type: ignore[attr-defined]
        if isinstance(statement, ast.AnnAssign) and isinstance(following, ast.Expr):
            text = ast.literal_eval(following.value)
            found[cast(ast.Name, statement.target).id] = " ".join(text.split())
    return found


def build(cls: type[Options], keywords: Mapping[str, object]) -> Options:
    """Make a dataclass from flat keywords. Raises `OptionError` for an unknown name or a value of the wrong type."""
    known = {option.name: option for option in fields(cls)}
    values: dict[str, Any] = {}
    groups: dict[str, dict[str, object]] = {}
    for name, value in keywords.items():
        if name not in known:
            raise unknown_option(name, list(known))
        first, *inner = known[name].path
        if inner:
            groups.setdefault(first, {})[name] = value
        else:
            values[name] = _checked(name, value, known[name].type)
    hints = typing.get_type_hints(cls)
    values |= {group: build(hints[group], inner) for group, inner in groups.items()}
    missing = [name for name, option in known.items() if option.default is dataclasses.MISSING and name not in keywords]
    if missing:
        raise OptionError(f"Missing: {', '.join(missing)}.")
    return cls(**values)


def unknown_option(name: str, known: Sequence[str]) -> OptionError:
    """The error for an option that does not exist."""
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"Did you mean {near[0]}?" if near else f"The options are {', '.join(known)}."
    return OptionError(f"There is no option '{name}'. {hint}")


def from_sections(cls: type[Options], sections: Mapping[str, Any], source: str) -> Options:
    """Make a dataclass from a TOML or JSON document whose tables are its groups. Raises `OptionError`."""
    known = {".".join(option.path) for option in fields(cls)}
    flat: dict[str, Any] = {}
    for name, value in sections.items():
        entries = {f"{name}.{key}": inner for key, inner in value.items()} if isinstance(value, dict) else {name: value}
        for path, inner in entries.items():
            if path not in known:
                raise OptionError(f"{source} has an unknown entry '{path}'; remove or correct it.")
            flat[path.rpartition(".")[2]] = inner
    try:
        return build(cls, flat)
    except OptionError as error:
        raise OptionError(f"{source}: {error}") from None


def to_sections(options: object) -> dict[str, Any]:
    """The document that `from_sections` reads; what is None is omitted, and so are a task's own options."""
    found: dict[str, Any] = {}
    for spec in dataclasses.fields(cast(Any, options)):
        value = getattr(options, spec.name)
        if dataclasses.is_dataclass(value):
            value = to_sections(value) or None
        if value is not None and spec.name != "task_options":
            plain = list(value) if isinstance(value, tuple) else value
            found[spec.name] = str(value) if isinstance(value, Path) else plain
    return found


def format_value(value: object) -> str:
    """A value as people write it: yes and no, six digits at most, lists with commas."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        return ", ".join(format_value(item) for item in value)
    return str(value)


def merge(base: Options, over: Options) -> Options:
    """`base` with every field of `over` that is not None."""
    changes: dict[str, Any] = {}
    for spec in dataclasses.fields(cast(Any, base)):
        new = getattr(over, spec.name)
        if dataclasses.is_dataclass(new):
            changes[spec.name] = merge(getattr(base, spec.name), new)
        elif spec.name == "task_options":
            changes[spec.name] = {**getattr(base, spec.name), **new}
        elif new is not None:
            changes[spec.name] = new
    return cast(Options, dataclasses.replace(cast(Any, base), **changes))


def with_task_options(options: Options, own: Mapping[str, object]) -> Options:
    """The options with those of a task in their field of type `TaskOptions`; unchanged where they have none."""
    for spec in dataclasses.fields(cast(Any, options)):
        value: Any = getattr(options, spec.name)
        if spec.name == "task_options":
            new: Any = dict(own)
        else:
            new = with_task_options(value, own) if dataclasses.is_dataclass(value) else value
        if new is not value:
            return cast(Options, dataclasses.replace(cast(Any, options), **{spec.name: new}))
    return options


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
        elif origin is tuple and value is not None:
            items = value if isinstance(value, list | tuple) else (value,)
            return tuple(_checked(name, item, typing.get_args(choice)[0]) for item in items)
        elif choice is float and type(value) is int and abs(value) < 2**63:
            return float(value)
        elif choice is Path and isinstance(value, str):
            return Path(value)
        elif choice is str and isinstance(value, Path):
            return str(value)
        elif type(value) is choice or (choice is Path and isinstance(value, Path)):
            return value
    text = repr(value)
    text = text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}..."
    raise OptionError(f"{name} cannot be {text}; it must be {_describe(choices)}.")


def _describe(choices: tuple[Any, ...]) -> str:
    names: list[str] = []
    for choice in choices:
        if typing.get_origin(choice) is Literal:
            names += [str(item) for item in typing.get_args(choice)]
        elif choice is not type(None):
            names.append(_TYPE_NAMES.get(choice, str(choice)))
    return " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))
