"""Caffe's networks in the words of a definition, their numbers as tensors, and what is refused."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from convolve.errors import NetworkError, WeightsError
from convolve.interop.caffe import read_caffe, read_caffe_tensors
from convolve.interop.caffe_weights import read_stored_tensors
from convolve.interop.foreign_network import ForeignNetwork
from convolve.models.definition import LayerDefinition, NetworkDefinition
from convolve.untrusted.caffe import read_caffemodel
from convolve.untrusted.caffe_messages import message_classes
from tests.interop.caffe_files import FOLDER, Array, random_blobs, write_caffemodel
from tests.interop.test_caffe_outputs import compute_layers, definition_of

START = 'name: "net" input: "data" input_dim: [1, 4, 8, 8] '
WINDOW = {"kernel": (1, 1), "stride": (1, 1), "padding": (0, 0, 0, 0)}
DATA = 'layer { name: "data" type: "Data" top: "data" top: "label" %s }'


def layer(kind: str, options: str = "", bottoms: Sequence[str] = ("data",), tops: Sequence[str] = ("top",)) -> str:
    """A layer called `one` in a text."""
    names = " ".join([*(f'bottom: "{name}"' for name in bottoms), *(f'top: "{name}"' for name in tops)])
    return f'layer {{ name: "one" type: "{kind}" {names} {options} }}'


def read(tmp_path: Path, text: str, blobs: Mapping[str, Sequence[Array]] | None = None) -> ForeignNetwork:
    """The network of a text, with these arrays if there are any."""
    definition, weights = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
    definition.write_text(text)
    if blobs is None:
        return read_caffe(definition, None)
    weights.write_bytes(write_caffemodel(text, blobs))
    return read_caffe(definition, weights)


def define(tmp_path: Path, text: str) -> NetworkDefinition:
    """The network of a text in words."""
    return definition_of(read(tmp_path, text))


def layers(found: ForeignNetwork) -> list[tuple[str, str, tuple[str, ...]]]:
    """Name, kind and inputs of each layer."""
    return [(each.name, each.kind, each.inputs) for each in definition_of(found).layers]


CONVOLUTION = {"out": 6, **WINDOW, "dilation": (1, 1), "groups": 1, "bias": True}
POOL = {"mode": "max", **WINDOW, "ceil": True, "count_padding": True}


@pytest.mark.parametrize(
    ("text", "kind", "options"),
    [
        (
            layer("Convolution", "convolution_param { num_output: 6 kernel_size: 3 kernel_size: 5 pad: 1 stride: 2 }"),
            "convolution",
            {**CONVOLUTION, "kernel": (3, 5), "padding": (1, 1, 1, 1), "stride": (2, 2)},
        ),
        (
            layer(
                "Convolution",
                "convolution_param { num_output: 6 kernel_h: 1 kernel_w: 7 pad_w: 3 stride_h: 1 stride_w: 2 "
                "dilation: 2 group: 2 bias_term: false }",
            ),
            "convolution",
            {
                **CONVOLUTION,
                "kernel": (1, 7),
                "padding": (3, 3, 0, 0),
                "stride": (1, 2),
                "dilation": (2, 2),
                "groups": 2,
                "bias": False,
            },
        ),
        (
            layer("Deconvolution", "convolution_param { num_output: 6 kernel_size: 4 stride: 2 pad: 1 }"),
            "deconvolution",
            {**CONVOLUTION, "kernel": (4, 4), "padding": (1, 1, 1, 1), "stride": (2, 2)},
        ),
        (layer("InnerProduct", "inner_product_param { num_output: 9 }"), "linear", {"out": 9, "bias": True}),
        (layer("Pooling", "pooling_param { kernel_size: 3 stride: 2 }"), "pool",
         {**POOL, "kernel": (3, 3), "stride": (2, 2)}),
        (layer("Pooling", "pooling_param { kernel_size: 3 pool: AVE pad_h: 1 round_mode: FLOOR }"), "pool",
         {**POOL, "kernel": (3, 3), "mode": "average", "padding": (0, 0, 1, 1), "ceil": False}),
        (layer("Pooling", "pooling_param { kernel_size: 3 ceil_mode: false }"), "pool",
         {**POOL, "kernel": (3, 3), "ceil": False}),
        (layer("Pooling", "pooling_param { global_pooling: true pool: AVE }"), "global_pool", {"mode": "average"}),
        (layer("BatchNorm"), "batch_norm", {"eps": 1e-5, "affine": False}),
        (layer("Scale"), "scale", {"bias": False}),
        (layer("Scale", "scale_param { bias_term: true }"), "scale", {"bias": True}),
        (layer("Bias"), "scale", {"bias": True}),
        (layer("LRN", "lrn_param { local_size: 3 alpha: 0.0005 beta: 0.5 k: 2 }"), "lrn",
         {"size": 3, "alpha": 0.0005, "beta": 0.5, "k": 2.0, "within": False}),
        (layer("LRN", "lrn_param { norm_region: WITHIN_CHANNEL k: 2 }"), "lrn",
         {"size": 5, "alpha": 1.0, "beta": 0.75, "k": 1.0, "within": True}),
        (layer("ReLU"), "activation", {"function": "relu"}),
        (layer("ReLU", "relu_param { negative_slope: 0.1 }"), "activation", {"function": "leaky_relu", "slope": 0.1}),
        (layer("PReLU"), "activation", {"function": "prelu"}),
        (layer("ELU", "elu_param { alpha: 0.5 }"), "activation", {"function": "elu", "alpha": 0.5}),
        (layer("Clip", "clip_param { min: 0 max: 6 }"), "activation",
         {"function": "hard_tanh", "low": 0.0, "high": 6.0}),
        (layer("Swish"), "activation", {"function": "swish"}),
        (layer("AbsVal"), "activation", {"function": "abs"}),
        (layer("Power", "power_param { scale: 0.5 shift: 1 }"), "power", {"scale": 0.5, "shift": 1.0}),
        (layer("Dropout"), "dropout", {"p": 0.5}),
        (layer("Flatten"), "flatten", {}),
        (layer("Flatten", "flatten_param { axis: -2 }"), "reshape", {"shape": (0, -1)}),
        (layer("Reshape", "reshape_param { shape { dim: 1 dim: -1 dim: 2 } }"), "reshape", {"shape": (-1, 2)}),
        (layer("Reshape", "reshape_param { shape { dim: 0 dim: 2 dim: -1 dim: 0 } }"), "reshape",
         {"shape": (2, -1, 0)}),
        (layer("Reshape", "reshape_param { shape { dim: -1 dim: 2 } axis: 2 }"), "reshape", {"shape": (0, -1, 2)}),
        (layer("Permute", "permute_param { order: 0 order: 2 }"), "permute", {"order": (0, 2, 1, 3)}),
        (layer("Softmax"), "softmax", {"axis": 1}),
        (layer("Softmax", "softmax_param { axis: -1 }"), "softmax", {"axis": 3}),
        (layer("Concat", "concat_param { concat_dim: 1 }", ("data", "data")), "concat", {"axis": 1}),
        (layer("Concat", "concat_param { axis: -2 }", ("data", "data")), "concat", {"axis": 2}),
        (layer("Eltwise", "", ("data", "data")), "add", {"coefficients": ()}),
        (layer("Eltwise", "eltwise_param { coeff: 1 coeff: -1 }", ("data", "data")), "add",
         {"coefficients": (1.0, -1.0)}),
        (layer("Eltwise", "eltwise_param { operation: PROD }", ("data", "data")), "multiply", {}),
        (layer("Eltwise", "eltwise_param { operation: MAX }", ("data", "data")), "maximum", {}),
        (layer("Crop", "crop_param { offset: 2 }", ("data", "data")), "crop", {"offset": (2, 2)}),
        (layer("Crop", "crop_param { offset: 2 offset: 3 }", ("data", "data")), "crop", {"offset": (2, 3)}),
    ],
)  # fmt: skip
def test_kinds_and_options(tmp_path: Path, text: str, kind: str, options: Mapping[str, Any]) -> None:
    (found,) = define(tmp_path, START + text).layers
    assert found == LayerDefinition("one", kind, ("image",) * len(found.inputs), options)


def test_layers_in_place_follow_one_another_and_splits_are_no_layers(tmp_path: Path) -> None:
    text = (
        START
        + """
        layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
                convolution_param { num_output: 2 kernel_size: 1 } }
        layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
        layer { name: "split" type: "Split" bottom: "conv" top: "a" top: "b" }
        layer { name: "sum" type: "Eltwise" bottom: "a" bottom: "b" top: "sum" }"""
    )
    found = read(tmp_path, text)
    assert layers(found) == [
        ("conv", "convolution", ("image",)), ("relu", "activation", ("conv",)), ("sum", "add", ("relu", "relu"))
    ]  # fmt: skip
    assert (definition_of(found).title, definition_of(found).outputs) == ("net", ("sum",))


def test_a_name_that_is_taken_gets_a_number(tmp_path: Path) -> None:
    text = START + 'layer { name: "image" type: "ReLU" bottom: "data" top: "a" }'
    text += 'layer { name: "r" type: "ReLU" bottom: "a" top: "a" }' * 3 + 'layer { type: "ReLU" bottom: "a" top: "a" }'
    names = [each.name for each in define(tmp_path, text).layers]
    assert names == ["image_2", "r", "r_2", "r_3", "activation"]


def test_slices_have_the_names_of_what_they_give(tmp_path: Path) -> None:
    text = START + layer("Slice", "slice_param { slice_point: 1 }", tops=("a", "b"))
    found = define(tmp_path, text)
    assert [(each.name, each.options) for each in found.layers] == [
        ("a", {"axis": 1, "begin": 0, "end": 1}), ("b", {"axis": 1, "begin": 1, "end": 4})
    ]  # fmt: skip
    assert found.outputs == ("a", "b")
    even = define(tmp_path, START + layer("Slice", tops=("a", "b")))
    assert [(each.whole("begin"), each.whole("end")) for each in even.layers] == [(0, 2), (2, 4)]


VALUES = torch.linspace(0.1, 2, 4 * 8 * 8).reshape(1, 4, 8, 8)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (layer("Exp"), VALUES.exp()),
        (layer("Exp", "exp_param { base: 2 scale: 3 shift: 1 }"), 2 ** (1 + 3 * VALUES)),
        (layer("Log"), VALUES.log()),
        (layer("Log", "log_param { base: 10 scale: 3 shift: 1 }"), (1 + 3 * VALUES).log10()),
        (layer("Power", "power_param { power: 2 scale: 3 shift: 1 }"), (1 + 3 * VALUES) ** 2),
        (layer("BNLL"), (1 + VALUES.exp()).log()),
        (layer("Dropout", "dropout_param { dropout_ratio: 0.25 scale_train: false }"), VALUES * 0.75),
        (layer("Scale", "scale_param { axis: 0 }", ("data", "data")), VALUES**2),
        (layer("Axpy", "", ("data", "data", "data")), VALUES**2 + VALUES),
        (
            layer("Pooling", "pooling_param { pool: AVE global_pooling: true }", tops=("s",))
            + 'layer { name: "f" type: "Flatten" bottom: "s" top: "f" }'
            + layer("Scale", "scale_param { axis: 0 }", ("data", "f")),
            VALUES * VALUES.mean((2, 3), keepdim=True),
        ),
        (
            layer("LRN", "lrn_param { local_size: 3 alpha: 0.3 beta: 0.5 k: 2 }"),
            VALUES
            / (2 + 0.1 * torch.stack([VALUES[:, max(0, c - 1) : c + 2].square().sum(1) for c in range(4)], 1)).sqrt(),
        ),
    ],
)
def test_what_layers_compute(tmp_path: Path, text: str, expected: torch.Tensor) -> None:
    """By the formulas of Caffe's documentation."""
    found = read(tmp_path, START + text)
    outputs = compute_layers(found, VALUES)[definition_of(found).outputs[0]]
    torch.testing.assert_close(outputs, expected, rtol=1e-5, atol=1e-6)


