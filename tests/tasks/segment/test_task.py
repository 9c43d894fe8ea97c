"""What segmentation learns, against formulas written out by hand, torch and torchmetrics."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from convolve.tasks.segment.truth import median_frequency
from torch import Tensor, nn
from torchmetrics.functional.segmentation import mean_iou

from convolve.datasets.masks import MaskArray
from convolve.models import Network, create
from convolve.tasks.segment import Segment
from convolve.values import IGNORE, Scored

CLASSES = ("a", "b", "c")
WEIGHTS = torch.tensor([0.5, 2.0, 1.0])


def task(**options: object) -> Segment:
    network = create("fcn1s_resnet20_cifar", 3, 3, (16, 16), seed=1).eval()
    for layer in network.head.modules():  # score layers begin at zero
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, generator=torch.Generator().manual_seed(5))
    return Segment(network, CLASSES, **options)  # type: ignore[arg-type]


@pytest.fixture
def images() -> Tensor:
    return torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(2))


@pytest.fixture
def targets() -> Tensor:
    random = torch.Generator().manual_seed(3)
    numbers = torch.randint(0, 3, (4, 16, 16), generator=random, dtype=torch.uint8)
    numbers[torch.rand(numbers.shape, generator=random) < 0.2] = IGNORE
    return numbers


def metrics(segment: Segment, images: Tensor, targets: Tensor) -> dict[str, float]:
    found = segment.loss(images, targets, torch.Generator())
    return {name: float(value.detach()) for name, value in found.items()}


def surprises(segment: Segment, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """(P,) the negative logarithm of the truth's share, and the truth, of every pixel that counts."""
    shares = segment.network(images).detach().double().softmax(1).movedim(1, 3)
    counted = targets != IGNORE
    truth = targets[counted].long()
    return -shares[counted][torch.arange(len(truth)), truth].log(), truth


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_cross_entropy_is_the_mean_surprise_of_the_pixels_that_count(
    weights: Tensor | None, images: Tensor, targets: Tensor
) -> None:
    segment = task(class_weights=weights)
    surprise, truth = surprises(segment, images, targets)
    each = torch.ones(3) if weights is None else weights
    by_hand = (surprise * each[truth]).sum() / each[truth].sum()
    found = metrics(segment, images, targets)
    assert found["loss"] == pytest.approx(float(by_hand), rel=1e-5)
    scores = segment.network(images).detach()
    by_torch = nn.functional.cross_entropy(scores, targets.long(), weights, ignore_index=IGNORE)
    assert found["loss"] == pytest.approx(float(by_torch), rel=1e-5)
    hits = (scores.argmax(1) == targets)[targets != IGNORE]
    assert found["accuracy"] == pytest.approx(float(hits.double().mean()))


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_the_sum_of_cross_entropy_is_not_divided_by_the_pixels(
    weights: Tensor | None, images: Tensor, targets: Tensor
) -> None:
    segment = task(kind="cross-entropy-sum", class_weights=weights)
    scores = segment.network(images).detach()
    by_torch = nn.functional.cross_entropy(scores, targets.long(), weights, ignore_index=IGNORE, reduction="sum")
    assert metrics(segment, images, targets)["loss"] == pytest.approx(float(by_torch), rel=1e-5)
    parts = [metrics(segment, images[i : i + 1], targets[i : i + 1])["loss"] for i in range(4)]
    assert sum(parts) == pytest.approx(float(by_torch), rel=1e-5)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_focal_loss_dwells_on_what_is_hard(weights: Tensor | None, images: Tensor, targets: Tensor) -> None:
    """Lin et al. 2017, equation 5, with gamma 2."""
    segment = task(kind="focal", class_weights=weights)
    surprise, truth = surprises(segment, images, targets)
    each = torch.ones(3) if weights is None else weights
    focused = (1 - (-surprise).exp()) ** 2 * surprise
    by_hand = (focused * each[truth]).sum() / each[truth].sum()
    assert metrics(segment, images, targets)["loss"] == pytest.approx(float(by_hand), rel=1e-5)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_dice_is_the_overlap_of_regions(weights: Tensor | None, images: Tensor, targets: Tensor) -> None:
    segment = task(kind="dice", class_weights=weights)
    shares = segment.network(images).detach().double().softmax(1).movedim(1, 3)[targets != IGNORE]
    truth = targets[targets != IGNORE].long()
    losses = []
    for number in range(3):
        own, region = shares[:, number], (truth == number).double()
        losses.append(float(1 - (2 * (own * region).sum() + 1) / (own.sum() + region.sum() + 1)))
    each = np.ones(3) if weights is None else weights.numpy()
    assert metrics(segment, images, targets)["loss"] == pytest.approx(np.average(losses, weights=each), rel=1e-5)


