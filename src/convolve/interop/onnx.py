"""ONNX: a network by PyTorch's exporter with the steps around it as nodes of the same graph, in one file."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import operator
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import numpy.typing as npt
import torch

from convolve.errors import ExportError
from convolve.files import atomic_write
from convolve.interop.exportable import Exportable
from convolve.interop.graph_operations import Kind, Steps, Value
from convolve.interop.libraries import load_library
from convolve.interop.programs import trace_program
from convolve.values import Preprocessing

OPSET: Final = 20
_MOST_BYTES: Final = 2**31 - 1
"""Of one file: ONNX's format has no room for more."""


@final
class OnnxOperations:
    """The operations of `GraphOperations` as nodes of ONNX; a value is the name of a tensor."""

    def __init__(self) -> None:
        self._helper: Any = load_library("onnx.helper")
        self._arrays: Any = load_library("onnx.numpy_helper")
        self._types: Any = load_library("onnx").TensorProto
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def integers(self, *numbers: int) -> Value:
        """A constant (K,) int64."""
        return self._constant(np.array(numbers, np.int64))

    def floats(self, numbers: Sequence[float], shape: Sequence[int]) -> Value:
        """A constant float32 of a shape."""
        return self._constant(np.array(numbers, np.float32).reshape(shape))

    def side(self, value: Value, axis: int) -> Value:
        """(1,) int64, the length of an axis."""
        return self._node("Shape", value, start=axis, end=axis + 1)

    def add(self, left: Value, right: Value) -> Value:
        """The sum."""
        return self._node("Add", left, right)

    def subtract(self, left: Value, right: Value) -> Value:
        """The difference."""
        return self._node("Sub", left, right)

    def multiply(self, left: Value, right: Value) -> Value:
        """The product."""
        return self._node("Mul", left, right)

    def divide(self, left: Value, right: Value) -> Value:
        """The quotient; of integers, which are not negative, rounded down."""
        return self._node("Div", left, right)

    def least(self, left: Value, right: Value) -> Value:
        """The smaller of each two."""
        return self._node("Min", left, right)

    def greatest(self, left: Value, right: Value) -> Value:
        """The larger of each two."""
        return self._node("Max", left, right)

    def choose_if_equal(self, left: Value, right: Value, chosen: Value, other: Value) -> Value:
        """What is ``chosen`` where left and right are equal, else the other."""
        return self._node("Where", self._node("Equal", left, right), chosen, other)

    def choose_at_most(self, left: Value, right: Value, chosen: Value, other: Value) -> Value:
        """What is ``chosen`` where the left is at most the right, else the other."""
        return self._node("Where", self._node("LessOrEqual", left, right), chosen, other)

    def join(self, values: Sequence[Value], axis: int = 0) -> Value:
        """Values one after another along an axis."""
        return self._node("Concat", *values, axis=axis)

    def cast(self, value: Value, kind: Kind) -> Value:
        """The same numbers of another kind."""
        types = self._types
        to = {"float32": types.FLOAT, "int64": types.INT64, "int32": types.INT32, "uint8": types.UINT8}[kind]
        return self._node("Cast", value, to=to)

    def transpose(self, value: Value, order: Sequence[int]) -> Value:
        """The axes in another order."""
        return self._node("Transpose", value, perm=list(order))

    def reshape(self, value: Value, shape: Value) -> Value:
        """The same numbers in a shape (K,) int64, in which -1 is what remains."""
        return self._node("Reshape", value, shape)

    def maximum(self, value: Value, axis: int) -> tuple[Value, Value]:
        """The largest along an axis, which is gone then, and its index (int64): the first where several are equal."""
        largest = self._node("ReduceMax", value, self.integers(axis), keepdims=0)
        return largest, self._node("ArgMax", value, axis=axis, keepdims=0)

    def resize(self, value: Value, height: Value, width: Value) -> Value:
        """(N, C, H, W) resized linearly, between the centers of pixels and without a look at any others."""
        sizes = self.join([height, width])
        options = {"mode": "linear", "coordinate_transformation_mode": "half_pixel", "axes": [2, 3]}
        return self._node("Resize", value, "", "", sizes, **options)

    def shrink(self, value: Value, height: Value, width: Value, block: Value) -> Value:
        """(N, C, H, W) to the means of ``height`` times ``width`` squares whose sides have ``block`` pixels, (1,) each,
        into which it is resized before.
        """
        resized = self.resize(value, self.multiply(height, block), self.multiply(width, block))
        images = self._node("Shape", value, start=0, end=2)
        squares = self.reshape(resized, self.join([images, height, block, width, block]))
        return self._node("ReduceMean", squares, self.integers(3, 5), keepdims=0)

    def part(self, value: Value, begins: Value, ends: Value, axes: Sequence[int]) -> Value:
        """The part of a value between two positions on each of some axes."""
        return self._node("Slice", value, begins, ends, self.integers(*axes))

    def pad(self, value: Value, before: Value, after: Value) -> Value:
        """A value with so many zeros before and after it on each axis."""
        return self._node("Pad", value, self.join([before, after]))

    def gather(self, value: Value, indices: Value) -> Value:
        """(A, B, …) numbers at indices (K, 2) of the first two axes: (K, …)."""
        return self._node("GatherND", value, indices)

    def suppress(self, boxes: Value, scores: Value, iou: float, most: int) -> Value:
        """(N, B, 4) boxes and (N, B) scores to (K, 2) int64: an image and a box, the images in their order and the
        boxes of each from the highest score on; without those of score 0, and at most so many of each image.
        """
        by_class = self._node("Unsqueeze", scores, self.integers(1))
        limits = (self.integers(most), self.floats([iou], [1]), self.floats([0.0], [1]))
        rows = self._node("NonMaxSuppression", boxes, by_class, *limits)
        return self._node("Gather", rows, self.integers(0, 2), axis=1)

    def _constant(self, array: npt.NDArray[Any]) -> str:
        name = f"step_constant_{len(self.constants)}"
        self.constants.append(self._arrays.from_array(array, name))
        return name

    def _node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"step_{len(self.nodes)}_{kind.lower()}"
        self.nodes.append(self._helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name


def build_model(part: Exportable, preprocessing: Preprocessing, metadata: Mapping[str, str]) -> Any:
    """An ONNX model from images as they are to the task's answers, with all shapes that can be known, and with
    ``metadata``. Raises `ExportError`.
    """
    onnx = load_library("onnx")
    model = load_library("onnx.compose").add_prefix(_network(part, preprocessing), "network.")
    graph, do = model.graph, OnnxOperations()
    steps = Steps(do, preprocessing)
    view = part.view(steps, "images")
    names = {steps.normalized("images", view): graph.input[0].name}
    before = len(do.nodes)
    finished = part.finish(steps, tuple(output.name for output in graph.output), view)
    names |= {value: name for name, value in finished.items()}
    nodes = [*do.nodes[:before], *graph.node, *do.nodes[before:]]
    _rename(nodes, names)
    images = onnx.helper.make_tensor_value_info(
        "images", onnx.TensorProto.UINT8, ["images", "height", "width", preprocessing.channels]
    )
    outputs = [onnx.ValueInfoProto(name=name) for name in finished]
    used = {name for node in nodes for name in node.input}
    constants = [constant for constant in [*graph.initializer, *do.constants] if constant.name in used]
    built = onnx.helper.make_graph(nodes, "convolve", [images], outputs, constants)
    found = onnx.helper.make_model(built, opset_imports=model.opset_import, producer_name="convolve")
    found.ir_version = model.ir_version
    found.functions.extend(model.functions)
    found = onnx.shape_inference.infer_shapes(found, data_prop=True)
    for key, value in metadata.items():
        found.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(found)
    return found


def save_model(model: Any, path: Path) -> None:
    """Write one file with the weights in it. Raises `ExportError` for more than the format holds."""
    size = model.ByteSize()
    if size > _MOST_BYTES:
        raise ExportError(f"The network has {size:,} bytes, more than one ONNX file holds; use --to openvino.")
    with atomic_write(path) as draft:
        draft.write_bytes(model.SerializeToString())


def class_metadata(classes: Sequence[str], task: str) -> dict[str, str]:
    """What a viewer of networks shows of a model: its task and the names of its classes, as JSON."""
    return {"task": task, "classes": json.dumps(list(classes), ensure_ascii=False)}


def _size_arithmetic() -> dict[Callable[..., Any], Callable[..., Any]]:
    """Arithmetic of sizes in ONNX's operations: the exporter rounds a negative quotient toward zero, and knows no
    remainder by a size. `Mod` has the sign of the divisor, as Python's.
    """
    do: Any = getattr(load_library("onnxscript"), f"opset{OPSET}")

    def round_down(dividend: Any, divisor: Any) -> Any:
        return do.Div(do.Sub(dividend, do.Mod(dividend, divisor)), divisor)

    def remainder(dividend: Any, divisor: Any) -> Any:
        return do.Mod(dividend, divisor)

    return {operator.floordiv: round_down, torch.ops.aten.remainder.Scalar: remainder}


def _rename(nodes: Sequence[Any], names: Mapping[str, str]) -> None:
    """Call tensors by other names wherever they occur."""
    for node in nodes:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]


def _network(part: Exportable, preprocessing: Preprocessing) -> Any:
    """The module alone, as PyTorch's exporter writes it."""
    program = trace_program(part, preprocessing)
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            exported: Any = torch.onnx.export(
                program, dynamo=True, opset_version=OPSET, verbose=False, custom_translation_table=_size_arithmetic()
            )
    except Exception as error:  # the exporter raises anything
        first = (str(error) or type(error).__name__).strip().splitlines()[0]
        raise ExportError(f"The network has no form in ONNX ({first}); use --to openvino.") from error
    finally:
        logger.setLevel(level)
    return exported.model_proto
