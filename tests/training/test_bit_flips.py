"""A run in which any single bit was flipped answers as before or refuses in one sentence."""

from __future__ import annotations

import json
import random
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from convolve.datasets.layouts import open_dataset
from convolve.errors import RunError
from convolve.setup.restore import restore_task
from convolve.setup.run_report import read_training
from convolve.setup.runtime_options import RuntimeOptions
from convolve.training.run import open_run, read_splits
from tests.training.bit_flips import GOOD, PREVIOUS, REFUSED, SAME, Subject, finished_run, stopped_run


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    return finished_run(tmp_path_factory.mktemp("runs") / "finished")


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    return stopped_run(tmp_path_factory.mktemp("runs") / "stopped")


@pytest.mark.parametrize("kind", ["finished", "stopped"])
def test_random_bits(kind: str, request: pytest.FixtureRequest) -> None:
    subject: Subject = request.getfixturevalue(kind)
    bad = [flip for flip in subject.draw(200, random.Random(1)) if flip[2] not in GOOD]
    assert not bad
    assert subject.answer() == subject.before


def test_bits_that_are_read_as_another_number(finished: Subject, stopped: Subject) -> None:
    """The last digits of numbers, and of weights; the states of checkpoints."""
    for subject, name, words, outcome in (
        (finished, "manifest.json", b'"temperature": ', REFUSED),
        (finished, "manifest.json", b'"epoch": ', REFUSED),
        (finished, "metrics.jsonl", b'"train_loss": ', REFUSED),
        (finished, "timing.jsonl", b'"seconds": ', REFUSED),
        (finished, "recipe.toml", b"seed = ", REFUSED),
        (stopped, "checkpoints/last.safetensors", rb"\\\"epoch\\\": ", PREVIOUS),
        (stopped, "checkpoints/last.safetensors", rb"\\\"step\\\": ", PREVIOUS),
        (stopped, "checkpoints/last.safetensors", rb"\\\"best\\\": ", PREVIOUS),
        (stopped, "checkpoints/previous.safetensors", rb"\\\"epoch\\\": ", SAME),
        (stopped, "checkpoints/best.safetensors", rb"\\\"waited\\\": ", REFUSED),
    ):
        path = subject.folder / name
        content = path.read_bytes()
        position = content.index(words) + len(words)
        assert subject.flip(path, 8 * position) == outcome, (name, words)


def test_each_bit_of_a_digest(finished: Subject) -> None:
    path = finished.folder / "manifest.json"
    start = path.read_bytes().index(b'"manifest.json": "') + len(b'"manifest.json": "')
    assert {finished.flip(path, 8 * start + bit) for bit in range(0, 8 * 32, 5)} == {REFUSED}


FIELDS: dict[str, list[Any]] = {
    "task": [None, 3, ["classify"]],
    "outputs": [0, -1, 2.5, True, "3", 2**70],
    "macs": [-1, None, 2**70],
    "state": [None, []],
    "preprocessing": [{}, None, [1]],
    "runtime": [{}, {"device": 3, "precision": "fp32"}, {"device": "cpu", "precision": "fp33"}],
    "data": [{}, {"fingerprint": 3}, {"fingerprint": "", "warnings": "none"}, {"fingerprint": "", "summary": []}],
    "machine": [None, "PC"],
    "reasons": [{"size": 3}, []],
    "results": [0, {"epoch": "1"}, {"test": 3}, {"test": {"metrics": {"loss": "0"}, "images": 1}}],
}
STATES: list[dict[str, Any]] = [
    {},
    {"classes": []},
    {"classes": [1, 2]},
    {"classes": ["a", "b"]},
    {"multi_label": 0},
    *({"confidence": {"temperature": value, "reject": None}} for value in (0, -1, "1", None, 10**400, float("nan"))),
    {"confidence": {"temperature": 1.0, "reject": {"threshold": "a"}}},
    {"confidence": [1.0]},
]


