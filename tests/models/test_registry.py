from __future__ import annotations

import pytest
import torch

from convolve.errors import NetworkError
from convolve.models import card, create, names


def test_names_come_oldest_first_and_in_the_order_of_their_table() -> None:
    years = [card(name).year or 0 for name in names()]
    assert years == sorted(years)
    resnets = [name for name in names() if name.startswith("resnet")]
    assert resnets[:5] == ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"]


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("resnet 18", "resnet18, resnet18_c or resnet18_a"),
        ("resnt18", "resnet18, resnet18_c or resnet18_a"),
        ("ResNet-50", "resnet50, resnext50 or se_resnet50"),
        ("lenet-5", "lenet5, lenet or lenet1"),
        ("unett", "unet"),
        ("fcn8s", "fcn8s_vgg16 or fcn8s_vgg16_atonce"),
    ],
)
def test_an_unknown_name_gets_the_three_nearest_ones(name: str, near: str) -> None:
    with pytest.raises(NetworkError) as caught:
        card(name)
    sentence = f"There is no network named '{name}'. Did you mean {near}? `convolve networks` lists them;"
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize("name", ["", "qqqq", "mobilenet_v2"])
def test_a_name_like_no_other_gets_none(name: str) -> None:
    with pytest.raises(NetworkError, match=rf"^There is no network named '{name}'\. `convolve networks` lists them;"):
        card(name)


@pytest.mark.parametrize(("classes", "channels"), [(0, 1), (10, 0), (-1, 3)])
def test_no_classes_or_channels_are_refused(classes: int, channels: int) -> None:
    with pytest.raises(NetworkError, match="needs at least one class and one channel"):
        create("simple_cnn", classes, channels)


def test_the_published_input_is_the_default() -> None:
    network = create("simple_cnn")
    assert network(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


def test_the_same_seed_gives_the_same_weights_whatever_was_drawn_before() -> None:
    first = create("lenet5_keras", seed=3)
    torch.rand(5)
    second = create("lenet5_keras", seed=3)
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other)