def test_statistics_are_sums_that_are_divided_by_their_count(tmp_path: Path) -> None:
    sums, one = np.array([2.0, 4, 6, 8]), np.array([2.0])
    found = read(tmp_path, START + layer("BatchNorm"), {"one": [sums, sums * 2, one]})
    assert found.tensors["one.running_mean"].tolist() == [1, 2, 3, 4]
    assert found.tensors["one.running_var"].tolist() == [2, 4, 6, 8]
    none = read(tmp_path, START + layer("BatchNorm"), {"one": [sums, sums, np.zeros(1)]})
    assert not torch.cat([*none.tensors.values()]).any()


def test_weights_of_other_kinds(tmp_path: Path) -> None:
    four = np.arange(1.0, 5)
    assert read(tmp_path, START + layer("PReLU"), {"one": [four]}).tensors["one.weight"].tolist() == [1, 2, 3, 4]
    shared = START + layer("PReLU", "prelu_param { channel_shared: true }")
    assert read(tmp_path, shared, {"one": [four[:1]]}).tensors["one.weight"].tolist() == [1, 1, 1, 1]
    scaled = read(tmp_path, START + layer("Scale", "scale_param { bias_term: true }"), {"one": [four, 2 * four]})
    assert [*map(torch.Tensor.tolist, scaled.tensors.values())] == [[1, 2, 3, 4], [2, 4, 6, 8]]
    moved = read(tmp_path, START + layer("Bias"), {"one": [four]})
    assert [*map(torch.Tensor.tolist, moved.tensors.values())] == [[1, 1, 1, 1], [1, 2, 3, 4]]
    matrix = np.arange(512.0).reshape(2, 256)
    text = START + layer("InnerProduct", "inner_product_param { num_output: 2 bias_term: false %s }")
    for stored, option in ((matrix, ""), (matrix.T, "transpose: true"), (matrix[None, None], "")):
        found = read(tmp_path, text % option, {"one": [stored]})
        assert np.array_equal(found.tensors["one.weight"], matrix)


