"""`convolve scratch`: the worked calculation of a layer, value by value, and the classic filters on a photograph."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from convolve.choices import Language
from convolve.command import Command
from convolve.errors import OptionError
from convolve.options import merge
from convolve.progress import Listener

if TYPE_CHECKING:
    from rich.console import RenderableType

    from convolve.from_scratch.filters import FilteredImage
    from convolve.from_scratch.traces.layer_examples import WorkedExample
    from convolve.from_scratch.traces.trace import Trace


OperationName = Literal[
    "size", "layer", "conv2d", "conv1d", "transposed-conv", "pool", "gap", "affine", "maxout", "activation", "dropout",
    "batchnorm", "layernorm", "lrn", "softmax", "hinge", "l1", "l2", "optimizer", "init", "cam", "confusion", "iou",
    "nms", "average-precision", "yolo", "filters", "proposals", "homework",
]  # fmt: skip
Kind = Literal[
    "max", "min", "average", "sigmoid", "tanh", "relu", "leaky relu", "elu", "formula", "graph", "paper", "caffe",
    "bowl", "saddle", "lecture", "scikit-learn", "v1", "v2", "v3",
]  # fmt: skip
OptimizerName = Literal[
    "gradient descent", "sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adadelta", "adam",
]  # fmt: skip
ExerciseName = Literal["conv", "pool", "affine", "softmax", "batchnorm", "two-layer"]
InitializerName = Literal["gaussian", "normal", "xavier", "he"]
WITHOUT_INPUT = frozenset({"optimizer", "init"})
"""Operations that have an input of their own."""
PHOTOGRAPHS = frozenset({"filters", "proposals"})
"""Operations whose input is a photograph."""
_SIGNED = Parameter(allow_leading_hyphen=True)  # numbers may begin with a minus


@dataclass(frozen=True)
class Scratch:
    """Show how a layer computes, value by value, forward and backward, what layers cost, what optimizers and
    initializers do, or how boxes are found and judged; or filter a photograph, or group its regions.
    """

    operation: OperationName | None = None
    """Operation to compute; without it and without --input, the lectures' worked examples are listed. homework writes a
    file with blanks, or checks one."""
    exercise: ExerciseName | None = None
    """Exercise of homework."""
    _: KW_ONLY
    example: str | None = None
    """Worked example from the lectures; other options override its own."""
    input: Annotated[str | None, _SIGNED] = None
    """Matrix such as "1 2; 3 4" (rows separated by ; or /, channels by |), a .csv or .npy file, or a photograph;
    for size rows and columns, for layer perhaps channels too, for optimizer where to start, for init examples,
    units and layers ("1000 100 10"), for cam maps separated by |, for confusion the counts. A row is an example
    (affine, maxout, softmax, hinge, batchnorm, layernorm), a position (lrn), a box as left top right bottom (iou),
    with its confidence and perhaps its class (nms), an image, a box and a score, or a score and 1 or 0 for right or
    wrong (average-precision), a descriptor t_x t_y t_w t_h c_1 ... p_obj (yolo)."""
    kernel: Annotated[str | None, _SIGNED] = None
    """Convolution kernel (filters separated by ||, for conv1d by |), weights of affine or maxout (pieces separated by
    |), γ of a normalization, dropout mask, window size for size, or for cam the weights of each class in a row; written
    like --input. For layer the layers, such as "3x3 3x3" or "5x5x10p2 pool2x2 fc84" (rows x columns x filters, s the
    stride, p the padding)."""
    bias: Annotated[str | None, _SIGNED] = None
    """Bias of a convolution, of affine or of maxout (one row per piece), or β of a normalization; default: none."""
    target: Annotated[str | None, _SIGNED] = None
    """Target of a loss: for softmax and hinge the true class of each row, counted from 1; for l1 and l2 a matrix.
    Without it, softmax has a Jacobian and no loss. For cam the class, counted from 1 (default: the one of the highest
    score). For iou the boxes of the ground truth; for average-precision the image and box of each object, or their
    number."""
    stride: int | None = None
    """Stride of the window (default: 1, for pooling the window size), or side of yolo's cells in pixels (default: 64
    for v1, else 32)."""
    padding: int | None = None
    """Zeros added on each side of the input, or for transposed-conv values cut off on each side of the output;
    default: 0."""
    dilation: int | None = None
    """Spacing between kernel elements; default: 1."""
    groups: int | None = None
    """Number of groups that channels and filters are divided into; default: 1."""
    kind: Kind | None = None
    """Pooling (max, min, average; default: max), activation (default: relu, for init tanh), backward pass of batchnorm
    (in one formula, or node by node along the graph; default: formula), constants of lrn (paper, caffe; default:
    paper), surface of optimizer (bowl, saddle; default: bowl), side of the ground truth in confusion (lecture: columns;
    scikit-learn: rows; default: lecture), or version of yolo (v1, v2, v3; default: v1)."""
    size: int | None = None
    """Side of the pooling window (default: 2), number of channels that lrn sums over (default: 5), or of yolo's cells
    along each side of the image (default: 7 for v1, else 13)."""
    probability: float | None = None
    """Probability of dropout; default: 0.5."""
    optimizer: OptimizerName | None = None
    """Optimizer whose path is computed; default: all eight."""
    learning_rate: float | None = None
    """Learning rate of optimizer; default: one that suits the surface, for each."""
    steps: int | None = None
    """Number of steps of optimizer; default: 30."""
    initializer: InitializerName | None = None
    """Initializer of init (gaussian: σ = 0.01, normal: σ = 1); default: all four."""
    seed: int | None = None
    """Seed of init's random numbers; default: 0."""
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
    check: Path | None = None
    """File of homework to check. It is a program: it runs with your rights, in a process of its own, for at most 20
    seconds."""
    out: Path | None = None
    """File of homework to write; default: homework_NAME.py."""
    page: Path | None = None
    """Write an HTML page: the animated calculation, or the filtered photograph."""
    language: Language | None = None
    """Language of the page: en or ko (default: en)."""


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


