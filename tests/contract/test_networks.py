"""Every registered network keeps the one contract."""

from __future__ import annotations

import math
from typing import cast

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convolve.errors import NetworkError
from convolve.layers.box_head import ConvolutionalBoxHead
from convolve.layers.caption_head import LONGEST
from convolve.layers.faster_rcnn import TwoStageHead
from convolve.layers.pooling import Unpooling
from convolve.layers.region_head import RegionHead
from convolve.models import Network, card, create, names
from convolve.targets import BoxTensors

CLASSES = 10
GENTLE = dict.fromkeys(
    ("squeezenet", "squeezenet_caffe", "squeezenet_1_1", "vdsr"), 0.005
)  # scores start close to 0, where their ReLU has its edge
GENTLE["show_and_tell"] = 0.002  # a larger step changes the words that it reads
SAME_STAGES = {"fcn32s_vgg16", "fcn16s_vgg16", "fcn8s_vgg16_atonce"}  # as fcn8s_vgg16; tests/models/test_fcn.py


@pytest.fixture(scope="module", params=[name for name in names() if name not in SAME_STAGES])
def network(request: pytest.FixtureRequest) -> Network:
    """Each network in turn, for small images, in evaluation mode."""
    return _lived_in(create(request.param, CLASSES, size=_small(request.param)))


@torch.no_grad()
def _lived_in(network: Network) -> Network:
    """Scales of normalization below 1, as after training; with scales of 1 residual blocks double signals. Layers
    of scores that start at zero get weights.
    """
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.weight.fill_(1.0 if network.head_inputs else 0.3)
        if isinstance(layer, nn.Conv2d) and not layer.weight.any():  # scores of pixels may start at zero
            nn.init.kaiming_normal_(layer.weight, generator=torch.Generator().manual_seed(9))
    if isinstance(network.head, TwoStageHead):  # anchors as large as these images would all leave them
        network.head.fit_anchors(torch.tensor([[8.0, 8], [16, 12], [20, 30], [40, 40]]), 0)
    return network.eval()


def _small(name: str) -> tuple[int, int]:
    side = max(card(name).minimum, 32)
    side = 2 * side if card(name).output in ("boxes", "points") else side  # more than one cell, for normalization
    return side, side


def _images(network: Network, count: int = 4) -> Tensor:
    """As many images, of networks that score pixels or boxes two: each has many examples."""
    random = torch.Generator().manual_seed(7)
    return torch.randn(
        2 if network.head_inputs else count, network.card.input[0], *_small(network.card.name), generator=random
    )


def _scores(network: Network, images: Tensor) -> Tensor:
    """What leaves the network, of a detection network all maps as one row for each image."""
    outputs = network(images)
    if network.card.proposals:
        return cast(RegionHead, network.head).decode((*outputs, _proposed(images)), _small(network.card.name)).scores
    return outputs if isinstance(outputs, Tensor) else torch.cat([map_.flatten(1) for map_ in outputs], 1)


