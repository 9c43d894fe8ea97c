"""R-CNN, SPP-net and Fast R-CNN: their layers, counts, and the classifiers that they begin with."""

from __future__ import annotations

from typing import cast

import pytest
import torch
from torch import Tensor, nn

from convolve.errors import NetworkError
from convolve.interop.weights import rename
from convolve.layers.faster_rcnn import TwoStageHead
from convolve.layers.region_head import RegionHead
from convolve.layers.region_readers import PyramidPooling, RegionPooling, WarpedWindow
from convolve.models import Network, card, create
from convolve.models.network import Stage
from convolve.models.region_networks import hidden_layers
from convolve.models.weights import load_weights, translate
from convolve.summary import shapes_only, summarize


def built(name: str, classes: int = 20) -> Network:
    with shapes_only():
        return create(name, classes)


def head(network: Network) -> RegionHead:
    return cast(RegionHead, network.head)


@pytest.mark.parametrize(
    ("name", "convolutions", "first"),
    [("fast_rcnn_vgg16", 14_714_688, 512 * 49 * 4096), ("fast_rcnn_caffenet", 2_334_080, 256 * 36 * 4096)],
)
def test_fast_rcnn_has_the_parameters_of_its_published_definition(name: str, convolutions: int, first: int) -> None:
    """Convolutions, fc6 and fc7, and from 4096 the scores of 21 classes with background and 84 numbers of boxes."""
    dense = first + 4096 + 4096 * 4096 + 4096
    expected = convolutions + dense + 4097 * 21 + 4097 * 84
    network = built(name)
    assert sum(value.numel() for value in network.parameters()) == expected == card(name).parameters
    assert network.strides["stage5"] == 16


def test_rcnn_is_the_classifier_with_another_last_layer() -> None:
    parameters = sum(value.numel() for value in built("rcnn_caffenet").parameters())
    assert parameters == 60_965_224 - 4097 * 1000 + 4097 * 21 == card("rcnn_caffenet").parameters
    assert cast(WarpedWindow, head(built("rcnn_caffenet")).reader).size == 227


def test_the_pyramid_has_50_bins_of_each_channel() -> None:
    network = built("spp_net_zfnet")
    assert isinstance(head(network).reader, PyramidPooling)
    assert cast(nn.Linear, head(network).layers[1]).in_features == 50 * 256  # type: ignore[index]


def test_without_hidden_dense_layers_the_last_stage_reads_regions() -> None:
    network = built("fast_rcnn_resnet18")
    assert list(network.stages) == ["stage1", "stage2", "stage3", "stage4"]
    reader = cast(RegionPooling, head(network).reader)
    assert (reader.bins, reader.stride) == (14, 16)
    assert [name for name, _ in head(network).layers.named_children()] == ["stage5", "pool5", "flatten"]


def test_fast_and_faster_rcnn_read_regions_alike() -> None:
    for name in ("resnet18", "squeezenet", "vgg16", "zfnet"):
        fast, faster = built(f"fast_rcnn_{name}"), built(f"faster_rcnn_{name}")
        second = cast(TwoStageHead, faster.head).classifier
        reader = cast(RegionPooling, head(fast).reader)
        assert (reader.bins, (reader.stride,)) == (second.pool.side, second.pool.strides), name
        shapes = [[value.shape for value in layers.parameters()] for layers in (head(fast).layers, second.layers)]
        assert shapes[0] == shapes[1], name
        assert head(fast).scores.in_features == second.classes.in_features, name


def test_without_a_stage_behind_stride_16_two_dense_layers_read_regions() -> None:
    network = built("fast_rcnn_squeezenet")
    assert network.strides == {"stage1": 2, "stage2": 4, "stage3": 8, "stage4": 16}
    reader = cast(RegionPooling, head(network).reader)
    assert (reader.bins, reader.stride) == (7, 16)
    assert [layer.out_features for layer in head(network).layers.children() if isinstance(layer, nn.Linear)] == [
        1024
    ] * 2


