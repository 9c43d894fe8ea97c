from __future__ import annotations

import math
import time
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from convolve.errors import NetworkError
from convolve.layers.caption_head import LONGEST
from convolve.layers.geometry import ReceptiveField
from convolve.layers.residual import Residual
from convolve.models import Network, card, create, names
from convolve.models.show_attend_and_tell import AttentiveTeller
from convolve.summary import count_costs, shapes_only, summarize
from convolve.tracing import LayerRow


def _skeleton(name: str) -> Network:
    with torch.device("meta"):
        return create(name).eval()


@pytest.mark.parametrize("name", names())
def test_totals_are_those_on_the_card_and_those_that_torch_counts(name: str) -> None:
    network, published = _skeleton(name), card(name)
    summary = summarize(network, published.input)
    assert summary.parameters == published.parameters
    assert summary.macs == published.macs or published.proposals  # of which the number of regions decides
    assert sum(row.parameters for row in summary.layers) == sum(
        value.numel() for name, value in network.named_parameters() if not name.startswith("auxiliary.")
    )
    assert summary.weight_bytes == 4 * summary.parameters
    image = torch.empty(1, *published.input, device="meta")
    costs = count_costs(network.train(), image)  # computes all from now on, in evaluation mode
    assert costs.macs == tuple(row.macs for row in summary.layers if row.is_layer)
    assert (costs.weight_bytes, costs.activation_bytes) == (summary.weight_bytes, summary.activation_bytes)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(image)
    uncounted = sum(map(_uncounted, summary.layers)) + _attended(network, summary.layers)
    assert published.proposals or counter.get_total_flops() == 2 * (summary.macs + uncounted)


def _attended(network: nn.Module, rows: Sequence[LayerRow]) -> int:
    """The products of a map with the attention at each word, which are no layer's."""
    if not isinstance(network.head, AttentiveTeller):
        return 0
    *_, last = (row for row in rows if row.name.startswith("stages.") and len(row.output) == 3)
    return LONGEST * math.prod(last.output)


def _uncounted(row: LayerRow) -> int:
    """What runs as a product beyond the layer's own multiply-adds, or (less than 0) otherwise than as one."""
    if row.type == "LocalResponseNorm":  # the sum over neighbors is a convolution of all maps with all
        return row.output[0] * math.prod(row.output)
    if row.type == "TableConvolution":  # a dense one, with zeros where no connection is
        assert row.kernel
        return row.input[0] * math.prod(row.kernel) * math.prod(row.output) - row.macs
    return -row.macs if row.type == "RadialBasis" else 0


@pytest.mark.parametrize(
    ("name", "layer", "size"),
    [  # Araujo, Norris, Sim 2019, "Computing receptive fields of convolutional neural networks"
        ("vgg16", "stages.stage5.pool5", 212),
        ("resnet50", "stages.stage5.conv5_3.relu", 483),
        ("resnet152", "stages.stage5.conv5_3.relu", 1507),
    ],
)
def test_receptive_fields_are_the_published_ones(name: str, layer: str, size: int) -> None:
    rows = {row.name: row for row in summarize(_skeleton(name), (3, 224, 224)).layers}
    assert rows[layer].receptive_field.size == size
    assert rows[layer].receptive_field.stride == 32


