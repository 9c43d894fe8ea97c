"""The loop learns, ends early, follows the plateau, makes full-batch steps, and stops at a loss that is not finite."""

from __future__ import annotations

import json
import math
from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convolve.errors import RunError, TrainingError
from convolve.models import freeze
from convolve.progress import Message, Progress, format_duration
from convolve.training import events
from convolve.training.checkpoints import RunFiles
from convolve.training.events import EpochTimes, EstimateCorrection, Events, ProgressReporter
from convolve.training.learner import Learner
from convolve.training.loop import fit
from convolve.training.recipe import Optimization, Regularization
from convolve.training.step import State, step
from convolve.training.time_limit import TimeLimit
from convolve.values import Batch
from tests.training.small import RECIPE, Digits, digits, linear, network, training


def test_it_learns_and_leaves_the_best_epochs_weights(tmp_path: Path) -> None:
    subject = training(replace(RECIPE, epochs=6), images=800)
    state = fit(subject, RunFiles(tmp_path), Events())
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert state.best == max(line["accuracy"] for line in lines) > 0.8
    assert subject.validate(subject.task.network)["accuracy"] == state.best
    assert lines[-1]["train_loss"] < lines[0]["train_loss"]
    assert state.best_epoch is not None
    assert lines[state.best_epoch - 1]["accuracy"] == state.best


def test_each_step_has_a_seed_of_its_own_the_same_in_every_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds: dict[str, list[int]] = {}
    for name in ("one", "again", "other"):
        recipe = replace(RECIPE, epochs=2, seed=11 if name == "other" else 1)
        subject = training(recipe, images=12 * 16)
        found: list[int] = []
        loss = subject.task.loss

        def record(images: Tensor, targets: Any, random: torch.Generator | None) -> dict[str, Tensor]:
            assert random is not None
            assert random.initial_seed() == torch.initial_seed()
            found.append(random.initial_seed())  # noqa: B023
            return loss(images, targets, random)  # noqa: B023

        monkeypatch.setattr(subject.task, "loss", record)
        fit(subject, RunFiles(tmp_path / name), Events())
        seeds[name] = found
    assert seeds["one"] == seeds["again"]
    assert len({*seeds["one"], *seeds["other"]}) == 2 * 2 * 12
    assert all(0 <= seed < 2**63 for seed in seeds["one"])


def test_patience_ends_it(tmp_path: Path) -> None:
    recipe = replace(RECIPE, epochs=9, regularization=replace(RECIPE.regularization, patience=2))
    metrics = iter([0.1, 0.5, 0.4, 0.5, 0.6])
    state = fit(replace(training(recipe), validate=lambda _: {"accuracy": next(metrics)}), RunFiles(tmp_path), Events())
    assert (state.epoch, state.best_epoch, state.best) == (4, 2, 0.5)
    assert state.ended == "2 epochs without improvement on epoch 2"


def test_the_plateau_lowers_the_learning_rate(tmp_path: Path) -> None:
    recipe = replace(RECIPE, epochs=13, optimization=replace(RECIPE.optimization, schedule="plateau", warmup=0.0))
    state = fit(
        replace(training(recipe, images=16), validate=lambda _: {"accuracy": 0.5}), RunFiles(tmp_path), Events()
    )
    assert [line["learning_rate"] for line in state.history] == pytest.approx([0.01] * 6 + [0.001] * 5 + [0.0001] * 2)


