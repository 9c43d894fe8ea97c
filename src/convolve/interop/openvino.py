"""OpenVINO's format: a network with the steps around it as one graph, and that graph run on this machine."""

from __future__ import annotations

import contextlib
import io
import logging
import operator
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import numpy.typing as npt
import torch
from torch.export import ExportedProgram

from convolve.choices import Precision
from convolve.errors import ExportError
from convolve.interop.exportable import Exportable
from convolve.interop.graph_operations import Kind, Steps, Value
from convolve.interop.libraries import load_library
from convolve.interop.programs import trace_program
from convolve.untrusted.networks import openvino_core
from convolve.values import Floats, Pixels, Preprocessing

_KINDS: Final[Mapping[Kind, str]] = {"float32": "f32", "int64": "i64", "int32": "i32", "uint8": "u8"}
_SCORES_OF_ONE_CLASS = 1
_WEIGHTED: Final = ("Convolution", "GroupConvolution", "ConvolutionBackpropData", "MatMul")
"""The kinds of layers whose weights are in 8 bits as well."""
_PASSING: Final = ("Concat", "MaxPool", "Reshape", "Squeeze", "Transpose", "Unsqueeze")
"""The kinds of operations that give the numbers they take, and so have no error of their own in 8 bits."""
_TINY: Final = 1e-12


@final
class OpenVinoOperations:
    """The operations of `GraphOperations`, by OpenVINO's set of operations number 15."""

    def __init__(self) -> None:
        self._ops: Any = load_library("openvino.opset15")

    def integers(self, *numbers: int) -> Value:
        """A constant (K,) int64."""
        return self._ops.constant(np.array(numbers, np.int64))

    def floats(self, numbers: Sequence[float], shape: Sequence[int]) -> Value:
        """A constant float32 of a shape."""
        return self._ops.constant(np.array(numbers, np.float32).reshape(shape))

    def side(self, value: Value, axis: int) -> Value:
        """(1,) int64, the length of an axis."""
        shape = self._ops.shape_of(value, "i64")
        return self._ops.gather(shape, self.integers(axis), self._ops.constant(0))

    def add(self, left: Value, right: Value) -> Value:
        """The sum."""
        return self._ops.add(left, right)

    def subtract(self, left: Value, right: Value) -> Value:
        """The difference."""
        return self._ops.subtract(left, right)

    def multiply(self, left: Value, right: Value) -> Value:
        """The product."""
        return self._ops.multiply(left, right)

    def divide(self, left: Value, right: Value) -> Value:
        """The quotient; of integers, which are not negative, rounded down."""
        return self._ops.divide(left, right)

    def least(self, left: Value, right: Value) -> Value:
        """The smaller of each two."""
        return self._ops.minimum(left, right)

    def greatest(self, left: Value, right: Value) -> Value:
        """The larger of each two."""
        return self._ops.maximum(left, right)

    def choose_if_equal(self, left: Value, right: Value, chosen: Value, other: Value) -> Value:
        """What is ``chosen`` where left and right are equal, else the other."""
        return self._ops.select(self._ops.equal(left, right), chosen, other)

    def choose_at_most(self, left: Value, right: Value, chosen: Value, other: Value) -> Value:
        """What is ``chosen`` where the left is at most the right, else the other."""
        return self._ops.select(self._ops.less_equal(left, right), chosen, other)

    def join(self, values: Sequence[Value], axis: int = 0) -> Value:
        """Values one after another along an axis."""
        return self._ops.concat(list(values), axis)

    def cast(self, value: Value, kind: Kind) -> Value:
        """The same numbers of another kind."""
        return self._ops.convert(value, _KINDS[kind])

    def transpose(self, value: Value, order: Sequence[int]) -> Value:
        """The axes in another order."""
        return self._ops.transpose(value, self.integers(*order))

    def reshape(self, value: Value, shape: Value) -> Value:
        """The same numbers in a shape (K,) int64, in which -1 is what remains."""
        return self._ops.reshape(value, shape, special_zero=False)

    def maximum(self, value: Value, axis: int) -> tuple[Value, Value]:
        """The largest along an axis, which is gone then, and its index (int64): the first where several are equal."""
        found = self._ops.topk(value, self._ops.constant(1), axis, "max", "value", "i64", stable=True)
        axes = self.integers(axis)
        return self._ops.squeeze(found.output(0), axes), self._ops.squeeze(found.output(1), axes)

    def resize(self, value: Value, height: Value, width: Value) -> Value:
        """(N, C, H, W) resized linearly, between the centers of pixels and without a look at any others."""
        return self._ops.interpolate(
            value,
            self.join([height, width]),
            "linear_onnx",
            "sizes",
            coordinate_transformation_mode="half_pixel",
            axes=self.integers(2, 3),
        )

    def shrink(self, value: Value, height: Value, width: Value, block: Value) -> Value:
        """(N, C, H, W) to the means of ``height`` times ``width`` squares whose sides have ``block`` pixels, (1,) each,
        into which it is resized before.

        A mean over both axes at once, or over the last one, is slow code here: it takes a tenth of a ResNet-50's time.
        """
        ops, one, rest = self._ops, self.integers(1), self.integers(-1)
        images = ops.gather(ops.shape_of(value, "i64"), self.integers(0, 1), ops.constant(0))
        resized = self.resize(value, self.multiply(height, block), self.multiply(width, block))
        rows = self.reshape(resized, self.join([rest, block, self.multiply(width, block)]))
        parts = self.reshape(ops.reduce_mean(rows, one, keep_dims=False), self.join([rest, width, block]))
        sums = ops.matmul(
            parts,
            ops.broadcast(self.floats([1.0], [1, 1]), self.join([block, one])),
            transpose_a=False,
            transpose_b=False,
        )
        return self.divide(self.reshape(sums, self.join([images, height, width])), self.cast(block, "float32"))

    def part(self, value: Value, begins: Value, ends: Value, axes: Sequence[int]) -> Value:
        """The part of a value between two positions on each of some axes."""
        return self._ops.slice(value, begins, ends, self.integers(*[1] * len(axes)), self.integers(*axes))

    def pad(self, value: Value, before: Value, after: Value) -> Value:
        """A value with so many zeros before and after it on each axis."""
        return self._ops.pad(value, before, after, "constant", self._ops.constant(np.float32(0)))

    def gather(self, value: Value, indices: Value) -> Value:
        """(A, B, …) numbers at indices (K, 2) of the first two axes: (K, …)."""
        return self._ops.gather_nd(value, indices)

    def suppress(self, boxes: Value, scores: Value, iou: float, most: int) -> Value:
        """(N, B, 4) boxes and (N, B) scores to (K, 2) int64: an image and a box, the images in their order and the
        boxes of each from the highest score on; without those of score 0, and at most so many of each image.
        """
        ops = self._ops
        by_class = ops.unsqueeze(scores, self.integers(_SCORES_OF_ONE_CLASS))
        found = ops.non_max_suppression(
            boxes,
            by_class,
            ops.constant(np.int64(most)),
            ops.constant(np.float32(iou)),
            ops.constant(np.float32(0)),
            box_encoding="corner",
            sort_result_descending=False,
            output_type="i64",
        )
        # Rows (image, class, box); those beyond the number of boxes that are left hold -1.
        rows = ops.slice(found.output(0), self.integers(0), found.output(2), self.integers(1), self.integers(0))
        return ops.gather(rows, self.integers(0, 2), ops.constant(1))


