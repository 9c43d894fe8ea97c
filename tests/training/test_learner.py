"""Every update rule against the lectures' formula, written out in float64."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from convolve.training.learner import Learner, build_optimizer
from convolve.training.recipe import Optimization, Recipe

LEARNING_RATE, MOMENTUM, DECAY, STEPS = 0.05, 0.9, 0.02, 7
Formula = Callable[[Tensor, Callable[[Tensor], Tensor]], Tensor]


def gradient(weights: Tensor) -> Tensor:
    """Of sum(w^4 / 4 + w) over the weights."""
    return weights**3 + 1


def sgd(w: Tensor, g: Callable[[Tensor], Tensor]) -> Tensor:
    for _ in range(STEPS):
        w = w - LEARNING_RATE * (g(w) + DECAY * w)
    return w


def momentum(w: Tensor, g: Callable[[Tensor], Tensor]) -> Tensor:
    v = torch.zeros_like(w)
    for _ in range(STEPS):
        v = MOMENTUM * v + g(w) + DECAY * w
        w = w - LEARNING_RATE * v
    return w


def nesterov(w: Tensor, g: Callable[[Tensor], Tensor]) -> Tensor:
    """Sutskever et al. 2013 in the look-ahead's coordinates: the gradient is taken after the momentum's step."""
    v = torch.zeros_like(w)
    for _ in range(STEPS):
        d = g(w) + DECAY * w
        v = MOMENTUM * v + d
        w = w - LEARNING_RATE * (d + MOMENTUM * v)
    return w


def adagrad(w: Tensor, g: Callable[[Tensor], Tensor]) -> Tensor:
    total = torch.zeros_like(w)
    for _ in range(STEPS):
        d = g(w) + DECAY * w
        total = total + d**2
        w = w - LEARNING_RATE * d / (total.sqrt() + 1e-10)
    return w


def rmsprop(w: Tensor, g: Callable[[Tensor], Tensor]) -> Tensor:
    mean, v = torch.zeros_like(w), torch.zeros_like(w)
    for _ in range(STEPS):
        d = g(w) + DECAY * w
        mean = 0.99 * mean + 0.01 * d**2
        v = MOMENTUM * v + d / (mean.sqrt() + 1e-8)
        w = w - LEARNING_RATE * v
    return w


def adadelta(w: Tensor, g: Callable[[Tensor], Tensor]) -> Tensor:
    """Zeiler 2012, algorithm 1, times the learning rate."""
    squares, moves = torch.zeros_like(w), torch.zeros_like(w)
    for _ in range(STEPS):
        d = g(w) + DECAY * w
        squares = 0.9 * squares + 0.1 * d**2
        move = (moves + 1e-6).sqrt() / (squares + 1e-6).sqrt() * d
        moves = 0.9 * moves + 0.1 * move**2
        w = w - LEARNING_RATE * move
    return w


def adam(w: Tensor, g: Callable[[Tensor], Tensor], coupled: float = DECAY, apart: float = 0.0) -> Tensor:
    """Kingma and Ba 2015, algorithm 1."""
    first, second = torch.zeros_like(w), torch.zeros_like(w)
    for step in range(1, STEPS + 1):
        d = g(w) + coupled * w
        first = 0.9 * first + 0.1 * d
        second = 0.999 * second + 0.001 * d**2
        w = w - LEARNING_RATE * apart * w
        w = w - LEARNING_RATE * (first / (1 - 0.9**step)) / ((second / (1 - 0.999**step)).sqrt() + 1e-8)
    return w


def adamw(w: Tensor, g: Callable[[Tensor], Tensor]) -> Tensor:
    return adam(w, g, coupled=0.0, apart=DECAY)


FORMULAS: dict[str, Formula] = {
    "gradient-descent": sgd,
    "sgd": sgd,
    "momentum": momentum,
    "nesterov": nesterov,
    "adagrad": adagrad,
    "rmsprop": rmsprop,
    "adadelta": adadelta,
    "adam": adam,
    "adamw": adamw,
}


class Weights(nn.Module):
    """One matrix and one bias, both (…) float64."""

    def __init__(self) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.linspace(-1, 1, 6, dtype=torch.float64).reshape(2, 3))
        self.bias = nn.Parameter(torch.linspace(-1, 1, 3, dtype=torch.float64))


@pytest.mark.parametrize("name", FORMULAS)
def test_a_rule_is_its_formula_with_decay_on_matrices_only(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = Weights()
    start = {key: value.detach().clone() for key, value in weights.named_parameters()}
    optimizer = build_optimizer(weights, Optimization(name, LEARNING_RATE, MOMENTUM, DECAY))  # type: ignore[arg-type]
    for _ in range(STEPS):
        optimizer.zero_grad()
        sum((w**4 / 4 + w).sum() for w in weights.parameters()).backward()  # type: ignore[union-attr]
        optimizer.step()
    torch.testing.assert_close(weights.matrix.detach(), FORMULAS[name](start["matrix"], gradient))
    monkeypatch.setattr(f"{__name__}.DECAY", 0.0)
    undecayed = adam(start["bias"], gradient, 0.0) if name == "adamw" else FORMULAS[name](start["bias"], gradient)
    if name == "adam":
        undecayed = adam(start["bias"], gradient, 0.0)
    torch.testing.assert_close(weights.bias.detach(), undecayed)


def test_frozen_parameters_are_left_out() -> None:
    weights = Weights()
    weights.bias.requires_grad = False
    groups = build_optimizer(weights, Optimization("adam", LEARNING_RATE, MOMENTUM, DECAY)).param_groups
    assert [parameter.shape for group in groups for parameter in group["params"]] == [weights.matrix.shape]


def test_without_momentum_nesterov_is_sgd() -> None:
    optimizer = build_optimizer(Weights(), Optimization("nesterov", LEARNING_RATE, 0.0, 0.0))
    assert not optimizer.defaults["nesterov"]
    assert math.isclose(optimizer.defaults["lr"], LEARNING_RATE)


def test_biases_of_layers_learn_at_their_own_learning_rate_as_caffe_has_it() -> None:
    """Shelhamer et al. 2016, section 4.4: twice the learning rate for biases; their definitions let these not decay."""
    recipe = Recipe(optimization=Optimization("momentum", LEARNING_RATE, MOMENTUM, DECAY, bias_rate=2.0))
    network = nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2))
    theirs = copy.deepcopy(network)
    learner = Learner(network, recipe)
    convolution, normalization = theirs
    groups: list[dict[str, Any]] = [
        {"params": [convolution.weight], "weight_decay": DECAY},
        {"params": [convolution.bias], "lr": 2 * LEARNING_RATE},
        {"params": [*normalization.parameters()]},
    ]
    by_hand = torch.optim.SGD(groups, lr=LEARNING_RATE, momentum=MOMENTUM)
    images = torch.rand(4, 3, 5, 5, generator=torch.Generator().manual_seed(1))
    for step in range(1, STEPS + 1):
        (network(images) - 1).square().mean().backward()
        learner.update(LEARNING_RATE, step)
        by_hand.zero_grad()
        (theirs(images) - 1).square().mean().backward()
        by_hand.step()
    for ours, other in zip(network.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(ours, other)
