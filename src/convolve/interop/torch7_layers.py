"""Torch7's layers of one input in words: what each class of `nn` and `cudnn` does once it is trained.

Rules of the program that a file does not spell out: pooling rounds down unless it was told `:ceil()`, and in files from
before that it rounds down and counts padding; a convolution's weight may be a matrix; dropout of before its second
version scales when it is not training; an old batch normalization keeps the reciprocal of its deviation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
import numpy.typing as npt

from convolve.interop.network_builder import NetworkBuilder
from convolve.models.definition import Value
from convolve.untrusted.torch7 import LuaArray, LuaObject


@final
@dataclass(frozen=True)
class Module:
    """A layer of the file: its class and the library that has it, its name here, and its fields."""

    library: str
    kind: str
    name: str
    fields: Mapping[Any, Any]

    def number(self, field: str, default: float | None = None) -> float:
        """A field that is a number. Raises `ValueError`."""
        value = self.fields.get(field)
        value = default if value is None else value
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            raise ValueError(f"the layer {self.name!r} ({self.kind}) has no {field}")
        return float(value)

    def whole(self, field: str, default: int | None = None) -> int:
        """A field that is a whole number. Raises `ValueError`."""
        value = self.number(field, default)
        if value != int(value) or abs(value) > 2**31:
            raise ValueError(f"the layer {self.name!r} ({self.kind}) has {field} {value:g}, which is not whole")
        return int(value)

    def array(self, field: str) -> npt.NDArray[Any] | None:
        """A field that is a tensor or a storage and not empty, or else None."""
        value = self.fields.get(field)
        return value.numbers if isinstance(value, LuaArray) and value.numbers.size else None

    def sizes(self) -> list[int]:
        """The field `size` as whole numbers. Raises `ValueError`."""
        array = self.array("size")
        if array is None or array.ndim != 1 or array.dtype.kind != "i" or len(array) > 16:
            raise ValueError(f"the layer {self.name!r} ({self.kind}) has no size")
        return [int(each) for each in array]


def module_of(value: Any, name: str) -> Module:
    """An object of the file as a layer. Raises `ValueError` for what is none."""
    if not isinstance(value, LuaObject):
        raise ValueError(f"the layer {name!r} is no layer of Torch7")
    library, _, kind = value.kind.rpartition(".")
    known = library in ("nn", "cudnn", "inn")
    return Module(library if known else "", kind if known else value.kind, name, value.fields)


_Reader = Callable[[Module, str, NetworkBuilder], str]
"""Adds the layers of a module that takes ``source``, and says which of them gives its output."""


def _pair(module: Module, fields: str, default: int | None = None) -> tuple[int, int]:
    """Two fields of which the names end in H and W, such as `kH` and `kW`."""
    return module.whole(f"{fields}H", default), module.whole(f"{fields}W", default)


def _padding(module: Module) -> tuple[int, int, int, int]:
    old = module.whole("padding", 0)  # one field for both sides, once
    high, wide = _pair(module, "pad", old)
    if min(high, wide) < 0:
        raise ValueError(f"the layer {module.name!r} has padding below zero")
    return wide, wide, high, high


def _convolution(module: Module, source: str, builder: NetworkBuilder) -> str:
    full = module.kind == "SpatialFullConvolution"
    before, out, groups = module.whole("nInputPlane"), module.whole("nOutputPlane"), module.whole("groups", 1)
    kernel, bias = _pair(module, "k"), module.array("bias")
    if builder.shapes[source][0] != before or min(groups, before, out, *kernel) < 1 or before % groups or out % groups:
        raise ValueError(f"the layer {module.name!r} takes {before} channels, and is given {builder.shapes[source][0]}")
    options: dict[str, Value] = {"out": out, "kernel": kernel, "stride": _pair(module, "d", 1)}
    options |= {"padding": _padding(module), "groups": groups, "bias": bias is not None}
    if full:
        options["output_padding"] = _pair(module, "adj", 0)
    else:
        options["dilation"] = _pair(module, "dilation", 1)
    name = builder.add(module.name, "deconvolution" if full else "convolution", [source], options)
    shape = (before, out // groups, *kernel) if full else (out, before // groups, *kernel)
    _give(module, builder, "weight", module.array("weight"), shape)
    if bias is not None:
        builder.give(name, "bias", bias, (out,))
    return name


def _give(
    module: Module, builder: NetworkBuilder, values: str, array: npt.NDArray[Any] | None, shape: tuple[int, ...]
) -> None:
    if array is None:
        raise ValueError(f"the layer {module.name!r} ({module.kind}) has no {values}")
    builder.give(module.name, values, array, shape)


def _linear(module: Module, source: str, builder: NetworkBuilder) -> str:
    weight, bias = module.array("weight"), module.array("bias")
    before = math.prod(builder.shapes[source])
    if weight is None or weight.ndim != 2 or weight.shape[1] != before:
        takes = "no values" if weight is None or weight.ndim != 2 else f"{weight.shape[1]:,} values"
        raise ValueError(f"the layer {module.name!r} takes {takes}, and is given {before:,}")
    out = weight.shape[0]
    name = builder.add(module.name, "linear", [source], {"out": out, "bias": bias is not None})
    builder.give(name, "weight", weight, (out, before))
    if bias is not None:
        builder.give(name, "bias", bias, (out,))
    return name


def _pool(module: Module, source: str, builder: NetworkBuilder) -> str:
    kernel, average = _pair(module, "k"), module.kind == "SpatialAveragePooling"
    counted = module.fields.get("count_include_pad") is not False
    counted &= module.fields.get("mode") != "CUDNN_POOLING_AVERAGE_COUNT_EXCLUDE_PADDING"
    high, wide = (1, 1) if average and module.library == "nn" else kernel
    stride = module.whole("dH", high), module.whole("dW", wide)
    options: dict[str, Value] = {"mode": "average" if average else "max", "kernel": kernel, "stride": stride}
    options |= {"padding": _padding(module), "ceil": module.fields.get("ceil_mode") is True}
    options["count_padding"] = average and counted
    name = builder.add(module.name, "pool", [source], options)
    if average and module.fields.get("divide") is False:
        name = builder.add(f"{name}/sum", "power", [name], {"scale": float(kernel[0] * kernel[1])})
    return name


def _adaptive_pool(module: Module, source: str, builder: NetworkBuilder) -> str:
    if (module.whole("W"), module.whole("H")) != (1, 1):
        raise ValueError(f"the layer {module.name!r} ({module.kind}) pools to more than 1x1, which is not read here")
    mode = "average" if "Average" in module.kind else "max"
    return builder.add(module.name, "global_pool", [source], {"mode": mode})


def _batch_norm(module: Module, source: str, builder: NetworkBuilder) -> str:
    eps, mean, variance = module.number("eps", 1e-5), module.array("running_mean"), module.array("running_var")
    reciprocal = module.array("running_std")
    if reciprocal is not None:
        with np.errstate(all="ignore"):
            variance = np.maximum(np.asarray(reciprocal, np.float64) ** -2 - eps, 0)
    weight, bias = module.array("weight"), module.array("bias")
    name = builder.add(module.name, "batch_norm", [source], {"eps": eps, "affine": weight is not None})
    shape = builder.shapes[source][:1]
    _give(module, builder, "running_mean", mean, shape)
    _give(module, builder, "running_var", variance, shape)
    if weight is not None:
        builder.give(name, "weight", weight, shape)
        _give(module, builder, "bias", bias, shape)
    return name


def _activation(function: str, fields: Mapping[str, str] | None = None) -> _Reader:
    """An activation, and the fields that its options are in."""

    def read(module: Module, source: str, builder: NetworkBuilder) -> str:
        values = {option: module.number(field) for option, field in (fields or {}).items()}
        return builder.add(module.name, "activation", [source], {"function": function, **values})

    return read


def _rrelu(module: Module, source: str, builder: NetworkBuilder) -> str:
    mean = (module.number("lower") + module.number("upper")) / 2
    return builder.add(module.name, "activation", [source], {"function": "leaky_relu", "slope": mean})


def _prelu(module: Module, source: str, builder: NetworkBuilder) -> str:
    weight = module.array("weight")
    name = builder.add(module.name, "activation", [source], {"function": "prelu"})
    channels = builder.shapes[source][0]
    if weight is not None and weight.size == 1:
        weight = np.repeat(weight, channels)
    _give(module, builder, "weight", weight, (channels,))
    return name


def _softmax(module: Module, source: str, builder: NetworkBuilder) -> str:
    name = builder.add(module.name, "softmax", [source], {"axis": 1})
    if "Log" in module.kind:
        name = builder.add(f"{name}/log", "activation", [name], {"function": "log"})
    return name


def _dropout(module: Module, source: str, builder: NetworkBuilder) -> str:
    p = module.number("p", 0.5)
    name = builder.add(module.name, "dropout", [source], {"p": p})
    if module.kind == "SpatialDropout" or module.fields.get("v2") is not True:
        name = builder.add(f"{name}/scale", "power", [name], {"scale": 1 - p})
    return name


def _zero_padding(module: Module, source: str, builder: NetworkBuilder) -> str:
    pads = [module.whole(f"pad_{side}", 0) for side in "lrtb"]
    name = source
    if max(pads) > 0 or min(pads) == 0:
        name = builder.add(module.name, "pad", [name], {"padding": tuple(max(pad, 0) for pad in pads)})
    if min(pads) < 0:
        cut_name = f"{module.name}/cut" if name != source else module.name
        name = builder.add(cut_name, "cut", [name], {"padding": tuple(max(-pad, 0) for pad in pads)})
    return name


def _lrn(module: Module, source: str, builder: NetworkBuilder) -> str:
    k = module.number("k" if "k" in module.fields else "K", 1.0)
    options = {"size": module.whole("size"), "alpha": module.number("alpha", 1e-4), "beta": module.number("beta", 0.75)}
    return builder.add(module.name, "lrn", [source], {**options, "k": k})


def _view(module: Module, source: str, builder: NetworkBuilder) -> str:
    """`View` and `Reshape`: a first -1 is the batch unless the number of axes without it is known."""
    sizes = module.sizes()
    with_batch = len(sizes) > 1 and sizes[0] == -1 and module.fields.get("numInputDims") is None
    if with_batch or (len(sizes) == 4 and sizes[0] == 1):
        sizes = sizes[1:]
    if min(sizes) < -1 or 0 in sizes or sizes.count(-1) > 1:
        raise ValueError(f"the layer {module.name!r} ({module.kind}) has no size")
    if len(sizes) > 1:
        return builder.add(module.name, "reshape", [source], {"shape": tuple(sizes)})
    count = math.prod(builder.shapes[source])
    if sizes[0] not in (-1, count):
        raise ValueError(f"the layer {module.name!r} takes {sizes[0]:,} values, and is given {count:,}")
    return builder.add(module.name, "flatten", [source], {})


def _upsampling(module: Module, source: str, builder: NetworkBuilder) -> str:
    bilinear = "Bilinear" in module.kind
    factor = module.whole("scale_factor")
    options: dict[str, Value] = {"factor": (factor, factor), "mode": "bilinear" if bilinear else "nearest"}
    return builder.add(module.name, "upsample", [source], {**options, "align_corners": bilinear})


def _constant(option: str) -> _Reader:
    """`MulConstant` and `AddConstant`."""

    def read(module: Module, source: str, builder: NetworkBuilder) -> str:
        return builder.add(module.name, "power", [source], {option: module.number("constant_scalar")})

    return read


def _per_channel(module: Module, source: str, builder: NetworkBuilder) -> str:
    """`CMul` and `CAdd`: a number for each channel, multiplied or added."""
    channels = builder.shapes[source][0]
    values = module.array("weight" if module.kind == "CMul" else "bias")
    name = builder.add(module.name, "scale", [source], {"bias": module.kind == "CAdd"})
    _give(module, builder, "weight", values if module.kind == "CMul" else np.ones(channels, np.float32), (channels,))
    if module.kind == "CAdd":
        _give(module, builder, "bias", values, (channels,))
    return name


def _shuffle(module: Module, source: str, builder: NetworkBuilder) -> str:
    return builder.add(module.name, "depth_to_space", [source], {"factor": module.whole("upscaleFactor")})


def _power(module: Module, source: str, builder: NetworkBuilder) -> str:
    return builder.add(module.name, "power", [source], {"power": module.number("pow")})


def _unchanged(_module: Module, source: str, _builder: NetworkBuilder) -> str:
    return source


LAYERS: Final[Mapping[str, _Reader]] = {
    **dict.fromkeys(
        ("SpatialConvolution", "SpatialConvolutionMM", "SpatialDilatedConvolution", "SpatialFullConvolution"),
        _convolution,
    ),
    "Linear": _linear,
    **dict.fromkeys(("SpatialMaxPooling", "SpatialAveragePooling"), _pool),
    **dict.fromkeys(("SpatialAdaptiveMaxPooling", "SpatialAdaptiveAveragePooling"), _adaptive_pool),
    **dict.fromkeys(("SpatialBatchNormalization", "BatchNormalization"), _batch_norm),
    "ReLU": _activation("relu"),
    "ReLU6": _activation("relu6"),
    "LeakyReLU": _activation("leaky_relu", {"slope": "negval"}),
    "RReLU": _rrelu,
    "PReLU": _prelu,
    "ELU": _activation("elu", {"alpha": "alpha"}),
    "Threshold": _activation("threshold", {"threshold": "threshold", "value": "val"}),
    "Tanh": _activation("tanh"),
    "Sigmoid": _activation("sigmoid"),
    **dict.fromkeys(("HardTanh", "Clamp"), _activation("hard_tanh", {"low": "min_val", "high": "max_val"})),
    "SoftPlus": _activation("softplus", {"beta": "beta"}),
    "SoftSign": _activation("softsign"),
    "Abs": _activation("abs"),
    "Exp": _activation("exp"),
    "Log": _activation("log"),
    "Sqrt": _activation("sqrt"),
    "Square": _activation("square"),
    **dict.fromkeys(("SoftMax", "LogSoftMax", "SpatialSoftMax", "SpatialLogSoftMax"), _softmax),
    **dict.fromkeys(("Dropout", "SpatialDropout"), _dropout),
    "SpatialZeroPadding": _zero_padding,
    **dict.fromkeys(("SpatialCrossMapLRN", "SpatialCrossResponseNormalization"), _lrn),
    **dict.fromkeys(("View", "Reshape"), _view),
    **dict.fromkeys(("SpatialUpSamplingNearest", "SpatialUpSamplingBilinear"), _upsampling),
    "MulConstant": _constant("scale"),
    "AddConstant": _constant("shift"),
    **dict.fromkeys(("CMul", "CAdd"), _per_channel),
    "Power": _power,
    "PixelShuffle": _shuffle,
    **dict.fromkeys(("Identity", "Contiguous", "Copy", "GradientReversal", "WhiteNoise"), _unchanged),
}
"""By classes."""
