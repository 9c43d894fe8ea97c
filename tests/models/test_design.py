"""Networks that differ from their papers: what changes, what stays, and what is refused in one sentence."""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import get_args

import pytest
import torch
from torch import Tensor, nn

from convolve import models
from convolve.errors import NetworkError
from convolve.interop.weights import rename
from convolve.layers.design import (
    ActivationName,
    Design,
    InitializerName,
    NormalizationName,
    differences,
    fits_published,
    flags,
    inherited,
)
from convolve.layers.faster_rcnn import TwoStageHead
from convolve.layers.lecun import Subsampling, TableConvolution
from convolve.layers.lrn import LocalResponseNorm
from convolve.layers.pooling import MinPool2d
from convolve.layers.region_head import RegionHead
from convolve.layers.residual import Residual
from convolve.models import Network
from convolve.models.design_sites import applicable
from convolve.models.gap import with_gap
from convolve.models.weights import load_weights, translate
from convolve.summary import receptive_fields, shapes_only, summarize
from convolve.targets import BoxTensors

BY_OPTION = {
    "activation": Design(activation="tanh"),
    "initializer": Design(initializer="orthogonal"),
    "dropout": Design(dropout=0.2),
    "normalization": Design(normalization="group"),
    "pooling": Design(pooling="average"),
    "pool_window": Design(pool_window=3, pooling="max"),
    "pool_stride": Design(pool_stride=1, pooling="max"),
    "width": Design(width=2.0),
    "auxiliary": Design(auxiliary=False),
    "connections": Design(connections="full"),
}


def parameters(name: str, design: Design, classes: int | None = None) -> int:
    with shapes_only():
        network = models.create(name, classes, design=design)
    return sum(value.numel() for value in network.parameters())


def kinds(network: Network, *types: type[nn.Module]) -> int:
    return sum(isinstance(module, types) for module in network.modules())


def test_no_design_is_the_published_network() -> None:
    published, same = models.create("lenet5", seed=3), models.create("lenet5", seed=3, design=Design())
    assert published.state_dict().keys() == same.state_dict().keys()
    assert all(torch.equal(value, same.state_dict()[name]) for name, value in published.state_dict().items())
    assert same.card == models.card("lenet5")


def test_outputs_are_those_of_the_network_built_by_hand() -> None:
    design = Design(activation="relu", pooling="max", normalization="batch", width=2.0)
    network = models.create("lenet5_keras", 7, 3, (28, 28), 1, design)
    by_hand = nn.Sequential(
        *(nn.Conv2d(3, 12, 5, padding=2), nn.BatchNorm2d(12), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(12, 32, 5), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(800, 240), nn.ReLU(), nn.Linear(240, 168), nn.ReLU(), nn.Linear(168, 7)),
    )
    by_hand.load_state_dict(
        OrderedDict(zip(by_hand.state_dict(), network.state_dict().values(), strict=True)), strict=True
    )
    images = torch.randn(4, 3, 28, 28, generator=torch.Generator().manual_seed(0))
    for mode in (True, False):
        assert torch.equal(network.train(mode)(images), by_hand.train(mode)(images))


