"""A network of another program that is one of ours, and weights that are matched by the order of their layers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from convolve import models
from convolve.errors import WeightsError
from convolve.interop.canon import find_twin, load_definition
from convolve.interop.matching import ALL_BY_ORDER, load_by_order, orders, units_by_name, units_of
from convolve.models.definition import IMAGE, LayerDefinition, NetworkDefinition
from convolve.models.graph_file import tensor_names, whole_graph
from tests.models.definitions import convolution, gated, layer, network


def random_tensors(definition: NetworkDefinition) -> dict[str, Tensor]:
    """Values that make every layer's share of the outputs visible."""
    graph = whole_graph(definition)
    state, random = graph.state_dict(), torch.Generator().manual_seed(1)
    found = {}
    for name, key in tensor_names(definition, graph).items():
        value = torch.rand(state[key].shape, generator=random)
        inputs = value[0].numel() if value.ndim > 1 else 1
        found[name] = value + 0.5 if value.ndim == 1 else (value - 0.45) * 3 / inputs**0.5
    return found


def _unit(name: str, source: str, out: int, kernel: int, stride: int, bias: bool) -> Iterator[LayerDefinition]:
    yield convolution(name, source, out, kernel, stride, bias=bias)
    yield layer(f"bn_{name}", "batch_norm", name, eps=1e-3, affine=False)
    yield layer(f"scale_{name}", "scale", f"bn_{name}")


def caffe_resnet18(classes: int = 10, pool_padding: int = 1) -> NetworkDefinition:
    """As a file of Caffe has it: biases before the normalization, which is two layers with another epsilon; and the
    projections come first.
    """
    layers = [*_unit("conv1", IMAGE, 64, 7, 2, True), layer("relu1", "activation", "scale_conv1", function="relu")]
    window = {"kernel": (3, 3), "stride": (2, 2), "padding": (pool_padding,) * 4}
    layers.append(layer("pool1", "pool", "relu1", mode="max", **window))
    before, channels = "pool1", 64
    for stage, out in enumerate((64, 128, 256, 512)):
        for block in range(2):
            name, stride = f"res{stage}{block}", 2 if stage and not block else 1
            shortcut = before
            if out != channels:
                layers += _unit(f"{name}_branch1", before, out, 1, stride, False)
                shortcut = f"scale_{name}_branch1"
            layers += _unit(f"{name}a", before, out, 3, stride, False)
            layers.append(layer(f"{name}_relu", "activation", f"scale_{name}a", function="relu"))
            layers += _unit(f"{name}b", f"{name}_relu", out, 3, 1, False)
            layers.append(layer(f"{name}_sum", "add", shortcut, f"scale_{name}b"))
            layers.append(layer(name, "activation", f"{name}_sum", function="relu"))
            before, channels = name, out
    layers += [layer("pool5", "global_pool", before, mode="average"), layer("fc", "linear", "pool5", out=classes)]
    return network(*layers, layer("prob", "softmax", "fc"), image=(3, 64, 64))


def caffe_resnet50() -> NetworkDefinition:
    """As the authors' file has it: only conv1 has a bias, the pooling pads nothing and rounds up, and a stage's first
    1x1 convolution has its stride.
    """
    layers = [*_unit("conv1", IMAGE, 64, 7, 2, True), layer("relu1", "activation", "scale_conv1", function="relu")]
    window = {"kernel": (3, 3), "stride": (2, 2), "padding": (0,) * 4}
    layers.append(layer("pool1", "pool", "relu1", mode="max", ceil=True, **window))
    before = "pool1"
    for stage, (width, count) in enumerate(zip((64, 128, 256, 512), (3, 4, 6, 3), strict=True), 2):
        for block in range(count):
            name, stride, shortcut = f"res{stage}{block}", 2 if stage > 2 and not block else 1, before
            if not block:
                layers += _unit(f"{name}_branch1", before, 4 * width, 1, stride, False)
                shortcut = f"scale_{name}_branch1"
            for part, (out, kernel, step) in {
                "a": (width, 1, stride),
                "b": (width, 3, 1),
                "c": (4 * width, 1, 1),
            }.items():
                layers += _unit(f"{name}{part}", before, out, kernel, step, False)
                layers.append(layer(f"{name}{part}_relu", "activation", f"scale_{name}{part}", function="relu"))
                before = f"{name}{part}_relu"
            layers.pop()  # the sum comes before the last ReLU
            layers.append(layer(f"{name}_sum", "add", shortcut, f"scale_{name}c"))
            layers.append(layer(name, "activation", f"{name}_sum", function="relu"))
            before = name
    layers += [layer("pool5", "global_pool", before, mode="average"), layer("fc1000", "linear", "pool5", out=10)]
    return network(*layers, layer("prob", "softmax", "fc1000"), image=(3, 64, 64))


