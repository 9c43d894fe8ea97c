"""What segmentation learns, against formulas written out by hand, torch and torchmetrics."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchmetrics.functional.segmentation import mean_iou

from convolve.datasets.masks import MaskArray, Masks
from convolve.models import Network, create
from convolve.targets import ArrayTargets
from convolve.tasks.segment.task import Segment, median_frequency
from convolve.values import IGNORE, Batch, Pixels

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
    indices = torch.randint(0, 3, (4, 16, 16), generator=random, dtype=torch.uint8)
    indices[torch.rand(indices.shape, generator=random) < 0.2] = IGNORE
    return indices


def losses(segment: Segment, images: Tensor, targets: Tensor) -> dict[str, float]:
    found = segment.loss(images, targets, torch.Generator())
    return {name: float(value.detach()) for name, value in found.items()}


def entropies(segment: Segment, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """(P,) the cross-entropy and the true class of every pixel that counts."""
    probabilities = segment.network(images).detach().double().softmax(1).movedim(1, 3)
    counted = targets != IGNORE
    true = targets[counted].long()
    return -probabilities[counted][torch.arange(len(true)), true].log(), true


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_cross_entropy_is_the_mean_over_the_pixels_that_count(
    weights: Tensor | None, images: Tensor, targets: Tensor
) -> None:
    segment = task(class_weights=weights)
    entropy, true = entropies(segment, images, targets)
    each = torch.ones(3) if weights is None else weights
    by_hand = (entropy * each[true]).sum() / each[true].sum()
    found = losses(segment, images, targets)
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
    segment = task(pixel_loss="cross-entropy-sum", class_weights=weights)
    scores = segment.network(images).detach()
    by_torch = nn.functional.cross_entropy(scores, targets.long(), weights, ignore_index=IGNORE, reduction="sum")
    assert losses(segment, images, targets)["loss"] == pytest.approx(float(by_torch), rel=1e-5)
    parts = [losses(segment, images[i : i + 1], targets[i : i + 1])["loss"] for i in range(4)]
    assert sum(parts) == pytest.approx(float(by_torch), rel=1e-5)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_focal_loss_weights_hard_pixels(weights: Tensor | None, images: Tensor, targets: Tensor) -> None:
    """Lin et al. 2017, equation 5, with gamma 2."""
    segment = task(pixel_loss="focal", class_weights=weights)
    entropy, true = entropies(segment, images, targets)
    each = torch.ones(3) if weights is None else weights
    focused = (1 - (-entropy).exp()) ** 2 * entropy
    by_hand = (focused * each[true]).sum() / each[true].sum()
    assert losses(segment, images, targets)["loss"] == pytest.approx(float(by_hand), rel=1e-5)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_dice_is_the_overlap_of_regions(weights: Tensor | None, images: Tensor, targets: Tensor) -> None:
    segment = task(pixel_loss="dice", class_weights=weights)
    probabilities = segment.network(images).detach().double().softmax(1).movedim(1, 3)[targets != IGNORE]
    true = targets[targets != IGNORE].long()
    by_hand = []
    for index in range(3):
        own, region = probabilities[:, index], (true == index).double()
        by_hand.append(float(1 - (2 * (own * region).sum() + 1) / (own.sum() + region.sum() + 1)))
    each = np.ones(3) if weights is None else weights.numpy()
    assert losses(segment, images, targets)["loss"] == pytest.approx(np.average(by_hand, weights=each), rel=1e-5)


@pytest.mark.parametrize("pixel_loss", ["cross-entropy", "cross-entropy-sum", "dice", "focal"])
def test_ignored_pixels_change_nothing(pixel_loss: str, images: Tensor, targets: Tensor) -> None:
    """Thousands of them leave loss and gradient as they are without them."""
    segment = task(pixel_loss=pixel_loss)
    wide = torch.full((4, 40, 40), IGNORE, dtype=torch.uint8)
    wide[:, :16, :16] = targets
    scores = torch.randn(4, 3, 40, 40, generator=torch.Generator().manual_seed(7), requires_grad=True)
    counted = wide != IGNORE
    segment._pixel_loss(scores, wide.long(), counted).backward()  # type: ignore[no-untyped-call]
    assert scores.grad is not None
    assert not scores.grad[~counted[:, None].expand_as(scores)].any()
    assert scores.grad[counted[:, None].expand_as(scores)].any()
    alone = segment._pixel_loss(scores[:, :, :16, :16], targets.long(), targets != IGNORE)
    assert float(alone.detach()) == pytest.approx(
        float(segment._pixel_loss(scores, wide.long(), counted).detach()), rel=1e-5
    )


@pytest.mark.parametrize("pixel_loss", ["cross-entropy", "cross-entropy-sum", "dice", "focal"])
def test_a_batch_in_which_nothing_counts_has_a_loss(pixel_loss: str, images: Tensor) -> None:
    nothing = torch.full((4, 16, 16), IGNORE, dtype=torch.uint8)
    assert np.isfinite(losses(task(pixel_loss=pixel_loss), images, nothing)["loss"])


def test_predictions_are_the_most_likely_classes(images: Tensor) -> None:
    segment = task()
    probabilities = segment.probabilities(images).detach()
    assert torch.allclose(probabilities.sum(1), torch.ones(4, 16, 16), atol=1e-5)
    assert torch.equal(segment.predict(images), probabilities.argmax(1).to(torch.uint8))


def evaluated(predicted: Pixels, targets: Pixels, size: int) -> dict[str, float]:
    """The metrics of masks that come ``size`` at once."""
    evaluator = task().evaluator()
    for start in range(0, len(targets), size):
        part = slice(start, start + size)
        images = np.zeros((len(targets[part]), 9, 7, 3), np.float32)
        batch = Batch(images, ArrayTargets(targets[part]), np.arange(len(targets))[part])
        evaluator.add(torch.from_numpy(predicted[part]), batch)
    return evaluator.metrics()


def test_the_metrics_of_batches_are_those_of_the_whole() -> None:
    random = np.random.default_rng(4)
    targets, predicted = random.integers(0, 3, (2, 6, 9, 7), dtype=np.uint8)
    found = evaluated(predicted, targets, 2)
    assert found == pytest.approx(evaluated(predicted, targets, 6))
    ours, true = (torch.from_numpy(part.reshape(1, 54, 7)).long() for part in (predicted, targets))
    theirs = mean_iou(ours, true, num_classes=3, input_format="index")
    assert found["mean_iou"] == pytest.approx(float(theirs.mean()), abs=1e-6)
    assert found["pixel_accuracy"] == pytest.approx((targets == predicted).mean())


def test_weights_by_median_frequency() -> None:
    """Eigen and Fergus 2015: the median of the frequencies by the class's own, of the images in which it occurs."""
    array = np.zeros((4, 4, 5), np.uint8)
    array[0, :, :2] = 1  # 8 of 20 pixels
    array[1, 0, :] = 1  # 5 of 20
    array[2, 0, 0] = 2  # 1 of 20
    array[3] = IGNORE
    frequency = np.array([(12 + 15 + 19) / 60, 13 / 40, 1 / 20])
    counts = Masks(MaskArray(array), ("a", "b", "c", "d"), ((0, 0, 0),) * 4).pixel_counts()
    found = median_frequency(counts)
    assert found == pytest.approx([*(np.median(frequency) / frequency), 1.0], rel=1e-6)