def test_lenet5_with_full_connections_is_made_of_plain_convolutions() -> None:
    network = models.create("lenet5", design=Design(activation="tanh", pooling="average", connections="full"))
    assert kinds(network, TableConvolution, Subsampling) == 0
    assert parameters("lenet5", Design(connections="full")) - parameters("lenet5", Design()) == (96 - 60) * 25
    state, images = network.state_dict(), torch.randn(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    maps = images
    for key in ("stage1.c1", "stage2.c3"):
        maps = torch.conv2d(maps, state[f"stages.{key}.weight"], state[f"stages.{key}.bias"]).tanh()
        maps = nn.functional.avg_pool2d(maps, 2).tanh()
    maps = torch.conv2d(maps, state["stages.stage3.c5.weight"], state["stages.stage3.c5.bias"]).tanh().flatten(1)
    units = (maps @ state["head.f6.weight"].T + state["head.f6.bias"]).tanh()
    scores = -(units[:, None] - state["head.output.weight"]).square().sum(2)
    assert torch.allclose(scores, network(images), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("factor", [0.25, 0.5, 2.0])
def test_parameters_of_a_wider_network_are_those_of_the_formula(factor: float) -> None:
    widths = [int(factor * width) for width in (64, 64, 128, 128, 256, 256, 256, *[512] * 6)]
    convolutions = sum(9 * before * after + after for before, after in zip([3, *widths], widths, strict=False))
    hidden = int(4096 * factor)
    dense = 49 * widths[-1] * hidden + hidden + hidden**2 + hidden + 1000 * hidden + 1000
    assert parameters("vgg16", Design(width=factor)) == convolutions + dense


def test_parameters_of_a_wider_residual_network() -> None:
    # 9 w² of each 3x3 convolution, four times as many for twice the channels, but the first and the last layer
    published, wide = parameters("resnet20_cifar", Design()), parameters("resnet20_cifar", Design(width=2.0))
    first, last, norms = 9 * 3 * 16, 64 * 10, 2 * (7 * 16 + 6 * 32 + 6 * 64)
    inner = published - first - last - 10 - norms
    assert wide == 4 * inner + 2 * (first + last + norms) + 10
    network = models.create("resnet20_cifar", design=Design(width=2.0))
    assert network.channels == {"stage1": 32, "stage2": 64, "stage3": 128}
    block = next(module for module in network.modules() if isinstance(module, Residual))
    assert block.channels == 32


@pytest.mark.parametrize("factor", [1.0, 0.5])
def test_parameters_of_a_wider_detector_of_regions(factor: float) -> None:
    """As many scores and offsets of 9 anchors, and of 20 classes and background, in any width."""
    widths = [int(factor * width) for width in (64, 64, 128, 128, 256, 256, 256, *[512] * 6)]
    convolutions = sum(9 * before * after + after for before, after in zip([3, *widths], widths, strict=False))
    last, hidden = widths[-1], int(4096 * factor)
    proposals = 9 * last**2 + last + (last + 1) * 9 * (2 + 4)
    second = 49 * last * hidden + hidden + hidden**2 + hidden + (hidden + 1) * 21 * (1 + 4)
    assert parameters("faster_rcnn_vgg16", Design(width=factor)) == convolutions + proposals + second
    if factor == 1:
        assert convolutions + proposals + second == models.card("faster_rcnn_vgg16").parameters


@pytest.mark.parametrize("name", ["rcnn64_resnet20_cifar", "spp_net_resnet20_cifar", "fast_rcnn_resnet20_cifar"])
def test_a_wider_network_scores_regions(name: str) -> None:
    network = models.create(name, 3, design=Design(width=0.5))
    head = network.head
    assert isinstance(head, RegionHead)
    (maps,) = network(torch.randn(1, 3, 64, 64))
    regions = torch.tensor([[0.0, 0, 40, 40], [8, 8, 60, 64]])
    found = head.score_regions(maps, regions, torch.zeros(2, dtype=torch.int64))
    assert found.scores.shape == (2, 4)
    published = models.create(name, 3).head
    assert isinstance(published, RegionHead)
    assert found.features.shape[1] == published.scores.in_features // 2
    if head.svms is not None:
        assert head.svms(found.features).shape == (2, 3)
        assert head.svms.move(found.features, regions).shape == (2, 3, 4)


@pytest.mark.parametrize("name", ["faster_rcnn_resnet20_cifar", "faster_rcnn_resnet18_fpn"])
def test_a_wider_network_proposes_regions(name: str) -> None:
    network = models.create(name, 3, design=Design(width=0.25))
    targets = BoxTensors(torch.tensor([[4.0, 4, 40, 40]]), torch.zeros(1).long(), torch.zeros(1).long())
    assert isinstance(network.head, TwoStageHead)
    loss = network.head.loss(network(torch.randn(1, 3, 64, 64)), targets, (64, 64))["loss"]
    loss.backward()  # type: ignore[no-untyped-call]
    assert all(value.grad is not None for value in network.parameters())


def test_grouped_convolutions_keep_their_groups() -> None:
    network = models.create("alexnet", design=Design(width=0.5))
    convolution = network.get_submodule("stages.stage2.conv2")
    assert isinstance(convolution, nn.Conv2d)
    assert (convolution.in_channels, convolution.out_channels, convolution.groups) == (48, 128, 2)
    norm = network.get_submodule("stages.stage1.norm1")
    assert isinstance(norm, LocalResponseNorm)
    assert (norm.channels, norm.band.shape[0], norm.alpha, norm.k) == (48, 48, 1e-4, 2.0)


def test_a_factor_without_whole_numbers_names_the_nearest() -> None:
    with pytest.raises(
        NetworkError, match=r"With --width 0\.3, resnet20_cifar .*nearest factors are 0\.25 and 0\.3125"
    ):
        models.create("resnet20_cifar", design=Design(width=0.3))
    with pytest.raises(NetworkError, match=r"nearest factors are 0\.015625"):
        models.create("vgg16", design=Design(width=0.002))
    assert models.create("resnet20_cifar", design=Design(width=0.3125)).channels["stage1"] == 5


def test_the_codes_of_lenet5_have_their_length_in_any_width() -> None:
    network = models.create("lenet5", design=Design(connections="full", width=0.5))
    assert network.channels == {"stage1": 3, "stage2": 8, "stage3": 60}
    assert network(torch.zeros(1, 1, 32, 32)).shape == (1, 10)
    layer = network.get_submodule("head.f6")
    assert isinstance(layer, nn.Linear)
    assert (layer.in_features, layer.out_features) == (60, 84)


@pytest.mark.parametrize("name", get_args(ActivationName))
def test_every_activation_learns(name: ActivationName) -> None:
    network = models.create("googlenet_keras", 3, 1, (64, 64), design=Design(activation=name))
    assert kinds(network, nn.ReLU) == (57 + 4 if name == "relu" else 0)
    sum(scores.square().sum() for scores in network.scores_of_all_heads(torch.randn(2, 1, 64, 64))).backward()  # type: ignore[union-attr]
    assert all(value.grad is not None for value in network.parameters())


@pytest.mark.parametrize("kind", get_args(NormalizationName))
@pytest.mark.parametrize("name", ["resnet20_cifar", "se_resnet20_cifar", "alexnet", "squeezenet"])
def test_every_normalization_learns(name: str, kind: NormalizationName) -> None:
    if name == "squeezenet" and kind == "none":  # which has none
        return
    side = 16 if name.endswith("cifar") else 67
    network = models.create(name, 3, 3, (side, side), design=Design(normalization=kind))
    types = {"batch": nn.BatchNorm2d, "layer": nn.GroupNorm, "group": nn.GroupNorm, "lrn": LocalResponseNorm}
    for other, module in types.items():
        if other != kind and module is not types.get(kind):
            assert kinds(network, module) == 0
    if kind == "batch" and name == "alexnet":
        assert kinds(network, nn.BatchNorm2d) == 5
    if kind in ("none", "lrn"):
        assert all(layer.bias is not None for layer in network.modules() if isinstance(layer, nn.Conv2d))
    network(torch.randn(2, 3, side, side)).square().sum().backward()
    assert all(value.grad is not None for value in network.parameters())


def test_maps_of_stages_stay_without_normalization() -> None:
    network = models.create("se_resnet20_cifar", 3, 3, (16, 16), design=Design(normalization="none")).eval()
    maps = network.features(images := torch.randn(1, 3, 16, 16))
    before = images.clone()
    for name, stage in network.stages.items():
        assert torch.equal(stage(images), maps[name])
        assert torch.equal(images, before)
        images = maps[name]
        before = images.clone()


def test_groups_have_two_channels_at_least() -> None:
    network = models.create("resnet20_cifar", design=Design(normalization="group"))
    groups = [(norm.num_groups, norm.num_channels) for norm in network.modules() if isinstance(norm, nn.GroupNorm)]
    assert set(groups) == {(8, 16), (16, 32), (32, 64)}
    layer = models.create("resnet20_cifar", design=Design(normalization="layer"))
    assert {norm.num_groups for norm in layer.modules() if isinstance(norm, nn.GroupNorm)} == {1}


def test_pooling_keeps_the_maps_of_another_window() -> None:
    for name, window in (("alexnet", 2), ("lenet5_keras", 3), ("resnet18", 2), ("vgg11", 3)):
        with shapes_only():
            published = summarize(models.create(name), models.card(name).input)
            changed = summarize(models.create(name, design=Design(pool_window=window)), models.card(name).input)
        assert [row.output for row in changed.layers] == [row.output for row in published.layers], name
        assert {row.kernel for row in changed.layers if "Pool2d" in row.type and row.kernel} == {(window, window)}, name


def test_a_stride_of_pooling_changes_maps_strides_and_dense_layers() -> None:
    network = models.create("lenet5_keras", design=Design(pool_stride=1, pooling="min"))
    assert network.strides == {"stage1": 1, "stage2": 1}
    assert kinds(network, MinPool2d) == 2
    channels, height, width = network.card.input
    maps = network.features(torch.zeros(1, channels, height, width))
    dense = network.get_submodule("head.dense3")
    assert isinstance(dense, nn.Linear)
    assert dense.in_features == maps["stage2"][0].numel()
    field = receptive_fields(network, network.card.input, ["stages.stage2"])["stages.stage2"][0]
    assert (field.size, field.stride) == (11, 1)  # 5, 2, 5 and 2, all with stride 1


def test_dropout_is_set_or_added_before_the_last_dense_layer() -> None:
    network = models.create("vgg11", design=Design(dropout=0.1))
    assert [module.p for module in network.modules() if isinstance(module, nn.Dropout)] == [0.1, 0.1]
    names = [name for name, _ in models.create("lenet5_keras", design=Design(dropout=0.1)).head.named_children()]
    assert names[-2:] == ["dropout", "dense5"]
    assert kinds(models.create("localize_resnet18", design=Design(dropout=0.1)), nn.Dropout) == 1


@pytest.mark.parametrize("name", get_args(InitializerName))
def test_initializers(name: InitializerName) -> None:
    network = models.create("lenet5", design=Design(initializer=name), seed=1)
    same = models.create("lenet5", design=Design(initializer=name), seed=1)
    assert all(torch.equal(value, same.state_dict()[key]) for key, value in network.state_dict().items())
    weights = {key: value for key, value in network.named_parameters() if key.endswith(".weight") and "s2" not in key}
    biases = [network.get_parameter(f"stages.{key}.bias") for key in ("stage1.c1", "stage2.c3", "stage3.c5")]
    assert all(not bias.any() for bias in biases)
    c3, c5 = weights["stages.stage2.c3.weight"], weights["stages.stage3.c5.weight"]
    expected = {
        "he": (2 / 400) ** 0.5,
        "xavier": (2 / (400 + 120 * 25)) ** 0.5,
        "lecun": (1 / 400) ** 0.5,
        "normal": 0.01,
        "zeros": 0.0,
    }
    if name == "orthogonal":
        rows: Tensor = c5.flatten(1)
        assert torch.allclose(rows @ rows.T, torch.eye(120), atol=1e-5)
        return
    assert float(c5.detach().std()) == pytest.approx(expected[name], rel=0.02)
    mean_fan = sum(len(sources) for sources in _table(network)) * 25 / 16
    fan = {"he": (2 / mean_fan) ** 0.5, "lecun": (1 / mean_fan) ** 0.5}
    if name in fan:
        assert float(c3.detach().std()) == pytest.approx(fan[name], rel=0.1)


def _table(network: Network) -> tuple[tuple[int, ...], ...]:
    return next(module.table for module in network.modules() if isinstance(module, TableConvolution))


def test_without_auxiliary_heads() -> None:
    network = models.create("googlenet", design=Design(auxiliary=False))
    assert sum(value.numel() for value in network.parameters()) == models.card("googlenet").parameters
    assert len(network.scores_of_all_heads(torch.zeros(1, 3, 224, 224))) == 1


def test_the_head_of_class_activation_maps_has_the_same_activation() -> None:
    network = with_gap(models.create("vgg11", 5, 3, (64, 64), design=Design(activation="tanh", dropout=0.2)), 5)
    assert kinds(network, nn.ReLU) == 0
    assert kinds(network.head, nn.Tanh) == kinds(network.head, nn.Dropout) == 1  # type: ignore[arg-type]
    assert network.design == Design(activation="tanh", dropout=0.2)
    assert network(torch.zeros(1, 3, 64, 64)).shape == (1, 5)


@pytest.mark.parametrize("name", [each for each in models.names() if "1202" not in each and "1001" not in each][::9])
def test_every_option_applies_or_says_why_not(name: str) -> None:
    with shapes_only():
        knobs = applicable(models.create(name))
        assert "initializer" in knobs
        for option, design in BY_OPTION.items():
            network, sentence = created(name, design)
            if network is None:
                together = option in ("pool_stride", "pool_window", "width") and re.search("do not fit|table", sentence)
                assert sentence.endswith(".")
                assert "\n" not in sentence
                assert option not in knobs or together, sentence
                continue
            assert option in knobs, option
            assert network.design == design
            assert network.card.parameters is None


def created(name: str, design: Design) -> tuple[Network | None, str]:
    """The network, or the sentence that refuses it."""
    try:
        return models.create(name, design=design), ""
    except NetworkError as error:
        return None, str(error)


@pytest.mark.parametrize(
    ("name", "design", "words"),
    [
        (
            "resnet20_cifar",
            Design(pooling="max"),
            "resnet20_cifar has no pooling with windows; leave out --pooling max",
        ),
        ("vgg11", Design(auxiliary=False), "vgg11 has no auxiliary heads; leave out --no-auxiliary"),
        ("vgg11", Design(connections="full"), "vgg11 is not LeNet-5"),
        ("lenet5", Design(width=2.0), "unless --connections full replaces it; leave out --width 2"),
        ("lenet5", Design(pool_window=3), "window is 2x2 unless --pooling replaces it"),
        ("lenet5", Design(pooling="max", pool_stride=4), "do not fit one another any more"),
        ("linear", Design(activation="tanh"), "no activation function"),
        ("linear", Design(width=2.0), "no layer but the last"),
        ("mlp_300", Design(normalization="batch"), "no convolution to normalize"),
        ("vgg11", Design(normalization="none"), "no normalization to remove"),
        ("segnet", Design(pooling="average"), "only the maximum"),
        ("vgg11", Design(dropout=1.0), "dropout cannot be 1.0"),
        ("vgg11", Design(width=0.0), "width cannot be 0.0"),
        ("mtcnn", Design(width=0.5), "mtcnn is converted from its authors' files, whose weights have one width"),
        ("bn_inception", Design(pool_window=2), "do not fit one another any more with --pool-window 2"),
        ("torchvision/resnet18", Design(activation="tanh"), "described outside of convolve"),
    ],
)
def test_refused(name: str, design: Design, words: str) -> None:
    if "/" in name:
        pytest.importorskip("torchvision")
    with shapes_only(), pytest.raises(NetworkError, match=words.replace("(", r"\(")):
        models.create(name, design=design)


def test_what_weights_of_another_design_can_do() -> None:
    design = Design(activation="tanh", dropout=0.5, width=0.5, initializer="he")
    assert flags(design) == "--activation tanh --initializer he --dropout 0.5 --width 0.5"
    assert inherited(design) == Design(activation="tanh", width=0.5)
    assert differences(design, Design(width=0.5)) == ((), ("activation",))
    assert differences(design, Design()) == (("width",), ("activation",))
    assert differences(Design(activation="prelu"), Design()) == (("activation",), ())
    assert fits_published(Design(dropout=0.5, auxiliary=False))
    assert not fits_published(design)


@pytest.mark.parametrize("name", ["localize_vgg11", "fcn32s_vgg16"])
def test_weights_of_a_changed_classifier_are_those_of_networks_made_of_it(name: str) -> None:
    norm: NormalizationName | None = None if name.startswith("fcn") else "batch"  # its dense layers are convolutions
    design = Design(width=0.0625, activation="tanh", normalization=norm, dropout=0.1)
    size = (224, 224) if name.startswith("fcn") else (64, 64)
    classifier = models.create(name.partition("_")[2], 10, 3, size, 1, design)
    network = models.create(name, 10, 3, (64, 64), 0, design)
    translated = translate(network, classifier.state_dict(), rename)
    load_weights(network, translated)
    own = network.state_dict()
    for key, value in classifier.state_dict().items():
        if key.startswith("stages.") and "num_batches" not in key:
            assert torch.equal(own[key], value), key