CONV = START + layer("Convolution", "convolution_param { num_output: 6 kernel_h: 3 kernel_w: 5 group: 2 }")
RIGHT, BIAS = np.zeros((6, 2, 3, 5)), np.zeros(6)


@pytest.mark.parametrize(
    ("text", "blobs", "problem"),
    [
        (CONV, {}, "no numbers for the layer 'one'; it is of another network"),
        (CONV, {"other": [RIGHT]}, "no numbers for the layer 'one'"),
        (CONV, {"one": [RIGHT]}, "its layer 'one' has 1 arrays, and such a layer has 2"),
        (CONV, {"one": [RIGHT, BIAS, BIAS]}, "its layer 'one' has 3 arrays, and such a layer has 2"),
        (CONV, {"one": [RIGHT.mT, BIAS]}, "has an array of 6x2x5x3 numbers, and the network has 6 outputs and kernels"),
        (CONV, {"one": [RIGHT[:5], BIAS]}, "has an array of 5x2x3x5 numbers"),
        (CONV, {"one": [RIGHT[:, :1], BIAS]}, "has an array of 6x1x3x5 numbers, and the network has 4 channels in 2"),
        (CONV, {"one": [RIGHT.ravel(), BIAS]}, "has an array of 180 numbers"),
        (CONV, {"one": [RIGHT, BIAS[:5]]}, "has an array of 5 numbers, and the network has 6 channels"),
        (CONV, {"one": [RIGHT, BIAS.reshape(2, 3)]}, "has an array of 2x3 numbers"),
        (START + layer("Scale"), {"one": [np.ones(3)]}, "has an array of 3 numbers, and the network has 4 channels"),
        (START + layer("BatchNorm"), {"one": [np.ones(4)] * 2}, "its layer 'one' has 2 arrays, and such a layer has 3"),
        (START + layer("BatchNorm"), {"one": [np.ones(4), -np.ones(4), np.ones(1)]}, "means or variances that no map"),
        (START + layer("BatchNorm"), {"one": [np.ones(4), np.ones(4), np.full(1, 1e-45)]}, "means or variances"),
        (START + layer("InnerProduct", "inner_product_param { num_output: 3 }"), {"one": [np.ones((2, 256)), BIAS]},
         "has an array of 2x256 numbers, and the network has 3 outputs"),
        (CONV, {"one": [np.full_like(RIGHT, np.nan), BIAS]}, "numbers that are not finite"),
        (CONV + CONV.removeprefix(START), {"one": [RIGHT, BIAS]}, "two layers with numbers that are called"),
    ],
)  # fmt: skip
def test_numbers_that_do_not_fit_are_refused(
    tmp_path: Path, text: str, blobs: Mapping[str, Sequence[Array]], problem: str
) -> None:
    with pytest.raises(WeightsError, match=problem) as caught:
        read(tmp_path, text, blobs)
    assert str(caught.value).startswith(f"{tmp_path / 'net.caffemodel'} cannot be read as weights of ")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (layer("ROIPooling"), "the layer 'one' is of the kind 'ROIPooling', which is not read here"),
        (layer(""), "the layer 'one' is of no kind that Caffe has"),
        (layer("Python"), "the layer 'one' is code in Python, which is never run"),
        (layer("ReLU", "", ("other",)), "the layer 'one' takes 'other', which no layer before it gives"),
        (layer("ReLU", "", ("data", "data")), "takes 2 inputs"),
        (layer("ReLU", "", ()), "the layer 'one' takes nothing"),
        (layer("ReLU", "", ("top",)), "the layer 'one' takes 'top', which no layer before it gives"),
        (layer("Pooling", "pooling_param { kernel_size: 2 }", tops=("a", "b")), "has 2 outputs, and 1 are read"),
        (layer("Pooling"), "has no kernel_size"),
        (layer("Pooling", "pooling_param { kernel_h: 2 }"), "has no kernel_size"),
        (layer("Pooling", "pooling_param { kernel_size: 2 kernel_h: 2 kernel_w: 2 }"), "both kernel_size and kernel_h"),
        (layer("Pooling", "pooling_param { kernel_size: 2 pool: STOCHASTIC }"), "pools at random"),
        (layer("Pooling", "pooling_param { kernel_size: 2 stride: 0 }"), "has stride"),
        (layer("Convolution", "convolution_param { kernel_size: 2 }"), "has no num_output"),
        (layer("Convolution", "convolution_param { num_output: 2 kernel_size: [1, 1, 1] }"), "has 3 values of kernel"),
        (layer("InnerProduct"), "has no num_output"),
        (layer("InnerProduct", "inner_product_param { num_output: 2 axis: 2 }"), "begins with the axis 2"),
        (layer("Softmax", "softmax_param { axis: 4 }"), "is along the axis 4, and its input has 4 axes"),
        (layer("LRN", "lrn_param { local_size: 4 }"), "has an even size, 4"),
        (layer("LRN", "lrn_param { alpha: nan }"), "has alpha nan"),
        (layer("BatchNorm", "batch_norm_param { use_global_stats: false }"), "normalizes by the batch"),
        (layer("Reshape", "reshape_param { shape { dim: 8 dim: -1 } }"), "changes the number of images"),
        (layer("Reshape", "reshape_param { shape { dim: 1 } axis: 1 num_axes: 0 }"), "changes some axes only"),
        (layer("Reshape"), "changes the number of images"),
        (layer("Permute", "permute_param { order: 1 }"), "orders the axes as"),
        (layer("Permute", "permute_param { order: [0, 1, 1] }"), "orders the axes as"),
        (layer("Eltwise", "eltwise_param { coeff: 1 }", ("data", "data")), "has 1 coefficients"),
        (layer("Eltwise"), "takes 1 inputs, which must be 2"),
        (layer("Slice", "slice_param { slice_point: 3 }", tops=("a", "b", "c")), "cuts 4 channels into 3"),
        (layer("Slice", "slice_param { axis: 2 slice_point: 3 }", tops=("a", "b")), "cuts along the axis 2"),
        (layer("Exp", "exp_param { base: 0 }"), "has the base 0"),
        (layer("Accuracy"), "must be 1 to 10,000"),
    ],
)
def test_what_is_not_read_is_refused_by_name(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(NetworkError, match=problem) as caught:
        read(tmp_path, START + text)
    assert str(caught.value).startswith(f"{tmp_path / 'net.prototxt'} cannot be read as a network of Caffe (")


def test_another_input_than_the_image_is_refused_where_it_is_used(tmp_path: Path) -> None:
    two = 'input: "data" input: "im_info" input_shape { dim: [1, 3, 8, 8] } input_shape { dim: [1, 3] }'
    assert define(tmp_path, two + layer("ReLU")).input == (3, 8, 8)
    with pytest.raises(NetworkError, match="takes 'im_info', an input besides the image, and only one is read"):
        read(tmp_path, two + layer("Concat", "", ("data", "im_info")))


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ('input: "data" input_dim: [5, 1, 6, 7]', (1, 6, 7)),
        ('input: "data" input_shape { dim: [5, 1, 6, 7] }', (1, 6, 7)),
        ('layer { name: "in" type: "Input" top: "data" input_param { shape { dim: [5, 2, 6, 7] } } }', (2, 6, 7)),
        (DATA % "transform_param { crop_size: 9 }", (3, 9, 9)),
        (DATA % "transform_param { crop_size: 9 force_gray: true }", (1, 9, 9)),
        (DATA % "transform_param { crop_size: 9 mean_value: [1, 2, 3, 4] }", (4, 9, 9)),
        (DATA % "data_param { crop_size: 9 }", (3, 9, 9)),
        (
            'layer { type: "ImageData" top: "data" image_data_param { new_height: 5 new_width: 6 is_color: false } }',
            (1, 5, 6),
        ),
        ('layer { type: "MemoryData" top: "data" memory_data_param { channels: 2 height: 5 width: 6 } }', (2, 5, 6)),
        ('layer { type: "DummyData" top: "data" dummy_data_param { shape { dim: [1, 2, 5, 6] } } }', (2, 5, 6)),
        ('layer { type: "DummyData" top: "data" dummy_data_param { channels: 2 height: 5 width: 6 } }', (2, 5, 6)),
    ],
)
def test_the_size_of_images_is_read_wherever_it_is_said(tmp_path: Path, start: str, expected: Any) -> None:
    assert define(tmp_path, start + layer("ReLU")).input == expected


