"""`convolve scratch`: the worked calculation of a layer, value by value, and the classic filters on a photograph."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from convolve.command import Command
from convolve.errors import OptionError
from convolve.options import merge
from convolve.progress import Listener

if TYPE_CHECKING:
    from rich.console import RenderableType

    from convolve.from_scratch.filters import FilteredImage
    from convolve.from_scratch.traces.examples import WorkedExample
    from convolve.from_scratch.traces.trace import Trace


OperationName = Literal[
    "size", "conv2d", "conv1d", "pool", "affine", "maxout", "activation", "dropout", "batchnorm", "layernorm", "lrn",
    "softmax", "hinge", "l1", "l2", "iou", "nms", "average-precision", "yolo", "filters",
]  # fmt: skip
Kind = Literal[
    "max", "min", "average", "sigmoid", "tanh", "relu", "leaky relu", "elu", "paper", "caffe",
    "v1", "v2", "v3",
]  # fmt: skip
_SIGNED = Parameter(allow_leading_hyphen=True)  # numbers may begin with a minus


@dataclass(frozen=True)
class Scratch:
    """Show how a layer computes, value by value, forward and backward, or how boxes are found and judged; or filter a
    photograph.
    """

    operation: OperationName | None = None
    """Operation to compute; without it and without --input, the lectures' worked examples are listed."""
    _: KW_ONLY
    example: str | None = None
    """Worked example from the lectures; other options override its own."""
    input: Annotated[str | None, _SIGNED] = None
    """Matrix such as "1 2; 3 4" (rows separated by ; or /, channels by |), a .csv or .npy file, or a photograph; for
    size rows and columns. A row is an example (affine, maxout, softmax, hinge, batchnorm, layernorm), a position (lrn),
    a box as left top right bottom (iou), with its confidence and perhaps its class (nms), an image, a box and a score,
    or a score and 1 or 0 for right or wrong (average-precision), a descriptor t_x t_y t_w t_h c_1 ... p_obj (yolo)."""
    kernel: Annotated[str | None, _SIGNED] = None
    """Convolution kernel (filters separated by ||, for conv1d by |), weights of affine or maxout (pieces separated by
    |), γ of a normalization, dropout mask, or window size for size; written like --input."""
    bias: Annotated[str | None, _SIGNED] = None
    """Bias of a convolution, of affine or of maxout (one row per piece), or β of a normalization; default: none."""
    target: Annotated[str | None, _SIGNED] = None
    """Target of a loss: for softmax and hinge the true class of each row, counted from 1; for l1 and l2 a matrix. For
    iou the boxes of the ground truth; for average-precision the image and box of each object, or their number."""
    stride: int | None = None
    """Stride of the window (default: 1, for pooling the window size), or side of yolo's cells in pixels (default: 64
    for v1, else 32)."""
    padding: int | None = None
    """Zeros added on each side of the input; default: 0."""
    dilation: int | None = None
    """Spacing between kernel elements; default: 1."""
    groups: int | None = None
    """Number of groups that channels and filters are divided into; default: 1."""
    kind: Kind | None = None
    """Pooling (max, min, average; default: max), activation (default: relu), constants of lrn (paper, caffe;
    default: paper), or version of yolo (v1, v2, v3; default: v1)."""
    size: int | None = None
    """Side of the pooling window (default: 2), number of channels that lrn sums over (default: 5), or of yolo's cells
    along each side of the image (default: 7 for v1, else 13)."""
    probability: float | None = None
    """Probability of dropout; default: 0.5."""
    cell: str | None = None
    """Row and column of yolo's cell, counted from 1, such as "4 3"."""
    anchors: str | None = None
    """Width and height in pixels of the anchor of each row of yolo v2 or v3, written like --input; default: the
    published ones."""
    confidence: float | None = None
    """Confidence, or score, above which a box stays in nms and yolo; default: 0.5."""
    iou_threshold: float | None = None
    """IoU above which nms removes a box, and average-precision takes a detection for right; default: 0.5."""
    backward: bool | None = None
    """Also compute the gradients."""
    delta: Annotated[str | None, _SIGNED] = None
    """Gradient of the loss with respect to the output; default: ones."""
    page: Path | None = None
    """Write an HTML page: the animated calculation, or the filtered photograph."""


