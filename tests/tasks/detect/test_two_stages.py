"""Networks of two stages in the detect task: what is chosen for them, what is learned, found, explained, refused."""

from __future__ import annotations

from typing import cast

import pytest
import torch
from torch import Tensor, nn

from convolve.errors import ExportError
from convolve.layers.box_head import Candidates
from convolve.layers.faster_rcnn import TwoStageHead
from convolve.layers.region_proposals import ProposalOptions
from convolve.models import Network, card
from convolve.setup.prepare import Prepared, build_training, prepare
from convolve.setup.runtime_options import RuntimeOptions
from convolve.targets import BoxTensors
from convolve.tasks.detect.explanation import DetectionScore, explanation_targets
from convolve.tasks.detect.suppression import SuppressionRule, detect
from convolve.tasks.detect.task import Detect
from convolve.training.defaults import Facts
from convolve.training.learner import Learner
from convolve.training.recipe import Optimization, Recipe
from convolve.training.step import State, step
from convolve.values import Dataset
from tests.tasks.detect.small import dataset

NAME = "faster_rcnn_squeezenet_1_1"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return dataset(tmp_path_factory.mktemp("shapes"), 24)


def prepared(data: Dataset, **task_options: object) -> Prepared:
    recipe = Recipe(
        data.root,
        network=NAME,
        size=64,
        epochs=4,
        task="detect",
        task_options=dict(task_options),
        optimization=Optimization(learning_rate=0.001),
    )
    return prepare(recipe, RuntimeOptions("cpu", "fp32", 1), sample=data).prepared


