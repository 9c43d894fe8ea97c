"""Networks of a few layers, each with one difficulty, cut into stages."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convolve.errors import NetworkError
from convolve.models.cutting import cut, find_cuts
from convolve.models.network import Stage

CLASSES = 101
SIZE = (3, 32, 32)
IMAGES = torch.randn(2, 3, 40, 56, generator=torch.Generator().manual_seed(3))


class Dropping(nn.Module):
    """Dropout by a function, which is told the mode."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, maps: Tensor) -> Tensor:
        return F.dropout(self.conv(maps), 0.5, training=self.training)


class Moody(nn.Module):
    """What it does in training is decided by its own mode."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, maps: Tensor) -> Tensor:
        found: Tensor = self.conv(maps + torch.rand_like(maps) if self.training else maps)
        return found


class Overwriting(nn.Module):
    """Writes over the map that it is given, and uses what is left of it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 12, 3, 2, padding=1)

    def forward(self, maps: Tensor) -> Tensor:
        _, channels, _, _ = maps.shape
        assert channels is not None
        kept = F.relu_(maps)
        return torch.cat([self.conv(kept), F.avg_pool2d(maps, 2)], 1)


class Looking(nn.Module):
    """Decides by the numbers that it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 1)

    def forward(self, maps: Tensor) -> Tensor:
        return self.conv(maps) if maps.shape[2] > 1 else maps


class Tokens(nn.Module):
    """Patches in a row, as transformers have them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 8, 4, 4), nn.Linear(8, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.fc(self.conv(images).flatten(2).transpose(1, 2)).mean(1)
        return scores


class Deciding(nn.Module):
    """The network itself does another thing in training."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = _network()

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.layers(images)
        return scores * 2 if self.training else scores


def _network(*inside: nn.Module) -> nn.Sequential:
    last = 20 if any(isinstance(layer, Overwriting) for layer in inside) else 8
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, padding=1),
        nn.BatchNorm2d(8),
        *inside,
        nn.Dropout(0.3),
        nn.Conv2d(last, CLASSES, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )


def _parts(network: nn.Module) -> tuple[dict[str, Stage], nn.Module]:
    cuts = find_cuts(copy.deepcopy(network).to("meta"), SIZE, CLASSES)
    return cut(network, cuts)


def _through(parts: tuple[dict[str, Stage], nn.Module], images: Tensor) -> list[Tensor]:
    """Every stage's map, then the scores."""
    stages, head = parts
    found = [images]
    for layers in (*(stage.layers for stage in stages.values()), head):
        found.append(layers(found[-1]))
    return found[1:]


def _seeded(seed: int, run: nn.Module) -> Tensor:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        scores: Tensor = run(IMAGES)
    return scores


def test_a_stage_ends_before_dropout_and_before_the_layer_that_knows_the_classes() -> None:
    network = _network(nn.MaxPool2d(2), nn.Conv2d(8, 8, 3, padding=1))
    stages, head = _parts(network.eval())
    assert {name: (stage.channels, stage.stride) for name, stage in stages.items()} == {
        "stage1": (8, 2),
        "stage2": (8, 4),
    }
    assert list(stages["stage2"].layers.state_dict()) == ["3.weight", "3.bias"]
    assert list(head.state_dict()) == ["5.weight", "5.bias"]
    assert stages["stage1"].layers.get_submodule("0") is network[0]
    assert torch.equal(_through((stages, head), IMAGES)[-1], network(IMAGES))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("block", [Dropping, Moody, Looking])
def test_what_depends_on_the_mode_or_the_numbers_goes_on_depending_on_it(
    block: type[nn.Module], training: bool
) -> None:
    network = _network(block())
    stages, head = _parts(copy.deepcopy(network))
    assert (type(stages["stage1"].layers.get_submodule("2")) is block) == (block is not Dropping)
    parts = nn.Sequential(*(stage.layers for stage in stages.values()), head)
    assert len(parts.state_dict()) == len(network.state_dict())
    network.train(training)
    parts.train(training)
    assert torch.equal(_seeded(4, parts), _seeded(4, network))
    assert torch.equal(_seeded(4, parts), _seeded(5, parts)) == (not training)


def test_a_map_that_the_network_writes_over_stays_as_its_stage_left_it() -> None:
    parts = _parts(_network(Overwriting()).eval())
    assert [stage.stride for stage in parts[0].values()] == [2, 4]
    first, *_, scores = _through(parts, IMAGES)
    assert torch.equal(first, parts[0]["stage1"].layers(IMAGES))
    assert bool((first < 0).any())
    assert torch.equal(scores, _network_of(parts)(IMAGES))


def _network_of(parts: tuple[dict[str, Stage], nn.Module]) -> nn.Module:
    """The layers as they stood before they were cut."""
    whole = _network(Overwriting()).eval()
    layers = {key: value for stage in parts[0].values() for key, value in stage.layers.state_dict().items()}
    whole.load_state_dict(layers | parts[1].state_dict())
    return whole


def test_the_smallest_side_is_found() -> None:
    cuts = find_cuts(_network(nn.MaxPool2d(2), nn.Conv2d(8, 8, 3)).to("meta"), SIZE, CLASSES)
    assert cuts.minimum == 11  # 6 after the first layer, 3 after the pooling


def test_networks_that_are_no_rows_of_maps_are_refused() -> None:
    with pytest.raises(NetworkError, match="does not halve its maps step by step"):
        _parts(Tokens())
    with pytest.raises(NetworkError, match="computes something else in training"):
        _parts(Deciding())
    with pytest.raises(NetworkError, match="does not take images of 3x480x480"):
        _parts(nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.Flatten(), nn.Linear(900, CLASSES)))
