"""Schedules against torch's own, and by hand where torch has none."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from convolve.training.recipe import Optimization, ScheduleName
from convolve.training.schedules import learning_rate_at

STEPS, EPOCHS = 10, 6


def ours(schedule: ScheduleName, warmup: float = 0.0) -> list[float]:
    optimization = Optimization(learning_rate=0.4, schedule=schedule, warmup=warmup)
    return [learning_rate_at(optimization, step, STEPS, EPOCHS) for step in range(STEPS * EPOCHS)]


def torchs(make: object) -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.4)
    schedule = make(optimizer)  # type: ignore[operator]
    values = []
    for _ in range(STEPS * EPOCHS):
        values.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return values


def test_one_cycle_is_torchs() -> None:
    def cycle(optimizer: torch.optim.Optimizer) -> object:
        return torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.4, total_steps=60, pct_start=0.3, cycle_momentum=False)

    assert ours("one-cycle", warmup=0.3 * EPOCHS) == pytest.approx(torchs(cycle))


def test_cosine_is_torchs() -> None:
    assert ours("cosine") == pytest.approx(torchs(lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 60)))


def test_step_divides_by_ten_at_half_and_three_quarters() -> None:
    values = torchs(lambda o: torch.optim.lr_scheduler.MultiStepLR(o, [30, 45], 0.1))
    assert ours("step") == pytest.approx(values)


@pytest.mark.parametrize("schedule", ["constant", "plateau"])
def test_the_learning_rate_stays_after_a_straight_rise(schedule: ScheduleName) -> None:
    values = ours(schedule, warmup=2)
    assert values[:20] == pytest.approx([0.4 * (step + 1) / 20 for step in range(20)])
    assert values[20:] == [0.4] * 40


@given(
    st.sampled_from(["constant", "step", "cosine", "one-cycle", "plateau"]),
    st.integers(1, 50),
    st.integers(1, 20),
    st.floats(0, 30),
)
def test_the_learning_rate_is_reached_and_never_exceeded(
    schedule: ScheduleName, steps: int, epochs: int, warmup: float
) -> None:
    optimization = Optimization(learning_rate=0.4, schedule=schedule, warmup=min(warmup, epochs / 2))
    values = [learning_rate_at(optimization, step, steps, epochs) for step in range(steps * epochs)]
    assert min(values) >= 0
    assert max(values) <= 0.4 + 1e-12
    if steps * epochs > 1:
        assert max(values) == pytest.approx(0.4)
