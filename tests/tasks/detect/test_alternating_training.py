"""Faster R-CNN in four alternating steps: what learns in which, of which regions, and what is left at the end."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor

import convolve
from convolve.errors import Interrupted, OptionError, TrainingError
from convolve.layers.faster_rcnn import TwoStageHead
from convolve.models import Network, card
from convolve.setup.prepare import build_training, prepare
from convolve.setup.runtime_options import RuntimeOptions
from convolve.targets import BoxTensors
from convolve.tasks.detect.alternating_training import AlternatingTraining
from convolve.tasks.detect.task import Detect
from convolve.training.checkpoints import RunFiles
from convolve.training.defaults import Facts
from convolve.training.events import Events
from convolve.training.loop import fit
from convolve.training.recipe import Optimization, Recipe
from convolve.training.run import open_run
from convolve.training.step import State, Training
from convolve.values import Dataset
from tests.tasks.detect.small import dataset

NAME = "faster_rcnn_resnet20_cifar"
Weights = dict[str, Tensor]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return dataset(tmp_path_factory.mktemp("shapes"), 24)


def training(data: Dataset, epochs: int = 4) -> Training:
    recipe = Recipe(
        data.root,
        network=NAME,
        size=64,
        epochs=epochs,
        task="detect",
        task_options={"alternating": True},
        optimization=Optimization(learning_rate=0.001),
    )
    return build_training(prepare(recipe, RuntimeOptions("cpu", "fp32", 1), sample=data).prepared)


def weights(plan: Training, *prefixes: str) -> Weights:
    """Copies of a network's numbers whose names begin so, with running statistics."""
    found = plan.task.network.state_dict()
    return {name: value.clone() for name, value in found.items() if name.startswith(prefixes)}


def equal(first: Weights, second: Weights) -> bool:
    return all(torch.equal(value, second[name]) for name, value in first.items())


def part(state: Weights, prefix: str) -> Weights:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


@pytest.fixture(scope="module")
def states(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Weights], State]:
    """The network's numbers at first and after each of four epochs, which are four steps."""
    plan = training(data)
    found = [weights(plan, "")]
    after = cast(Callable[[State], None], lambda _: found.append(weights(plan, "")))
    state = fit(plan, RunFiles(tmp_path_factory.mktemp("run")), Events(epoch=(after,)))
    return found, state


def test_first_the_proposal_network_learns(states: tuple[list[Weights], State]) -> None:
    first, after = states[0][:2]
    assert equal(part(first, "head.classifier."), part(after, "head.classifier."))
    for prefix in ("stages.stage1.", "stages.stage3.", "head.proposals."):
        assert not equal(part(first, prefix), part(after, prefix)), prefix
    for name in ("stages.", "pyramid.", "layers."):
        own = f"head.separate.{name}"
        assert equal(part(after, own), part(first, own))


def test_then_the_detector_learns_beside_the_first_network(
    states: tuple[list[Weights], State],
) -> None:
    first, former, after = states[0][:3]
    assert equal(part(former, "stages."), part(after, "head.separate.stages."))
    assert equal(part(former, "head.proposals."), part(after, "head.separate.layers."))
    assert equal(part(first, "head.proposals."), part(after, "head.proposals."))
    assert not equal(part(former, "head.classifier."), part(after, "head.classifier."))
    assert not equal(part(first, "stages."), part(after, "stages."))


def test_then_new_proposal_layers_alone(states: tuple[list[Weights], State]) -> None:
    former, after = states[0][2:4]
    assert equal(part(former, "stages."), part(after, "stages."))
    assert equal(part(former, "head.classifier."), part(after, "head.classifier."))
    assert not equal(part(former, "head.proposals."), part(after, "head.proposals."))


def test_then_the_detectors_layers_alone(states: tuple[list[Weights], State]) -> None:
    former, after = states[0][3:5]
    assert equal(part(former, "stages."), part(after, "stages."))
    assert equal(part(former, "head.proposals."), part(after, "head.proposals."))
    assert not equal(part(former, "head.classifier."), part(after, "head.classifier."))


def test_the_best_epoch_is_one_of_the_last_step(states: tuple[list[Weights], State]) -> None:
    state = states[1]
    assert [math.isnan(line["ap50"]) for line in state.history] == [True, True, True, False]
    assert state.best_epoch == 4
    losses = [{name for name in line if name.startswith("train_")} for line in state.history]
    assert (
        losses == [{"train_loss", "train_rpn_class", "train_rpn_box"}, {"train_loss", "train_class", "train_box"}] * 2
    )


def learning(plan: Training) -> list[Tensor]:
    return [value for name, value in plan.task.network.named_parameters() if not name.startswith("head.separate.")]


def test_the_detector_begins_with_the_initial_weights(data: Dataset) -> None:
    plan = training(data)
    assert plan.phases
    plan.phases.begin_epoch(0, 4)
    initial = weights(plan, "stages.", "head.proposals.")
    with torch.no_grad():
        for value in learning(plan):
            value.add_(1.0)
    plan.phases.begin_epoch(1, 4)
    assert equal(initial, weights(plan, ""))
    with torch.no_grad():
        for value in learning(plan):
            value.add_(1.0)
    learned = weights(plan, "")
    plan.phases.begin_epoch(2, 4)
    after = weights(plan, "")
    assert not torch.equal(after.pop("head.separate.step"), learned.pop("head.separate.step"))
    assert equal(learned, after)


