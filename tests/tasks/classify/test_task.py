"""What a classifier learns and predicts, against formulas written out by hand and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor

from convolve import models
from convolve.datasets.labels import Labels
from convolve.tasks.classify.confidence import Confidence
from convolve.tasks.classify.task import AUXILIARY_WEIGHT, Classify, class_weights

CLASSES = ("a", "b", "c", "d", "e", "f", "g")


def task(multi_label: bool = False, **options: object) -> Classify:
    network = models.create("lenet5_keras", len(CLASSES), 1, (16, 16), seed=1).eval()
    return Classify(network, CLASSES, multi_label, **options)  # type: ignore[arg-type]


@pytest.fixture
def images() -> Tensor:
    return torch.rand(9, 1, 16, 16, generator=torch.Generator().manual_seed(2))


@pytest.fixture
def indices() -> Tensor:
    return torch.tensor([0, 1, 2, 3, 4, 5, 6, 1, 1])


@pytest.fixture
def flags() -> Tensor:
    return (torch.rand(9, len(CLASSES), generator=torch.Generator().manual_seed(3)) < 0.4).to(torch.uint8)


def random() -> torch.Generator:
    return torch.Generator().manual_seed(4)


def loss(classify: Classify, images: Tensor, targets: Tensor) -> float:
    return float(classify.loss(images, targets, random())["loss"].detach())


def test_the_loss_is_the_mean_cross_entropy(images: Tensor, indices: Tensor) -> None:
    classify = task()
    scores = classify.network(images).detach().double()
    by_hand = (scores.exp().sum(1).log() - scores[torch.arange(9), indices]).mean()
    metrics = {name: value.detach() for name, value in classify.loss(images, indices, random()).items()}
    assert float(metrics["loss"]) == pytest.approx(float(by_hand), rel=1e-5)
    assert float(metrics["accuracy"]) == pytest.approx(float((scores.argmax(1) == indices).double().mean()))


def test_label_smoothing_spreads_probability_over_all_classes(images: Tensor, indices: Tensor) -> None:
    """Szegedy et al. 2016, section 7: 1 - e of the true class, and e / K of every class."""
    expected = torch.full((9, len(CLASSES)), 0.2 / len(CLASSES), dtype=torch.float64)
    expected[torch.arange(9), indices] += 0.8
    classify = task(label_smoothing=0.2)
    by_hand = -(expected * classify.network(images).detach().double().log_softmax(1)).sum(1).mean()
    assert loss(classify, images, indices) == pytest.approx(float(by_hand), rel=1e-5)


def test_class_weights_weight_each_image_by_its_class(images: Tensor, indices: Tensor) -> None:
    weights = torch.tensor([1.0, 2.0, 0.5, 1.0, 3.0, 1.0, 0.1])
    classify = task(class_weights=weights)
    entropy = -classify.network(images).detach().double().log_softmax(1)[torch.arange(9), indices]
    by_hand = (entropy * weights[indices]).sum() / weights[indices].sum()
    assert loss(classify, images, indices) == pytest.approx(float(by_hand), rel=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_multi_label_is_one_binary_cross_entropy_per_label(smoothing: float, images: Tensor, flags: Tensor) -> None:
    weights = torch.tensor([1.0, 2.0, 0.5, 1.0, 3.0, 1.0, 0.1])
    classify = task(multi_label=True, label_smoothing=smoothing, class_weights=weights)
    probability = classify.network(images).detach().double().sigmoid()
    expected = flags * (1 - smoothing) + (1 - flags.double()) * 0.0 + smoothing / 2
    by_hand = -(weights * expected * probability.log() + (1 - expected) * (1 - probability).log()).mean()
    metrics = {name: value.detach() for name, value in classify.loss(images, flags, random()).items()}
    assert set(metrics) == {"loss"}
    assert float(metrics["loss"]) == pytest.approx(float(by_hand), rel=1e-5)


@pytest.mark.parametrize("multi_label", [False, True])
def test_mixup_blends_pairs_and_their_losses(multi_label: bool, images: Tensor, indices: Tensor, flags: Tensor) -> None:
    """Zhang et al. 2018: the same ratio of two images and of their losses, which is that of the blended label."""
    classify, targets = task(multi_label, mixup=0.4), flags if multi_label else indices
    inputs: list[Tensor] = []
    classify.network.register_forward_pre_hook(lambda _, values: inputs.append(values[0]))
    mixed = loss(classify, images, targets)
    blended = inputs[0].double()
    order, ratio = _pairs(images.double(), blended)
    assert sorted(order.tolist()) == list(range(9))
    scores = classify.network(blended.float()).detach().double()
    if multi_label:
        expected = ratio * flags + (1 - ratio) * flags[order]
        by_hand = -(expected * scores.sigmoid().log() + (1 - expected) * (1 - scores.sigmoid()).log()).mean()
    else:
        entropy = -scores.log_softmax(1)
        rows = torch.arange(9)
        by_hand = (ratio * entropy[rows, indices] + (1 - ratio) * entropy[rows, indices[order]]).mean()
    assert mixed == pytest.approx(float(by_hand), rel=1e-4)
    assert loss(classify, images, targets) == mixed  # the same generator, the same draw


def _pairs(images: Tensor, blended: Tensor) -> tuple[Tensor, float]:
    """Which image was blended into each, and the ratio of the first, found by trying all."""
    flat, mixed = images.flatten(1), blended.flatten(1)
    order, ratios = [], []
    for row in range(len(flat)):
        if torch.allclose(flat[row], mixed[row], atol=1e-6):
            order.append(row)
            continue
        fits = []
        for other in set(range(len(flat))) - {row}:
            step = flat[row] - flat[other]
            ratio = float((mixed[row] - flat[other]) @ step / step.dot(step))
            fits.append((float((flat[other] + ratio * step - mixed[row]).norm()), other, ratio))
        error, other, ratio = min(fits)
        assert error < 1e-5
        order.append(other)
        ratios.append(ratio)
    assert np.ptp(ratios) < 1e-5
    return torch.tensor(order), float(np.mean(ratios))


def test_ratios_of_mixup_follow_the_beta_distribution(images: Tensor, indices: Tensor) -> None:
    classify = task(mixup=2.0)
    ratios = []
    for seed in range(60):
        inputs: list[Tensor] = []
        with torch.inference_mode():
            handle = classify.network.register_forward_pre_hook(
                lambda _, values, inputs=inputs: inputs.append(values[0])
            )
            classify.loss(images, indices, torch.Generator().manual_seed(seed))
            handle.remove()
        ratios.append(_pairs(images.double(), inputs[0].double())[1])
    assert np.mean(ratios) == pytest.approx(0.5, abs=0.1)
    assert np.var(ratios) == pytest.approx(1 / (4 * (2 * 2.0 + 1)), rel=0.5)


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_predictions_are_probabilities(temperature: float, images: Tensor) -> None:
    scores, confidence = task().network(images) / temperature, Confidence(temperature)
    assert torch.allclose(task(confidence=confidence).predict(images), scores.softmax(1))
    assert torch.allclose(task(multi_label=True, confidence=confidence).predict(images), scores.sigmoid())


def test_class_weights_agree_with_scikit_learn() -> None:
    values = np.random.default_rng(1).choice(4, 200, p=(0.6, 0.3, 0.08, 0.02)).astype(np.int64)
    labels = Labels(values, ("a", "b", "c", "d"))
    expected = compute_class_weight("balanced", classes=np.arange(4), y=values)
    assert class_weights(labels) == pytest.approx(expected, rel=1e-6)
    with_absent = class_weights(Labels(values, ("a", "b", "c", "d", "never")))
    assert with_absent.tolist() == pytest.approx([*expected, 1.0], rel=1e-6)


def test_weights_of_multi_label_are_absences_per_presence() -> None:
    flags = np.array([[1, 0, 1], [1, 0, 0], [1, 0, 0], [0, 0, 0]], dtype=np.uint8)
    assert class_weights(Labels(flags, ("a", "b", "c"))).tolist() == pytest.approx([1 / 3, 1.0, 3.0])


@pytest.mark.parametrize("multi_label", [False, True])
def test_the_validation_loss_is_the_training_loss_without_mixup_and_auxiliary_heads(
    multi_label: bool, indices: Tensor, flags: Tensor
) -> None:
    """Smoothing and class weights are in both, so that the two curves can be compared."""
    network = models.create("googlenet", len(CLASSES), 3, (64, 64), seed=1).eval()
    options = {"label_smoothing": 0.2, "class_weights": torch.arange(1.0, 8.0), "mixup": 0.4}
    classify = Classify(network, CLASSES, multi_label, **options)  # type: ignore[arg-type]
    images = torch.rand(9, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    targets = flags if multi_label else indices
    plain = Classify(network, CLASSES, multi_label, **options | {"mixup": 0.0})  # type: ignore[arg-type]
    main, *others = (plain._cross_entropy(scores, targets) for scores in network.scores_of_all_heads(images))
    assert len(others) == 2
    evaluated = classify.loss(images, targets, None)
    assert set(evaluated) == {"loss"}
    assert float(evaluated["loss"].detach()) == pytest.approx(float(main.detach()), rel=1e-5)
    total = main + AUXILIARY_WEIGHT * sum(others)
    assert loss(plain, images, targets) == pytest.approx(float(total.detach()), rel=1e-5)
