"""What a command is: its options, the function that runs it, and how its result is printed."""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from convolve.choices import TaskUse
from convolve.options import build, fields, unknown_option, with_task_options
from convolve.progress import Listener

if typing.TYPE_CHECKING:
    from rich.console import RenderableType

Options = TypeVar("Options")


class Result(Protocol):
    """What a command returns."""

    def as_json(self) -> Mapping[str, Any]:
        """The result as plain dictionaries, lists, strings and numbers."""
        ...


R = TypeVar("R", bound=Result)


@dataclass(frozen=True)
class Command(Generic[Options, R]):
    """``run`` does the work and prints nothing except through the listener; ``render`` gives what is printed of the
    result. ``task_use`` says which options of the tasks the command takes too, if any; ``needs_torch``, whether it
    loads PyTorch.
    """

    options: type[Options]
    run: Callable[[Options, Listener], R]
    render: Callable[[R], Iterator[RenderableType]]
    task_use: TaskUse | None = None
    needs_torch: bool = True

    @property
    def name(self) -> str:
        """The word on the command line."""
        return self.options.__name__.lower()

    def build_options(self, keywords: Mapping[str, object]) -> Options:
        """The options from keywords, a task's own among them. Raises `OptionError`."""
        known = {option.name for option in fields(self.options)}
        general = {name: value for name, value in keywords.items() if name in known}
        own = {name: value for name, value in keywords.items() if name not in known and value is not None}
        if own and self.task_use is None:
            raise unknown_option(next(iter(own)), sorted(known))
        options = build(self.options, general)
        return with_task_options(options, own) if own else options