@pytest.mark.parametrize("start", ["", 'input: "data"', DATA % "", 'input: "data" input_shape { dim: [1, 10] }'])
def test_images_without_a_size_are_refused(tmp_path: Path, start: str) -> None:
    with pytest.raises(NetworkError, match="it does not say the size of its images; write input_shape"):
        read(tmp_path, start + layer("ReLU"))


def test_images_of_a_database_have_the_channels_of_the_first_weights(tmp_path: Path) -> None:
    start = DATA % "transform_param { crop_size: 9 }"
    convolution = layer("Convolution", "convolution_param { num_output: 1 kernel_size: 2 }")
    splits = 'layer { name: "s" type: "Split" bottom: "data" top: "a" top: "data" }'
    for text in (convolution, splits + convolution, splits + convolution.replace('"data"', '"a"')):
        found = read(tmp_path, start + text, {"one": [np.zeros((1, 2, 2, 2)), np.zeros(1)]})
        assert definition_of(found).input == (2, 9, 9)


def test_only_layers_for_testing_are_read(tmp_path: Path) -> None:
    rules = {
        "train": "include { phase: TRAIN }",
        "test": "include { phase: TEST }",
        "either": "include { phase: TRAIN } include { phase: TEST }",
        "not_test": "exclude { phase: TEST }",
        "not_train": "exclude { phase: TRAIN }",
        "high": "include { min_level: 1 }",
        "low": "include { max_level: 0 }",
        "staged": 'include { stage: "deploy" }',
        "unstaged": 'include { not_stage: "deploy" }',
        "always": "phase: TRAIN",
    }
    chain = "".join(
        f'layer {{ name: "{name}" type: "ReLU" bottom: "data" top: "data" {rule} }}' for name, rule in rules.items()
    )
    found = [each.name for each in define(tmp_path, START + chain).layers]
    assert found == ["test", "either", "not_train", "low", "unstaged", "always"]
    found = [each.name for each in define(tmp_path, START + 'state { level: 2 stage: "deploy" }' + chain).layers]
    assert found == ["test", "either", "not_train", "high", "staged", "always"]


