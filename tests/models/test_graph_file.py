"""Networks from definitions: each kind of layer against torch's functions, stages, heads, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convolve.errors import NetworkError
from convolve.models import create
from convolve.models.definition import IMAGE, NetworkDefinition, to_document
from convolve.models.graph_file import scores_of, tensor_names, variant_of, whole_graph
from convolve.models.network import Network
from tests.models.definitions import SQUARE, convolution, gated, layer, network

IMAGES = torch.rand(2, 3, 9, 11, generator=torch.Generator().manual_seed(0)) * 4 - 2


def built(definition: NetworkDefinition, classes: int | None = None) -> Network:
    """Of the definition's own size."""
    variant = variant_of("small.json", definition)
    network_ = variant.build(variant.card, classes or variant.card.classes, definition.input[0], definition.input[1:])
    return network_.eval()


def caffe_average(images: Tensor) -> Tensor:
    """Windows of 3, stride 2, padding 1, rounded up, one by one."""
    side = 6
    found = torch.zeros(*images.shape[:2], 5, side)
    for row in range(5):
        for column in range(side):
            top, left = 2 * row - 1, 2 * column - 1
            bottom, right = min(top + 3, 9 + 1), min(left + 3, 11 + 1)
            part = images[:, :, max(top, 0) : bottom, max(left, 0) : right]
            found[:, :, row, column] = part.sum((2, 3)) / ((bottom - top) * (right - left))
    return found


def uneven_average(images: Tensor) -> Tensor:
    """Padded by one on the right and below, which does not count."""
    sums, counts = (
        F.avg_pool2d(F.pad(each, (0, 1, 0, 1)), 3, 2, divisor_override=1) for each in (images, torch.ones_like(images))
    )
    return sums / counts


POOL = {"kernel": (3, 3), "stride": (2, 2)}
CASES: list[tuple[str, dict[str, Any], Callable[[Tensor], Tensor]]] = [
    (
        "pool",
        {"mode": "max", **POOL, "padding": (0, 0, 0, 0), "ceil": True},
        lambda x: F.max_pool2d(x, 3, 2, ceil_mode=True),
    ),
    ("pool", {"mode": "average", **POOL, "padding": (1, 1, 1, 1), "ceil": True, "count_padding": True}, caffe_average),
    ("pool", {"mode": "average", **POOL, "padding": (0, 1, 0, 1)}, uneven_average),
    (
        "pool",
        {"mode": "max", **POOL, "padding": (0, 1, 0, 1)},
        lambda x: F.max_pool2d(F.pad(x, (0, 1, 0, 1), value=-9), 3, 2),
    ),
    (
        "pool",
        {"mode": "max", "kernel": (2, 2), "stride": (2, 2), "padding": (2, 2, 2, 2)},
        lambda x: F.max_pool2d(F.pad(x, (2, 2, 2, 2), value=float("-inf")), 2, 2),
    ),
    ("global_pool", {"mode": "average"}, lambda x: x.mean((2, 3), keepdim=True)),
    ("global_pool", {"mode": "max"}, lambda x: x.amax((2, 3), keepdim=True)),
    ("lrn", {"size": 3, "alpha": 0.3, "beta": 0.75, "k": 2.0}, lambda x: F.local_response_norm(x, 3, 0.3, 0.75, 2.0)),
    (
        "lrn",
        {"size": 3, "alpha": 0.3, "beta": 0.75, "k": 1.0, "within": True},
        lambda x: x * (1 + 0.3 * F.avg_pool2d(x * x, 3, 1, 1)) ** -0.75,
    ),
    ("activation", {"function": "leaky_relu", "slope": 0.1}, lambda x: F.leaky_relu(x, 0.1)),
    ("activation", {"function": "elu", "alpha": 0.5}, lambda x: F.elu(x, 0.5)),
    ("activation", {"function": "hard_sigmoid"}, lambda x: (0.2 * x + 0.5).clamp(0, 1)),
    ("activation", {"function": "hard_tanh", "low": -0.5, "high": 0.7}, lambda x: x.clamp(-0.5, 0.7)),
    ("activation", {"function": "threshold", "threshold": 0.1, "value": -3.0}, lambda x: F.threshold(x, 0.1, -3.0)),
    ("activation", {"function": "square"}, torch.square),
    ("activation", {"function": "swish"}, F.silu),
    ("softmax", {}, lambda x: x.softmax(1)),
    ("softmax", {"axis": 3, "log": True}, lambda x: x.log_softmax(3)),
    ("reshape", {"shape": (0, -1)}, lambda x: x.reshape(2, 3, 99)),
    ("permute", {"order": (0, 2, 3, 1)}, lambda x: x.permute(0, 2, 3, 1)),
    ("flatten", {}, lambda x: x.flatten(1)),
    ("pad", {"padding": (1, 2, 3, 4), "value": 0.5}, lambda x: F.pad(x, (1, 2, 3, 4), value=0.5)),
    ("cut", {"padding": (1, 2, 3, 4)}, lambda x: x[:, :, 3:5, 1:9]),
    ("upsample", {"factor": (2, 2), "mode": "nearest"}, lambda x: x.repeat_interleave(2, 2).repeat_interleave(2, 3)),
    ("upsample", {"factor": (2, 2), "mode": "bilinear"}, lambda x: F.interpolate(x, scale_factor=2, mode="bilinear")),
    ("l2_normalize", {"eps": 1e-10}, F.normalize),
    ("power", {"scale": 0.5, "shift": 3.0, "power": 2.0}, lambda x: (3 + 0.5 * x) ** 2),
    ("slice", {"begin": 1, "end": 3}, lambda x: x[:, 1:3]),
]