@dataclass(frozen=True)
class ExampleList:
    """The lectures' worked examples by name."""

    examples: dict[str, WorkedExample]

    def as_json(self) -> dict[str, Any]:
        """`examples`: by name the title, the slide and the options."""
        return {"examples": {name: dataclasses.asdict(example) for name, example in self.examples.items()}}

    def _repr_html_(self) -> str:
        from convolve.console import to_html

        return to_html(render(self))


@dataclass(frozen=True)
class WorkedCalculation:
    """The trace of an operation, and the page if one was written."""

    trace: Trace
    page: Path | None

    def as_json(self) -> dict[str, Any]:
        """`title`, `grids` and `phases` with their steps, whose cells are (grid, row, column) from 0; `page`."""
        return {**dataclasses.asdict(self.trace), "page": str(self.page) if self.page else None}

    def _repr_html_(self) -> str:
        from convolve.console import to_html

        return to_html(render(self))


@dataclass(frozen=True)
class FilteredPhotograph:
    """A photograph through each filter and pooling, and the page if one was written."""

    photograph: str
    images: tuple[FilteredImage, ...]
    page: Path | None

    def as_json(self) -> dict[str, Any]:
        """`photograph`, `page`, and of each of the `images` the name, kernel, size and range of values."""
        images = [
            {"name": each.name, "kernel": each.kernel, "size": each.image.shape[:2], "value_range": each.value_range}
            for each in self.images
        ]
        return {"photograph": self.photograph, "images": images, "page": str(self.page) if self.page else None}

    def _repr_html_(self) -> str:
        from convolve.console import to_html

        return to_html(render(self))


def run(options: Scratch, listener: Listener) -> ExampleList | WorkedCalculation | FilteredPhotograph:
    """List the examples, trace an operation on an example's numbers or given ones, or filter a photograph. Raises
    `OptionError` for invalid options, `ImageError` for a photograph that cannot be read.
    """
    del listener
    if options.example is not None:
        options = _example_options(options.example, options)
    elif options.input is None and options.operation != "filters":
        return _example_list(options)
    from convolve.verbs.scratch import operations

    if options.operation == "filters":
        return FilteredPhotograph(str(options.input), operations.filter_photograph(options), options.page)
    return WorkedCalculation(operations.trace_operation(options), options.page)


def render(result: ExampleList | WorkedCalculation | FilteredPhotograph) -> Iterator[RenderableType]:
    """A table of the examples or of the filtered images, or every step of the calculation."""
    from convolve.verbs.scratch import console

    if isinstance(result, ExampleList):
        yield from console.render_examples(result.examples)
        return
    if isinstance(result, WorkedCalculation):
        yield from console.render_trace(result.trace)
    else:
        yield from console.render_images(result.photograph, result.images)
    if result.page:
        yield f"page  {result.page}"


def _example_list(options: Scratch) -> ExampleList:
    """The examples, or those of one operation."""
    from convolve.from_scratch.traces.examples import EXAMPLES

    given = {spec.name for spec in fields(options) if getattr(options, spec.name) is not None}
    if given - {"operation"}:
        raise OptionError("There are no numbers to compute with; give them with --input, or take an --example.")
    matches = {
        name: example for name, example in EXAMPLES.items() if options.operation in {None, example.options["operation"]}
    }
    return ExampleList(matches)


def _example_options(name: str, options: Scratch) -> Scratch:
    """The options of an example, overridden by those given."""
    from convolve.from_scratch.traces.examples import EXAMPLES

    if name not in EXAMPLES:
        raise OptionError(f"Unknown example '{name}'; choose one of {', '.join(EXAMPLES)}.")
    example = Scratch(**EXAMPLES[name].options)  # type: ignore[arg-type]
    if options.operation not in {None, example.operation}:
        raise OptionError(f"The example {name} computes {example.operation}, not {options.operation}; omit the latter.")
    return merge(example, options)


COMMAND = Command(Scratch, run, render, needs_torch=False)