def test_what_trains_or_measures_is_left_out(tmp_path: Path) -> None:
    data = DATA % "transform_param { crop_size: 8 }"
    chain = 'layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 3 } }'
    cut = 'layer { name: "cut" type: "Slice" bottom: "label" top: "a" top: "b" slice_param { slice_point: 1 } }'
    silence = 'layer { name: "silence" type: "Silence" bottom: "b" }'
    accuracy = 'layer { name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "a" top: "accuracy" }'
    loss = 'layer { name: "loss" type: "%s" bottom: "ip" bottom: "a" top: "loss" }'
    start = data + chain + cut + silence + accuracy
    for kind, last in (
        ("SoftmaxWithLoss", ("loss", "softmax")),
        ("SigmoidCrossEntropyLoss", ("loss", "activation")),
        ("EuclideanLoss", ("ip", "linear")),
        ("HingeLoss", ("ip", "linear")),
    ):
        found = define(tmp_path, start + loss % kind)
        assert (found.layers[-1].name, found.layers[-1].kind, found.outputs) == (*last, (last[0],))
    prob = 'layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" }'
    found = define(tmp_path, start + prob + loss % "SoftmaxWithLoss")
    assert [each.name for each in found.layers] == ["ip", "prob"]


def test_preprocessing_is_that_of_the_first_layer_that_says_it(tmp_path: Path) -> None:
    text = DATA % "transform_param { crop_size: 8 scale: 0.5 mean_value: [51, 102, 204] }" + layer("ReLU")
    found = read(tmp_path, text).preprocessing
    assert found
    assert (found.height, found.width, found.channels, found.fit) == (8, 8, 3, "crop")
    assert found.mean == pytest.approx((0.8, 0.4, 0.2))  # blue first in Caffe, red first here
    assert found.std == pytest.approx((2 / 255,) * 3)
    gray = DATA % "transform_param { crop_size: 8 mean_value: 51 }" + layer("ReLU")
    other = read(tmp_path, gray).preprocessing
    assert other
    assert other.mean == pytest.approx((0.2,) * 3)
    for transform in ('mean_file: "mean.binaryproto"', "scale: 0", "scale: nan", "mean_value: [1, 2]", "mirror: true"):
        text = DATA % f"transform_param {{ {transform} }}" + START + layer("ReLU")
        assert read(tmp_path, text).preprocessing is None