@pytest.mark.parametrize(
    ("kind", "options", "expected"), CASES, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_layer_computes_what_torch_does(
    kind: str, options: dict[str, Any], expected: Callable[[Tensor], Tensor]
) -> None:
    graph = whole_graph(network(layer("one", kind, **options), image=(3, 9, 11))).eval()
    (output,) = graph([IMAGES])
    torch.testing.assert_close(output, expected(IMAGES), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("add", lambda x, y: x + y),
        ("multiply", torch.mul),
        ("maximum", torch.maximum),
        ("minimum", torch.minimum),
        ("average", lambda x, y: (x + y) / 2),
        ("concat", lambda x, y: torch.cat((x, y), 1)),
    ],
)
def test_layers_of_two_inputs(kind: str, expected: Callable[[Tensor, Tensor], Tensor]) -> None:
    definition = network(layer("half", "power", scale=-0.5), layer("one", kind, IMAGE, "half"), image=(3, 9, 11))
    torch.testing.assert_close(whole_graph(definition)([IMAGES])[1], expected(IMAGES, -0.5 * IMAGES))


def test_a_sum_has_coefficients() -> None:
    definition = network(layer("one", "add", IMAGE, IMAGE, coefficients=(1.0, -0.5)), image=(3, 9, 11))
    torch.testing.assert_close(whole_graph(definition)([IMAGES])[0], IMAGES / 2)