def test_gradient_descent_makes_one_step_from_all_images(tmp_path: Path) -> None:
    """The last batch is smaller, so a mean of the batches' means would differ."""
    optimization = Optimization("gradient-descent", 0.5, 0.0, 0.0, "constant", 0.0, 0.0)
    recipe = replace(
        RECIPE, epochs=2, optimization=optimization, regularization=Regularization(0.0, 0), task_options={}
    )
    subject = training(recipe, images=40, learning=linear())
    fit(subject, RunFiles(tmp_path), Events())
    source = digits(0, 40)
    images, targets = torch.from_numpy(source.images).double().flatten(1), torch.from_numpy(source.targets)
    weight = torch.zeros(10, 64, dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(10, dtype=torch.float64, requires_grad=True)
    for _ in range(2):
        gradients = torch.autograd.grad(F.cross_entropy(images @ weight.T + bias, targets), [weight, bias])
        weight, bias = (weight - 0.5 * gradients[0]).requires_grad_(), (bias - 0.5 * gradients[1]).requires_grad_()
    learner = Learner(subject.task.network, recipe)
    RunFiles(tmp_path).restore(learner)
    found = list(subject.task.network.parameters())
    torch.testing.assert_close(found[0].double(), weight, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(found[1].double(), bias, atol=1e-6, rtol=1e-5)


def test_the_gradients_norms_are_in_the_epochs_line(tmp_path: Path) -> None:
    """With a learning rate of 0 every step of an epoch has the gradients of the first weights."""
    optimization = Optimization("sgd", 0.0, 0.0, 0.0, "constant", 0.0, 0.001)  # the norms are those before clipping
    recipe = replace(RECIPE, epochs=2, optimization=optimization, regularization=Regularization(0.0, 0))
    subject = training(replace(recipe, task_options={}), images=20 * 16, learning=linear())
    state = fit(subject, RunFiles(tmp_path), Events())
    norms = []
    for batch in list(subject.train.epoch(1))[::4]:  # five of twenty
        pixels, targets = torch.from_numpy(batch.images).flatten(1), batch.targets.to("cpu")
        weight, bias = torch.zeros(10, 64, requires_grad=True), torch.zeros(10, requires_grad=True)
        gradients = torch.autograd.grad(F.cross_entropy(pixels @ weight.T + bias, targets), [weight, bias])
        norms.append(math.sqrt(sum(float(each.square().sum()) for each in gradients)))
    assert state.history[1]["gradient_norm_head"] == pytest.approx(np.mean(norms), rel=1e-4)
    assert json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[1]) == state.history[1]


def test_each_part_that_learns_has_a_norm_and_measuring_changes_no_weight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = training()
    freeze(subject.task.network, "stem")  # type: ignore[arg-type]
    state = fit(subject, RunFiles(tmp_path / "measured"), Events())
    found = {name for name in state.history[-1] if name.startswith("gradient_norm_")}
    assert found == {"gradient_norm_body", "gradient_norm_head"}
    monkeypatch.setattr(Learner, "gradient_norms", lambda _: {})
    other = training()
    freeze(other.task.network, "stem")  # type: ignore[arg-type]
    fit(other, RunFiles(tmp_path / "not measured"), Events())
    assert torch.equal(flat(subject.task.network), flat(other.task.network))


def test_the_norm_of_full_batch_steps_is_that_of_the_mean(tmp_path: Path) -> None:
    optimization = Optimization("gradient-descent", 0.5, 0.0, 0.0, "constant", 0.0, 0.0)
    recipe = replace(RECIPE, epochs=1, optimization=optimization, regularization=Regularization(0.0, 0))
    subject = training(replace(recipe, task_options={}), images=40, learning=linear())
    state = fit(subject, RunFiles(tmp_path), Events())
    step_length = float(flat(subject.task.network).norm())  # from weights of 0
    assert state.history[0]["gradient_norm_head"] == pytest.approx(step_length / 0.5, rel=1e-4)


@dataclass(frozen=True)
class Poisoned:
    """The digits, but an image of one batch is infinite."""

    source: Digits
    epoch_number: int
    number: int

    def __len__(self) -> int:
        return len(self.source)

    def epoch(self, number: int, start: int = 0) -> Generator[Batch, None, None]:
        for index, batch in enumerate(self.source.epoch(number, start), start):
            if (number, index) == (self.epoch_number, self.number):
                batch.images[0] = np.inf
            yield batch


def test_a_loss_that_is_not_finite_names_the_step_and_restores_the_last_good_state(tmp_path: Path) -> None:
    subject = training()
    subject = replace(subject, train=Poisoned(digits(0, 160), 1, 6))
    with pytest.raises(TrainingError, match=r"at step 7 of epoch 2; the last good state.*--learning-rate 0\.\d+\."):
        fit(subject, RunFiles(tmp_path, fraction=1e9), Events())
    restored = {name: value.clone() for name, value in subject.task.network.state_dict().items()}
    learner = Learner(subject.task.network, RECIPE)
    state = RunFiles(tmp_path).start(learner)
    assert (state.epoch, state.step) == (1, 0)
    assert all(torch.equal(value, restored[name]) for name, value in subject.task.network.state_dict().items())
    assert all(bool(value.isfinite().all()) for value in restored.values())


def test_a_far_too_high_learning_rate_is_a_sentence(tmp_path: Path) -> None:
    optimization = Optimization("sgd", 1e3, 0.0, 0.5, "constant", 0.0, 0.0)
    with pytest.raises(TrainingError, match=r"Train again with --learning-rate 1e\+02 or --clip-norm 1\."):
        fit(training(replace(RECIPE, optimization=optimization, epochs=50)), RunFiles(tmp_path), Events())


def test_too_little_memory_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = training()
    monkeypatch.setattr(subject.task, "loss", lambda *_: {"loss": torch.empty(1 << 60)})
    with pytest.raises(TrainingError, match=r"16 images in a step; .* --resume .*, or train anew with --batch 8\."):
        fit(subject, RunFiles(tmp_path), Events())


def test_frozen_stages_keep_their_statistics_and_weights(tmp_path: Path) -> None:
    small = network()
    freeze(small, "stem")
    subject = training(replace(RECIPE, epochs=1), learning=small)
    before = {name: value.clone() for name, value in subject.task.network.state_dict().items()}
    fit(subject, RunFiles(tmp_path), Events())
    changed = {
        name for name, value in subject.task.network.state_dict().items() if not torch.equal(value, before[name])
    }
    assert changed == {"stages.body.0.weight", "stages.body.0.bias", "head.2.weight", "head.2.bias"}


def flat(network: nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().reshape(-1) for parameter in network.parameters()])


