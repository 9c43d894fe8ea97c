"""A command's options as a client writes them: names and plain values, and no path outside of the server's folders."""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from convolve.commands import COMMANDS
from convolve.errors import OptionError
from convolve.options import Option, fields, unknown_option
from convolve.tasks.registry import task_flags

_FILES: Final = ("images", "csv")
"""Options that name files though their type does not say so."""


@dataclass(frozen=True)
class Folders:
    """The folders that a client may name files in: those of the data, if any, and those of the runs."""

    data: Path | None
    runs: Path

    @property
    def roots(self) -> tuple[Path, ...]:
        """Both, the data first."""
        return (self.data, self.runs) if self.data else (self.runs,)


def checked_options(verb: str, values: Mapping[str, object], folders: Folders) -> dict[str, object]:
    """The options with every path made absolute. Raises `OptionError` for a command that there is not, for options that
    it does not take, and for a path outside of the folders.
    """
    if verb not in COMMANDS:
        raise OptionError(f"There is no such command; choose from {', '.join(COMMANDS)}.")
    command = COMMANDS[verb]
    known = {option.name: option for option in fields(command.options)}
    own = {flag.name for flag in task_flags(command.task_use)} if command.task_use else set()
    for name in values:
        if name not in known and name not in own:
            raise unknown_option(name, sorted({*known, *own}))
    found = {name: _inside(value, known.get(name), folders) for name, value in values.items()}
    command.build_options(found)
    return found


def _inside(value: object, option: Option | None, folders: Folders) -> object:
    if isinstance(value, list):
        return [_inside(each, option, folders) for each in value]
    if not isinstance(value, str):
        return value
    path = Path(value)
    if path.is_absolute() or ".." in path.parts or value.startswith("~"):
        return str(_contained(path, folders.roots))
    if option is None or not _names_file(option):
        return value
    for root in folders.roots:
        if (root / path).exists():
            return str(_contained(root / path, folders.roots))
    is_name = option.path_like and len(path.parts) == 1  # of a dataset or a network
    return value if is_name else str(_contained(folders.runs / path, folders.roots))


def _contained(path: Path, roots: Sequence[Path]) -> Path:
    """The path without links. Raises `OptionError` where it is in none of the roots."""
    try:
        resolved = path.resolve()
    except (OSError, RuntimeError, ValueError):  # a circle of links, or a character that no path has
        resolved = Path()
    if not any(resolved.is_relative_to(root) for root in roots):
        raise OptionError("A path leads out of the server's folders; name one inside of --data or of the runs.")
    return resolved


def _names_file(option: Option) -> bool:
    kinds: tuple[Any, ...] = (option.type, *typing.get_args(option.type))
    return option.path_like or Path in kinds or option.name in _FILES