def test_layers_with_weights() -> None:
    sizes = {"kernel": (3, 2), "stride": (2, 1), "padding": (0, 1, 2, 1)}
    definition = network(
        layer("conv", "convolution", out=4, **sizes, dilation=(1, 2)),
        layer("up", "deconvolution", "conv", out=6, **sizes, groups=2, bias=False),
        layer("norm", "batch_norm", "up", eps=1e-2),
        layer("scale", "scale", "norm"),
        layer("prelu", "activation", "scale", function="prelu"),
        layer("fc", "linear", "prelu", out=5),
        image=(3, 9, 11),
    )
    graph = whole_graph(definition).eval()
    names = tensor_names(definition, graph)
    state = {key: torch.rand_like(value) + 0.1 for key, value in graph.state_dict().items() if value.ndim}
    graph.load_state_dict(state, strict=False)
    own = {name: state[key] for name, key in names.items()}
    conv, up, norm, scale, prelu, fc = graph([IMAGES])
    x = F.conv2d(F.pad(IMAGES, (0, 1, 2, 1)), own["conv.weight"], own["conv.bias"], (2, 1), 0, (1, 2))
    torch.testing.assert_close(conv, x)
    x = F.conv_transpose2d(x, own["up.weight"], None, (2, 1), 0, 0, 2)[:, :, 2:-1, :-1]
    torch.testing.assert_close(up, x)
    mean, variance, weight, bias = (own[f"norm.{key}"] for key in ("running_mean", "running_var", "weight", "bias"))
    x = F.batch_norm(x, mean, variance, weight, bias, eps=1e-2)
    torch.testing.assert_close(norm, x)
    x = x * own["scale.weight"][:, None, None] + own["scale.bias"][:, None, None]
    torch.testing.assert_close(scale, x)
    x = F.prelu(x, own["prelu.weight"])
    torch.testing.assert_close(prelu, x)
    torch.testing.assert_close(fc, F.linear(x.flatten(1), own["fc.weight"], own["fc.bias"]))


def test_a_network_has_stages_and_gives_scores_without_the_softmax() -> None:
    definition = gated()
    own, graph = built(definition), whole_graph(definition).eval()
    assert own.strides == {"stage1": 2, "stage2": 4}
    assert own.channels == {"stage1": 8, "stage2": 10}
    assert "stages.stage2.join_all" in dict(own.named_modules())
    names = tensor_names(definition, graph)
    state = own.state_dict()
    graph.load_state_dict({names[name]: state[key] for name, key in tensor_names(definition, own).items()})
    images = torch.rand(2, 3, 16, 16)
    outputs = dict(zip((each.name for each in definition.layers), graph([images]), strict=True))
    torch.testing.assert_close(own(images), outputs["fc"])
    torch.testing.assert_close(own(images).softmax(1), outputs["prob"])
    torch.testing.assert_close(own.features(images)["stage2"], outputs["gated"])


def test_another_number_of_classes_changes_the_last_layer_with_weights() -> None:
    own, other = built(gated()), built(gated(), classes=7)
    changed = [key for key, value in own.state_dict().items() if value.shape != other.state_dict()[key].shape]
    assert changed == ["head.layers.fc.dense.weight", "head.layers.fc.dense.bias"]
    assert other(torch.rand(1, 3, 16, 16)).shape == (1, 7)


def test_a_file_is_a_network(tmp_path: Path) -> None:
    path = tmp_path / "network.json"
    path.write_text(json.dumps(to_document(gated())))
    found = create(str(path), 4, 3, (16, 16))
    assert (found.card.classes, found.card.input, found.card.venue) == (4, (3, 16, 16), "Caffe")
    assert found.card.parameters == sum(value.numel() for value in found.parameters())
    path.write_text("{}")
    with pytest.raises(NetworkError, match=r"network\.json cannot be read as a network \(it is no definition"):
        create(str(path))
    with pytest.raises(NetworkError, match=r"no\.json cannot be read as a network \(No such file"):
        create(str(tmp_path / "no.json"))


def test_a_network_without_maps_before_its_scores_has_the_image_as_a_stage() -> None:
    own = built(network(layer("fc", "linear", out=5)))
    assert isinstance(own.stages["stage1"], nn.Identity)
    assert own(torch.rand(2, 3, 16, 16)).shape == (2, 5)


def test_a_network_of_pixels_is_cropped_to_the_image() -> None:
    definition = network(
        convolution("conv1", IMAGE, 8, stride=2, padding=(5, 5, 5, 5)),
        layer("relu", "activation", "conv1", function="relu"),
        convolution("score", "relu", 4, 1),
        layer("up", "deconvolution", "score", out=4, kernel=(4, 4), stride=(2, 2), padding=(0, 0, 0, 0)),
        layer("crop", "crop", "up", IMAGE, offset=(5, 5)),
        layer("prob", "softmax", "crop"),
    )
    assert scores_of("small", definition).output == "pixels"
    own, graph = built(definition), whole_graph(definition).eval()
    names, state = tensor_names(definition, graph), own.state_dict()
    graph.load_state_dict({names[name]: state[key] for name, key in tensor_names(definition, own).items()})
    images = torch.rand(2, 3, 16, 16)
    torch.testing.assert_close(own(images).softmax(1), graph([images])[-1])


