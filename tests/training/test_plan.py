"""The plan: measured on a copy, and a batch from arithmetic alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from convolve.errors import TrainingError
from convolve.runtime import Runtime
from convolve.summary import Summary
from convolve.training.plan import Plan, batch_for_memory, measure
from tests.training.small import RECIPE, training

SUMMARY = Summary((), 10**6, 10**6, 10**9, weight_bytes=4 * 10**6, activation_bytes=10**8)
FP32 = Runtime("cpu", "fp32", channels_last=True, threads=1, reasons=())


def test_measuring_changes_neither_weights_nor_random_state() -> None:
    subject = training()
    before = {name: value.clone() for name, value in subject.task.network.state_dict().items()}
    random = torch.get_rng_state()
    plan = measure(subject, validation_images=200)
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(value, before[name]) for name, value in subject.task.network.state_dict().items())
    assert all(parameter.grad is None for parameter in subject.task.network.parameters())
    assert plan.epochs == 3
    assert 0 < plan.seconds_per_epoch < 60
    assert plan.images_per_second > 1


def test_one_batch_is_enough() -> None:
    assert measure(training(replace(RECIPE, batch=64), images=10), validation_images=0).images_per_second > 1


def test_a_plan_is_a_sentence() -> None:
    assert str(Plan(24, 220 / 24, 100.0)) == "24 epochs, about 3 min 40 s on this machine"
    assert str(Plan(1, 5.0, 100.0)) == "1 epoch, about 5 s on this machine"


def test_the_batch_is_halved_until_it_fits() -> None:
    assert batch_for_memory(32, SUMMARY, "adamw", FP32, 64 << 30) == 32
    smaller = batch_for_memory(32, SUMMARY, "adamw", FP32, 2 << 30)
    assert smaller in (4, 8)
    assert batch_for_memory(32, SUMMARY, "adamw", replace(FP32, precision="bf16"), 2 << 30) == 2 * smaller


def test_not_even_one_image_is_a_sentence() -> None:
    with pytest.raises(TrainingError, match=r"GiB for one image, but 0\.1 GiB may be used; use a smaller --size"):
        batch_for_memory(32, SUMMARY, "sgd", FP32, 100 << 20)
