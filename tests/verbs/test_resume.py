"""A real `convolve train` that is killed or asked to stop, and continues to the same bytes."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import convolve
from convolve.errors import RunError
from convolve.progress import Message, Progress
from convolve.reports import page
from convolve.training.checkpoints import RunFiles
from convolve.training.learner import Learner
from convolve.training.recipe import Recipe
from convolve.training.step import State
from convolve.verbs import train as verb
from tests.verbs.synthetic import QUICK, folders, train

WORDS = ("digits", "--network", "lenet5_keras", "--size", "16", "--batch", "8", "--epochs", "4", "--threads", "1")
SAME = ("weights.safetensors", "metrics.jsonl")


def contents(run: Path) -> dict[str, bytes]:
    return {name: (run / name).read_bytes() for name in SAME}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The training of `WORDS`, left alone."""
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    train("digits", network="lenet5_keras", size=16, batch=8, epochs=4, threads=1, out=out)
    return contents(out)


def begin(*words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "convolve", "train", *words]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def wait_for(process: subprocess.Popen[str], path: Path, began: float) -> None:
    """Wait until a file is written after ``began``, or the process ends."""
    while process.poll() is None and not (path.exists() and path.stat().st_mtime >= began):
        assert time.time() < began + 120
        time.sleep(0.002)


def test_killed_at_random_moments_it_ends_with_the_same_bytes(undisturbed: dict[str, bytes], tmp_path: Path) -> None:
    """While it learns, while it prepares to continue, and while it learns again."""
    out, draw = tmp_path / "run", random.Random(2)
    resume = ("--resume", str(out))
    kills = 0
    for words, path, wait in (
        ((*WORDS, "--out", str(out)), out / "checkpoints" / "last.safetensors", draw.uniform(0.0, 0.6)),
        (resume, None, draw.uniform(0.5, 2.0)),
        (resume, out / "metrics.jsonl", draw.uniform(0.0, 0.6)),
    ):
        began = time.time()
        process = begin(*words)
        if path:
            wait_for(process, path, began)
        try:
            process.wait(wait)
        except subprocess.TimeoutExpired:
            process.kill()
            kills += 1
        process.communicate()
    assert kills > 1
    if not json.loads((out / "manifest.json").read_text())["results"]:
        train(resume=out)
    assert contents(out) == undisturbed