def test_a_sigmoid_at_the_end_lets_every_class_stand_alone() -> None:
    definition = network(layer("fc", "linear", out=5), layer("prob", "activation", "fc", function="sigmoid"))
    assert scores_of("small", definition) == (0, 5, "image", True)


def test_names_that_no_module_can_have_are_changed() -> None:
    names = ("forward", "keys", "a.b", "a_b", "start", "stage1")
    layers = [convolution(name, names[index - 1] if index else IMAGE, 4) for index, name in enumerate(names)]
    definition = network(*layers, layer("fc", "linear", "stage1", out=2))
    own = built(definition)
    assert list(tensor_names(definition, own)) == [
        f"{each.name}.{key}" for each in definition.layers for key in ("weight", "bias")
    ]
    assert own(torch.rand(1, 3, 16, 16)).shape == (1, 2)


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        (
            network(layer("a", "linear", out=2), layer("b", "linear", out=3), outputs=("a", "b")),
            r"has 2 outputs \(a, b\), and there is no task",
        ),
        (network(convolution("a", IMAGE, 1)), "gives values of the shape 1x16x16, and there is no task"),
        (network(layer("a", "reshape", shape=(6, 128)), layer("b", "softmax", "a", axis=2)), "of the shape 6x128"),
        (
            network(convolution("a", IMAGE, 4, groups=2)),
            r"the layer 'a' \(convolution\) cannot take 3x16x16 \(its 2 groups do not divide 3 and 4",
        ),
        (network(layer("a", "flatten"), convolution("b", "a", 4)), "it takes maps, not values of the shape 768"),
        (
            network(layer("a", "convolution", out=2, kernel=(40, 40), stride=(1, 1), padding=(0, 0, 0, 0))),
            "the layer 'a'",
        ),
        (network(layer("a", "reshape", shape=(7, -1))), r"'a' \(reshape\) cannot take 3x16x16 \(shape"),
        (network(layer("a", "permute", order=(0, 1, 2))), "none of the 4 axes"),
        (network(layer("a", "linear", out=2**24), layer("b", "linear", "a", out=2**24)), "weights"),
        (network(layer("a", "upsample", factor=(2**12, 2**12), mode="nearest")), "it would give 3x65536x65536"),
        (network(layer("a", "slice", begin=2, end=9)), r"'a' \(slice\)"),
        (network(layer("a", "lrn", size=4, alpha=1.0, beta=1.0, k=1.0)), "its size is 4, which must be odd"),
        (network(layer("a", "add", IMAGE, IMAGE, coefficients=(1.0,))), "it has 1 coefficients for 2 inputs"),
    ],
)
def test_a_network_that_cannot_be_is_refused(definition: NetworkDefinition, message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        built(definition)


def test_scores_of_several_layers_have_their_number_of_classes() -> None:
    definition = network(
        layer("a", "linear", out=3),
        layer("b", "linear", out=3),
        layer("sum", "add", "a", "b"),
        layer("prob", "softmax", "sum"),
    )
    assert built(definition)(torch.rand(1, 3, 16, 16)).shape == (1, 3)
    with pytest.raises(NetworkError, match="cannot give 4 classes, since no layer alone gives its scores; use the 3"):
        built(definition, classes=4)


def test_layers_on_which_nothing_depends_are_left_out() -> None:
    window: dict[str, Any] = SQUARE
    definition = network(
        convolution("a", IMAGE, 4),
        layer("aside", "convolution", "a", out=5, **window),
        layer("fc", "linear", "a", out=2),
    )
    assert not [key for key in built(definition).state_dict() if "aside" in key]