def _shapes(network: Network, images: Tensor, classes: int) -> list[tuple[int, ...]]:
    """The shapes that its scores should have: a row, or a map as large as the image; of detection networks, those of
    the boxes that they mean, and of the classes' scores; of networks for points, that of every heatmap.
    """
    if network.card.output == "points":
        height, width = images.shape[2:]
        return [(len(images), classes, height // 4, width // 4)]
    if network.card.restores == "colors" and not network.head_inputs:
        return [(len(images), classes, *(2 * math.ceil(side / 8) for side in images.shape[2:]))]
    if network.card.output in ("restored", "stylized"):
        return [(len(images), classes, *(network.card.upscale * side for side in images.shape[2:]))]
    if network.card.output == "text":
        return [(len(images), LONGEST, classes)]
    if network.card.output != "boxes":
        answers = tuple(images.shape[2:]) if network.head_inputs else ()
        return [(len(images), classes, *answers)]
    if isinstance(network.head, TwoStageHead):
        return _regions(network.head, images)
    if network.card.proposals:
        return [(len(images), 6, classes, 4), (len(images), 6, classes)]
    counts = {"yolo_v1": 2 * 1, "yolo_v1_local": 3 * 1, "yolo_v1_tiny": 2 * 1, "yolo_v2": 5, "yolo_v2_tiny": 5}
    counts |= {
        "yolo_v3": 3 * (1 + 4 + 16),
        "yolo_v3_spp": 3 * (1 + 4 + 16),
        "yolo_v3_tiny": 3 * (1 + 4),
        "yolo_compact": 4 * 4,
    }
    cells = images.shape[2] * images.shape[3] // network.card.multiple**2
    boxes = cells * counts[network.card.name]
    return [(len(images), boxes, 4), (len(images), boxes, classes)]


def _regions(head: TwoStageHead, images: Tensor) -> list[tuple[int, ...]]:
    """The shapes of the maps that regions are proposed on, and of each map's scores and deltas of anchors."""
    maps = [(math.ceil(images.shape[2] / stride), math.ceil(images.shape[3] / stride)) for stride in head.strides]
    conv, anchors = head.proposals.conv, head.anchors.shape[1]
    levels = [(len(images), conv.in_channels, *shape) for shape in maps]
    counts = (anchors * (2 if head.proposals.pairs else 1), 4 * anchors)
    return [*levels, *((len(images), count, *shape) for shape in maps for count in counts)]


def _answers(network: Network, images: Tensor) -> list[tuple[int, ...]]:
    """The shapes that they have."""
    if network.card.output == "points":
        return list(dict.fromkeys(tuple(map_.shape) for map_ in network(images)))
    if network.card.output != "boxes":
        return [tuple(network(images).shape)]
    outputs = network(images)
    if isinstance(network.head, TwoStageHead):
        return [tuple(map_.shape) for map_ in outputs]
    if network.card.proposals:
        if images.is_meta:  # on which nothing can be chosen
            outputs, classes = network(images), cast(RegionHead, network.head).scores.out_features - 1
            return [(len(images), 6, classes, 4), (len(images), 6, classes)]
        outputs = (*outputs, _proposed(images))
    assert isinstance(network.head, ConvolutionalBoxHead | RegionHead)
    found = network.head.decode(outputs, (images.shape[2], images.shape[3]))
    return [tuple(found.boxes.shape), tuple(found.scores.shape)]


def _proposed(images: Tensor) -> Tensor:
    """Six regions of each image, the last of which is none."""
    corners = torch.tensor(
        [[0, 0, 40, 50], [1, 2, 12, 30], [5, 7, 33, 31], [30, 20, 60, 60], [9, 9, 50, 30], [0.0] * 4]
    )
    return corners.expand(len(images), -1, -1)


@torch.no_grad()
def test_scores_are_one_row_per_image_pixel_or_box(network: Network) -> None:
    images = _images(network)
    assert _answers(network, images) == _shapes(network, images, CLASSES)
    scores = _scores(network, images)
    assert scores.isfinite().all()
    torch.testing.assert_close(_scores(network, images[:1]), scores[:1], rtol=1e-3, atol=1e-4 * float(scores.std()))


@torch.no_grad()
def test_stages_have_the_declared_channels_and_keep_their_maps(network: Network) -> None:
    maps = network.features(_images(network))
    assert list(maps) == list(network.stages) == [f"stage{number}" for number in range(1, len(maps) + 1)]
    assert {name: found.shape[1] for name, found in maps.items()} == network.channels
    passing = _images(network)
    for name, stage in network.stages.items():
        passing = stage(passing).clone()
        assert torch.equal(maps[name], passing)
    read = (
        ([maps[name] for name in network.head_inputs], _small(network.card.name)) if network.head_inputs else (passing,)
    )
    outputs = network.head(*read)
    torch.testing.assert_close(outputs, network(_images(network)))


@torch.no_grad()
def test_stages_have_the_declared_strides(network: Network) -> None:
    largest = max(network.strides.values())
    with torch.device("meta"):
        skeleton = create(network.card.name).eval()
        side = max(96, skeleton.card.minimum)
        maps, wider = (
            skeleton.features(torch.empty(1, skeleton.card.input[0], side + more, side + 32 + 3 * more))
            for more in (0, largest)
        )
    for name, stride in network.strides.items():
        height, width = maps[name].shape[2:]
        assert wider[name].shape[2:] == (height + largest // stride, width + 3 * largest // stride)


@torch.no_grad()
def test_channels_last_stays_channels_last(network: Network) -> None:
    maps = network.features(_images(network))
    for image, stage in zip([_images(network), *maps.values()], network.stages.values(), strict=False):
        if image.shape[1] > 1:
            found = stage(image.contiguous(memory_format=torch.channels_last))
            assert found.is_contiguous(memory_format=torch.channels_last)


def test_a_step_lowers_the_loss_and_gradients_reach_every_parameter(network: Network) -> None:
    state = {name: value.clone() for name, value in network.state_dict().items()}
    images = _images(network, 8)
    targets = _targets(network, images)
    network.train()
    for layer in network.modules():
        if isinstance(layer, nn.Dropout):
            layer.eval()
    try:
        loss = _loss(network, images, targets)
        torch.autograd.backward(loss)
        untouched = [
            name
            for name, value in network.named_parameters()
            if value.requires_grad and (value.grad is None or not value.grad.any())
        ]
        assert untouched == []
        _step(network, GENTLE.get(network.card.name, 0.05) * float(loss.detach()))
        with torch.no_grad():
            assert _loss(network, images, targets) < loss
    finally:
        network.load_state_dict(state)
        network.zero_grad(set_to_none=True)
        network.eval()


def _targets(network: Network, images: Tensor) -> Tensor | BoxTensors:
    if network.card.output == "points":
        return torch.linspace(0, 1, math.prod(_shapes(network, images, CLASSES)[0])).reshape(
            _shapes(network, images, CLASSES)[0]
        )
    if network.card.output != "boxes":
        shape = (len(images), *_shapes(network, images, CLASSES)[0][2:])
        return torch.arange(math.prod(shape)).reshape(shape) % CLASSES
    boxes = torch.tensor([[1.0, 2, 12, 30], [3, 5, 31, 29], [14, 20, 25, 29]])
    return BoxTensors(boxes, torch.tensor([3, 1, 4]), torch.tensor([0, 0, 1]))


def _loss(network: Network, images: Tensor, targets: Tensor | BoxTensors) -> Tensor:
    if isinstance(targets, BoxTensors):
        assert isinstance(network.head, ConvolutionalBoxHead | TwoStageHead | RegionHead)
        outputs = network(images)
        outputs = (*outputs, _proposed(images)) if network.card.proposals else outputs
        return network.head.loss(outputs, targets, _small(network.card.name))["loss"]
    if network.card.output == "points":
        return torch.stack([F.mse_loss(map_, targets) for map_ in network(images)]).sum()
    return torch.stack([F.cross_entropy(scores, targets) for scores in network.scores_of_all_heads(images)]).sum()


def _step(network: Network, decrease: float) -> None:
    """A gradient step that would lower a linear loss by ``decrease``."""
    gradients = [value.grad for value in network.parameters() if value.grad is not None]
    square = sum(float(gradient.square().sum()) for gradient in gradients)
    torch.optim.SGD(network.parameters(), lr=decrease / square).step()


@torch.no_grad()
def test_seed_decides_the_weights_and_a_state_carries_them(network: Network) -> None:
    before = torch.random.get_rng_state()
    other = create(network.card.name, CLASSES, size=_small(network.card.name), seed=1).eval()
    assert torch.equal(torch.random.get_rng_state(), before)
    scores = _scores(network, _images(network))
    assert not torch.equal(_scores(other, _images(network)), scores)
    other.load_state_dict(network.state_dict())
    assert torch.equal(_scores(other, _images(network)), scores)


@torch.no_grad()
def test_bfloat16_agrees_with_float32(network: Network) -> None:
    images = _images(network).contiguous(memory_format=torch.channels_last)
    exact = _scores(network, images)
    with torch.autocast("cpu", torch.bfloat16):
        rough = _scores(network, images).float()
    swapping = any(isinstance(layer, Unpooling) for layer in network.modules())  # of two values as good as equal
    assert float((rough - exact).double().norm() / exact.double().norm()) < (0.3 if swapping else 0.03)


def test_any_number_of_classes_and_channels(network: Network) -> None:
    height, width = _small(network.card.name)
    width += max(32, network.card.multiple)
    classes = 3 if network.card.output == "text" else 1  # the start, the end and the unknown word
    with torch.device("meta"):
        changed = create(network.card.name, classes=classes, channels=4, size=(height, width)).eval()
        images = torch.empty(2, 4, height, width)
        assert _answers(changed, images) == _shapes(network, images, classes)


def test_the_smallest_side_is_the_smallest_and_said(network: Network) -> None:
    name, least = network.card.name, network.card.minimum
    larger = least + (40 if network.card.multiple == 1 else network.card.multiple)
    with torch.device("meta"):
        smallest = create(name, size=(least, larger)).eval()
        images = torch.empty(1, network.card.input[0], least, larger)
        assert _answers(smallest, images) == _shapes(network, images, network.card.classes)
        if least > 1 and not isinstance(network.head, TwoStageHead):  # whose minimum leaves room for anchors
            with pytest.raises((RuntimeError, NetworkError)):
                smallest(images[:, :, 1:])
    with pytest.raises(NetworkError, match=rf"^{name} cannot take .* its smallest side is {least} pixels; choose a"):
        create(name, size=(larger, least - 1))


def test_sides_must_be_multiples(network: Network) -> None:
    name, multiple = network.card.name, network.card.multiple
    if multiple > 1:
        with pytest.raises(NetworkError, match=rf"its sides must be multiples of {multiple} pixels; choose such a"):
            create(name, size=(3 * multiple, 2 * multiple + 1))


def test_card_says_what_is_published(network: Network) -> None:
    found = network.card
    assert found == card(found.name)
    assert found.title
    assert found.authors
    assert found.venue
    assert found.address.startswith("https://")
    assert found.year
    assert 1943 <= found.year <= 2026
    assert (found.top1_error is None and found.top5_error is None) == (found.evaluation == "")
