"""The plan: measured on a copy, and a batch from arithmetic alone."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from convolve.errors import TrainingError
from convolve.runtime import Runtime
from convolve.summary import Costs
from convolve.training import loop, plan
from convolve.training.loop import fit
from convolve.training.plan import Plan, batch_for_memory, measure
from convolve.training.running_statistics import IMAGES
from convolve.training.step import State
from convolve.values import Batch
from tests.training.small import RECIPE, Digits, digits, training
from tests.verbs.synthetic import folders, train

COSTS = Costs((10**9,), weight_bytes=4 * 10**6, activation_bytes=10**8)
FP32 = Runtime("cpu", "fp32", channels_last=True, threads=1, reasons=())


def test_measuring_changes_neither_weights_nor_random_state() -> None:
    subject = training()
    before = {name: value.clone() for name, value in subject.task.network.state_dict().items()}
    random = torch.get_rng_state()
    found = measure(subject, validation_images=200)
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(value, before[name]) for name, value in subject.task.network.state_dict().items())
    assert all(parameter.grad is None for parameter in subject.task.network.parameters())
    assert found.epochs == 3


@dataclass
class Clock:
    """A clock that only moves when a step or the reading of a batch takes its time."""

    now: float = 100.0

    def perf_counter(self) -> float:
        return self.now


@dataclass(frozen=True)
class Slow:
    """Digits of which each batch takes some time to read."""

    source: Digits
    clock: Clock
    seconds: float

    def __len__(self) -> int:
        return len(self.source)

    def epoch(self, number: int, start: int = 0) -> Generator[Batch, None, None]:
        for batch in self.source.epoch(number, start):
            self.clock.now += self.seconds
            yield batch


def measured(
    patch: pytest.MonkeyPatch,
    steps: Sequence[float],
    images: int,
    validation_images: int,
    reading: float = 0.0,
    *,
    precise: bool = False,
) -> tuple[Plan, int]:
    """The plan of three epochs in batches of 16 if the steps take these seconds, and the number of steps made."""
    clock, durations, made = Clock(), iter(steps), 0

    def step(*_: object) -> bool:
        nonlocal made
        made += 1
        clock.now += next(durations)
        return True

    patch.setattr(plan, "time", clock)
    patch.setattr(plan, "step", step)
    recipe = replace(RECIPE, optimization=replace(RECIPE.optimization, precise_bn=precise))
    subject = training(recipe, images)
    subject = replace(subject, train=Slow(digits(0, images), clock, reading))
    return measure(subject, validation_images), made


def test_an_epoch_takes_the_median_step_times_the_steps_and_a_third_of_it_for_validation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The two steps of warming up do not count, nor do a few slow ones, while other programs ran."""
    steps = [9.0, 0.9, 0.2, 0.1, 0.3, 0.2, 0.1, 0.3, 1.5, 0.2, 0.2, 0.9, 0.1, 0.2, 99.0]
    found, made = measured(monkeypatch, steps, images=16 * 30 + 5, validation_images=96)
    assert made == 14
    assert found.epochs == 3
    assert found.seconds_per_epoch == pytest.approx(0.2 * 31 + 0.2 / 3 * 96 / 16, rel=1e-9)
    assert found.images_per_second == pytest.approx(16 / 0.2, rel=1e-9)
    assert str(found) == "3 epochs, about 20 s on this machine"


def test_the_time_to_read_a_batch_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = measured(monkeypatch, [0.25] * 14, images=320, validation_images=0, reading=0.5)
    assert found.seconds_per_epoch == pytest.approx(20 * 0.75, rel=1e-9)


