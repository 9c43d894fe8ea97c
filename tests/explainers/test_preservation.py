from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from convolve.explainers.methods import METHODS, attributions
from convolve.explainers.preservation import preserve
from convolve.explainers.rectifiers import guided_gradients, project
from convolve.explainers.score_targets import ClassScore
from convolve.models import Network
from tests.explainers.small import images, network

TARGET = ClassScore(torch.tensor([0, 1]))


def _in_training(name: str) -> Network:
    """As in the middle of a training: modes differ, a stage is frozen, there are gradients and somebody's hook."""
    of = network(name).train()
    of.stages["stage1"].eval().requires_grad_(False)
    for number, parameter in enumerate(of.stages["stage2"].parameters()):
        parameter.grad = torch.full_like(parameter, float(number))
    of.head.register_forward_hook(_hook_of_another)
    return of


def _hook_of_another(*_: object) -> None:
    """A hook that was there before."""


def _state(of: Network) -> list[Any]:
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    modules = [(module.training, *(tuple(getattr(module, name).values()) for name in hooks)) for module in of.modules()]
    asked = [(parameter.requires_grad, id(parameter.grad)) for parameter in of.parameters()]
    numbers = [*of.state_dict().values(), *(value.grad for value in of.parameters() if value.grad is not None)]
    switches = torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.get_num_threads()
    return [modules, asked, [value.numpy().tobytes() for value in numbers], torch.get_rng_state().tolist(), switches]


@pytest.mark.parametrize("method", METHODS)
def test_nothing_is_left_behind(method: str) -> None:
    of = _in_training("resnet20_cifar")
    given = images(of).requires_grad_()
    before, pixels = _state(of), given.detach().clone()
    maps = attributions(of, method, given, TARGET, "stage1" if method == "score-cam" else None)
    assert _state(of) == before
    assert torch.equal(given, pixels)
    assert given.grad is None
    assert not maps.requires_grad


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("fails", [0, 2])
def test_nothing_is_left_behind_by_an_exception(method: str, fails: int) -> None:
    of = _in_training("resnet20_cifar")
    of.stages["stage1"].register_forward_hook(_failing(fails))
    before = _state(of)
    with contextlib.suppress(ArithmeticError):  # some run the network less often
        attributions(of, method, images(of), TARGET, "stage1" if method == "score-cam" else None)
    assert _state(of) == before


def _failing(after: int) -> Callable[..., None]:
    calls = iter(range(1000))

    def hook(*_: object) -> None:
        if next(calls) >= after:
            raise ArithmeticError

    return hook


def test_projections_leave_nothing_behind() -> None:
    of = network("maxout").train()
    of.head.register_forward_hook(_hook_of_another)
    before = _state(of)
    guided_gradients(of, images(of), TARGET)
    project(of, images(of), "stage1", 0)
    with contextlib.suppress(ArithmeticError), preserve(of):
        of.register_forward_hook(_hook_of_another)
        torch.rand(1)
        raise ArithmeticError
    assert _state(of) == before


def test_inside_all_is_still() -> None:
    of = _in_training("resnet20_cifar")
    with preserve(of):
        assert not any(module.training for module in of.modules())
        assert not any(parameter.requires_grad or parameter.grad is not None for parameter in of.parameters())
        torch.manual_seed(5)
        of.requires_grad_()
        torch.autograd.backward(of(images(of)).sum())
    assert isinstance(of.head, nn.Sequential)
    assert all(parameter.grad is None for parameter in of.head.parameters())
