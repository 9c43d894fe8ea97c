"""The paper's three networks with global average pooling, and what cannot be given that head."""

from __future__ import annotations

import pytest
import torch

from convolve import models
from convolve.errors import NetworkError
from convolve.models.gap import with_gap

HEAD = 1024 + 1024 * 1000 + 1000  # the convolution's biases, the dense layer


@pytest.mark.parametrize(
    ("name", "removed", "convolution", "side"),
    [
        ("alexnet", 9216 * 4096 + 4096 + 4096 * 4096 + 4096 + 4096 * 1000 + 1000, 256, 13),
        ("vgg16", 25088 * 4096 + 4096 + 4096 * 4096 + 4096 + 4096 * 1000 + 1000, 512, 14),
        ("googlenet", 1_043_456 + 1_444_080 + 1_025_000, 832, 14),  # 5a, 5b
    ],
)
def test_the_papers_networks(name: str, removed: int, convolution: int, side: int) -> None:
    with torch.device("meta"):
        network = with_gap(models.create(name), 1000)
        size = models.card(name).input
        maps = network.features(torch.empty(1, *size))
        scores = network(torch.empty(1, *size))
    assert list(maps.values())[-1].shape[1:] == (convolution, side, side)
    assert scores.shape == (1, 1000)
    assert list(network.strides.values())[-1] == 16
    own = sum(value.numel() for key, value in network.named_parameters() if not key.startswith("auxiliary."))
    assert own == (models.card(name).parameters or 0) - removed + HEAD + convolution // 2 * 9 * 1024


def test_stages_are_shared_and_the_draws_repeat() -> None:
    network = models.create("lenet5_keras", classes=3)
    first, again = (with_gap(network, 3, seed=5) for _ in range(2))
    assert first.stages["stage1"] is network.stages["stage1"]
    assert all(torch.equal(*pair) for pair in zip(first.head.parameters(), again.head.parameters(), strict=True))
    images = torch.randn(2, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    assert first(images).shape == (2, 3)
    assert list(network.stages["stage2"].children())[-1] is not list(first.stages["stage2"].children())[-1]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("resnet18", "ends in global average pooling already"),
        ("mlp_300", "has no map to average"),
        ("unet", "^unet is a segmentation network, and .* would lose the pixels; leave out --gap"),
        ("yolo_v2", "^yolo_v2 is a detection network, and .* would lose the positions; leave out --gap"),
    ],
)
def test_refused(name: str, words: str) -> None:
    with torch.device("meta"):
        network = models.create(name)
    with pytest.raises(NetworkError, match=words):
        with_gap(network, 10)