@pytest.mark.parametrize(("images", "estimated"), [(320, 320), (16 * 60, IMAGES)])
def test_the_images_whose_statistics_are_estimated_count_as_those_of_validation(
    images: int, estimated: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, _ = measured(monkeypatch, [0.25] * 14, images=images, validation_images=96, precise=True)
    expected = 0.25 * images / 16 + 0.25 / 3 * (96 + estimated) / 16
    assert found.seconds_per_epoch == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("steps", "made", "median"),
    [
        ([2.0, 1.5, 1.0, 1.2, 1.0, 1.1, 1.3, 1.0], 7, 1.1),  # five seconds after the warm-up
        ([2.0, 1.5, 3.0, 4.0, 2.0, 1.0], 5, 3.0),  # three steps at least
        ([8.0, 4.0, 2.0, 3.0, 2.0], 4, 2.5),  # unless they take far too long
        ([99.0, 20.0, 1.0], 2, 20.0),
    ],
)
def test_slow_steps_are_measured_for_a_few_seconds_after_the_warm_up(
    steps: list[float], made: int, median: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, count = measured(monkeypatch, steps, images=160, validation_images=0)
    assert count == made
    assert found.seconds_per_epoch == pytest.approx(10 * median, rel=1e-9)


def test_few_batches_are_measured_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first step of all takes seconds where others take none."""
    found, made = measured(monkeypatch, [4.0, 1.0, *[0.02] * 12], images=10, validation_images=20)
    assert made == 14
    assert found.seconds_per_epoch == pytest.approx(0.02 + 0.02 / 3 * 20 / 10, rel=1e-9)
    assert found.images_per_second == pytest.approx(10 / 0.02, rel=1e-9)


def test_without_a_batch_nothing_can_be_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TrainingError, match="no batch of two images"):
        measured(monkeypatch, [], images=0, validation_images=1)


def test_the_estimate_of_a_real_training_is_within_thirty_percent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the processor's time of one thread, which does not depend on what else the machine is doing."""
    plans: list[Plan] = []
    seconds: list[float] = []

    def note_plan(*parts: Any) -> Plan:
        plans.append(measure(*parts))
        return plans[-1]

    def timed_fit(*parts: Any) -> State:
        began = time.process_time()
        state = fit(*parts)
        seconds.append(time.process_time() - began)
        return state

    monkeypatch.setattr(plan, "time", SimpleNamespace(perf_counter=time.process_time))
    monkeypatch.setattr(plan, "measure", note_plan)
    monkeypatch.setattr(loop, "fit", timed_fit)
    data = folders(tmp_path / "data", {"a": 160, "b": 160})
    options = {"size": 32, "epochs": 10, "batch": 32, "threads": 1, "validation": 0.2, "precision": "fp32"}
    train(data, network="resnet20_cifar", **options, out=tmp_path / "run")
    estimate = plans[0].epochs * plans[0].seconds_per_epoch
    assert seconds[0] > 1
    assert estimate == pytest.approx(seconds[0], rel=0.3)
    # The 48 of validation, and the 192 whose statistics are estimated, take a third of the time.
    assert plans[0].images_per_second == pytest.approx(10 * (192 + (48 + 192) / 3) / seconds[0], rel=0.5)


def test_a_plan_is_a_sentence() -> None:
    assert str(Plan(24, 220 / 24, 100.0)) == "24 epochs, about 3 min 40 s on this machine"
    assert str(Plan(1, 5.0, 100.0)) == "1 epoch, about 5 s on this machine"


def test_the_batch_is_halved_until_it_fits() -> None:
    assert batch_for_memory(32, COSTS, "adamw", FP32, 64 << 30) == 32
    smaller = batch_for_memory(32, COSTS, "adamw", FP32, 2 << 30)
    assert smaller in (4, 8)
    assert batch_for_memory(32, COSTS, "adamw", replace(FP32, precision="bf16"), 2 << 30) == 2 * smaller


def test_not_even_one_image_is_a_sentence() -> None:
    with pytest.raises(TrainingError, match=r"GiB for one image, but 0\.1 GiB may be used; use a smaller --size"):
        batch_for_memory(32, COSTS, "sgd", FP32, 100 << 20)