def test_clipping_shortens_the_step() -> None:
    """With plain gradients the step's length is the learning rate times the gradient's."""
    lengths = {}
    for clip in (0.0, 0.01):
        optimization = Optimization("sgd", 1.0, 0.0, 0.0, "constant", 0.0, clip)
        subject = training(replace(RECIPE, optimization=optimization))
        learner = Learner(subject.task.network, subject.recipe)
        before = flat(subject.task.network)
        assert step(subject, learner, State(), next(subject.train.epoch(0)))
        after = flat(subject.task.network)
        lengths[clip] = float((after - before).norm())
    assert lengths[0.01] == pytest.approx(0.01, rel=1e-3)
    assert lengths[0.0] > 0.1


def test_the_average_is_the_formula() -> None:
    learner = Learner(network(), RECIPE)
    assert learner.ema is not None
    first = {name: value.detach().double().clone() for name, value in learner.network.named_parameters()}
    expected = dict(first)
    for count in range(1, 5):
        with torch.no_grad():
            for value in learner.network.parameters():
                value.add_(count)
        learner.ema.follow(count)
        decay = min(0.99, (1 + count) / (10 + count))
        now = dict(learner.network.named_parameters())
        expected = {name: decay * value + (1 - decay) * now[name].double() for name, value in expected.items()}
    for name, value in learner.ema.network.named_parameters():
        torch.testing.assert_close(value.double(), expected[name], atol=1e-5, rtol=1e-5)


def test_another_networks_checkpoint_is_a_sentence(tmp_path: Path) -> None:
    fit(training(replace(RECIPE, epochs=1), images=16), RunFiles(tmp_path), Events())
    with pytest.raises(RunError, match="does not fit this recipe's network"):
        RunFiles(tmp_path).start(Learner(nn.Linear(2, 2), RECIPE))


def test_events_are_called_and_list_themselves(tmp_path: Path) -> None:
    reports: list[Progress | Message] = []
    steps: list[int] = []

    def count(state: State) -> None:
        steps.append(state.step)

    reporter = ProgressReporter(reports.append, epochs=3, images=160, seconds=0.0)
    events = Events(step=(count, reporter), epoch=(EpochTimes(tmp_path / "timing.jsonl"),))
    assert str(events) == "after each step: count, progress reporter\nafter each epoch: epoch times"
    fit(training(), RunFiles(tmp_path), events)
    assert steps == list(range(1, 11)) * 3
    last = reports[-1]
    assert isinstance(last, Progress)
    assert (last.work, last.done, last.total) == ("training", 480, 480)
    assert last.detail.startswith("epoch 3 of 3, loss ")
    assert "images/s" in last.detail
    assert [json.loads(line)["epoch"] for line in (tmp_path / "timing.jsonl").read_text().splitlines()] == [1, 2, 3]


