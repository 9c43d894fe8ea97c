"""A network in 8 bits: which of its layers are sensitive, and that the processor can run it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from convolve.interop.exportable import Exportable
from convolve.interop.openvino import add_steps, convert_network, quantization_errors, quantize_network
from convolve.untrusted.networks import openvino_core
from convolve.values import Floats, Preprocessing

pytest.importorskip("openvino")
pytest.importorskip("nncf")


def names(network: Any) -> list[str]:
    return [op.get_friendly_name() for op in network.get_ordered_ops() if op.get_type_name() == "Convolution"]


def convolutions(*scales: float) -> nn.Sequential:
    """1x1 convolutions of two channels, with the second channel of what each takes multiplied by its scale and of what
    it gives divided by the next one, so that nothing changes but the range of what is between them.
    """
    layers: list[nn.Module] = []
    for before, after in zip(scales, (*scales[1:], 1.0), strict=True):
        layer = nn.Conv2d(2, 2, 1, bias=False)
        layer.weight.data = torch.tensor([[0.7, 0.3 / before], [-0.4 * after, 0.6 * after / before]])[..., None, None]
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def images(channels: int, side: int = 8) -> list[Floats]:
    random = np.random.default_rng(0)
    return [random.random((1, channels, side, side)).astype(np.float32) for _ in range(6)]


def test_the_layer_with_the_widest_range_before_it_has_the_largest_error() -> None:
    preprocessing = Preprocessing(8, 8, 2, "stretch", (0.0, 0.0), (1.0, 1.0))
    network = convert_network(Exportable(convolutions(1, 1, 1000, 1), lambda *_: {}, ()), preprocessing)
    quantized = quantize_network(network, images(2))
    errors = quantization_errors(network, quantized, images(2))
    assert list(errors) == names(network)
    assert max(errors, key=lambda name: errors[name]) == names(network)[2]
    assert all(0 < error < 1 for error in errors.values())
    assert not [op for op in network.get_ops() if op.get_type_name() == "FakeQuantize"]


def test_the_error_is_that_of_the_layer_in_8_bits_alone() -> None:
    preprocessing = Preprocessing(8, 8, 2, "stretch", (0.0, 0.0), (1.0, 1.0))
    network = convert_network(Exportable(convolutions(1, 1, 30, 1), lambda *_: {}, ()), preprocessing)
    errors = quantization_errors(network, quantize_network(network, images(2)), images(2))
    first, *others = names(network)
    alone = quantize_network(network, images(2), others)
    exact, found = (
        openvino_core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}) for graph in (network, alone)
    )
    pairs = [(exact(image)[0].copy(), found(image)[0].copy()) for image in images(2)]
    error = np.mean([np.mean((one - other) ** 2) / np.mean(one**2) for one, other in pairs])
    assert errors[first] == pytest.approx(error, rel=1e-3)


def test_layers_left_in_float_are() -> None:
    preprocessing = Preprocessing(8, 8, 2, "stretch", (0.0, 0.0), (1.0, 1.0))
    network = convert_network(Exportable(convolutions(1, 1, 1), lambda *_: {}, ()), preprocessing)
    left = names(network)[1]
    quantized = quantize_network(network, images(2), [left])
    before = {
        op.get_friendly_name(): op.input_value(0).get_node().get_type_name()
        for op in quantized.get_ops()
        if op.get_type_name() == "Convolution"
    }
    assert [name for name, kind in before.items() if kind != "FakeQuantize"] == [left]


@pytest.mark.parametrize("any_size", [False, True])
def test_the_number_of_channels_is_known_behind_the_steps(any_size: bool) -> None:
    module = nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 4, 5))
    preprocessing = Preprocessing(28, 28, 1, "stretch", (0.5,), (0.5,))
    part = Exportable(module, lambda _steps, maps, _view: {"maps": maps[0]}, (), any_size=any_size)
    quantized = quantize_network(convert_network(part, preprocessing), images(1, 28))
    whole = add_steps(quantized, part, preprocessing)
    whole.validate_nodes_and_infer_types()
    first = next(op for op in whole.get_ordered_ops() if op.get_type_name() == "Convolution")
    shape = first.input_value(0).get_partial_shape()
    assert shape[1].get_length() == 1
    openvino_core().compile_model(whole, "CPU")
