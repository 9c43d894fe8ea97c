"""The classification task against formulas written out by hand and scikit-learn."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from convolve.tasks.classify.truth import class_weights
from sklearn import metrics
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor

from convolve import models
from convolve.tasks.classify import Classify
from convolve.tasks.classify.evaluation import WANTED_ACCURACY, Trust, judged, trust, trust_from
from convolve.values import Labels, Scored

CLASSES = ("a", "b", "c", "d", "e", "f", "g")
Images = tuple[Tensor, Tensor]


def task(multiple: bool = False, **options: object) -> Classify:
    network = models.create("lenet5_keras", len(CLASSES), 1, (16, 16), seed=1).eval()
    return Classify(network, CLASSES, multiple, **options)  # type: ignore[arg-type]


@pytest.fixture
def images() -> Tensor:
    return torch.rand(9, 1, 16, 16, generator=torch.Generator().manual_seed(2))


@pytest.fixture
def numbers() -> Tensor:
    return torch.tensor([0, 1, 2, 3, 4, 5, 6, 1, 1])


@pytest.fixture
def flags() -> Tensor:
    return (torch.rand(9, len(CLASSES), generator=torch.Generator().manual_seed(3)) < 0.4).to(torch.uint8)


def random() -> torch.Generator:
    return torch.Generator().manual_seed(4)


def loss(classify: Classify, images: Tensor, targets: Tensor) -> float:
    return float(classify.loss(images, targets, random())["loss"].detach())


def test_the_loss_is_the_mean_surprise(images: Tensor, numbers: Tensor) -> None:
    classify = task()
    scores = classify.network(images).detach().double()
    by_hand = (scores.exp().sum(1).log() - scores[torch.arange(9), numbers]).mean()
    metrics = {name: value.detach() for name, value in classify.loss(images, numbers, random()).items()}
    assert float(metrics["loss"]) == pytest.approx(float(by_hand), rel=1e-5)
    assert float(metrics["accuracy"]) == pytest.approx(float((scores.argmax(1) == numbers).double().mean()))


def test_label_smoothing_spreads_certainty_over_all_classes(images: Tensor, numbers: Tensor) -> None:
    """Szegedy et al. 2016, section 7: (1 - e) of the truth and e / K of every class."""
    wanted = torch.full((9, len(CLASSES)), 0.2 / len(CLASSES), dtype=torch.float64)
    wanted[torch.arange(9), numbers] += 0.8
    classify = task(label_smoothing=0.2)
    by_hand = -(wanted * classify.network(images).detach().double().log_softmax(1)).sum(1).mean()
    assert loss(classify, images, numbers) == pytest.approx(float(by_hand), rel=1e-5)


def test_class_weights_weigh_each_image_by_its_class(images: Tensor, numbers: Tensor) -> None:
    weights = torch.tensor([1.0, 2.0, 0.5, 1.0, 3.0, 1.0, 0.1])
    classify = task(class_weights=weights)
    surprise = -classify.network(images).detach().double().log_softmax(1)[torch.arange(9), numbers]
    by_hand = (surprise * weights[numbers]).sum() / weights[numbers].sum()
    assert loss(classify, images, numbers) == pytest.approx(float(by_hand), rel=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_several_labels_are_so_many_yes_or_no_questions(smoothing: float, images: Tensor, flags: Tensor) -> None:
    weights = torch.tensor([1.0, 2.0, 0.5, 1.0, 3.0, 1.0, 0.1])
    classify = task(multiple=True, label_smoothing=smoothing, class_weights=weights)
    share = classify.network(images).detach().double().sigmoid()
    wanted = flags * (1 - smoothing) + (1 - flags.double()) * 0.0 + smoothing / 2
    by_hand = -(weights * wanted * share.log() + (1 - wanted) * (1 - share).log()).mean()
    metrics = {name: value.detach() for name, value in classify.loss(images, flags, random()).items()}
    assert set(metrics) == {"loss"}
    assert float(metrics["loss"]) == pytest.approx(float(by_hand), rel=1e-5)


@pytest.mark.parametrize("multiple", [False, True])
def test_mixup_blends_pairs_and_their_losses(multiple: bool, images: Tensor, numbers: Tensor, flags: Tensor) -> None:
    """Zhang et al. 2018: the same share of two images and of their losses, which is that of the blended label."""
    classify, targets = task(multiple, mixup=0.4), flags if multiple else numbers
    seen: list[Tensor] = []
    classify.network.register_forward_pre_hook(lambda _, values: seen.append(values[0]))
    mixed = loss(classify, images, targets)
    blended = seen[0].double()
    order, share = _pairs(images.double(), blended)
    assert sorted(order.tolist()) == list(range(9))
    scores = classify.network(blended.float()).detach().double()
    if multiple:
        wanted = share * flags + (1 - share) * flags[order]
        by_hand = -(wanted * scores.sigmoid().log() + (1 - wanted) * (1 - scores.sigmoid()).log()).mean()
    else:
        surprise = -scores.log_softmax(1)
        rows = torch.arange(9)
        by_hand = (share * surprise[rows, numbers] + (1 - share) * surprise[rows, numbers[order]]).mean()
    assert mixed == pytest.approx(float(by_hand), rel=1e-4)
    assert loss(classify, images, targets) == mixed  # the same generator, the same draw


def _pairs(images: Tensor, blended: Tensor) -> tuple[Tensor, float]:
    """Which image was blended into each, and the share of the first, found by trying all."""
    flat, mixed = images.flatten(1), blended.flatten(1)
    order, shares = [], []
    for row in range(len(flat)):
        if torch.allclose(flat[row], mixed[row], atol=1e-6):
            order.append(row)
            continue
        fits = []
        for other in set(range(len(flat))) - {row}:
            step = flat[row] - flat[other]
            share = float((mixed[row] - flat[other]) @ step / step.dot(step))
            fits.append((float((flat[other] + share * step - mixed[row]).norm()), other, share))
        error, other, share = min(fits)
        assert error < 1e-5
        order.append(other)
        shares.append(share)
    assert np.ptp(shares) < 1e-5
    return torch.tensor(order), float(np.mean(shares))


def test_mixups_shares_follow_the_beta_distribution(images: Tensor, numbers: Tensor) -> None:
    classify = task(mixup=2.0)
    shares = []
    for seed in range(60):
        seen: list[Tensor] = []
        with torch.inference_mode():
            handle = classify.network.register_forward_pre_hook(lambda _, values, seen=seen: seen.append(values[0]))
            classify.loss(images, numbers, torch.Generator().manual_seed(seed))
            handle.remove()
        shares.append(_pairs(images.double(), seen[0].double())[1])
    assert np.mean(shares) == pytest.approx(0.5, abs=0.1)
    assert np.var(shares) == pytest.approx(1 / (4 * (2 * 2.0 + 1)), rel=0.5)


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_predictions_are_probabilities(temperature: float, images: Tensor) -> None:
    scores = task().network(images) / temperature
    assert torch.allclose(task(temperature=temperature).predict(images), scores.softmax(1))
    assert torch.allclose(task(multiple=True, temperature=temperature).predict(images), scores.sigmoid())


def test_class_weights_agree_with_scikit_learn() -> None:
    values = np.random.default_rng(1).choice(4, 200, p=(0.6, 0.3, 0.08, 0.02)).astype(np.int64)
    labels = Labels(values, ("a", "b", "c", "d"))
    wanted = compute_class_weight("balanced", classes=np.arange(4), y=values)
    assert class_weights(labels) == pytest.approx(wanted, rel=1e-6)
    lacking = class_weights(Labels(values, ("a", "b", "c", "d", "never")))
    assert lacking.tolist() == pytest.approx([*wanted, 1.0], rel=1e-6)


def test_weights_of_several_labels_are_absences_per_presence() -> None:
    flags = np.array([[1, 0, 1], [1, 0, 0], [1, 0, 0], [0, 0, 0]], dtype=np.uint8)
    assert class_weights(Labels(flags, ("a", "b", "c"))).tolist() == pytest.approx([1 / 3, 1.0, 3.0])


def scored(multiple: bool, count: int = 300, margin: float = 3.0) -> Scored:
    """Scores that are right more often than not."""
    draw = np.random.default_rng(6)
    numbers = draw.integers(0, len(CLASSES), count)
    flags = (draw.random((count, len(CLASSES))) < 0.3).astype(np.uint8)
    logits = draw.normal(size=(count, len(CLASSES))) * 2
    logits += margin * (flags if multiple else np.eye(len(CLASSES))[numbers])
    odds = np.exp(logits)
    scores = odds / (1 + odds) if multiple else odds / odds.sum(1, keepdims=True)
    return Scored(scores.astype(np.float32), flags if multiple else numbers, np.arange(count))


def test_measures_agree_with_scikit_learn() -> None:
    given = scored(multiple=False)
    found = task().measure(given.scores, given.targets)
    chosen = given.scores.argmax(1)
    shares = given.scores.astype(np.float64) / given.scores.sum(1, keepdims=True, dtype=np.float64)
    assert found == pytest.approx(
        {
            "loss": metrics.log_loss(given.targets, shares, labels=range(7)),
            "accuracy": metrics.accuracy_score(given.targets, chosen),
            "top5_accuracy": metrics.top_k_accuracy_score(given.targets, given.scores, k=5),
            "macro_f1": metrics.f1_score(given.targets, chosen, ema_decay="macro"),
        },
        rel=1e-4,
    )


def test_measures_of_several_labels_agree_with_scikit_learn() -> None:
    given = scored(multiple=True)
    found = task(multiple=True).measure(given.scores, given.targets)
    share = given.scores.astype(np.float64)
    wanted = {
        "loss": np.mean([metrics.log_loss(given.targets[:, k], share[:, k]) for k in range(7)]),
        "average_precision": metrics.average_precision_score(given.targets, share),
        "roc_auc": metrics.roc_auc_score(given.targets, share),
        "exact_match": metrics.accuracy_score(given.targets, share >= 0.5),
    }
    assert found == pytest.approx(wanted, rel=1e-4)


def test_few_classes_have_no_top_five() -> None:
    network = models.create("lenet5_keras", 3, 1, (16, 16))
    found = Classify(network, ("a", "b", "c")).measure(np.eye(3, dtype=np.float32), np.arange(3))
    assert set(found) == {"loss", "accuracy", "macro_f1"}


@pytest.mark.parametrize("multiple", [False, True])
def test_evaluations_are_whole_and_plain(multiple: bool) -> None:
    classify, given = task(multiple), scored(multiple)
    trusted = trust(classify, given)
    found = judged(classify, "test", given, trusted)
    plain = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert plain["images"] == 300
    assert list(plain["classes"]) == list(CLASSES)
    predicted = given.scores >= 0.5 if multiple else given.scores.argmax(1)
    wanted = metrics.precision_recall_fscore_support(given.targets, predicted, ema_decay=None, zero_division=0)
    for number, name in enumerate(CLASSES):
        row = plain["classes"][name]
        own = [row[key] for key in ("precision", "recall", "f1", "support")]
        assert own == pytest.approx([column[number] for column in wanted], rel=1e-6)
    for kind in ("macro", "weighted"):
        wanted = metrics.precision_recall_fscore_support(given.targets, predicted, ema_decay=kind, zero_division=0)
        own = [plain["metrics"][f"{kind}_{name}"] for name in ("precision", "recall", "f1")]
        assert own == pytest.approx(wanted[:3], rel=1e-6)
    assert (plain["confusion"] is None) == multiple
    if not multiple:
        assert plain["confusion"] == metrics.confusion_matrix(given.targets, predicted).tolist()


@pytest.mark.parametrize("multiple", [False, True])
@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_trust_finds_by_how_much_confidence_exaggerates(factor: float, multiple: bool) -> None:
    classify, given = task(multiple), scored(multiple, 2000)
    before = trust(classify, given).temperature
    odds = np.log(given.scores.astype(np.float64)) - (np.log1p(-given.scores.astype(np.float64)) if multiple else 0)
    warmer = np.exp(odds * factor)
    sharpened = warmer / (1 + warmer) if multiple else warmer / warmer.sum(1, keepdims=True)
    after = trust(classify, Scored(sharpened.astype(np.float32), given.targets, given.indices)).temperature
    assert after == pytest.approx(before * factor, rel=0.05)


def test_the_reject_threshold_keeps_the_promised_accuracy() -> None:
    assert trust(task(), scored(multiple=False, count=300, margin=7.0)).reject is None  # which are too few for 99 %
    classify, given = task(), scored(multiple=False, count=2000, margin=7.0)
    trusted = trust(classify, given)
    assert trusted.reject is not None
    warmed = torch.from_numpy(np.log(given.scores.astype(np.float64))).div(trusted.temperature).softmax(1).numpy()
    kept = warmed.max(1) >= trusted.reject.threshold
    assert kept.mean() == pytest.approx(trusted.reject.coverage, abs=2e-3)
    assert (warmed.argmax(1) == given.targets)[kept].mean() >= WANTED_ACCURACY
    assert trusted.reject.interval.lower >= WANTED_ACCURACY
    assert 0.5 < kept.mean() < 1


def test_trust_survives_the_manifest() -> None:
    import dataclasses

    trusted = trust(task(), scored(multiple=False))
    document = json.loads(json.dumps({"epoch": 3, **dataclasses.asdict(trusted)}))
    assert trust_from(document) == trusted
    assert trust_from({}) == Trust()


@pytest.mark.parametrize("multiple", [False, True])
def test_a_single_image_is_enough_to_evaluate(multiple: bool) -> None:
    classify, given = task(multiple), scored(multiple, 1)
    found = judged(classify, "test", given, trust(classify, given))
    json.dumps(found.as_json(), allow_nan=False)
    assert found.calibration.temperature is not None
    assert np.isfinite(found.calibration.temperature)