def test_a_file_of_numbers_says_how_its_images_were_prepared(tmp_path: Path) -> None:
    definition, weights = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
    definition.write_text(START + layer("Scale"))
    trained = DATA % "include { phase: TRAIN } transform_param { scale: 0.00390625 }" + layer("Scale")
    weights.write_bytes(write_caffemodel(trained, {"one": [np.ones(4)]}))
    found = read_caffe(definition, weights).preprocessing
    assert found
    assert (found.fit, found.std) == ("stretch", (256 / 255,) * 4)


def test_preprocessing_with_more_than_caffe_does_is_left_out(tmp_path: Path) -> None:
    definition, weights = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
    definition.write_text(START + layer("Scale"))
    trained = write_caffemodel(layer("Scale"), {"one": [np.ones(4)]})
    for transform, known in ((b"\x0d\x00\x00\x80\x3f", True), (b"\x0d\x00\x00\x80\x3f\xf8\x07\x01", False)):
        content = b"\x12\x04Data\x22\x04data\xa2\x06" + bytes([len(transform)]) + transform
        weights.write_bytes(b"\xa2\x06" + bytes([len(content)]) + content + trained)
        assert (read_caffe(definition, weights).preprocessing is not None) is known


def test_a_file_of_numbers_alone_has_its_layers(tmp_path: Path) -> None:
    text = (
        START
        + CONV.removeprefix(START)
        + 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "top" bottom: "label" }'
    )
    text = text.replace('input: "data"', 'input: "data" input: "label"') + "input_dim: [1, 1, 1, 1]"
    (tmp_path / "net.caffemodel").write_bytes(write_caffemodel(text, {"one": [RIGHT, BIAS]}))
    found = read_caffe(None, tmp_path / "net.caffemodel")
    assert layers(found) == [("one", "convolution", ("image",)), ("loss", "softmax", ("one",))]
    assert [*found.tensors] == ["one.weight", "one.bias"]