def trained(data: Dataset, steps: int) -> tuple[Prepared, list[float]]:
    found = prepared(data)
    training = build_training(found)
    learner, state, losses = Learner(found.task.network, found.recipe), State(), []
    learner.train()
    for number in range(steps):
        if number % len(training.train) == 0:
            batches = training.train.epoch(number // len(training.train))
            state.epoch, state.step = number // len(training.train), 0
        before = state.sums.get("loss", 0.0)
        batch = next(batches)
        assert step(training, learner, state, batch)
        losses.append((state.sums["loss"] - before) / len(batch.images))
    return found, losses


def test_what_is_chosen() -> None:
    facts = Facts(images=100, channels=3, side=300, photographs=True)
    boxes = cast(object, None)
    found = {name: value for name, value, _ in Detect.defaults({}, facts, card(NAME), boxes)}  # type: ignore[arg-type]
    assert (found["batch"], found["learning_rate"], found["clip_norm"]) == (2, 3e-4, 1.0)
    assert "freeze_norm" not in found
    known: dict[str, object] = {"weights": "imagenet", "optimizer": "momentum"}
    choices = list(Detect.defaults(known, facts, card("faster_rcnn_resnet18_fpn"), boxes))  # type: ignore[arg-type]
    assert ("freeze_norm", True) in [(name, value) for name, value, _ in choices]
    assert next(value for name, value, _ in choices if name == "nms_iou") == 0.5
    assert "learning_rate" not in [name for name, _, _ in choices]


def test_a_training_is_repeatable_and_lowers_the_loss(data: Dataset) -> None:
    first, losses = trained(data, 24)
    second, again = trained(data, 24)
    assert losses == again
    for one, other in zip(first.task.network.parameters(), second.task.network.parameters(), strict=True):
        assert torch.equal(one, other)
    assert sum(losses[-8:]) < 0.8 * sum(losses[:8])


def test_normalization_stays_as_it_is_where_asked(data: Dataset) -> None:
    recipe = Recipe(
        data.root, network="faster_rcnn_resnet18", size=64, task="detect", task_options={"freeze_norm": True}
    )
    network = prepare(recipe, RuntimeOptions("cpu", "fp32", 1), sample=data).prepared.task.network
    Learner(network, Recipe(optimization=Optimization("sgd", learning_rate=0.1, weight_decay=0.0))).train()
    layers = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert len(layers) == 20
    assert not any(layer.training or layer.weight.requires_grad for layer in layers)


@pytest.fixture
def task(data: Dataset) -> Detect:
    found = cast(Detect, prepared(data).task)
    found.network.eval()
    return found


def test_losses_are_in_float32_and_random_where_asked(task: Detect) -> None:
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    boxes = torch.tensor([[4.0, 4, 20, 20], [30, 20, 50, 40], [8, 8, 30, 40]])
    targets = BoxTensors(boxes, torch.tensor([0, 1, 1]), torch.tensor([0, 0, 1]))
    head = task.network.head
    assert isinstance(head, TwoStageHead)
    head.options = ProposalOptions(samples=8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses, found = task.loss_and_predictions(images, targets)
        repeated = task.loss(images, targets, None)
        drawn = [task.loss(images, targets, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert {value.dtype for value in losses.values()} == {torch.float32}
    assert list(losses) == ["loss", "rpn_class", "rpn_box", "class", "box"]
    assert found.dtype == torch.float32
    assert repeated == losses
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]


def test_images_without_objects_teach_too(task: Detect) -> None:
    none = torch.zeros(0, dtype=torch.int64)
    losses = task.loss(torch.randn(2, 3, 64, 64), BoxTensors(torch.zeros(0, 4), none, none), None)
    torch.autograd.backward(losses["loss"])
    assert losses["rpn_box"].item() == losses["box"].item() == 0
    gradients = [value.grad for value in task.network.parameters() if value.grad is not None]
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)


def test_the_score_of_a_box_is_explained(task: Detect) -> None:
    network: Network = task.network
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    maps = network.features(images)
    read = maps[network.head_inputs[0]]
    outputs = network(read, network.head_inputs[0], maps, (64, 64))
    boxes = task.predict(images)[:, 0]
    target = DetectionScore(task.network.head, (64, 64), boxes[:, :4], boxes[:, 5].long())  # type: ignore[arg-type]
    found = target(outputs)
    assert found.shape == (2,)
    torch.testing.assert_close(found, boxes[:, 4], rtol=1e-3, atol=1e-5)
    (gradient,) = torch.autograd.grad(found.sum(), read)
    assert bool(gradient.flatten(1).any(1).all())
    sizes = torch.tensor([[64, 64]] * 2).numpy()
    explained = explanation_targets(task, images, sizes, (), None)  # type: ignore[arg-type]
    assert explained.present.all()


def test_each_class_has_its_own_box() -> None:
    boxes = torch.tensor([[[[0.0, 0, 10, 10], [20, 20, 40, 40]], [[0, 0, 9, 10], [60, 60, 60, 70]]]])
    scores = torch.tensor([[[0.9, 0.8], [0.7, 0.6]]])
    found = detect(Candidates(boxes, scores), SuppressionRule(iou=0.5))[0]
    expected = torch.tensor([[0.0, 0, 10, 10, 0.9, 0], [20, 20, 40, 40, 0.8, 1]])
    torch.testing.assert_close(found[:2], expected)
    assert not found[2:].any()  # one is suppressed, the other has no area


def test_an_export_is_refused_in_a_sentence(data: Dataset) -> None:
    plan = prepared(data)
    with pytest.raises(ExportError, match=rf"^{NAME} pools the regions that it proposes.*; export a"):
        plan.task.exported(plan.preprocessing, plan.runtime)


def test_what_is_left_out_of_a_batch_has_no_score(task: Detect) -> None:
    """Images with fewer regions than others are filled up."""
    images: Tensor = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    together = task.candidates(images)
    assert together.boxes.shape[1:] == (together.scores.shape[1], 2, 4)
    for image in range(3):
        alone = task.candidates(images[image : image + 1])
        count = alone.scores.shape[1]
        torch.testing.assert_close(together.scores[image, :count], alone.scores[0], rtol=1e-3, atol=1e-4)
        assert not together.scores[image, count:].any()
