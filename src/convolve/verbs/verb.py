"""What a verb is: its options, the function that does it, and how its result is shown to people."""

from __future__ import annotations

import importlib
import inspect
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from convolve import options as flat
from convolve.errors import OptionError
from convolve.progress import Listener, silent

if typing.TYPE_CHECKING:
    from rich.console import RenderableType

NAMES = ("data", "networks", "train", "evaluate", "predict", "explain", "compare", "scratch")

Options = TypeVar("Options")


class Result(Protocol):
    """What a verb returns."""

    def as_json(self) -> Mapping[str, Any]:
        """The result as plain dictionaries, lists, strings and numbers."""
        ...


R = TypeVar("R", bound=Result)


@dataclass(frozen=True)
class Verb(Generic[Options, R]):
    """``run`` does it and prints nothing but what it tells the listener; ``shown`` gives the lines for people."""

    options: type[Options]
    run: Callable[[Options, Listener], R]
    shown: Callable[[R], Iterator[RenderableType]]

    @property
    def name(self) -> str:
        """The word on the command line."""
        return self.options.__name__.lower()

    @property
    def __signature__(self) -> inspect.Signature:
        """Every option as a keyword; those that name what to work on may stand without their name."""
        kinds = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        return inspect.Signature(
            [
                inspect.Parameter(option.name, kinds[option.positional], annotation=option.kind, default=None)
                for option in sorted(flat.fields(self.options), key=lambda option: not option.positional)
            ]
        )

    def __call__(self, *values: object, **keywords: object) -> R:
        """Run the verb with the command line's options as keywords. Raises `convolve.errors.ConvolveError`."""
        options = [option for option in flat.fields(self.options) if option.positional]
        names = [option.name for option in options]
        if len(values) > len(names) and typing.get_origin(options[-1].kind) is tuple:
            values = (*values[: len(names) - 1], values[len(names) - 1 :])
        if len(values) > len(names) or set(names[: len(values)]) & set(keywords):
            raise OptionError(f"{self.name} takes {', '.join(names) or 'nothing'} without names, and each option once.")
        return self.run(flat.build(self.options, dict(zip(names, values, strict=False)) | keywords), silent)


def find(name: str) -> Verb[Any, Any]:
    """The verb of that name, its module imported only now."""
    verb: Verb[Any, Any] = importlib.import_module(f"convolve.verbs.{name}").VERB
    return verb