def test_ctrl_c_says_how_to_continue(undisturbed: dict[str, bytes], tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = begin(*WORDS, "--out", str(out))
    wait_for(process, out / "timing.jsonl", time.time())  # the first epoch has ended
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    sentence = errors.strip().splitlines()[-1]
    assert process.returncode == 130, errors
    assert sentence.endswith(f"continue with: convolve train --resume {out}"), errors
    assert "Traceback" not in errors
    resumed = train(resume=out)
    assert resumed.report.is_file()
    assert contents(out) == undisturbed


@pytest.fixture
def stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run on a folder of images that was stopped in its first epoch."""
    folders(tmp_path / "data", {"a": 12, "b": 12})
    with monkeypatch.context() as patch:
        patch.setattr(RunFiles, "close_epoch", _stop)
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "data", **QUICK, out=tmp_path / "run")
    return tmp_path / "run"


def _stop(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_run_that_has_not_ended_says_how_to_continue(stopped: Path) -> None:
    calls: tuple[Callable[[], object], ...] = (
        lambda: convolve.evaluate(stopped, progress=False),
        lambda: convolve.predict(stopped, stopped / "contact_sheet.png", progress=False),
        lambda: convolve.compare([stopped, stopped], progress=False),
        lambda: train("digits", **QUICK, weights=stopped),
    )
    for call in calls:
        with pytest.raises(RunError, match=f"convolve train --resume {stopped}"):
            call()


@pytest.mark.parametrize("name", ["checkpoints", "timing.jsonl", "fold-1", "metrics.jsonl", "report.html"])
def test_nothing_is_written_through_a_link_in_a_run(stopped: Path, name: str) -> None:
    """Files that are written anew take its place; where something is added, a link is refused."""
    outside, path = stopped.parent / "outside", stopped / name
    if path.is_dir():
        path.rename(outside)
    elif name.startswith("fold"):
        shutil.copytree(stopped, outside)
    else:
        outside.write_text("mine\n")
        path.unlink(missing_ok=True)
    path.symlink_to(outside)
    before = {file: file.read_bytes() for file in (outside, *outside.rglob("*")) if file.is_file()}
    if path.suffix:
        train(resume=stopped)
        assert not path.is_symlink()
    else:
        with pytest.raises(RunError, match=f"{name} is a link, which a run is not written through; put what"):
            train(resume=stopped)
    assert {file: file.read_bytes() for file in (outside, *outside.rglob("*")) if file.is_file()} == before


def test_changed_data_is_refused(stopped: Path) -> None:
    path = stopped.parent / "data" / "a" / "0.png"
    content = path.read_bytes()
    shutil.copy(stopped.parent / "data" / "a" / "1.png", path)
    with pytest.raises(RunError, match=r"data has changed since .*; restore it, or train again"):
        train(resume=stopped)
    path.unlink()
    with pytest.raises(RunError, match=r"no longer holds a/0\.png; put it back, or train again"):
        train(resume=stopped)
    others = [path.with_name(f"{index}.png") for index in (2, 3)]
    for other in others:
        other.rename(other.with_suffix(".txt"))
    with pytest.raises(RunError, match=r"no longer holds a/\d\.png and 2 other images of this run; put them back"):
        train(resume=stopped)
    for other in others:
        other.with_suffix(".txt").rename(other)
    path.write_bytes(content)
    (stopped.parent / "data").rename(stopped.parent / "moved")
    with pytest.raises(RunError, match=r"no longer at .*data; restore it there, or correct .*recipe\.toml"):
        train(resume=stopped)
    (stopped.parent / "moved").rename(stopped.parent / "data")
    resumed = train(resume=stopped)
    assert resumed.epoch == 1


def test_a_run_may_move_before_it_continues(stopped: Path) -> None:
    elsewhere = stopped.rename(stopped.parent / "elsewhere")
    resumed = train(resume=elsewhere)
    assert resumed.run == elsewhere


def test_killed_while_it_writes_its_report_it_writes_it_again(stopped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(page, "write_report", _stop)
        with pytest.raises(KeyboardInterrupt):
            train(resume=stopped)
    before = contents(stopped)
    resumed = train(resume=stopped)
    assert resumed.report.is_file()
    assert contents(stopped) == before


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("manifest.json", "{", "manifest.json is damaged"),
        ("manifest.json", "[]", "manifest.json is damaged"),
        ("manifest.json", "{}", "manifest.json is damaged"),
        ("splits.json", "{}", "splits.json is damaged: its content does not match its digest"),
        ("splits.json", "[]", "splits.json is damaged: its content does not match its digest"),
        ("splits.json", None, "splits.json cannot be read"),
        ("recipe.toml", None, "recipe.toml cannot be read"),
        ("recipe.toml", "network = ", "recipe.toml is not a valid TOML file"),
        ("recipe.toml", "color = 3", "has an unknown entry 'color'"),
        ("recipe.toml", "task = [" + "[" * 5000, "recipe.toml is not a valid TOML file"),
        ("metrics.jsonl", "{}", "metrics.jsonl is damaged: its content does not match its digest; delete it"),
        ("weights.safetensors", None, "has not ended its training"),
    ],
)
def test_a_damaged_run_is_one_sentence(
    name: str, content: str | None, words: str, digits_run: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(digits_run, tmp_path / "run"))
    if content is None:
        (run / name).unlink()
    else:
        (run / name).write_text(content)
    with pytest.raises(convolve.ConvolveError, match=words):
        convolve.evaluate(run, progress=False)


def test_truncated_weights_are_one_sentence(digits_run: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(digits_run, tmp_path / "run"))
    path = run / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(RunError, match=r"weights\.safetensors is damaged: its content does not match its digest"):
        convolve.predict(run, run / "contact_sheet.png", progress=False)


@pytest.mark.parametrize("dtype", [torch.bool, torch.int32, torch.complex64, torch.float8_e4m3fn])
def test_weights_of_another_type_are_one_sentence(digits_run: Path, tmp_path: Path, dtype: torch.dtype) -> None:
    run = without_digests(digits_run, tmp_path / "run")
    state = load_file(run / "weights.safetensors")
    save_file({name: value.to(dtype) for name, value in state.items()}, run / "weights.safetensors")
    sentence = rf"weights\.safetensors is damaged: '.*' is of type {str(dtype)[6:]} in the weights and must be"
    with pytest.raises(RunError, match=sentence):
        convolve.predict(run, run / "contact_sheet.png", progress=False)


def test_a_changed_recipe_is_one_sentence(digits_run: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(digits_run, tmp_path / "run"))
    path = run / "recipe.toml"
    text = path.read_text()
    for before, after, words in (
        (
            "lenet5_keras",
            "simple_cnn",
            'network = "simple_cnn", but the run was trained with "lenet5_keras";',
        ),
        ("batch = ", "batch = 1", r"recipe.toml has batch = 1\d+, but the run was trained with \d+; a run keeps"),
        ("epochs = ", "# epochs = ", r"recipe.toml has epochs = none, but the run was trained with \d+; a run keeps"),
        (
            'data = "',
            'data = "no ',
            r'"no \S+", but the run was trained with "\S+", and there is nothing at that path;',
        ),
    ):
        path.write_text(text.replace(before, after, 1))
        with pytest.raises(RunError, match=words):
            convolve.evaluate(run, progress=False)
    path.write_text("# A remark\n" + text.replace("\n", "\r\n"))
    convolve.evaluate(run, progress=False)


def test_weights_of_another_network_are_one_sentence(digits_run: Path, tmp_path: Path) -> None:
    """In a run that was written before there were digests."""
    run = without_digests(digits_run, tmp_path / "run")
    text = (run / "recipe.toml").read_text()
    (run / "recipe.toml").write_text(text.replace("lenet5_keras", "simple_cnn"))
    with pytest.raises(RunError, match="does not fit simple_cnn"):
        convolve.evaluate(run, progress=False)


def without_digests(run: Path, copy: Path) -> Path:
    """A copy of a run as it was written before there were digests."""
    shutil.copytree(run, copy)
    document = json.loads((copy / "manifest.json").read_text())
    del document["recipe"], document["digests"]
    (copy / "manifest.json").write_text(json.dumps(document))
    return copy


def test_moved_data_are_the_same_or_refused(tmp_path: Path) -> None:
    """The recipe may name them at their new path, but not others."""
    data = folders(tmp_path / "data", {"a": 12, "b": 12})
    run = train(data, **QUICK, out=tmp_path / "run").run
    path = run / "recipe.toml"
    before = convolve.evaluate(run, progress=False).as_json()
    path.write_text(path.read_text().replace(str(data), str(data.rename(tmp_path / "moved"))))
    assert convolve.evaluate(run, progress=False).as_json() == before
    image = tmp_path / "moved" / "a" / "0.png"
    shutil.copy(image.with_name("1.png"), image)
    with pytest.raises(RunError, match=r"moved is not the data that \S+run was trained on; correct \S+recipe\.toml"):
        convolve.evaluate(run, progress=False)


def test_damaged_splits_are_no_reason_to_take_all_images(tmp_path: Path) -> None:
    """Of the run's own data in another folder, its test split is evaluated."""
    data = folders(tmp_path / "data", {"a": 12, "b": 12})
    run = train(data, **QUICK, out=tmp_path / "run").run
    moved = data.rename(tmp_path / "moved")
    assert convolve.evaluate(run, moved, progress=False).as_json()["split"] == "test"
    path = run / "splits.json"
    path.write_text(path.read_text().replace("a/1", "a/0"))
    with pytest.raises(RunError, match=r"splits\.json is damaged: its content does not match its digest"):
        convolve.evaluate(run, moved, progress=False)


def test_a_run_without_digests_answers_the_same(digits_run: Path, tmp_path: Path) -> None:
    run = without_digests(digits_run, tmp_path / "run")
    first, second = (convolve.evaluate(each, progress=False).as_json() for each in (digits_run, run))
    assert {**first, "report": ""} == {**second, "report": ""}


@pytest.mark.parametrize("content", ["another image", "the same image", "nothing"])
def test_data_that_change_in_training_are_noticed(
    content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folders(tmp_path / "data", {"a": 12, "b": 12}) / "a" / "0.png"
    close = RunFiles.close_epoch

    def change(self: RunFiles, state: State, learner: Learner, better: bool) -> None:
        close(self, state, learner, better)
        if state.epoch == 1:
            other = {"another image": path.with_name("1.png"), "the same image": path}.get(content)
            image = other.read_bytes() if other else b""
            path.unlink()
            if other:
                path.write_bytes(image)

    monkeypatch.setattr(RunFiles, "close_epoch", change)
    heard: list[str] = []

    def listen(event: Progress | Message) -> None:
        heard.extend([event.text] if isinstance(event, Message) else [])

    recipe = Recipe(str(tmp_path / "data"), network="lenet5_keras", size=16, epochs=3, batch=16)
    verb.run(verb.Train(recipe, out=tmp_path / "run"), listen)
    sentence = f"{path} changed while the network learned, as was noticed after epoch 1: what it learned from may be a "
    assert [text for text in heard if text.startswith(sentence)] == [text for text in heard if "while the" in text]
    assert sum(text.startswith(sentence) for text in heard) == 1
    in_manifest = sentence in (tmp_path / "run" / "manifest.json").read_text()
    in_report = "0.png changed while the network learned" in (tmp_path / "run" / "report.html").read_text()
    assert in_manifest == in_report == (content != "the same image")