def test_numbers_are_read_without_a_network(tmp_path: Path) -> None:
    for name in ("kinds", "old"):
        alone = read_stored_tensors(read_caffemodel(FOLDER / f"{name}.caffemodel"))
        both = read_caffe(FOLDER / f"{name}.prototxt", FOLDER / f"{name}.caffemodel").tensors
        assert [*alone] == [*both]
        assert all(torch.equal(value, both[name]) for name, value in alone.items())
    path = tmp_path / "net.caffemodel"
    text = 'layer { name: "one" type: "Convolution" } layer { name: "bias" type: "Bias" }'
    for start in ("", DATA % ""):  # neither connected, or connected for images of an unknown size
        text = start + (layer("Convolution") + 'layer { name: "bias" type: "Bias" }' if start else text)
        path.write_bytes(write_caffemodel(text, {"one": [RIGHT], "bias": [BIAS]}))
        found = read_caffe(None, path)
        assert found.definition is None
        assert [*read_caffe_tensors(path)] == [*found.tensors]
        assert {name: tuple(value.shape) for name, value in found.tensors.items()} == {
            "one.weight": (6, 2, 3, 5), "bias.weight": (6,), "bias.bias": (6,)
        }  # fmt: skip
    for kind, problem in (
        ("Embed", "its layer 'one' is of the kind 'Embed', whose numbers are not read here"),
        ("InnerProduct", "has an array of 6 numbers, and no linear has"),
        ("Convolution", "has an array of 6 numbers, and no convolution has"),
        ("BatchNorm", "has 1 arrays, and such a layer has 3"),
    ):
        path.write_bytes(write_caffemodel(f'layer {{ name: "one" type: "{kind}" }}', {"one": [BIAS]}))
        for read_alone in (lambda: read_caffe(None, path), lambda: read_caffe_tensors(path)):
            with pytest.raises(WeightsError, match=problem):
                read_alone()