@pytest.mark.parametrize("kind", ["cross-entropy", "cross-entropy-sum", "dice", "focal"])
def test_ignored_pixels_change_nothing(kind: str, images: Tensor, targets: Tensor) -> None:
    """Neither what they show nor the truth beneath: 4,000 of them hold the slopes at those of the rest."""
    segment = task(kind=kind)
    wide = torch.full((4, 40, 40), IGNORE, dtype=torch.uint8)
    wide[:, :16, :16] = targets
    scores = torch.randn(4, 3, 40, 40, generator=torch.Generator().manual_seed(7), requires_grad=True)
    counted = wide != IGNORE
    segment._loss(scores, wide.long(), counted).backward()  # type: ignore[no-untyped-call]
    assert scores.grad is not None
    assert not scores.grad[~counted[:, None].expand_as(scores)].any()
    assert scores.grad[counted[:, None].expand_as(scores)].any()
    alone = segment._loss(scores[:, :, :16, :16], targets.long(), targets != IGNORE)
    assert float(alone.detach()) == pytest.approx(float(segment._loss(scores, wide.long(), counted).detach()), rel=1e-5)


@pytest.mark.parametrize("kind", ["cross-entropy", "cross-entropy-sum", "dice", "focal"])
def test_a_batch_in_which_nothing_counts_has_a_loss(kind: str, images: Tensor) -> None:
    nothing = torch.full((4, 16, 16), IGNORE, dtype=torch.uint8)
    assert np.isfinite(metrics(task(kind=kind), images, nothing)["loss"])


def test_answers_are_the_likeliest_classes(images: Tensor) -> None:
    segment = task()
    shares = segment.shares(images).detach()
    assert torch.allclose(shares.sum(1), torch.ones(4, 16, 16), atol=1e-5)
    assert torch.equal(segment.predict(images), shares.argmax(1).to(torch.uint8))


def test_the_metrics_of_batches_are_those_of_the_whole(images: Tensor) -> None:
    random = np.random.default_rng(4)
    truth, predicted = random.integers(0, 3, (2, 6, 9, 7), dtype=np.uint8)
    parts = [Scored(predicted[i : i + 2], truth[i : i + 2], np.arange(i, i + 2)) for i in (0, 2, 4)]
    found = task().metrics(parts)
    whole = task().metrics([Scored(predicted, truth, np.arange(6))])
    assert found == pytest.approx(whole)
    answers, wanted = (torch.from_numpy(part.reshape(1, 54, 7)).long() for part in (predicted, truth))
    theirs = mean_iou(answers, wanted, num_classes=3, input_format="index")
    assert found["mean_iou"] == pytest.approx(float(theirs.mean()), abs=1e-6)
    assert found["pixel_accuracy"] == pytest.approx((truth == predicted).mean())


def test_weights_by_median_frequency() -> None:
    """Eigen and Fergus 2015: the median of the frequencies by the class's own, of the images in which it occurs."""
    array = np.zeros((4, 4, 5), np.uint8)
    array[0, :, :2] = 1  # 8 of 20 pixels
    array[1, 0, :] = 1  # 5 of 20
    array[2, 0, 0] = 2  # 1 of 20
    array[3] = IGNORE
    frequency = np.array([(12 + 15 + 19) / 60, 13 / 40, 1 / 20])
    found = median_frequency(MaskArray(array, ((0, 0, 0),) * 4), np.arange(4), 4)
    assert found == pytest.approx([*(np.median(frequency) / frequency), 1.0], rel=1e-6)


def test_another_network_takes_the_place(images: Tensor) -> None:
    other: Network = create("fcn1s_resnet20_cifar", 3, 3, (16, 16), seed=9)
    segment = task(kind="dice", class_weights=WEIGHTS)
    moved = segment.over(other)
    assert moved.network is other
    assert (moved.kind, moved.classes) == ("dice", CLASSES)
