"""The papers count everything: units, connections and free parameters."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convolve.layers.lecun import RadialBasis, Subsampling, TableConvolution
from convolve.models import create
from convolve.models.lenet import TABLE_1, TABLE_I, bitmaps

# name of the layer: (units, connections with those to the bias, free parameters)
LENET1 = {
    "h1": (2_304, 59_904, 104),
    "h2": (576, 2_880, 8),
    "h3": (768, 32_768, 512),
    "h4": (192, 960, 24),
    "output": (10, 1_930, 1_930),
}
LENET5 = {
    "c1": (4_704, 122_304, 156),
    "s2": (1_176, 5_880, 12),
    "c3": (1_600, 151_600, 1_516),
    "s4": (400, 2_000, 32),
    "c5": (120, 48_120, 48_120),
    "f6": (84, 10_164, 10_164),
    "output": (10, 840, 0),
}


def _connections(layer: nn.Module, units: int) -> int:
    """Every unit has its inputs and, but for the distances, a bias."""
    if isinstance(layer, Subsampling):
        return units * (layer.kernel_size**2 + 1)
    if isinstance(layer, TableConvolution):
        return units // len(layer.table) * (layer.weight.numel() + layer.bias.numel())
    if isinstance(layer, RadialBasis):
        return layer.weight.numel()
    assert isinstance(layer, nn.Conv2d | nn.Linear)
    return units * (math.prod(layer.weight.shape[1:]) + 1)


def _counted(name: str) -> dict[str, tuple[int, int, int]]:
    network = create(name).eval()
    found: dict[str, tuple[int, int, int]] = {}

    def count(layer: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
        del given
        path = next(path for path, module in network.named_modules() if module is layer)
        parameters = sum(value.numel() for value in layer.parameters())
        found[path.rpartition(".")[2]] = (output.numel(), _connections(layer, output.numel()), parameters)

    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear | TableConvolution | Subsampling | RadialBasis):
            layer.register_forward_hook(count)
    network(torch.zeros(1, *network.card.input))
    return found


def test_lenet1_has_4635_units_98442_connections_and_2578_parameters() -> None:
    found = _counted("lenet1")
    assert found == LENET1
    units, connections, parameters = (sum(column) for column in zip(*found.values(), strict=True))
    assert (units + 28 * 28 + 1, connections, parameters) == (4_635, 98_442, 2_578)  # with the pixels and the bias


def test_lenet5_has_340908_connections_and_60000_parameters() -> None:
    found = _counted("lenet5")
    assert found == LENET5
    _, connections, parameters = (sum(column) for column in zip(*found.values(), strict=True))
    assert (connections, parameters) == (340_908, 60_000)


def test_table_i_is_as_the_paper_describes_it() -> None:
    contiguous = [tuple(sorted((first + step) % 6 for step in range(3))) for first in range(6)]
    contiguous += [tuple(sorted((first + step) % 6 for step in range(4))) for first in range(6)]
    assert list(TABLE_I[:12]) == contiguous
    assert all(len(inputs) == 4 and inputs not in contiguous for inputs in TABLE_I[12:15])
    assert TABLE_I[15] == tuple(range(6))
    assert [sum(given in inputs for inputs in TABLE_I) for given in range(6)] == [10] * 6


def test_lenet1_is_made_of_two_almost_independent_modules() -> None:
    assert {given for inputs in TABLE_1[:6] for given in inputs} == {0, 1}
    assert {given for inputs in TABLE_1[6:] for given in inputs} == {2, 3}
    assert [len(inputs) for inputs in TABLE_1] == [1, 2, 2, 1, 2, 2] * 2


def test_bitmaps_are_pictures_of_the_digits() -> None:
    codes = bitmaps(10)
    assert codes.shape == (10, 7 * 12)
    assert bool(codes.abs().eq(1).all())
    assert torch.cdist(codes, codes).add(torch.eye(10) * 99).min() > 4  # more than four dots apart
    bitmap = ["".join("#" if dot > 0 else "." for dot in row) for row in codes[7].view(12, 7).tolist()]
    assert bitmap[:4] == ["#######", ".....##", ".....##", "....##."]


def test_classes_beyond_ten_get_codes_of_their_own_that_the_state_carries() -> None:
    network = create("lenet5", classes=26)
    codes = network.state_dict()["head.output.weight"]
    assert torch.equal(codes[:10], bitmaps(10))
    assert len(codes.unique(dim=0)) == 26
    assert torch.equal(create("lenet5", classes=3).state_dict()["head.output.weight"], bitmaps(3))


def test_the_loss_pulls_f6_towards_the_bitmap_of_its_digit() -> None:
    head = create("lenet5").head
    digits = torch.arange(10)
    assert torch.equal(head.get_submodule("output")(bitmaps(10)).argmax(1), digits)
    assert float(F.cross_entropy(head.get_submodule("output")(bitmaps(10)), digits)) < 1e-6


def test_weights_start_within_2_4_over_the_fan_in() -> None:
    network = create("lenet5")
    for path, fan_in in {"stages.stage1.c1": 25, "stages.stage3.c5": 400, "head.f6": 120}.items():
        layer = network.get_submodule(path)
        largest = max(float(value.detach().abs().max()) for value in layer.parameters())
        assert 0.9 * 2.4 / fan_in < largest <= 2.4 / fan_in


def test_caffes_lenet_pools_what_no_rectifier_has_seen() -> None:
    network = create("lenet")
    sizes = [
        sum(value.numel() for value in layer.parameters())
        for layer in network.modules()
        if isinstance(layer, nn.Conv2d | nn.Linear)
    ]
    assert sizes == [520, 25_050, 400_500, 5_010]
    assert [type(layer).__name__ for stage in network.stages.values() for layer in stage.children()] == [
        "Conv2d", "MaxPool2d", "Conv2d", "MaxPool2d",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["lenet1", "lenet5", "lenet"])
def test_the_dense_layers_follow_the_image(name: str) -> None:
    assert create(name, size=(40, 64))(torch.zeros(2, 1, 40, 64)).shape == (2, 10)