def test_rcnn_reads_windows_of_the_side_in_its_name() -> None:
    network = create("rcnn64_squeezenet", 3)
    assert cast(WarpedWindow, head(network).reader).size == 64
    found = network.eval()(torch.zeros(1, 3, 96, 96))[0]
    assert head(network).score_regions(found, torch.tensor([[0.0, 0, 40, 30]]), torch.zeros(1).long()).scores.shape == (
        1,
        4,
    )
    assert next(layer.in_features for layer in built("rcnn64_alexnet").modules() if isinstance(layer, nn.Linear)) == 256


def test_where_a_convolution_gives_the_scores_means_of_the_maps_before_it_are_features() -> None:
    classifier, network = create("squeezenet", seed=1).eval(), create("rcnn_squeezenet", 4).eval()
    load_weights(network, translate(network, classifier.state_dict(), rename))
    images = torch.randn(1, 3, 227, 227, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = classifier.features(images)["stage4"].mean((2, 3))
        torch.testing.assert_close(head(network).layers(images), expected)


@pytest.mark.parametrize("name", ["fast_rcnn_resnet18", "fast_rcnn_alexnet", "rcnn_resnet18", "rcnn_alexnet"])
def test_weights_of_the_classifier_become_those_of_the_image_and_of_the_regions(name: str) -> None:
    classifier = create(name.rpartition("_")[2], seed=3).eval()
    network = create(name, 4).eval()
    state = translate(network, classifier.state_dict(), rename)
    initialized = load_weights(network, state)
    assert {entry.rpartition(".")[0] for entry in initialized} <= {"head.scores", "head.deltas", "head.svms"}
    side = classifier.card.input[1]
    images = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        if name.startswith("rcnn"):
            features = head(network).layers(images)
            expected = _features(classifier, images)
            torch.testing.assert_close(features, expected)
        else:
            whole = torch.tensor([[0.0, 0, side, side]])
            (map_,) = network(images)
            assert head(network).score_regions(map_, whole, torch.zeros(1).long()).features.shape[1] in (512, 4096)


def _features(classifier: Network, images: Tensor) -> Tensor:
    """What the last layer of a classifier reads."""
    found: list[Tensor] = []
    last = [layer for layer in classifier.head.modules() if isinstance(layer, nn.Linear)][-1]
    handle = last.register_forward_hook(lambda _, inputs, __: found.append(inputs[0]))
    classifier(images)
    handle.remove()
    return found[0]


def test_the_table_of_layers_has_those_of_regions() -> None:
    found = summarize(built("fast_rcnn_vgg16"), (3, 224, 224))
    rows = {row.name: row for row in found.layers}
    assert rows["head.layers.fc6"].macs == 64 * 512 * 49 * 4096
    assert rows["head.deltas"].output == (84,)
    assert found.parameters == 134_690_729


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("fast_rcnn_fcn8s_vgg16", "not a convolutional classifier; name one that is, as in fast_rcnn_resnet18"),
        ("rcnn_mlp", "There is no network named 'mlp'"),
        ("rcnn12_squeezenet", "cannot take windows of 12x12: its smallest side is 21 pixels"),
        ("spp_net_unet", "not a convolutional classifier; name one that is, as in spp_net_zfnet"),
    ],
)
def test_what_is_no_classifier_is_refused(name: str, sentence: str) -> None:
    with pytest.raises(NetworkError, match=sentence):
        create(name)


def test_scores_from_a_larger_convolution_are_refused() -> None:
    stages = {"stage1": Stage(nn.Conv2d(3, 4, 3, padding=1), 4, 1)}
    network = Network(card("squeezenet"), stages, nn.Sequential(nn.Conv2d(4, 10, 3), nn.AdaptiveAvgPool2d(1)))
    with pytest.raises(NetworkError, match="do not come from a dense layer or a 1x1 convolution in its head"):
        hidden_layers(network)