def test_another_network_keeps_the_task(images: Tensor) -> None:
    other: Network = create("fcn1s_resnet20_cifar", 3, 3, (16, 16), seed=9)
    segment = task(pixel_loss="dice", class_weights=WEIGHTS)
    moved = segment.with_network(other)
    assert moved.network is other
    assert (moved.pixel_loss, moved.classes) == ("dice", CLASSES)


@pytest.mark.parametrize("pixel_loss", ["cross-entropy", "dice", "focal"])
def test_the_validation_loss_is_the_training_loss(pixel_loss: str, images: Tensor, targets: Tensor) -> None:
    segment = task(pixel_loss=pixel_loss, class_weights=WEIGHTS)
    found, predicted = segment.loss_and_predictions(images, targets)
    assert float(found["loss"].detach()) == losses(segment, images, targets)["loss"]
    assert torch.equal(predicted, segment.predict(images))


def test_the_validation_loss_of_a_sum_is_that_of_one_image(images: Tensor, targets: Tensor) -> None:
    """Which is what the paper's steps of one image minimize, however many images are evaluated together."""
    segment = task(pixel_loss="cross-entropy-sum")
    each = [losses(segment, images[i : i + 1], targets[i : i + 1])["loss"] for i in range(4)]
    found = segment.loss(images, targets, None)
    assert set(found) == {"loss"}
    assert float(found["loss"].detach()) == pytest.approx(np.mean(each), rel=1e-5)