def sample() -> tuple[Tensor, BoxTensors]:
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    boxes = torch.tensor([[4.0, 4, 20, 20], [30, 20, 50, 40], [8, 8, 30, 40]])
    return images, BoxTensors(boxes, torch.tensor([0, 1, 1]), torch.tensor([0, 0, 1]))


def proposed(plan: Training, monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """The regions that the loss of a sample is of."""
    found: list[Tensor] = []
    head = cast(TwoStageHead, plan.task.network.head)
    whole = head.region_losses

    def record(
        outputs: tuple[Tensor, ...], targets: BoxTensors, regions: list[Tensor], random: None
    ) -> dict[str, Tensor]:
        found.extend(regions)
        return whole(outputs, targets, regions, random)

    with monkeypatch.context() as patched:
        patched.setattr(head, "region_losses", record)
        plan.task.loss(*sample(), None)
    return found


def test_the_regions_of_a_step_are_those_of_the_step_before(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = training(data)
    network = cast(Network, plan.task.network).eval()
    head = cast(TwoStageHead, network.head)
    for epoch in (0, 2):
        assert plan.phases
        plan.phases.begin_epoch(epoch, 4)
        with torch.no_grad():
            for value in (*network.stages.parameters(), *head.proposals.parameters()):
                value.add_(0.05 * torch.randn(value.shape, generator=torch.Generator().manual_seed(epoch)))
        learned = copy.deepcopy(network)
        assert proposed(plan, monkeypatch) == []
        plan.phases.begin_epoch(epoch + 1, 4)
        expected = cast(TwoStageHead, learned.head).propose(learned(sample()[0]), (64, 64), head.options.training)
        found = proposed(plan, monkeypatch)
        assert len(found) == len(expected) == 2
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other)


def test_stopped_in_a_step_it_goes_on_to_the_same_weights(
    data: Dataset, states: tuple[list[Weights], State], tmp_path: Path
) -> None:
    for number in (3, 11, 13):  # in the first, the second, the third step, just after its begin
        stopped = training(data)
        steps = len(stopped.train)
        assert steps > 3

        def stop(state: State, after: int = number, steps: int = steps) -> None:
            if state.epoch * steps + state.step == after:
                raise Interrupted("here")

        with pytest.raises(Interrupted):
            fit(stopped, RunFiles(tmp_path, seconds=0, fraction=1e9), Events(step=(stop,)))
    plan = training(data)
    state = fit(plan, RunFiles(tmp_path), Events())
    assert equal(states[0][-1], weights(plan, ""))
    assert repr(state) == repr(states[1])  # AP that is not a number is equal to nothing


def train(data: Dataset, out: Path) -> Any:
    return convolve.train(
        data.root, task="detect", network=NAME, size=64, epochs=4, alternating=True, out=out, threads=1, progress=False
    )


def test_a_run_ends_with_the_network_alone_also_when_it_was_stopped(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = train(data, tmp_path / "run")
    assert found.epoch == 4
    recipe = open_run(tmp_path / "run").recipe
    assert (recipe.task_options["alternating"], recipe.optimization.schedule) == (True, "constant")
    again = convolve.evaluate(tmp_path / "run", progress=False)
    assert again.evaluation.metrics == pytest.approx(found.evaluation.metrics, nan_ok=True)
    begin = AlternatingTraining.begin_epoch

    def stop(phases: AlternatingTraining, epoch: int, epochs: int) -> None:
        if epoch == 2:
            raise Interrupted("here")
        begin(phases, epoch, epochs)

    with monkeypatch.context() as patched:
        patched.setattr(AlternatingTraining, "begin_epoch", stop)
        with pytest.raises(Interrupted):
            train(data, tmp_path / "stopped")
    convolve.train(resume=tmp_path / "stopped", progress=False)
    first, second = (tmp_path / name / "weights.safetensors" for name in ("run", "stopped"))
    assert first.read_bytes() == second.read_bytes()


def test_what_ends_too_early_is_refused(data: Dataset) -> None:
    plan = prepare(
        Recipe(data.root, network=NAME, size=64, epochs=8, task="detect", task_options={"alternating": True}),
        RuntimeOptions("cpu", "fp32", 1),
        sample=data,
    ).prepared
    task = cast(Detect, plan.task)
    assert task.phases
    task.phases.begin_epoch(5, 8)
    with pytest.raises(TrainingError, match=r"ended in step 3 of the 4 .* give more --minutes"):
        task.phases.finish()


@pytest.mark.parametrize(
    ("name", "known", "sentence"),
    [
        ("yolo_compact", {}, "yolo_compact does not propose regions by itself; leave out --alternating"),
        ("fast_rcnn_resnet18", {}, "fast_rcnn_resnet18 does not propose regions by itself"),
        (NAME, {"epochs": 3}, "has four steps; give --epochs 4 or more"),
        (NAME, {"ema_decay": 0.9}, "leave out --ema-decay"),
    ],
)
def test_what_cannot_alternate_is_refused(name: str, known: dict[str, object], sentence: str) -> None:
    facts = Facts(images=100, channels=3, side=300, photographs=True)
    with pytest.raises(OptionError, match=sentence):
        list(Detect.defaults({"alternating": True, **known}, facts, card(name), None))  # type: ignore[arg-type]
