"""`convolve scratch`: a layer's sums, one after the other, and the classic filters on a photograph."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from convolve.errors import OptionError
from convolve.options import merge
from convolve.progress import Listener
from convolve.verbs.verb import Verb

if TYPE_CHECKING:
    from rich.console import RenderableType

    from convolve.scratch.photographs import Version
    from convolve.scratch.steps.example import Example
    from convolve.scratch.steps.values import Walk

Operation = Literal[
    "size", "conv2d", "conv1d", "pool", "affine", "maxout", "activation", "dropout", "batchnorm", "layernorm", "lrn",
    "softmax", "hinge", "l1", "l2", "filters",
]  # fmt: skip
Kind = Literal["max", "min", "average", "sigmoid", "tanh", "relu", "leaky relu", "elu", "paper", "caffe"]
_SIGNED = Parameter(allow_leading_hyphen=True)  # numbers may begin with a minus


@dataclass(frozen=True)
class Scratch:
    """Show every sum of a layer, forward and backward; or the classic filters on a photograph."""

    operation: Operation | None = None
    """What to work out; without it, and without an input, the lectures' worked examples are listed."""
    _: KW_ONLY
    example: str | None = None
    """A worked example of the lectures; other options change it."""
    input: Annotated[str | None, _SIGNED] = None
    """Matrix such as "1 2; 3 4" (rows end with ; or /, channels with |), a .csv or .npy file, or a photograph. For lrn
    a row is a place and a column a channel; for affine, maxout, softmax, hinge and the normalisations a row is an
    example; size takes rows and columns."""
    kernel: Annotated[str | None, _SIGNED] = None
    """Kernel of a convolution (filters apart by ||, of conv1d by |), weights of affine or maxout (pieces apart by |), γ
    of a normalisation, mask of dropout, size of the window; written as the input is."""
    bias: Annotated[str | None, _SIGNED] = None
    """Bias of a convolution, of affine or of maxout (a row for each piece), β of a normalisation; none by default."""
    target: Annotated[str | None, _SIGNED] = None
    """Of softmax and hinge the true class of each row, counted from 1; of l1 and l2 the numbers wanted."""
    stride: int | None = None
    """From one place of the window to the next; 1 by default, and the size where it pools."""
    padding: int | None = None
    """Zeros around the input; 0 by default."""
    dilation: int | None = None
    """From one value that the kernel meets to the next; 1 by default."""
    groups: int | None = None
    """Equal parts that channels and filters fall into, each seeing its own; 1 by default."""
    kind: Kind | None = None
    """How to pool (max, min, average), which activation, or whose constants of lrn (paper, caffe); max, relu and paper
    by default."""
    size: int | None = None
    """Side of the window that pools, 2 by default; channels that lrn looks at, 5 by default."""
    share: float | None = None
    """Share that dropout drops, by which what stays is made larger; 0.5 by default."""
    backward: bool | None = None
    """Go back, too: where the slope of the loss flows."""
    delta: Annotated[str | None, _SIGNED] = None
    """Slope of the loss along each output, from which to go back; ones by default."""
    page: Path | None = None
    """Write it as an HTML page with the animation, or with the filtered pictures."""


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
    from convolve.verbs import working

    if options.operation == "filters":
        return Filtered(str(options.input), working.filtered(options), options.page)
    return Worked(working.worked(options), options.page)


def shown(result: Examples | Worked | Filtered) -> Iterator[RenderableType]:
    """A table of the examples or filters, or the steps as they would stand on the board."""
    from convolve.verbs import board

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
    from convolve.scratch.steps.examples import EXAMPLES

    said = [spec.name for spec in fields(options) if getattr(options, spec.name) is not None]
    if set(said) - {"operation"}:
        raise OptionError("Say what to work on: --input with numbers, or --example with one of the lectures'.")
    wanted = (options.operation, None)
    return Examples(
        {name: each for name, each in EXAMPLES.items() if each.options["operation"] in wanted or wanted[0] is None}
    )


def _example(name: str, options: Scratch) -> Scratch:
    from convolve.scratch.steps.examples import EXAMPLES

    if name not in EXAMPLES:
        raise OptionError(f"There is no example '{name}'; there are {', '.join(EXAMPLES)}.")
    base = Scratch(**EXAMPLES[name].options)  # type: ignore[arg-type]
    if options.operation not in {None, base.operation}:
        raise OptionError(f"The example {name} is one of {base.operation}, not of {options.operation}; leave that out.")
    return merge(base, options)


VERB = Verb(Scratch, run, shown)
