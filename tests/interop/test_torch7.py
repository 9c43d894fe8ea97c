"""Networks of Torch7 give what OpenCV and Torch7's rules say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from convolve.errors import WeightsError
from convolve.interop.foreign_network import ForeignNetwork
from convolve.interop.torch7 import read_torch7
from tests.interop.foreign import outputs_by_layer
from tests.interop.torch7.lua import Lua, Storage, dump
from tests.interop.torch7.networks import (
    NETWORKS,
    batch_norm,
    classifier,
    convolution,
    linear,
    numbers,
    plain,
    pool,
    sequence,
    table,
    view,
)  # fmt: skip

HERE = Path(__file__).parent / "torch7"
IO: Mapping[str, npt.NDArray[np.float32]] = np.load(HERE / "io.npz")


def read(value: Any, folder: Path, image: tuple[int, int, int] | None = None, **options: Any) -> ForeignNetwork:
    """A network that is written to a file."""
    (folder / "a.t7").write_bytes(dump(value, **options))
    return read_torch7(folder / "a.t7", image)


def output(network: ForeignNetwork, images: Tensor) -> Tensor:
    """What the network gives."""
    assert network.definition is not None
    return torch.from_numpy(outputs_by_layer(network, images.numpy())[network.definition.outputs[0]])


@pytest.mark.parametrize("name", NETWORKS)
def test_the_same_as_opencv(name: str) -> None:
    shape, _ = NETWORKS[name]
    network = read_torch7(HERE / f"{name}.t7", shape)
    found = output(network, torch.from_numpy(IO[f"{name}/input"]))
    np.testing.assert_allclose(found, IO[f"{name}/output"], rtol=1e-4, atol=1e-4)


def test_a_network_of_others() -> None:
    network = read_torch7(HERE / "net.t7")
    assert network.definition is not None
    assert network.definition.source == "Torch7"
    images = torch.tensor([1.0, 2.0, 3.0]).view(1, *network.definition.input)
    assert output(network, images).tolist() == [[12, 13]]


@pytest.mark.parametrize(
    ("options", "same"), [({"text": True}, True), ({"long_size": 4}, True), ({"prefix": "Cuda"}, True)]
)
def test_every_way_of_writing_is_read(options: Mapping[str, Any], same: bool, tmp_path: Path) -> None:
    network, usual = read(classifier(), tmp_path), read(classifier(), tmp_path, **options)
    assert usual.definition == network.definition
    first = {name: value.shape for name, value in network.tensors.items()}
    assert ({name: value.shape for name, value in usual.tensors.items()} == first) is same


def test_the_size_of_images_follows_from_the_layers(tmp_path: Path) -> None:
    network = read(classifier(), tmp_path)
    assert network.definition is not None
    assert network.definition.input == (1, 28, 28)
    open_network = read(sequence(convolution(3, 2, (3, 3))), tmp_path)
    assert open_network.definition is not None
    assert open_network.definition.input == (3, 224, 224)
    flat = read(sequence(plain("Reshape", size=Storage(np.array([784]))), linear(784, 3)), tmp_path)
    assert flat.definition is not None
    assert flat.definition.input == (1, 28, 28)
    with pytest.raises(WeightsError, match="no image fits, such as one of 1x224x224"):
        read(sequence(convolution(1, 2, (3, 3)), view(7), linear(7, 2)), tmp_path)


IMAGES = torch.from_numpy(np.random.default_rng(5).normal(0, 1, (2, 4, 7, 6)).astype(np.float32))


def _tensor(lua: Lua, field: str) -> Tensor:
    return torch.from_numpy(lua.fields[field])


def _old_norm(lua: Lua) -> Callable[[Tensor], Tensor]:
    variance = _tensor(lua, "running_std") ** -2 - 1e-3
    return lambda x: F.batch_norm(
        x, _tensor(lua, "running_mean"), variance, _tensor(lua, "weight"), _tensor(lua, "bias"), eps=1e-3
    )


NORM = batch_norm(4, running_var=None, running_std=np.array([0.5, 1, 2, 3], np.float32))
PRELU = plain("PReLU", nOutputPlane=4, weight=numbers(4))
ONE_PRELU = plain("PReLU", nOutputPlane=0, weight=numbers(1))
MUL = plain("CMul", size=Storage(np.array([1, 4, 1, 1])), weight=numbers(1, 4, 1, 1))
ADD = plain("CAdd", size=Storage(np.array([1, 4, 1, 1])), bias=numbers(1, 4, 1, 1))
GROUPED = Lua("cudnn.SpatialConvolution", convolution(4, 6, (3, 3), groups=2).fields | {"weight": numbers(6, 2, 3, 3)})
DILATED = Lua("nn.SpatialDilatedConvolution", convolution(4, 2, (3, 2), dilationH=2, dilationW=3).fields)


def _without(lua: Lua, *fields: str) -> Lua:
    return Lua(lua.kind, {name: value for name, value in lua.fields.items() if name not in fields})


CASES: Mapping[str, tuple[Lua, Callable[[Tensor], Tensor]]] = {
    "old batch normalization": (NORM, _old_norm(NORM)),
    "dropout that scales": (plain("Dropout", p=0.25), lambda x: 0.75 * x),
    "dropout": (plain("Dropout", p=0.25, v2=True), lambda x: x),
    "spatial dropout": (plain("SpatialDropout", p=0.25), lambda x: 0.75 * x),
    "old max pooling": (_without(pool("Max", 3, 2), "ceil_mode", "padH", "padW"), lambda x: F.max_pool2d(x, 3, 2)),
    "old average pooling": (
        _without(pool("Average", 3, 2, padding=1), "ceil_mode", "padH", "padW"), lambda x: F.avg_pool2d(x, 3, 2, 1),
    ),
    "average without padding": (
        pool("Average", 3, 2, padH=1, padW=1, count_include_pad=False),
        lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
    ),
    "sum": (pool("Average", 3, 2, divide=False), lambda x: 9 * F.avg_pool2d(x, 3, 2)),
    "cudnn's stride": (Lua("cudnn.SpatialMaxPooling", {"kH": 3, "kW": 2}), lambda x: F.max_pool2d(x, (3, 2))),
    "nn's stride of averages": (
        Lua("nn.SpatialAveragePooling", {"kH": 3, "kW": 2}), lambda x: F.avg_pool2d(x, (3, 2), 1),
    ),
    "cudnn's averages": (
        Lua("cudnn.SpatialAveragePooling", pool("Average", 3, 2, padH=1, padW=1).fields
            | {"mode": "CUDNN_POOLING_AVERAGE_COUNT_EXCLUDE_PADDING"}),
        lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
    ),
    "ceil": (pool("Max", 2, 2, ceil_mode=True), lambda x: F.max_pool2d(x, 2, 2, ceil_mode=True)),
    "adaptive": (plain("SpatialAdaptiveAveragePooling", W=1, H=1), lambda x: x.mean((2, 3), keepdim=True)),
    "leaky": (plain("LeakyReLU", negval=0.03), lambda x: F.leaky_relu(x, 0.03)),
    "randomized": (plain("RReLU", lower=0.1, upper=0.3), lambda x: F.leaky_relu(x, 0.2)),
    "prelu": (PRELU, lambda x: F.prelu(x, _tensor(PRELU, "weight"))),
    "prelu of one": (ONE_PRELU, lambda x: F.prelu(x, _tensor(ONE_PRELU, "weight"))),
    "elu": (plain("ELU", alpha=0.4), lambda x: F.elu(x, 0.4)),
    "threshold": (plain("Threshold", threshold=0.2, val=-1), lambda x: F.threshold(x, 0.2, -1)),
    "hard tanh": (plain("HardTanh", min_val=-0.5, max_val=2), lambda x: x.clamp(-0.5, 2)),
    "log softmax": (plain("LogSoftMax"), lambda x: F.log_softmax(x, 1)),
    "cudnn's softmax": (Lua("cudnn.SpatialSoftMax"), lambda x: F.softmax(x, 1)),
    "reshape": (plain("Reshape", size=Storage(np.array([2, 14, 6]))), lambda x: x.view(2, 2, 14, 6)),
    "view of a batch": (view(-1, 168), lambda x: x.flatten(1)),
    "view of known axes": (view(-1, 42, numInputDims=3), lambda x: x.view(2, 4, 42)),
    "view of all": (view(-1, numInputDims=3), lambda x: x.flatten(1)),
    "cut": (plain("SpatialZeroPadding", pad_l=-1, pad_r=1, pad_t=0, pad_b=-2), lambda x: F.pad(x, (-1, 1, 0, -2))),
    "nearest": (plain("SpatialUpSamplingNearest", scale_factor=2), lambda x: F.interpolate(x, scale_factor=2)),
    "bilinear": (
        plain("SpatialUpSamplingBilinear", scale_factor=2),
        lambda x: F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True),
    ),
    "times": (plain("MulConstant", constant_scalar=3), lambda x: 3 * x),
    "plus": (plain("AddConstant", constant_scalar=3), lambda x: 3 + x),
    "times each": (MUL, lambda x: x * _tensor(MUL, "weight")),
    "plus each": (ADD, lambda x: x + _tensor(ADD, "bias")),
    "groups": (GROUPED, lambda x: F.conv2d(x, _tensor(GROUPED, "weight"), _tensor(GROUPED, "bias"), groups=2)),
    "dilation": (DILATED, lambda x: F.conv2d(x, _tensor(DILATED, "weight"), _tensor(DILATED, "bias"), dilation=(2, 3))),
    "join in a batch": (
        sequence(table("ConcatTable", plain("Tanh"), plain("Abs")), plain("JoinTable", dimension=2, nInputDims=-1)),
        lambda x: torch.cat([x.tanh(), x.abs()], 1),
    ),
    "join of known axes": (
        sequence(table("ConcatTable", plain("Tanh"), plain("Abs")), plain("JoinTable", dimension=2, nInputDims=3)),
        lambda x: torch.cat([x.tanh(), x.abs()], 2),
    ),
    "difference": (
        sequence(table("ConcatTable", plain("Tanh"), plain("Identity")), plain("CSubTable")), lambda x: x.tanh() - x,
    ),
    "parallel": (
        sequence(
            table("ConcatTable", plain("Tanh"), plain("Identity")),
            table("ParallelTable", plain("Abs"), plain("Square")), plain("CMulTable"),
        ),
        lambda x: x.tanh().abs() * x**2,
    ),
    "one of a table": (
        sequence(
            table("ConcatTable", plain("Tanh"), table("ConcatTable", plain("Abs"), plain("Exp"))),
            plain("FlattenTable"),
            plain("SelectTable", index=-1),
        ),
        lambda x: x.exp(),
    ),
    "parallel cards": (table("DataParallelTable", sequence(plain("Tanh"))), lambda x: x.tanh()),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_layers(name: str, tmp_path: Path) -> None:
    lua, expected = CASES[name]
    shape = (IMAGES.shape[1], IMAGES.shape[2], IMAGES.shape[3])
    found = output(read(sequence(plain("Identity"), lua), tmp_path, shape), IMAGES)
    torch.testing.assert_close(found, expected(IMAGES), rtol=1e-4, atol=1e-5)


def _graph(inputs: int = 1) -> Lua:
    """relu(x) + conv(tanh(x)), as nngraph writes it: the order of the nodes is that of their computation."""
    layer = convolution(4, 4, (1, 1))
    image: dict[str, Any] = {"mapindex": {}}
    one = {"mapindex": {1: image}, "module": plain("ReLU")}
    two = {"mapindex": {1: image}, "module": sequence(plain("Tanh"), layer)}
    pair = {"mapindex": {1: one, 2: two}}
    first, second = ({"mapindex": {1: pair}, "selectindex": index} for index in (1, 2))
    total = {"mapindex": {1: first, 2: second}, "module": plain("CAddTable")}
    end = {"mapindex": {1: total}}
    nodes = [Lua("nngraph.Node", {"data": data}) for data in (image, one, two, pair, first, second, total, end)]
    if inputs > 1:
        image["mapindex"], nodes[0:1] = {1: {"mapindex": {}}}, []
    return Lua("nn.gModule", {"forwardnodes": nodes, "outnode": nodes[-1], "nInputs": inputs, "layer": layer})


def test_graphs(tmp_path: Path) -> None:
    graph = _graph()
    found = output(read(graph, tmp_path, (4, 7, 6)), IMAGES)
    layer = graph.fields["layer"]
    right = F.conv2d(IMAGES.tanh(), _tensor(layer, "weight"), _tensor(layer, "bias"))
    torch.testing.assert_close(found, IMAGES.relu() + right)


def test_a_network_in_a_table(tmp_path: Path) -> None:
    network = sequence(linear(3, 2))
    assert read({"epoch": 3, "model": network}, tmp_path).tensors
    assert read({"a": network}, tmp_path).tensors
    assert read({"model": network, "other": sequence(linear(5, 2))}, tmp_path).tensors["1.weight"].shape == (2, 3)
    with pytest.raises(WeightsError, match="a table with 2 networks"):
        read({"a": network, "b": sequence(linear(5, 2))}, tmp_path)


def _endless() -> Lua:
    container = sequence(plain("ReLU"))
    container.fields["modules"].append(container)
    return container


@pytest.mark.parametrize(
    ("lua", "says"),
    [
        (
            sequence(plain("SpatialConvolutionMap")),
            "'1' is of the class nn.SpatialConvolutionMap, which is not read here",
        ),
        (Lua("w.nn.Thing", {}), "of the class w.nn.Thing"),
        (_endless(), "have no end"),
        (sequence(plain("CAddTable")), "'1' (CAddTable) is not given a table"),
        (sequence(table("ConcatTable", plain("Tanh"), plain("Abs")), plain("ReLU")), "'2' (ReLU) is given a table"),
        (sequence(convolution(3, 2, (3, 3), weight=None)), "'1' (SpatialConvolution) has no weight"),
        (sequence(convolution(3, 2, (3, 3), weight=numbers(2, 2, 3, 3))), "has a weight of 2x2x3x3, and needs 2x3x3x3"),
        (sequence(convolution(3, 2, (3, 3), weight=numbers(2, 3, 3, 3) * np.inf)), "not finite"),
        (sequence(convolution(3, 2, (3, 3)), convolution(3, 2, (3, 3))), "'2' takes 3 channels, and is given 2"),
        (sequence(convolution(3, 2, (3, 3), dH=0)), "has stride (0, 1)"),
        (sequence(convolution(3, 2, (3, 3), dH=0.5)), "has dH 0.5, which is not whole"),
        (sequence(pool("Max", 0, 1)), "has kernel (0, 0)"),
        (sequence(), "it has 0 layers"),
        (_graph(inputs=2), "before those that they take"),
    ],
)
def test_what_is_not_read_is_named(lua: Lua, says: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        read(lua, tmp_path)
    assert says in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_graph_of_several_inputs_of_others() -> None:
    with pytest.raises(WeightsError, match="it takes several inputs, and a network here takes one image"):
        read_torch7(HERE / "gmodule_with_linear_identity.t7")


def test_no_network(tmp_path: Path) -> None:
    values: list[Any] = [None, 1.5, [], np.ones(3, np.float32)]
    for value in values:
        with pytest.raises(WeightsError, match="cannot be read as a network of Torch7"):
            read(value, tmp_path)
    with pytest.raises(WeightsError, match="cannot be read as a network of Torch7"):
        read_torch7(tmp_path / "absent.t7")