def test_the_time_left_follows_the_last_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two epochs took 125 s each, while other programs ran; the third one takes 5 s.

    The last step of an epoch knows the validation of the epoch before it, not its own.
    """
    now, reports = 0.0, list[Message | Progress]()
    monkeypatch.setattr(events, "time", SimpleNamespace(monotonic=lambda: now))
    reporter = ProgressReporter(reports.append, epochs=6, images=40, seconds=0.0)
    for epoch, seconds in enumerate([25.0, 25.0, 1.0]):
        for number in range(1, 5):
            now += seconds
            reporter(State(epoch=epoch, step=number, images_done=10 * number, sums={"loss": 1.0}))
        now += seconds
    found = [str(getattr(report, "detail", "")).rpartition(", ")[2] for report in reports]
    assert found[3] == format_duration(25 * 200 / 10) + " left"
    assert found[7] == format_duration(125 / 40 * 160) + " left"
    assert found[11] == format_duration((25 + 4) / 40 * 120) + " left"


def test_when_the_time_is_over_no_epoch_begins(tmp_path: Path) -> None:
    """The clock goes on by 10 s with each epoch; 10 % of the time may be used in addition."""
    now = 1000.0

    def tick(_: State) -> None:
        nonlocal now
        now += 1.0

    limit = TimeLimit(25.0, started=1000.0, reserve=5.0, clock=lambda: now)
    subject = replace(training(replace(RECIPE, epochs=9)), limit=limit)
    state = fit(subject, RunFiles(tmp_path), Events(step=(tick,)))  # ten steps an epoch
    assert state.epoch == 3
    assert state.ended == "the time was over after 3 of 9 epochs"
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 3


def test_with_enough_time_all_epochs_are_made(tmp_path: Path) -> None:
    limit = TimeLimit(25.0, started=1000.0, clock=lambda: 1027.0)
    assert limit.left() == -2.0
    state = fit(replace(training(), limit=limit), RunFiles(tmp_path), Events())
    assert state.ended == "all 3 epochs are done"


def test_a_part_of_the_time_ends_earlier() -> None:
    limit = TimeLimit(100.0, started=0.0, reserve=10.0, clock=lambda: 40.0)
    assert (limit.left(), limit.part(0.25).left(), limit.part(0.25).is_over()) == (50.0, -25.0, True)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 s"), (8, "8 s"), (60, "1 min"), (220, "3 min 40 s"), (3600, "1 h 0 min"), (7499, "2 h 4 min")],
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert format_duration(seconds) == words


def test_the_estimate_is_corrected_by_measured_epochs() -> None:
    """By the median of the epochs so far, and again where that has changed by a third: of 9 s, later of 28 s."""
    seconds = iter([9.0, 20.0, 32.0, 60.0, 88.0, 117.0, 145.0])
    said: list[Progress | Message] = []
    correction = EstimateCorrection(said.append, epochs=20, estimated=6.0, since=0.0, clock=lambda: next(seconds))
    for epoch in range(1, 8):
        correction(State(epoch=epoch))
    assert [event.text for event in said if isinstance(event, Message)] == [
        "An epoch takes about 9 s, not 6 s: 2 min 51 s left of 3 min.",
        "An epoch takes about 20 s, not 9 s: 4 min 40 s left of 6 min 37 s.",
        "An epoch takes about 28 s, not 20 s: 6 min 4 s left of 8 min 29 s.",
    ]


@pytest.mark.parametrize(("estimated", "since", "state"), [
    (8.0, 0.0, State(epoch=1)),  # which is near enough
    (1.0, 0.0, State(epoch=19)),  # as little is left
    (1.0, 0.0, State(epoch=1, ended="early")),
    (1.0, None, State(epoch=1)),  # the first one after a resumption is only a part
])  # fmt: skip
def test_an_estimate_that_is_good_enough_stays(estimated: float, since: float | None, state: State) -> None:
    said: list[Progress | Message] = []
    EstimateCorrection(said.append, 20, estimated, since, clock=lambda: 10.0)(state)
    assert said == []


def test_while_the_metric_is_zero_the_lower_loss_is_better() -> None:
    """Average precision is 0 until a first box fits: the least trained weights are not the best then."""
    state = State()
    rows = [(0.0, 9.0), (0.0, 5.0), (0.0, 7.0), (0.1, 6.0), (0.1, 1.0), (0.0, 0.5)]
    better = [state.close_epoch({"ap50": value, "loss": loss}, "ap50") for value, loss in rows]
    assert better == [True, True, False, True, False, False]
    assert (state.best, state.best_epoch, state.waited) == (0.1, 4, 2)
