"""Killed at any moment and resumed, a training ends with the same bytes as one that ran undisturbed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

from convolve.errors import Interrupted, RunError, TrainingError
from convolve.progress import Message, Progress
from convolve.training.checkpoints import RunFiles
from convolve.training.events import Events
from convolve.training.loop import fit
from convolve.training.step import State
from tests.training.small import RECIPE, training

STOPPING = [signal.Signals[name] for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
FILES = ("metrics.jsonl", "checkpoints/best.safetensors", "checkpoints/last.safetensors")


def contents(run: Path) -> dict[str, bytes]:
    return {name: (run / name).read_bytes() for name in FILES}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    run = tmp_path_factory.mktemp("undisturbed")
    fit(training(), RunFiles(run), Events())
    return contents(run)


def test_the_same_seed_gives_the_same_bytes(undisturbed: dict[str, bytes], tmp_path: Path) -> None:
    fit(training(), RunFiles(tmp_path), Events())
    assert contents(tmp_path) == undisturbed


def test_checkpoints_do_not_alter_the_arithmetic(undisturbed: dict[str, bytes], tmp_path: Path) -> None:
    fit(training(), RunFiles(tmp_path, seconds=0, fraction=1e9), Events())
    assert contents(tmp_path) == undisturbed


def test_killed_at_random_moments_it_ends_with_the_same_bytes(undisturbed: dict[str, bytes], tmp_path: Path) -> None:
    """A checkpoint is written after nearly every step, so that kills also fall into the writing."""
    command = [sys.executable, "-m", "tests.training.small", str(tmp_path), "0.02"]
    draw = random.Random(5)
    kills = 0
    for _ in range(4):
        process = subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"})
        _until_it_saves(process, tmp_path)
        try:
            process.wait(draw.uniform(0.0, 0.5))
        except subprocess.TimeoutExpired:
            process.kill()
            kills += 1
        if process.wait() == 0:
            break
    else:
        assert subprocess.run(command, check=False).returncode == 0
    assert kills
    assert contents(tmp_path) == undisturbed


def _until_it_saves(process: subprocess.Popen[bytes], run: Path) -> None:
    """Wait for the first checkpoint of this process, or for its end."""
    path, began = run / "checkpoints" / "last.safetensors", time.time()
    while process.poll() is None and not (path.exists() and path.stat().st_mtime > began):
        assert time.time() < began + 60
        time.sleep(0.005)


@pytest.mark.parametrize("number", STOPPING)
def test_interrupted_it_saves_and_says_how_to_continue(
    number: signal.Signals, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    def stop(state: State) -> None:
        if (state.epoch, state.step) == (1, 4):
            signal.raise_signal(number)

    with pytest.raises(Interrupted, match=r"epoch 2 after step 4 of 10; continue with: convolve train --resume"):
        fit(training(), RunFiles(tmp_path), Events(step=(stop,)))
    fit(training(), RunFiles(tmp_path), Events())
    assert contents(tmp_path) == undisturbed
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("error", [RuntimeError("could not create a memory object"), MemoryError()])
def test_out_of_memory_it_keeps_its_last_checkpoint(
    error: Exception, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    def run_out(state: State) -> None:
        if (state.epoch, state.step) == (1, 4):
            raise error

    with pytest.raises(TrainingError, match="There is not enough memory for 16 images in a step; close"):
        fit(training(), RunFiles(tmp_path), Events(step=(run_out,)))
    fit(training(), RunFiles(tmp_path), Events())
    assert contents(tmp_path) == undisturbed


def test_a_second_ctrl_c_leaves_at_once(tmp_path: Path) -> None:
    def stop(state: State) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        fit(training(), RunFiles(tmp_path), Events(step=(stop,)))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.skipif(os.name == "nt", reason="there is no such signal on Windows")
def test_what_nohup_ignores_stays_ignored(undisturbed: dict[str, bytes], tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        fit(training(), RunFiles(tmp_path), Events(step=(lambda _: signal.raise_signal(signal.SIGHUP),)))
    finally:
        signal.signal(signal.SIGHUP, before)
    assert contents(tmp_path) == undisturbed


def test_outside_the_main_thread_it_trains_without_catching_signals(tmp_path: Path) -> None:
    ended: list[State] = []
    thread = threading.Thread(target=lambda: ended.append(fit(training(), RunFiles(tmp_path), Events())))
    thread.start()
    thread.join()
    assert ended[0].ended == "all 3 epochs are done"


def test_a_truncated_checkpoint_is_noticed_and_the_previous_used(undisturbed: dict[str, bytes], tmp_path: Path) -> None:
    def stop(state: State) -> None:
        if (state.epoch, state.step) == (2, 5):
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(Interrupted):
        fit(training(), RunFiles(tmp_path), Events(step=(stop,)))
    path = tmp_path / "checkpoints" / "last.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    fit(training(), RunFiles(tmp_path), Events())
    assert contents(tmp_path) == undisturbed


def test_an_ended_run_stays_as_it_is(undisturbed: dict[str, bytes], tmp_path: Path) -> None:
    fit(training(), RunFiles(tmp_path), Events())
    (tmp_path / "metrics.jsonl").unlink()
    again = training()
    state = fit(again, RunFiles(tmp_path), Events())
    assert state.epoch == RECIPE.epochs
    assert contents(tmp_path) == undisturbed
    assert not any(module.training for module in again.task.network.modules())


def test_torchs_random_state_comes_back(tmp_path: Path) -> None:
    before = torch.get_rng_state()
    fit(training(), RunFiles(tmp_path), Events())
    assert torch.equal(torch.get_rng_state(), before)


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def stopped(folder: Path) -> None:
    """Two epochs of three, and all checkpoints."""

    def stop(state: State) -> None:
        if (state.epoch, state.step) == (2, 3):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(training(), RunFiles(folder, seconds=0, fraction=1e9), Events(step=(stop,)))


def test_a_damaged_newest_checkpoint_is_named_and_the_weights_are_the_same(
    undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    stopped(tmp_path)
    damage(tmp_path / "checkpoints" / "last.safetensors")
    heard: list[Progress | Message] = []
    fit(training(), RunFiles(tmp_path, listener=heard.append), Events())
    (message,) = heard
    assert isinstance(message, Message)
    assert message.text == (
        f"{tmp_path / 'checkpoints' / 'last.safetensors'} is damaged: its content does not match its digest. "
        "The training goes on from previous.safetensors, in epoch 3 after step 1."
    )
    assert contents(tmp_path) == undisturbed


def test_a_damaged_best_checkpoint_is_found_before_the_training_goes_on(tmp_path: Path) -> None:
    stopped(tmp_path)
    damage(tmp_path / "checkpoints" / "best.safetensors")

    def learn(state: State) -> None:
        raise AssertionError(state)

    with pytest.raises(RunError, match=r"best\.safetensors is damaged: .*; restore it from a backup or train again"):
        fit(training(), RunFiles(tmp_path), Events(step=(learn,)))
