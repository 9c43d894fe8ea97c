"""The papers' tables and the authors' definitions."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import nn

from convolve.errors import NetworkError
from convolve.interop.weights import rename
from convolve.layers.skips import Skips
from convolve.models import Network, card, create
from convolve.models.convolutional import convolutional_state
from convolve.models.fcn import Conversion, fully_convolutional_network
from convolve.models.weights import load_weights, translate
from convolve.summary import summarize
from tests.models.blobs import ten_steps

CROPS = {  # where the definitions' crops begin, in the order of the layers
    "fcn32s_alexnet": [18],
    "fcn32s_vgg16": [19],
    "fcn16s_vgg16": [5, 27],
    "fcn8s_vgg16": [5, 9, 31],
    "fcn8s_vgg16_atonce": [5, 9, 31],
}
KERNELS = {
    "fcn32s_alexnet": [63],
    "fcn32s_vgg16": [64],
    "fcn16s_vgg16": [4, 32],
    "fcn8s_vgg16": [4, 4, 16],
    "fcn8s_vgg16_atonce": [4, 4, 16],
}

EVEN = (  # of every paper with convolutions to pad, its designs
    *("alexnet", "alexnet_one_tower", "caffenet", "zfnet", "nin", "nin_cifar", "lenet", "lenet5_keras", "vgg11_lrn"),
    *("vgg16", "googlenet", "googlenet_keras", "flowers_cnn_dropout", "typical_cnn", "bn_inception", "resnet18"),
    *("resnet18_a", "resnet20_cifar", "inception_v4", "densenet40_cifar", "resnext50", "se_resnet50"),
)


def _skeleton(name: str) -> Network:
    with torch.device("meta"):
        return create(name).eval()


def _head(network: Network) -> Skips:
    assert isinstance(network.head, Skips)
    return network.head


@pytest.mark.parametrize("name", CROPS)
def test_crops_and_kernels_follow_from_the_geometry(name: str) -> None:
    head = _head(_skeleton(name))
    assert [abs(start) for start in head.starts.values()] == CROPS[name]
    layers = [layer for layer in head.enlarge.values() if isinstance(layer, nn.ConvTranspose2d)]
    assert [layer.kernel_size[0] for layer in reversed(layers)] == KERNELS[name]


@pytest.mark.parametrize(
    ("name", "parameters", "field"), [("alexnet", 57, 355), ("vgg16", 134, 404), ("googlenet", 6, 907 - 6 * 32)]
)
def test_table_1(name: str, parameters: int, field: int) -> None:
    """Of GoogLeNet the field counts the average pooling, which the text removes."""
    network = _skeleton(f"fcn32s_{name}")
    named = dict(network.named_parameters())
    assert round(sum(named[key].numel() for key in named if "enlarge" not in key) / 1e6) == parameters
    rows = summarize(network, network.card.input).layers
    assert next(row for row in rows if row.name.startswith("head.scores")).receptive_field.size == field


@pytest.mark.parametrize("name", CROPS)
def test_scores_are_as_large_as_any_image(name: str) -> None:
    network = _skeleton(name)
    for side in (*range(1, 70), 499, 500):
        assert network(torch.empty(1, 3, side, side + 5, device="meta")).shape == (1, 21, side, side + 5)


def test_at_once_scales_its_skips_and_fixes_its_upsampling() -> None:
    network = _skeleton("fcn8s_vgg16_atonce")
    assert _head(network).scales == [0.0001, 0.01, 1.0]
    assert [name for name, value in network.named_parameters() if not value.requires_grad] == [
        "head.enlarge.stage3.weight", "head.enlarge.stage4.weight", "head.enlarge.stage6.weight",
    ]  # fmt: skip
    fixed = [name for name, value in _skeleton("fcn8s_vgg16").named_parameters() if not value.requires_grad]
    assert fixed == ["head.enlarge.stage3.weight"]


@pytest.mark.parametrize("name", EVEN)
def test_a_classifier_is_padded_evenly(name: str) -> None:
    classifier = _skeleton(name)
    network = _skeleton(f"fcn{max(classifier.strides.values())}s_{name}_same")
    for size in ((1, 1), (37, 50)):
        images = torch.empty(1, network.card.input[0], *size, device="meta")
        assert network(images).shape == (1, 21, *size)
        maps = network.features(images)
        for stage, stride in classifier.strides.items():
            assert tuple(maps[stage].shape[2:]) == tuple(-(-side // stride) for side in size)
    for stages in network.stages.values():
        assert not any(getattr(layer, "inplace", False) for layer in list(stages.modules())[1:2])


@torch.no_grad()
def test_dense_layers_slide_with_exactly_their_weights() -> None:
    classifier = create("vgg11", 5, size=(64, 64)).eval()
    state = {name: value.clone() for name, value in classifier.state_dict().items()}
    other = create("vgg11", 5, size=(64, 64), seed=1)
    network = fully_convolutional_network(card("vgg11"), other, 5, Conversion(32, border=1)).eval()
    initialized = load_weights(network, convolutional_state(network, state))
    assert initialized == ["head.scores.stage6.weight", "head.scores.stage6.bias", "head.enlarge.stage6.weight"]
    last = torch.rand(1, 512, 3, 4, generator=torch.Generator().manual_seed(0))
    found = network.stages["stage6"](last)
    dense = nn.Sequential(*list(classifier.head.children())[:-1])
    for row, column in ((0, 0), (1, 2)):
        wanted = dense(last[:, :, row : row + 2, column : column + 2])
        torch.testing.assert_close(found[:, :, row, column], wanted, rtol=1e-5, atol=1e-5)
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    whole = network.features(images)["stage6"].flatten(1)
    torch.testing.assert_close(whole, dense(classifier.features(images)["stage5"]), rtol=1e-5, atol=1e-5)


def test_coarse_networks_weights_fit_finer_ones() -> None:
    runs = [create(f"fcn{stride}s_resnet18", 3, seed=stride) for stride in (32, 16, 8)]
    assert load_weights(runs[1], runs[0].state_dict()) == [
        "head.scores.stage4.weight", "head.scores.stage4.bias",
        "head.enlarge.stage4.weight", "head.enlarge.stage5.weight",
    ]  # fmt: skip
    assert load_weights(runs[2], runs[1].state_dict()) == [
        "head.scores.stage3.weight", "head.scores.stage3.bias",
        "head.enlarge.stage3.weight", "head.enlarge.stage4.weight",
    ]  # fmt: skip


@torch.no_grad()
def test_dilated_maps_hold_the_units_that_were_and_those_between() -> None:
    plain, network = create("resnet18", 3).eval(), create("fcn8s_resnet18_dilated", 3).eval()
    load_weights(network, plain.state_dict())
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    found, wanted = network.features(images), plain.features(images)
    assert network.strides == {"stage1": 2, "stage2": 4, "stage3": 8, "stage4": 8, "stage5": 8}
    torch.testing.assert_close(found["stage4"][:, :, ::2, ::2], wanted["stage4"], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found["stage5"][:, :, ::4, ::4], wanted["stage5"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("fcn8s_zfnet", "zfnet has no map of stride 8; choose one of the strides 4, 16, 32"),
        ("fcn8s_fcn8s_vgg16", "fcn8s_vgg16 is not a convolutional classifier"),
        ("fcn1s_mlp_300", "mlp_300 is not a convolutional classifier"),
        ("fcn2s_lenet1", "A Subsampling cannot be padded"),
        ("fcn2s_batchnorm_cnn", "A Conv2d cannot be padded"),
        ("fcn8s_vgg16_dilated", "Only convolutions can be dilated"),
        ("fcn8s_resnet19", "no network named 'resnet19'"),
    ],
)
def test_refused(name: str, words: str) -> None:
    with pytest.raises(NetworkError, match=words):
        _skeleton(name)


@pytest.mark.parametrize(
    ("name", "classifier"),
    [
        ("fcn8s_vgg16_atonce", "vgg16"),
        ("fcn16s_vgg16_same", "vgg16"),
        ("fcn8s_resnet50_dilated", "resnet50"),
        ("fcn32s_alexnet", "caffenet"),
        ("unet", ""),
        ("vgg16", ""),
    ],
)
def test_cards_name_the_classifier(name: str, classifier: str) -> None:
    assert card(name).classifier == classifier


def test_weights_of_the_classifier_fit() -> None:
    source, network = create("resnet18", 4), create("fcn8s_resnet18", 3, seed=1)
    initialized = load_weights(network, translate(network, source.state_dict(), rename))
    assert initialized
    assert all(name.startswith("head.") for name in initialized)
    assert torch.equal(
        network.get_parameter("stages.stage1.conv1.weight"), source.get_parameter("stages.stage1.conv1.weight")
    )


def test_dense_layers_of_the_classifier_become_convolutions() -> None:
    with torch.device("meta"):
        source, network = create("vgg16"), create("fcn32s_vgg16")
    state = translate(network, source.state_dict(), lambda _, given: given)
    assert state["stages.stage6.fc6.weight"].shape == (4096, 512, 7, 7)
    assert "head.fc6.weight" not in state


def test_official_weights_of_the_classifier_fit() -> None:
    theirs, network = torchvision.models.resnet18(), create("fcn8s_resnet18", 3)
    initialized = load_weights(network, translate(network, theirs.state_dict(), rename))
    assert all(name.startswith("head.") for name in initialized)
    assert torch.equal(network.get_parameter("stages.stage1.conv1.weight"), theirs.conv1.weight)


@pytest.mark.parametrize(("name", "rate"), [("fcn8s_resnet18", 0.001), ("fcn32s_googlenet", 0.001)])
def test_ten_steps_lower_the_loss(name: str, rate: float) -> None:
    before, after = ten_steps(create(name, 2), 64, rate)
    assert after < 0.97 * before
