"""`convolve scratch`: a layer's sums, one after the other, and the classic filters on a photograph."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convolve.command import Command
from convolve.errors import OptionError
from convolve.options import merge
from convolve.progress import Listener
from convolve.verbs.scratch.options import Scratch

if TYPE_CHECKING:
    from rich.console import RenderableType

    from convolve.from_scratch.photographs import Version
    from convolve.from_scratch.steps.example import Example
    from convolve.from_scratch.steps.values import Walk


@dataclass(frozen=True)
class Examples:
    """The lectures' worked examples by name."""

    examples: dict[str, Example]

    def as_json(self) -> dict[str, Any]:
        """`examples`: by name the title, the slide and the options."""
        return {"examples": {name: dataclasses.asdict(example) for name, example in self.examples.items()}}


@dataclass(frozen=True)
class Worked:
    """A walk through the sums, and the page if one was asked for."""

    walk: Walk
    page: Path | None

    def as_json(self) -> dict[str, Any]:
        """`title`, `grids` and `parts` with their steps, whose cells are (grid, row, column) from 0; `page`."""
        return {**dataclasses.asdict(self.walk), "page": str(self.page) if self.page else None}


@dataclass(frozen=True)
class Filtered:
    """A photograph through each filter and pooling, and the page if one was asked for."""

    photograph: str
    versions: tuple[Version, ...]
    page: Path | None

    def as_json(self) -> dict[str, Any]:
        """`photograph`, `page`, and each version's name, kernel, shape and range of values."""
        versions = [
            {"name": each.name, "kernel": each.kernel, "size": each.picture.shape[:2], "values": each.span}
            for each in self.versions
        ]
        return {"photograph": self.photograph, "versions": versions, "page": str(self.page) if self.page else None}


def run(options: Scratch, listener: Listener) -> Examples | Worked | Filtered:
    """List the examples, walk through one or through the numbers given, or filter a photograph. Raises `OptionError`
    for what does not fit, `ImageError` for a photograph that cannot be read.
    """
    del listener
    if options.example is not None:
        options = _example(options.example, options)
    elif options.input is None and options.operation != "filters":
        return _listed(options)
    from convolve.verbs.scratch import working

    if options.operation == "filters":
        return Filtered(str(options.input), working.filtered(options), options.page)
    return Worked(working.worked(options), options.page)


def shown(result: Examples | Worked | Filtered) -> Iterator[RenderableType]:
    """A table of the examples or filters, or the steps as they would stand on the board."""
    from convolve.verbs.scratch import board

    if isinstance(result, Examples):
        yield from board.examples_shown(result.examples)
    elif isinstance(result, Worked):
        yield from board.walk_shown(result.walk)
    else:
        yield from board.versions_shown(result.photograph, result.versions)
    if not isinstance(result, Examples) and result.page:
        yield f"page  {result.page}"


def _listed(options: Scratch) -> Examples:
    """The examples, of one operation if it is named alone."""
    from convolve.from_scratch.steps.examples import EXAMPLES

    said = [spec.name for spec in fields(options) if getattr(options, spec.name) is not None]
    if set(said) - {"operation"}:
        raise OptionError("Say what to work on: --input with numbers, or --example with one of the lectures'.")
    wanted = (options.operation, None)
    return Examples(
        {name: each for name, each in EXAMPLES.items() if each.options["operation"] in wanted or wanted[0] is None}
    )


def _example(name: str, options: Scratch) -> Scratch:
    from convolve.from_scratch.steps.examples import EXAMPLES

    if name not in EXAMPLES:
        raise OptionError(f"There is no example '{name}'; there are {', '.join(EXAMPLES)}.")
    base = Scratch(**EXAMPLES[name].options)  # type: ignore[arg-type]
    if options.operation not in {None, base.operation}:
        raise OptionError(f"The example {name} is one of {base.operation}, not of {options.operation}; leave that out.")
    return merge(base, options)


COMMAND = Command(Scratch, run, shown)