def test_each_field_of_a_manifest_without_a_digest(finished: Subject, tmp_path: Path) -> None:
    """Runs that were written before there were digests, where damage shows only by types and ranges."""
    folder = Path(shutil.copytree(finished.folder, tmp_path / "run"))
    path = folder / "manifest.json"
    document = json.loads(path.read_text())
    del document["digests"], document["recipe"]
    path.write_text(json.dumps(document))
    assert open_run(folder).manifest == open_run(finished.folder).manifest
    for field, value in [(field, value) for field, values in FIELDS.items() for value in values]:
        path.write_text(json.dumps({**document, field: value}))
        with pytest.raises(RunError, match=rf"manifest\.json is damaged \({field}"):
            open_run(folder)
        path.write_text(json.dumps({name: each for name, each in document.items() if name != field}))
        with pytest.raises(RunError, match=rf"manifest\.json is damaged \(it has no {field}"):
            open_run(folder)
    path.write_text(json.dumps({**document, "more": 1}))
    with pytest.raises(RunError, match=r"manifest\.json is damaged \(it has an unknown entry"):
        open_run(folder)
    for state in STATES:
        path.write_text(json.dumps({**document, "state": {**document["state"], **state} if state else {}}))
        with pytest.raises(RunError, match=r"manifest\.json is damaged \(state: "):
            restore_task(open_run(folder), RuntimeOptions())
    for field in ("height", "width", "channels", "fit", "mean", "std"):
        for value in (None, 0, "a", [], [0.5, 0.5], 1e400, [1e400], 10**30, {}):
            path.write_text(json.dumps({**document, "preprocessing": {**document["preprocessing"], field: value}}))
            with pytest.raises(RunError, match=r"manifest\.json is damaged \(preprocessing"):
                open_run(folder)
    for content in (b"", b"[" * 10_000, b"[]", b"1", b"\xff", b'{"digests": 3}'):
        path.write_bytes(content)
        with pytest.raises(RunError, match=r"manifest\.json is damaged"):
            open_run(folder)


def test_each_part_of_splits_without_a_digest(finished: Subject, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(finished.folder, tmp_path / "run"))
    run, dataset = replace(open_run(folder), digests={}), open_dataset("digits")
    document = json.loads((folder / "splits.json").read_text())
    first = document["train"][0]
    cases: tuple[dict[str, Any], ...] = (
        {"train": [[]]},
        {"train": "a"},
        {"test": None},
        {"origin": 3},
        {"train": [3]},
        {"test": [first]},
        {"train": [first, first]},
    )
    for changes in cases:
        (folder / "splits.json").write_text(json.dumps({**document, **changes}))
        with pytest.raises(RunError, match=r"splits\.json cannot be read \(\S.*\); restore it"):
            read_splits(run, dataset)
    for content in (b"", b"[" * 10_000, b"[]", b"\xff"):
        (folder / "splits.json").write_bytes(content)
        with pytest.raises(RunError, match=r"splits\.json cannot be read \("):
            read_splits(run, dataset)


def test_each_line_of_metrics_without_a_digest(finished: Subject, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(finished.folder, tmp_path / "run"))
    run, path, said = replace(open_run(folder), digests={}), folder / "metrics.jsonl", list[Any]()
    whole = path.read_bytes()
    for line in (
        b"|",
        b'{"":9}',
        b'{"epoch": 1}',
        b'{"epoch": "1", "train_loss": 2}',
        b'{"epoch": 1, "train_loss": [2]}',
        b'{"epoch": 1, "train_loss": 2, "accuracy": {"": 1}}',
        b"[" * 10_000,
        b"9" * 5_000,
        b'{"epoch": 1, "train_loss": ' + b"9" * 400 + b"}",
        b"\xff",
    ):
        path.write_bytes(whole + line + b"\n")
        with pytest.raises(RunError, match=r"metrics\.jsonl is damaged: .*; delete it to do without, or restore it"):
            read_training(run, said.append)
    path.write_bytes(whole + b'{"epoch": 3, "trai')
    assert len(read_training(run, said.append).epochs) == 2
    assert [message.text.partition("The last line of ")[2] for message in said] == [
        f"{path} is incomplete and left out of the report."
    ]
    path.unlink()
    assert not read_training(run, said.append).epochs


RECIPES = (
    b"scale = " + b"9" * 400,
    b"a = " + b"[" * 5_000,
    b"a" + b".a" * 5_000 + b" = 1",
    b"epochs = 0",
    b"epochs = true",
    b"network = [1]",
    b"network = 1979-05-27",
    b"\xff",
    b"\x00",
)


@pytest.mark.parametrize("content", RECIPES)
def test_a_damaged_recipe_without_a_record(content: bytes, finished: Subject, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(finished.folder, tmp_path / "run"))
    document = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**document, "digests": {}, "recipe": None}))
    (folder / "recipe.toml").write_bytes(content)
    with pytest.raises(RunError, match=r"recipe\.toml") as caught:
        open_run(folder)
    assert len(str(caught.value)) < 700