@dataclass(frozen=True)
class ExerciseFile:
    """A file of homework that was written, and how many blanks it has."""

    exercise: str
    path: Path
    blanks: int

    def as_json(self) -> dict[str, Any]:
        """`exercise`, `path`, `blanks`."""
        return {"exercise": self.exercise, "path": str(self.path), "blanks": self.blanks}

    def _repr_html_(self) -> str:
        from convolve.console import to_html

        return to_html(render(self))


@dataclass(frozen=True)
class FunctionCheck:
    """A function of a homework file, and what is wrong with it; empty if nothing is."""

    name: str
    mistake: str


@dataclass(frozen=True)
class HomeworkCheck:
    """What the check of a homework file found, function by function."""

    exercise: str
    path: Path
    functions: tuple[FunctionCheck, ...]

    @property
    def right(self) -> bool:
        """Whether every function is right."""
        return not any(function.mistake for function in self.functions)

    def as_json(self) -> dict[str, Any]:
        """`exercise`, `path`, `right`, and of each of the `functions` its `name` and `mistake`."""
        functions = [dataclasses.asdict(function) for function in self.functions]
        return {"exercise": self.exercise, "path": str(self.path), "right": self.right, "functions": functions}

    def _repr_html_(self) -> str:
        from convolve.console import to_html

        return to_html(render(self))


def run(
    options: Scratch, listener: Listener
) -> ExampleList | WorkedCalculation | FilteredPhotograph | ExerciseFile | HomeworkCheck:
    """List the examples, trace an operation on an example's numbers or given ones, filter a photograph, or write or
    check homework. Raises `OptionError` for invalid options, `ImageError` for a photograph that cannot be read.
    """
    del listener
    if options.operation == "homework":
        from convolve.verbs.scratch import homework

        return homework.run_homework(options)
    if options.example is not None:
        options = _example_options(options.example, options)
    elif options.input is None and options.operation not in PHOTOGRAPHS | WITHOUT_INPUT:
        return _example_list(options)
    from convolve.verbs.scratch import operations

    if options.operation in PHOTOGRAPHS:
        from convolve.verbs.scratch import photographs

        operations.check_options(options)
        if options.operation == "proposals":
            return WorkedCalculation(photographs.group_photograph(options), options.page)
        return FilteredPhotograph(str(options.input), photographs.filter_photograph(options), options.page)
    return WorkedCalculation(operations.trace_operation(options), options.page)


def render(
    result: ExampleList | WorkedCalculation | FilteredPhotograph | ExerciseFile | HomeworkCheck,
) -> Iterator[RenderableType]:
    """A table of the examples, of the filtered images or of what a check found, or every step of the calculation."""
    from convolve.verbs.scratch import console

    if isinstance(result, ExerciseFile | HomeworkCheck):
        yield from console.render_homework(result)
        return

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