class _Branched(nn.Module):
    """A residual block, a concatenation, a shared layer and a dense layer, with positive weights throughout."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 2, 3, stride=2, padding=1)
        self.block = Residual(nn.Conv2d(2, 2, 5, padding=2, bias=False), nn.Identity(), 2)
        self.pool = nn.AvgPool2d(3, 2)
        self.wide = nn.Conv2d(4, 1, (3, 1), dilation=2, bias=False)
        self.shared = nn.Conv2d(2, 2, 3, padding=1, bias=False)
        self.dense = nn.LazyLinear(1)
        for value in self.parameters():
            if not isinstance(value, nn.UninitializedParameter):
                nn.init.ones_(value)

    def maps(self, images: Tensor) -> Tensor:
        maps = self.shared(self.shared(self.pool(self.block(self.first(images)))))
        found: Tensor = self.wide(torch.cat([maps, maps * 2], 1))
        return found

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.dense(self.maps(images).flatten(1))
        return scores


@pytest.fixture
def branched() -> _Branched:
    network = _Branched()
    network(torch.zeros(1, 1, 120, 120))
    return network


def test_receptive_fields_are_where_the_gradient_is(branched: _Branched) -> None:
    rows = {row.name: row for row in summarize(branched, (1, 120, 120)).layers}
    image = torch.ones(1, 1, 120, 120, requires_grad=True)
    unit = 8
    (gradient,) = torch.autograd.grad(branched.maps(image)[0, 0, unit, unit], image)
    seen = gradient[0, 0].any(1).nonzero().flatten()
    size, stride, offset = rows["wide"].receptive_field
    assert (int(seen[0]), len(seen)) == (offset + unit * stride, size)
    assert rows["wide"].receptive_field.over(rows["wide"].output[1]).size > 120
    assert rows["dense"].receptive_field[::2] == (120, 0)  # no more than the image


def test_a_folded_map_has_the_fields_of_its_windows() -> None:
    """Space to depth puts every four units of a map of jump 16 next to a unit of the deep map, of jump 32."""
    rows = {row.name: row for row in summarize(_skeleton("yolo_v2_resnet18"), (3, 416, 416)).layers}
    fine, folded, last = (
        rows[f"head.layers.{name}"].receptive_field for name in ("fine.conv3.conv", "fine.fold", "last.outputs")
    )
    assert (folded.size, folded.stride) == (fine.size + 16, 32)
    assert last.stride == 32
    assert rows["head.layers.fine.fold"].macs == 0


def test_rows_are_in_forward_order_and_a_shared_layer_counts_once(branched: _Branched) -> None:
    rows = summarize(branched, (1, 120, 120)).layers
    assert [row.name for row in rows] == [
        "first", "block.branch", "block.shortcut", "block", "block.relu", "pool", "shared", "shared", "", "wide",
        "dense",
    ]  # fmt: skip
    assert [row.parameters for row in rows if row.name == "shared"] == [36, 0]
    assert [row.macs for row in rows if row.name == "shared"] == [36 * 29 * 29] * 2
    first = rows[0]
    assert (first.type, first.kernel, first.stride, first.padding, first.groups) == (
        "Conv2d",
        (3, 3),
        (2, 2),
        (1, 1),
        1,
    )
    assert (first.input, first.output) == ((1, 120, 120), (2, 60, 60))
    assert rows[-1].kernel is None


def test_a_dense_layer_is_applied_to_every_row() -> None:
    assert summarize(nn.Linear(8, 3), (2, 5, 8)).layers[0].macs == 2 * 5 * 8 * 3


def test_groups_divide_the_multiply_adds() -> None:
    row = summarize(nn.Conv2d(96, 256, 5, padding=2, groups=2), (96, 27, 27)).layers[0]
    assert (row.groups, row.macs) == (2, 27 * 27 * 256 * 48 * 25)


def test_activations_are_counted_once_where_a_layer_writes_over_its_input() -> None:
    layers = [nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 5)]
    assert summarize(nn.Sequential(*layers), (1, 8, 8)).activation_bytes == 4 * (4 * 64 + 64 + 5)


def test_global_pooling_by_function_sees_the_whole_map() -> None:
    class Pooled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 3, 3)
            self.dense = nn.Linear(3, 2)

        def forward(self, images: Tensor) -> Tensor:
            scores: Tensor = self.dense(self.conv(images).mean((2, 3)))
            return scores

    assert summarize(Pooled(), (1, 10, 14)).layers[-1].receptive_field == ReceptiveField(14, 12, 0)


def test_the_network_is_not_touched(branched: _Branched) -> None:
    calls: list[str] = []
    branched.first.register_forward_hook(lambda *_: calls.append("called"))
    branched.train()
    branched.wide.eval()
    branched.first.requires_grad_(requires_grad=False)
    before = {name: value.clone() for name, value in branched.state_dict().items()}
    summary = summarize(branched, (1, 120, 120))
    assert summary.parameters - summary.trainable == 20
    with pytest.raises(NetworkError, match=r"cannot take an input of 3x120x120; choose one that fits it"):
        summarize(branched, (3, 120, 120))
    assert calls == []
    assert branched.training
    assert not branched.wide.training
    assert all(torch.equal(value, before[name]) for name, value in branched.state_dict().items())
    assert [name for name, layer in branched.named_modules() if layer._forward_hooks] == ["first"]


def test_networks_of_shapes_only_have_no_values_and_the_same_table() -> None:
    with shapes_only():
        outlined = create("se_resnet20_cifar")
    assert all(value.is_meta for value in outlined.state_dict().values())
    assert summarize(outlined, (3, 32, 32)) == summarize(create("se_resnet20_cifar"), (3, 32, 32))
    assert not nn.init.zeros_(torch.ones(2)).any()  # outside it, weights are drawn again


def test_a_normalization_that_does_not_fit_its_maps_is_refused() -> None:
    with pytest.raises(NetworkError, match=r"^The network cannot take an input of 3x8x8"):
        summarize(nn.BatchNorm2d(4), (3, 8, 8))


def test_the_deepest_network_takes_less_than_a_second() -> None:
    network = _skeleton("resnet152")
    summarize(network, (3, 64, 64))
    start = time.process_time()
    summarize(network, (3, 224, 224))
    assert time.process_time() - start < 1  # 0.3 s of one core


def test_transposed_convolutions_use_every_weight_once_for_each_unit_that_they_are_given() -> None:
    row = summarize(nn.ConvTranspose2d(8, 3, 4, stride=2, bias=False), (8, 5, 6)).layers[0]
    assert row.output == (3, 12, 14)
    assert row.macs == 5 * 6 * 8 * 3 * 4 * 4


def test_transposed_convolutions_have_windows_and_jumps() -> None:
    rows = {row.name: row for row in summarize(_skeleton("unet"), (1, 572, 572)).layers}
    up, scores = rows["head.up.up1"], rows["head.scores"]
    assert (up.kernel, up.stride, up.padding, up.groups) == ((2, 2), (2, 2), (0, 0), 1)
    assert (up.receptive_field.stride, scores.receptive_field.stride) == (1, 1)
    assert scores.receptive_field == (215, 1, -107)  # centered on its pixel
    rows = {row.name: row for row in summarize(_skeleton("fcn8s_vgg16"), (3, 500, 500)).layers}
    assert rows["head.enlarge.stage3"].receptive_field[:2] == (491, 1)


@pytest.mark.parametrize(
    ("name", "depth"),
    [
        ("lenet5", 5),
        ("alexnet", 8),
        ("vgg16", 16),
        ("vgg19", 19),
        ("googlenet", 22),
        ("resnet18", 18),
        ("resnet152", 152),
        ("preact_resnet164_cifar", 164),
        ("densenet121", 121),
        ("densenet201", 201),
        ("se_resnet20_cifar", 20),
    ],
)
def test_depths_are_the_published_ones(name: str, depth: int) -> None:
    assert summarize(_skeleton(name), card(name).input).depth == depth


def test_rows_are_where_maps_meet() -> None:
    rows = summarize(_skeleton("googlenet"), (3, 224, 224)).layers
    meetings = [row for row in rows if not row.is_layer]
    assert [row.type for row in meetings] == ["concatenation"] * 9
    assert (meetings[0].name, meetings[0].output) == ("stages.stage3.inception3a", (256, 28, 28))
    rows = summarize(_skeleton("se_resnet20_cifar"), (3, 32, 32)).layers
    kinds = [row.type for row in rows if not row.is_layer]
    assert kinds == ["product", "addition"] * 9
    assert all(row.macs == row.parameters == 0 for row in rows if not row.is_layer)


def test_auxiliary_heads_have_rows_and_count_in_no_total() -> None:
    network = _skeleton("googlenet")
    summary = summarize(network, (3, 224, 224))
    assert sum(row.parameters for row in summary.auxiliary) == 6_379_728
    assert summary.parameters + 6_379_728 == sum(value.numel() for value in network.parameters()) == 13_378_280
    rows = {row.name: row for row in summary.auxiliary}
    assert rows["auxiliary.inception4a.conv"].input == (512, 4, 4)
    assert rows["auxiliary.inception4a.fc1"].macs == 2048 * 1024
    assert not any(row.name.startswith("auxiliary") for row in summary.layers)
    assert summarize(_skeleton("vgg11"), (3, 224, 224)).auxiliary == ()


def test_statistics_are_counted_as_keras_counts_them() -> None:
    """The lectures' listing: 511,690 parameters, 896 of them not trainable."""
    summary = summarize(_skeleton("batchnorm_cnn"), card("batchnorm_cnn").input)
    assert (summary.parameters, summary.statistics) == (510_794, 896)


def test_what_is_no_map_sees_no_more_than_the_image() -> None:
    rows = {row.name: row.receptive_field for row in summarize(_skeleton("vgg16"), (3, 224, 224)).layers}
    assert rows["stages.stage5.pool5"].size == 212
    assert rows["head.fc6"][::2] == (224, 0)
    rows = {row.name: row.receptive_field for row in summarize(_skeleton("resnet50"), (3, 224, 224)).layers}
    assert rows["head.pool5"][::2] == rows["head.fc"][::2] == (224, 0)
