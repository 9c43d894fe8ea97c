"""A run is evaluated and used in the number format that it was trained in, on any processor; where that cannot be, one
message says so.

Both formats are requested explicitly: every processor computes in bfloat16, though not every one is fast in it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from convolve import runtime
from convolve.commands import COMMANDS
from convolve.progress import Message, Progress
from convolve.runtime import Runtime
from convolve.training.checkpoints import RunFiles
from tests.tasks.segment.small import folder
from tests.verbs.synthetic import folders, train

FORMATS = ("fp32", "bf16")
OPTIONS: dict[str, Any] = {"size": 32, "epochs": 1, "batch": 8, "threads": 1}
NETWORKS = {"classify": "resnet20_cifar", "segment": "fcn1s_resnet20_cifar"}
"""Large enough (over 10 million multiply-adds) that a processor with fast bfloat16 would choose it."""
LACKS = "fp32: the run was trained in bf16, but the processor has no bfloat16; results may differ slightly"


@dataclass(frozen=True)
class Used:
    """What a command returned, the number formats that it computed in, and its messages."""

    result: Any
    formats: set[str]
    messages: list[str]


def use(name: str, **keywords: Any) -> Used:
    """Run a command and watch what it computes in."""
    formats: set[str] = set()
    messages: list[str] = []
    plain = Runtime.arithmetic

    def arithmetic(chosen: Runtime) -> Any:
        formats.add(chosen.precision)
        return plain(chosen)

    def listen(event: Message | Progress) -> None:
        messages.extend([event.text] if isinstance(event, Message) else [])

    command = COMMANDS[name]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Runtime, "arithmetic", arithmetic)
        result = command.run(command.build_options({"threads": 1, **keywords}), listen)
    return Used(result, formats, messages)


@pytest.fixture(params=[True, False], ids=["fast bfloat16", "no bfloat16"])
def fast(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the machine is fast in bfloat16."""
    pretend(monkeypatch, request.param)
    return bool(request.param)


def pretend(patch: pytest.MonkeyPatch, fast: bool) -> None:
    reason = "the processor has AVX512-BF16" if fast else "the processor has no bfloat16"
    patch.setattr(runtime, "_fast_bfloat16", lambda _: (fast, reason))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("data")
    return {"classify": folders(root / "classes", {"a": 24, "b": 24}), "segment": folder(root / "masks", 20)}


@pytest.fixture(scope="module", params=[f"{task} {precision}" for task in NETWORKS for precision in FORMATS])
def run(request: pytest.FixtureRequest, data: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of each task in each format."""
    task, precision = request.param.split()
    options = {**OPTIONS, "network": NETWORKS[task], "precision": precision}
    return train(data[task], **options, out=tmp_path_factory.mktemp("run") / "run").run


def manifest(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    return found


def at_the_end(run: Path) -> Any:
    """The evaluation that ended the training."""
    return manifest(run)["results"]["test"]


def evaluated(run: Path, folder: Path, **options: Any) -> Used:
    used = use("evaluate", run=run, report=folder / "page.html", **options)
    return Used(json.loads(json.dumps(used.result.evaluation.as_json())), used.formats, used.messages)


def test_evaluate_repeats_the_end_of_training_in_its_format(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained_in = manifest(run)["runtime"]["precision"]
    pretend(monkeypatch, True)
    again = evaluated(run, tmp_path)
    assert (again.formats, again.messages) == ({trained_in}, [])
    assert again.result == at_the_end(run)
    other = evaluated(run, tmp_path, precision=next(name for name in FORMATS if name != trained_in))
    assert (other.formats, other.messages) == (set(FORMATS) - {trained_in}, [])
    if manifest(run)["task"] == "classify":  # else all pixels may be the same class in both
        assert other.result != at_the_end(run)


def test_what_the_machine_lacks_is_one_message(run: Path, data: dict[str, Path], tmp_path: Path, fast: bool) -> None:
    described = manifest(run)
    trained_in = described["runtime"]["precision"]
    image = next(data[described["task"]].rglob("*.png"))
    expected: tuple[set[str], list[str]] = ({trained_in}, [])
    if trained_in == "bf16" and not fast:
        expected = ({"fp32"}, [LACKS])
    used = evaluated(run, tmp_path)
    assert (used.formats, used.messages) == expected
    used = use("predict", run=run, images=image)
    assert (used.formats, used.messages) == expected
    used = use("compare", runs=(run, NETWORKS[described["task"]]))
    own = "bf16" if fast else "fp32"  # the network without weights was not trained in any
    assert (used.formats, used.messages) == (expected[0] | {own}, expected[1])


def test_a_requested_format_is_used_without_a_message(
    run: Path, data: dict[str, Path], tmp_path: Path, fast: bool
) -> None:
    del fast
    image = next(data[manifest(run)["task"]].rglob("*.png"))
    for precision in FORMATS:
        for used in (
            evaluated(run, tmp_path, precision=precision),
            use("predict", run=run, images=image, precision=precision),
            use("compare", runs=(run, run), precision=precision),
        ):
            assert (used.formats, used.messages) == ({precision}, [])


@pytest.mark.parametrize("precision", FORMATS)
def test_a_run_is_resumed_in_its_format(
    precision: str, data: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the machine that continues it would have chosen."""
    pretend(monkeypatch, precision == "bf16")
    options = {**OPTIONS, "network": NETWORKS["classify"], "precision": precision, "epochs": 2}
    whole = train(data["classify"], **options, out=tmp_path / "whole").run

    def stop(files: RunFiles, *_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RunFiles, "close_epoch", stop)
        with pytest.raises(KeyboardInterrupt):
            train(data["classify"], **options, out=tmp_path / "stopped")
    pretend(monkeypatch, precision != "bf16")
    used = use("train", resume=tmp_path / "stopped", threads=None)
    assert used.formats == {precision}
    for name in ("weights.safetensors", "metrics.jsonl"):
        assert (tmp_path / "stopped" / name).read_bytes() == (whole / name).read_bytes()
    assert at_the_end(tmp_path / "stopped") == at_the_end(whole)