def convert_network(part: Exportable, preprocessing: Preprocessing) -> Any:
    """OpenVINO's graph of a task's module alone, which takes normalized images. Raises `ExportError`."""
    return _converted(trace_program(part, preprocessing))


def add_steps(network: Any, part: Exportable, preprocessing: Preprocessing) -> Any:
    """The graph from images as they are to the task's answers, around a copy of what `convert_network` gave."""
    openvino, network = load_library("openvino"), network.clone()
    steps = Steps(OpenVinoOperations(), preprocessing)
    images = openvino.opset15.parameter([-1, -1, -1, preprocessing.channels], np.uint8, name="images")
    images.output(0).set_names({"images"})
    view = part.view(steps, images)
    (given,) = network.get_parameters()
    # Steps on a gray image leave the number of channels open, and then OpenVINO has no pooling in 8 bits.
    size = (0, 0) if part.any_size else (preprocessing.height, preprocessing.width)
    shape = openvino.opset15.constant(np.array([0, preprocessing.channels, *size], np.int64))
    normalized = openvino.opset15.reshape(steps.normalized(images, view), shape, special_zero=True)
    given.output(0).replace(normalized.output(0))
    maps = tuple(result.input_value(0) for result in network.get_results())
    results = []
    for name, value in part.finish(steps, maps, view).items():
        output = value if isinstance(value, openvino.Output) else value.output(0)
        output.set_names({name})
        results.append(openvino.opset15.result(output, name=name))
    return openvino.Model(results, [images], "convolve")


def quantize_network(network: Any, images: Sequence[Floats], in_float: Sequence[str] = ()) -> Any:
    """The network in 8 bits, its ranges from normalized images (1, C, H, W), and the operations of some names as they
    are.
    """
    nncf = load_library("nncf")
    logging.getLogger("nncf").setLevel(logging.ERROR)
    with contextlib.redirect_stdout(io.StringIO()):
        return nncf.quantize(
            network.clone(),
            nncf.Dataset(list(images)),
            subset_size=len(images),
            ignored_scope=nncf.IgnoredScope(names=list(in_float)) if in_float else None,
        )


