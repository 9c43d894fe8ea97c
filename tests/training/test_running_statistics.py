"""Running statistics that are estimated anew are PyTorch's own; what lags behind is named."""

from __future__ import annotations

import copy
import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import update_bn

from convolve.models import Network
from convolve.progress import Message
from convolve.setup.runtime_options import RuntimeOptions
from convolve.tasks.classify.task import Classify
from convolve.training.learner import Average
from convolve.training.recipe import Optimization, Recipe, Regularization
from convolve.training.running_statistics import IMAGES, estimate, find_gap, is_precise, why_precise
from convolve.verbs.train import COMMAND, Train, Trained
from tests.training.small import RECIPE, RUNTIME, linear, training


def _norm(module: nn.Module) -> nn.BatchNorm2d:
    return next(each for each in module.modules() if isinstance(each, nn.BatchNorm2d))


def test_they_are_those_of_update_bn_and_nothing_else_changes() -> None:
    subject = training(images=400)
    task, ours = subject.task, _norm(subject.task.network)
    theirs = copy.deepcopy(task.network)
    with closing(subject.train.epoch(0)) as batches:
        update_bn([RUNTIME.images(batch.images) for batch in batches], theirs)
    before = copy.deepcopy(task.network.state_dict())
    estimate(task, task.network, subject.train, RUNTIME)
    assert ours.running_mean is not None
    torch.testing.assert_close(ours.running_mean, _norm(theirs).running_mean)
    torch.testing.assert_close(ours.running_var, _norm(theirs).running_var)
    assert ours.momentum == 0.1
    assert all(module.training for module in task.network.modules())
    changed = {name for name, tensor in task.network.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {f"stages.stem.1.{name}" for name in ("running_mean", "running_var", "num_batches_tracked")}


def test_the_first_images_suffice_and_frozen_layers_keep_theirs() -> None:
    subject = training(images=IMAGES + 160)
    estimate(subject.task, subject.task.network, subject.train, RUNTIME)
    assert int(_norm(subject.task.network).num_batches_tracked) == IMAGES / 16  # type: ignore[arg-type]
    frozen = training()
    frozen.task.network.requires_grad_(requires_grad=False)
    estimate(frozen.task, frozen.task.network, frozen.train, RUNTIME)
    assert _norm(frozen.task.network).running_mean.tolist() == [0.0] * 4  # type: ignore[union-attr]


def test_those_of_an_average_are_estimated_too() -> None:
    """None of its parameters learns by itself, as if it were frozen."""
    subject = training(images=320)
    average = Average(subject.task.network, 0.9).network
    assert isinstance(average, Network)
    assert isinstance(subject.task, Classify)
    estimate(subject.task.with_network(average), subject.task.network, subject.train, RUNTIME)
    estimate(subject.task, subject.task.network, subject.train, RUNTIME)
    assert int(_norm(average).num_batches_tracked) == 20  # type: ignore[arg-type]
    torch.testing.assert_close(_norm(average).running_var, _norm(subject.task.network).running_var)


@pytest.mark.parametrize(("momentum", "images", "expected"), [(0.1, 1584, 99), (0.1, 1600, 0), (0.01, 1600, 100)])
def test_an_epoch_is_short_by_the_layers_momentum(momentum: float, images: int, expected: int) -> None:
    subject = training(images=images)
    _norm(subject.task.network).momentum = momentum
    sentence = f"precise_bn yes: running averages lag behind in epochs of {expected} steps"
    assert why_precise(subject) == (sentence if expected else "")
    assert is_precise(subject.recipe, subject.task.network, len(subject.train)) is bool(expected)
    assert not why_precise(training(learning=linear()))
    assert not why_precise(training(_recipe(precise=True)))
    assert not is_precise(_recipe(precise=True), linear(), 1)


def test_a_gap_is_named_with_its_cause() -> None:
    subject = training(_recipe(precise=False), images=320)
    norm = _norm(subject.task.network)
    estimate(subject.task, subject.task.network, subject.train, RUNTIME)
    assert not find_gap(subject)
    assert norm.running_var is not None
    norm.running_var.mul_(1e-6)
    before = norm.running_var.clone()
    sentence = find_gap(subject)
    assert "training mode: the running statistics of batch normalization have seen too few steps" in sentence
    assert "larger --batch" in find_gap(replace(subject, recipe=_recipe(precise=True)))
    assert torch.equal(norm.running_var, before)
    assert not find_gap(training(learning=linear()))


def _recipe(*, precise: bool) -> Recipe:
    return replace(RECIPE, optimization=replace(RECIPE.optimization, precise_bn=precise))


@pytest.mark.parametrize(("precise", "ema"), [(None, 0.0), (None, 0.5), (False, 0.0)])
def test_the_lectures_network_with_batch_normalization_learns_digits(
    precise: bool | None, ema: float, tmp_path: Path
) -> None:
    """Its momentum is Keras' 0.01, at which 5 epochs of 10 steps leave the running statistics near their start."""
    recipe = Recipe(
        "digits",
        network="batchnorm_cnn",
        epochs=5,
        optimization=Optimization(precise_bn=precise),
        regularization=Regularization(ema_decay=ema),
    )
    events: list[object] = []
    result = COMMAND.run(Train(recipe, runtime=RuntimeOptions(threads=1), out=tmp_path / "run"), events.append)
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    said = [each.text for each in events if isinstance(each, Message)]
    warning = [each for each in manifest["data"]["warnings"] if "running statistics" in each]
    assert isinstance(result, Trained)
    if precise is False:
        assert result.evaluation.metrics["accuracy"] < 0.3
        assert "have seen too few steps; train with --precise-bn" in warning[0]
        assert warning[0] in said
    else:
        assert result.evaluation.metrics["accuracy"] > 0.85
        assert not warning
        assert "precise_bn yes: running averages lag behind in epochs of 10 steps" in said