def test_the_authors_resnet_is_the_one_with_their_pooling() -> None:
    definition = caffe_resnet50()
    tensors = random_tensors(definition)
    own = load_definition("file", definition, tensors)
    twin = find_twin(definition, tensors, own)
    assert twin is not None
    assert (twin.network.card.name, twin.equal) == ("resnet50_caffe", True)
    torch_like = models.create("resnet50", 10)
    load_by_order(torch_like, [units_of(definition, tensors, order) for order in orders(definition)])
    images = torch.rand(1, 3, 64, 64)
    assert not torch.allclose(torch_like.eval()(images), own(images), rtol=1e-3)


def test_a_network_of_ours_is_found_with_its_weights() -> None:
    definition = caffe_resnet18()
    tensors = random_tensors(definition)
    own = load_definition("file", definition, tensors)
    twin = find_twin(definition, tensors, own)
    assert twin
    assert twin.equal
    assert twin.network.card.name == "resnet18"
    images = torch.rand(2, 3, 64, 64)
    torch.testing.assert_close(twin.network(images), own(images), rtol=1e-3, atol=1e-4)


def test_the_same_layers_with_other_outputs_are_no_network_of_ours() -> None:
    definition = caffe_resnet18(pool_padding=0)
    tensors = random_tensors(definition)
    twin = find_twin(definition, tensors, load_definition("file", definition, tensors))
    assert twin is not None
    assert not twin.equal


def test_a_network_that_is_none_of_ours_has_no_twin() -> None:
    tensors = random_tensors(gated())
    assert find_twin(gated(), tensors, load_definition("file", gated(), tensors)) is None


def test_a_single_slope_is_that_of_all_channels() -> None:
    definition = network(layer("a", "activation", function="prelu"), layer("fc", "linear", "a", out=2))
    tensors = random_tensors(definition) | {"a.weight": torch.tensor([0.3])}
    own = load_definition("file", definition, tensors)
    assert own.state_dict()["stages.stage1.a.weight"].tolist() == pytest.approx([0.3] * 3)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"fc.bias": None}, "file has no values of 'fc.bias'; give the file that holds them too"),
        ({"fc.bias": torch.zeros(3)}, "'fc.bias' is 3 in the weights and must be 4 in file"),
        ({"fc.bias": torch.full((4,), torch.nan)}, "not finite"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(tensors: dict[str, Tensor | None], message: str) -> None:
    changed = {**random_tensors(gated()), **tensors}
    with pytest.raises(WeightsError, match=message):
        load_definition("file", gated(), {key: value for key, value in changed.items() if value is not None})


def test_weights_are_loaded_by_order_and_shapes() -> None:
    definition = caffe_resnet18()
    tensors = random_tensors(definition)
    layers = [units_of(definition, tensors, order) for order in orders(definition)]
    whole = models.create("resnet18", 10)
    assert load_by_order(whole, layers) == ALL_BY_ORDER
    own = load_definition("file", definition, tensors)
    images = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(whole.eval()(images), own(images), rtol=1e-3, atol=1e-4)
    other = models.create("resnet18", 4)
    said = load_by_order(other, layers)
    assert said == "40 of 41 layers, by their order and shapes; the others are randomly initialized"
    key = next(iter(other.stages.state_dict()))
    torch.testing.assert_close(other.stages.state_dict()[key], whole.stages.state_dict()[key])
    detector = models.create("yolo_v2_resnet18", 20)
    assert load_by_order(detector, layers).startswith("40 of ")
    with pytest.raises(WeightsError, match="41 layers, of which 2 follow one another as in resnet50"):
        load_by_order(models.create("resnet50"), layers)


def test_a_state_without_its_network_is_in_the_order_of_its_layers() -> None:
    source = models.create("resnet18", 5, seed=1)
    state = {f"net/{key}": value for key, value in source.state_dict().items()}
    network_ = models.create("resnet18", 5, seed=2)
    assert load_by_order(network_, [units_by_name(state)]) == ALL_BY_ORDER
    for key, value in source.state_dict().items():
        torch.testing.assert_close(network_.state_dict()[key], value)
