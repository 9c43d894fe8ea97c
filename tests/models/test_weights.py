from __future__ import annotations

import pytest
import torch
from torch import nn

from convolve.errors import WeightsError
from convolve.models import Network, create
from convolve.models.weights import load_weights


def test_everything_fits_the_same_network() -> None:
    source, target = create("simple_cnn", seed=1), create("simple_cnn", seed=2)
    assert load_weights(target, source.state_dict()) == []
    assert all(torch.equal(value, source.state_dict()[name]) for name, value in target.state_dict().items())


def test_the_head_stays_fresh_where_its_shape_differs() -> None:
    source, target = create("simple_cnn", seed=1), create("simple_cnn", classes=3, seed=2)
    initialized = target.state_dict()["head.dense5.weight"].clone()
    assert load_weights(target, source.state_dict()) == ["head.dense5.weight", "head.dense5.bias"]
    assert torch.equal(target.state_dict()["head.dense5.weight"], initialized)
    assert torch.equal(target.state_dict()["head.dense4.weight"], source.state_dict()["head.dense4.weight"])
    assert torch.equal(target.state_dict()["stages.stage3.conv3.bias"], source.state_dict()["stages.stage3.conv3.bias"])


def test_another_head_is_passed_over() -> None:
    target = create("simple_cnn")
    state = {name: value for name, value in target.state_dict().items() if not name.startswith("head.")}
    state["head.score.weight"] = torch.zeros(3)
    assert len(load_weights(target, state)) == 4


def test_counters_of_batches_may_be_absent_as_in_older_files() -> None:
    target = create("resnet18", 3)
    state = {name: value for name, value in target.state_dict().items() if "num_batches" not in name}
    assert load_weights(target, state) == []


CARRIED = ("conv1_1", "conv2_1", "conv3_1", "conv3_2", "fc6", "fc7", "fc8")


@pytest.mark.parametrize("deeper", ["vgg13", "vgg16_c", "vgg16", "vgg19"])
def test_the_deeper_vgg_grow_from_a(deeper: str) -> None:
    """Section 3.1: A's first four convolutions and its dense layers; what lies between is randomly initialized."""
    source, target = _shrunken("vgg11", 1), _shrunken(deeper, 2)
    before = {name: value.clone() for name, value in target.state_dict().items()}
    initialized = load_weights(target, source.state_dict())
    for name, value in target.state_dict().items():
        carried = name.split(".")[-2] in CARRIED
        assert carried == (name not in initialized)
        assert torch.equal(value, source.state_dict()[name] if carried else before[name])


def test_what_is_not_the_whole_of_a_does_not_grow() -> None:
    target = _shrunken("vgg16", 2)
    state = {name: value for name, value in _shrunken("vgg11", 1).state_dict().items() if "conv5_2" not in name}
    with pytest.raises(WeightsError, match="lack 'stages"):
        load_weights(target, state)
    with pytest.raises(WeightsError, match="lack 'stages"):
        load_weights(_shrunken("vgg19", 1), target.state_dict())


def _shrunken(name: str, seed: int) -> Network:
    """The network with two channels or units instead of 64: its names are all that matters here."""
    with torch.device("meta"):
        network = create(name, 3, size=(32, 32))
    random = torch.Generator().manual_seed(seed)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            shape = [max(side // 32, 1) for side in layer.weight.shape]
            layer.weight = nn.Parameter(torch.randn(shape, generator=random))
            layer.bias = nn.Parameter(torch.randn(shape[0], generator=random))
    return network


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_numbers_of_other_formats_are_converted(dtype: torch.dtype) -> None:
    source, target = create("simple_cnn", seed=1), create("simple_cnn", seed=2)
    state = {name: value.to(dtype) for name, value in source.state_dict().items()}
    load_weights(target, state)
    assert all(torch.equal(value, state[name].float()) for name, value in target.state_dict().items())


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        *(
            (
                {"stages.stage1.conv1.weight": torch.ones(8, 1, 3, 3).to(dtype)},
                f"'stages.stage1.conv1.weight' is of type {str(dtype)[6:]} in the weights and must be of float16",
            )
            for dtype in (torch.bool, torch.int32, torch.uint8, torch.complex64, torch.float8_e4m3fn)
        ),
        *(
            (
                {"stages.stage1.conv1.weight": torch.full((8, 1, 3, 3), value, dtype=torch.float64)},
                "'stages.stage1.conv1.weight' holds numbers in the weights that are not finite",
            )
            for value in (float("nan"), float("inf"), 1e300)
        ),
        (
            {"stages.stage1.conv1.weight": torch.zeros(8, 3, 3, 3)},
            r"is 8x3x3x3 in the weights but 8x1x3x3 in simple_cnn",
        ),
        ({"stages.stage9.conv9.weight": torch.zeros(1)}, "which simple_cnn does not have"),
        ({"stages.stage1.conv1.weight": None}, r"lack 'stages.stage1.conv1.weight' of simple_cnn"),
    ],
)
def test_a_stage_that_does_not_fit_is_refused_and_nothing_changed(
    change: dict[str, torch.Tensor | None], sentence: str
) -> None:
    source, target = create("simple_cnn", seed=1), create("simple_cnn", seed=2)
    before = {name: value.clone() for name, value in target.state_dict().items()}
    state = {name: value for name, value in {**source.state_dict(), **change}.items() if value is not None}
    with pytest.raises(WeightsError, match=sentence):
        load_weights(target, state)
    assert all(torch.equal(value, before[name]) for name, value in target.state_dict().items())