def test_the_size_of_images_can_be_given_where_a_file_leaves_it_open(tmp_path: Path) -> None:
    definition, weights = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
    data = 'layer { name: "data" type: "HDF5Data" top: "label" top: "data" }'
    split = 'layer { name: "split" type: "Split" bottom: "data" top: "a" top: "b" }'
    text = data + split + CONV.removeprefix(START).replace('bottom: "data"', 'bottom: "b"')
    definition.write_text(text)
    weights.write_bytes(write_caffemodel(text, {"one": [RIGHT, BIAS]}))
    for first, second in ((definition, None), (definition, weights), (None, weights)):
        found = read_caffe(first, second, (4, 9, 10))
        assert definition_of(found).input == (4, 9, 10)
        assert layers(found) == [("one", "convolution", ("image",))]
    said = START + layer("ReLU")
    definition.write_text(said)
    assert definition_of(read_caffe(definition, None, (3, 5, 5))).input == (4, 8, 8)


def test_published_networks_of_various_years() -> None:
    alexnet = definition_of(read_caffe(FOLDER / "alexnet_old.prototxt", None))
    assert (alexnet.input, alexnet.outputs) == ((3, 227, 227), ("prob",))
    assert alexnet.layer("conv2").options["groups"] == 2
    assert alexnet.layer("norm1").options == {"size": 5, "alpha": 1e-4, "beta": 0.75, "k": 1.0, "within": False}
    assert [each.name for each in alexnet.layers[:4]] == ["conv1", "relu1", "norm1", "pool1"]
    resnet = definition_of(read_caffe(FOLDER / "resnet.prototxt", None))
    assert resnet.layer("res2a").inputs == ("scale2a_branch1", "res2a_branch2a")
    assert resnet.layer("res2a_branch1").options["bias"] is False
    assert [each.kind for each in resnet.layers[:4]] == ["convolution", "batch_norm", "scale", "activation"]
    googlenet = read_caffe(FOLDER / "googlenet_train.prototxt", None)
    assert definition_of(googlenet).outputs == ("loss3/loss3",)
    assert definition_of(googlenet).layer("inception/output").inputs == (
        "inception/relu_1x1", "inception/relu_3x3", "inception/pool",
    )  # fmt: skip
    assert not any(each.name.startswith("loss1") for each in definition_of(googlenet).layers)
    assert googlenet.preprocessing
    assert googlenet.preprocessing.mean == pytest.approx((123 / 255, 117 / 255, 104 / 255))


def test_old_networks_with_numbers_of_four_sizes_are_built(tmp_path: Path) -> None:
    blobs = random_blobs(FOLDER / "resnet.prototxt")
    (tmp_path / "net.caffemodel").write_bytes(write_caffemodel((FOLDER / "resnet.prototxt").read_text(), blobs))
    found = read_caffe(FOLDER / "resnet.prototxt", tmp_path / "net.caffemodel")
    assert (
        sum(value.numel() for value in found.tensors.values())
        == 64 * 147 + 64 + 4 * 64 + 2 * 64 * 256 + 4 * 256 + 257_000
    )


def test_files_are_never_run_and_none_that_they_name_is_opened(tmp_path: Path) -> None:
    opened: list[str] = []
    sys.addaudithook(lambda event, arguments: opened.append(str(arguments[0])) if event == "open" else None)
    secret = tmp_path / "secret"
    text = DATA % f'transform_param {{ crop_size: 8 mean_file: "{secret}" }} data_param {{ source: "{secret}" }}'
    read(tmp_path, text + layer("ReLU"))
    module = f'python_param {{ module: "{secret}" layer: "Layer" param_str: "__import__(\'os\').abort()" }}'
    with pytest.raises(NetworkError, match="is code in Python, which is never run"):
        read(tmp_path, text + layer("Python", module))
    assert str(tmp_path / "net.prototxt") in opened
    assert str(secret) not in opened


def test_a_missing_library_and_missing_files_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NetworkError, match="There is no file of Caffe"):
        read_caffe(None, None)
    with pytest.raises(NetworkError, match="No such file"):
        read_caffe(tmp_path / "none.prototxt", None)
    with pytest.raises(WeightsError, match="No such file"):
        read_caffe(FOLDER / "kinds.prototxt", tmp_path / "none.caffemodel")
    monkeypatch.setitem(sys.modules, "google.protobuf", None)
    message_classes.cache_clear()
    with pytest.raises(NetworkError, match=r"protobuf is not installed; run `pip install 'convolve\[convert\]'`\."):
        read_caffe(FOLDER / "kinds.prototxt", None)
    with pytest.raises(WeightsError, match="protobuf is not installed"):
        read_caffe(None, FOLDER / "kinds.caffemodel")
