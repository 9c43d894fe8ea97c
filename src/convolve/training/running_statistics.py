"""Batch normalization's running statistics, estimated anew on training images before they are judged.

A layer normalizes by the batch in training and by running statistics in evaluation. These move by ``momentum`` of the
way in each step, so that after few steps they still hold what they were initialized to, or what earlier weights gave.
Wu and Johnson, "Rethinking 'Batch' in BatchNorm" (2021), section 3: the mean over some batches with the weights as they
are, which they call precise.
"""

from __future__ import annotations

import copy
from contextlib import closing

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from convolve.runtime import Runtime
from convolve.training.evaluation import evaluation_mode
from convolve.training.recipe import Recipe
from convolve.training.step import BatchSource, Learnable, Training

IMAGES = 512
"""How many images suffice: the mean of so many differs from all images' by a twentieth of their deviation."""
_STEADY = 10
"""So many times 1 / momentum steps after which running statistics are those of an epoch's last steps."""
_GAP, _LEAST_GAP, _GAP_IMAGES = 1.5, 0.1, 128


def is_precise(recipe: Recipe, network: nn.Module, steps: int) -> bool:
    """Whether statistics of a ``network`` in training are estimated anew: as the recipe says, or where an epoch of
    ``steps`` steps is too short for the running ones to follow the weights.
    """
    norms, chosen = _norms(network, network), recipe.optimization.precise_bn
    short = any((norm.momentum or 1.0) * steps < _STEADY for norm in norms)
    return bool(norms) and (short if chosen is None else chosen)


def images_to_estimate(training: Training) -> int:
    """How many training images, if there are as many, pass the network before each validation."""
    return IMAGES if is_precise(training.recipe, training.task.network, len(training.train)) else 0


def why_precise(training: Training) -> str:
    """Why statistics will be estimated anew, where no person chose it; "" where they will not."""
    steps = len(training.train)
    chosen = training.recipe.optimization.precise_bn is not None
    if chosen or not is_precise(training.recipe, training.task.network, steps):
        return ""
    return f"precise_bn yes: running averages lag behind in epochs of {steps} steps"


def find_gap(training: Training) -> str:
    """What to say where training images have a much higher loss with running statistics than with those of their
    batches; "" where they have not.
    """
    if not _norms(training.task.network, training.task.network):
        return ""
    trial = copy.deepcopy(training.task)  # whose running statistics may move
    batches, runtime = training.train, training.runtime
    with evaluation_mode(trial.network):
        running = _loss(trial, batches, runtime, _GAP_IMAGES)
        for norm in _norms(trial.network, trial.network):
            norm.train()
        batchwise = _loss(trial, batches, runtime, _GAP_IMAGES)
    if running < _GAP * batchwise + _LEAST_GAP:
        return ""
    cause = "have seen too few steps; train with --precise-bn or for more epochs"
    if is_precise(training.recipe, training.task.network, len(batches)):
        cause = "are not those of its batches, which are small or unlike each other; train with a larger --batch"
    return (
        f"On the same training images the loss is {running:.2f} in evaluation mode and {batchwise:.2f} in training "
        f"mode: the running statistics of batch normalization {cause}."
    )


def estimate(task: Learnable, trained: nn.Module, batches: BatchSource, runtime: Runtime) -> None:
    """Set the running statistics of the task's network, which is ``trained`` or an average of it, to their means over
    the first `IMAGES` images of ``batches``.

    Only batch normalization is in training mode meanwhile, so nothing is dropped out; layers that are frozen in
    ``trained`` keep theirs. A variance is that within batches, as in training.
    """
    norms = _norms(task.network, trained)
    momenta = [norm.momentum for norm in norms]
    with evaluation_mode(task.network):
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # the plain mean of all batches
            norm.train()
        _loss(task, batches, runtime, IMAGES)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def _loss(task: Learnable, batches: BatchSource, runtime: Runtime, most: int) -> float:
    """The mean loss of the first batches, until these are ``most`` images, in the modes that the layers are in."""
    total, images = 0.0, 0
    with closing(batches.epoch(0)) as epoch, torch.inference_mode():
        while images < most and (batch := next(epoch, None)):
            with runtime.arithmetic():
                targets = batch.targets.to(runtime.device)
                losses, _ = task.loss_and_predictions(runtime.images(batch.images), targets)
            total += losses["loss"].item() * len(batch.images)
            images += len(batch.images)
    return total / images


def _norms(network: nn.Module, trained: nn.Module) -> list[_BatchNorm]:
    """The layers of a network whose statistics follow the training: those that are not frozen in ``trained``."""
    found = []
    for module, other in zip(network.modules(), trained.modules(), strict=True):
        if isinstance(module, _BatchNorm) and isinstance(other, _BatchNorm) and module.track_running_stats:
            found += [module] if not other.affine or other.weight.requires_grad else []
    return found