def quantization_errors(network: Any, quantized: Any, images: Sequence[Floats]) -> dict[str, float]:
    """How far each operation that is in 8 bits in ``quantized`` moves the network's outputs when it alone is, by its
    name: the mean square of the difference relative to that of the outputs, over normalized images (1, C, H, W).
    """
    exact = _outputs(network, images)
    errors = {}
    for operation in quantized.get_ordered_ops():
        trial = network.clone()
        if _quantize_alone(trial, operation):
            pairs = zip(exact, _outputs(trial, images), strict=True)
            relative = [float(np.mean((one - other) ** 2) / max(np.mean(one**2), _TINY)) for one, other in pairs]
            errors[str(operation.get_friendly_name())] = sum(relative) / len(relative)
    return errors


def _quantize_alone(network: Any, operation: Any) -> bool:
    """Put into a network in float what is before one operation of the same network in 8 bits; whether there was any."""
    name = operation.get_friendly_name()
    same = [one for one in network.get_ops() if one.get_friendly_name() == name]
    if operation.get_type_name() in ("FakeQuantize", *_PASSING) or not same:
        return False
    found = False
    for given, other in zip(same[0].inputs(), operation.inputs(), strict=True):
        quantizer = _quantizer(other.get_source_output().get_node())
        if quantizer is not None:
            ends = [quantizer.input_value(number) for number in range(1, 5)]
            levels = quantizer.get_attributes()["levels"]
            rounded = load_library("openvino.opset15").fake_quantize(given.get_source_output(), *ends, levels)
            given.replace_source_output(rounded.output(0))
            found = True
    if found and operation.get_type_name() in _WEIGHTED:
        same[0].input(1).replace_source_output(operation.input_value(1))
    return found


def _quantizer(node: Any) -> Any:
    """The node that rounds what a node gives to 8 bits, None where there is none."""
    while node.get_type_name() in _PASSING:
        node = node.input_value(0).get_node()
    return node if node.get_type_name() == "FakeQuantize" else None


def _outputs(network: Any, images: Sequence[Floats]) -> list[Floats]:
    """What leaves a network for each of some images, one output after the other, computed in fp32."""
    hints = {"INFERENCE_PRECISION_HINT": "f32"}
    request = openvino_core().compile_model(network, "CPU", hints).create_infer_request()
    return [np.array(value) for image in images for value in request.infer([image]).values()]


def _converted(program: ExportedProgram) -> Any:
    """OpenVINO's graph of a program. Raises `ExportError`.

    The converter has to be asked for: whoever has imported OpenVINO before may have left it out. Of the arithmetic of
    sizes it does not know the least and the greatest, and it rounds a negative quotient toward zero.
    """
    openvino = load_library("openvino")
    extension, ops = load_library("openvino.frontend.pytorch").ConversionExtension, openvino.opset15

    def round_down(dividend: Any, divisor: Any) -> Any:
        return ops.divide(ops.subtract(dividend, ops.floor_mod(dividend, divisor)), divisor)

    found = {torch.sym_min: ops.minimum, torch.sym_max: ops.maximum, operator.floordiv: round_down}
    rules = [
        extension(str(function), lambda node, build=build: build(node.get_input(0), node.get_input(1)).outputs())
        for function, build in found.items()
    ]
    try:
        return load_library("openvino.tools.ovc").convert_model(program, extension=rules)
    except Exception as error:  # of the translation, which raises several kinds
        lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
        raise ExportError(f"The network has no form in OpenVINO ({lines[-1].strip(' -')}); try --to torch.") from error


def save_graph(graph: Any, path: Path, *, compressed: bool) -> None:
    """Write `NAME.xml` and `NAME.bin`, ``compressed`` with weights in 16 bits."""
    load_library("openvino").save_model(graph, path, compress_to_fp16=compressed)


@final
class CompiledNetwork:
    """An exported file as this machine's processor runs it, in a number format (None for the one that OpenVINO takes by
    itself) and with so many threads.
    """

    def __init__(self, path: Path, precision: Precision | None, threads: int) -> None:
        hints = {"INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16"}[precision]} if precision else {}
        settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads}
        core = openvino_core()
        try:
            self._request = core.compile_model(path, "CPU", hints | settings).create_infer_request()
        except RuntimeError as error:
            reason = [line for line in str(error).splitlines() if line.strip()][-1]
            raise ExportError(f"OpenVINO cannot run the network on this processor: {reason}") from error

    def __call__(self, images: Pixels) -> dict[str, npt.NDArray[Any]]:
        """What leaves the graph, by name, for images (N, H, W, C)."""
        try:
            found = self._request.infer([images], share_inputs=True)
        except RuntimeError as error:
            size = f"{images.shape[2]}x{images.shape[1]}"
            raise ExportError(
                f"The exported network fails for an image of {size} pixels; export a run trained with another --fit."
            ) from error
        return {output.get_any_name(): np.array(value) for output, value in found.items()}


def runs_in_bfloat16() -> bool:
    """Whether OpenVINO computes in bfloat16 on this machine unless it is told not to."""
    hint = openvino_core().get_property("CPU", "INFERENCE_PRECISION_HINT")
    return bool(hint.to_string() == "bf16")
