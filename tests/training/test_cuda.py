"""Training on a GPU: as on the processor, in bfloat16 too, channels-last, and resumed to the same bits."""

from __future__ import annotations

import json
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import convolve
from convolve.errors import Interrupted, TrainingError
from convolve.models import Network
from convolve.runtime import Runtime, choose
from convolve.training.checkpoints import RunFiles
from convolve.training.events import Events
from convolve.training.loop import fit
from convolve.training.recipe import Optimization, OptimizerName, Regularization
from convolve.training.step import State
from tests.training.small import RECIPE, RUNTIME, network, training
from tests.verbs.synthetic import train

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")

GPU = Runtime("cuda", "fp32", channels_last=True, threads=1, reasons=())
BF16 = replace(GPU, precision="bf16")
FILES = ("metrics.jsonl", "checkpoints/best.safetensors", "checkpoints/last.safetensors")
STEADY = replace(RECIPE, epochs=2, regularization=Regularization(ema_decay=0.9, patience=0), task_options={})
"""Without mixup, so that nothing is drawn at random on the device."""


@pytest.fixture(autouse=True)
def exact_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """fp32 is fp32: by default, cuDNN rounds what it multiplies to 10 bits (TF32)."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


def without_dropout() -> Network:
    found = network()
    for module in found.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return found


def losses_of_steps(runtime: Runtime, optimization: Optimization, folder: Path) -> tuple[list[float], list[Tensor]]:
    """The loss of every step of two epochs, and the best weights."""
    totals: list[float] = []

    def note(state: State) -> None:
        totals.append(state.sums["loss"])

    recipe = replace(STEADY, optimization=optimization)
    subject = training(recipe, learning=without_dropout(), runtime=runtime)
    fit(subject, RunFiles(folder), Events(step=(note,)))
    per_epoch = len(subject.train)
    assert len(totals) == 2 * per_epoch
    epochs = np.asarray(totals).reshape(2, per_epoch)
    losses = np.diff(epochs, axis=1, prepend=0.0) / 16
    return losses.ravel().tolist(), [parameter.detach().cpu() for parameter in subject.task.network.parameters()]


def contents(run: Path) -> dict[str, bytes]:
    return {name: (run / name).read_bytes() for name in FILES}


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adadelta", "adamw"])
def test_the_losses_are_those_of_the_processor(optimizer: OptimizerName, tmp_path: Path) -> None:
    rate = {"adagrad": 0.01, "rmsprop": 0.001, "adadelta": 1.0, "adamw": 0.001}.get(optimizer, 0.05)
    optimization = Optimization(optimizer, rate, 0.9, 1e-4, "constant", 0.0, 1.0)
    here, weights = losses_of_steps(RUNTIME, optimization, tmp_path / "processor")
    there, weights_there = losses_of_steps(GPU, optimization, tmp_path / "gpu")
    assert here[-1] < here[0]
    assert there == pytest.approx(here, rel=5e-3)
    assert there[:3] == pytest.approx(here[:3], rel=1e-4)
    for one, other in zip(weights, weights_there, strict=True):
        torch.testing.assert_close(one, other, atol=5e-3, rtol=5e-2)


def test_gradient_descent_is_that_of_the_processor(tmp_path: Path) -> None:
    optimization = Optimization("gradient-descent", 0.1, 0.0, 0.0, "constant", 0.0, 0.0)
    here, _ = losses_of_steps(RUNTIME, optimization, tmp_path / "processor")
    there, _ = losses_of_steps(GPU, optimization, tmp_path / "gpu")
    assert there == pytest.approx(here, rel=1e-3)


@pytest.mark.skipif(
    not (torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)),
    reason="the GPU has no bfloat16",
)
def test_bfloat16_learns_with_weights_in_fp32(tmp_path: Path) -> None:
    recipe = replace(RECIPE, epochs=6)
    subject = training(recipe, images=800, runtime=BF16)
    formats: set[torch.dtype] = set()
    convolution = next(module for module in subject.task.network.modules() if isinstance(module, nn.Conv2d))
    handle = convolution.register_forward_hook(lambda _, __, output: formats.add(output.dtype))
    state = fit(subject, RunFiles(tmp_path), Events())
    handle.remove()
    assert formats == {torch.bfloat16}
    assert {parameter.dtype for parameter in subject.task.network.parameters()} == {torch.float32}
    assert {parameter.device.type for parameter in subject.task.network.parameters()} == {"cuda"}
    assert state.best is not None
    assert state.best > 0.8
    assert state.history[-1]["train_loss"] < state.history[0]["train_loss"]


def test_images_weights_and_maps_are_channels_last() -> None:
    chosen = choose("cuda", "fp32", threads=1, macs=300_000)
    assert chosen.channels_last
    subject = training(runtime=chosen)
    convolution = next(module for module in subject.task.network.modules() if isinstance(module, nn.Conv2d))
    assert convolution.weight.device.type == "cuda"
    batch = next(subject.train.epoch(0))
    images = chosen.images(batch.images.repeat(3, axis=3))
    assert images.device.type == "cuda"
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(images.cpu(), torch.from_numpy(batch.images.repeat(3, axis=3).transpose(0, 3, 1, 2).copy()))
    layer = chosen.prepare(nn.Conv2d(3, 8, 3))
    assert isinstance(layer, nn.Conv2d)
    assert layer.weight.is_contiguous(memory_format=torch.channels_last)
    assert layer(images).is_contiguous(memory_format=torch.channels_last)


def stop(state: State) -> None:
    if (state.epoch, state.step) == (1, 4):
        signal.raise_signal(signal.SIGTERM)


@pytest.mark.parametrize("runtime", [GPU, BF16], ids=["fp32", "bf16"])
def test_interrupted_and_resumed_it_ends_with_the_same_bits(runtime: Runtime, tmp_path: Path) -> None:
    """With dropout and mixup, whose random numbers are drawn on the GPU."""
    fit(training(runtime=runtime), RunFiles(tmp_path / "whole"), Events())
    with pytest.raises(Interrupted, match="epoch 2 after step 4 of 10"):
        fit(training(runtime=runtime), RunFiles(tmp_path / "stopped"), Events(step=(stop,)))
    fit(training(runtime=runtime), RunFiles(tmp_path / "stopped"), Events())
    assert contents(tmp_path / "stopped") == contents(tmp_path / "whole")


@pytest.mark.parametrize("optimizer", ["nesterov", "adagrad", "rmsprop", "adadelta", "adam"])
def test_every_optimizers_state_is_resumed(optimizer: OptimizerName, tmp_path: Path) -> None:
    recipe = replace(RECIPE, optimization=replace(RECIPE.optimization, optimizer=optimizer, learning_rate=0.003))
    fit(training(recipe, runtime=GPU), RunFiles(tmp_path / "whole"), Events())
    with pytest.raises(Interrupted):
        fit(training(recipe, runtime=GPU), RunFiles(tmp_path / "stopped"), Events(step=(stop,)))
    fit(training(recipe, runtime=GPU), RunFiles(tmp_path / "stopped"), Events())
    assert contents(tmp_path / "stopped") == contents(tmp_path / "whole")


def test_the_gpus_random_state_is_restored(tmp_path: Path) -> None:
    before = torch.cuda.get_rng_state()
    fit(training(replace(RECIPE, epochs=1), images=32, runtime=GPU), RunFiles(tmp_path), Events())
    assert torch.equal(torch.cuda.get_rng_state(), before)


def test_too_little_memory_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = training(runtime=GPU)
    monkeypatch.setattr(subject.task, "loss", lambda *_: {"loss": torch.empty(1 << 50, device="cuda")})
    with pytest.raises(TrainingError, match=r"16 images in a step; .* --resume .*, or train anew with --batch 8\."):
        fit(subject, RunFiles(tmp_path), Events())


def end_to_end(options: dict[str, Any], out: Path) -> Any:
    return train("digits", **{"network": "lenet5_keras", "size": 16, "epochs": 2, **options}, out=out)


def test_a_run_from_the_gpu_is_evaluated_the_same_there_and_nearly_so_on_the_processor(tmp_path: Path) -> None:
    run = end_to_end({"device": "cuda", "precision": "fp32"}, tmp_path / "run")
    manifest = json.loads((run.run / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["runtime"]["device"] == "cuda"
    assert run.evaluation.metrics["accuracy"] > 0.7
    there = convolve.evaluate(run.run, device="cuda", progress=False, report=tmp_path / "there.html")
    assert there.evaluation.as_json() == run.evaluation.as_json()
    here = convolve.evaluate(run.run, device="cpu", threads=1, progress=False, report=tmp_path / "here.html")
    assert here.evaluation.metrics["accuracy"] == pytest.approx(run.evaluation.metrics["accuracy"], abs=0.01)


def test_a_recipe_repeats_the_training_to_the_same_bits(tmp_path: Path) -> None:
    first = end_to_end({"device": "cuda"}, tmp_path / "first").run
    again = convolve.train(recipe=first / "recipe.toml", device="cuda", out=tmp_path / "again", progress=False)
    assert again.as_json()["run"] == str(tmp_path / "again")
    for name in ("weights.safetensors", "metrics.jsonl"):
        assert (tmp_path / "again" / name).read_bytes() == (first / name).read_bytes()
