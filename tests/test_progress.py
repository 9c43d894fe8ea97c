"""Progress is the same in Python as on the command line, and ``progress=False`` silences it."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

import convolve
from convolve import cli
from convolve.progress import Message, Pace, Progress
from tests.verbs.synthetic import folders

OPTIONS: dict[str, Any] = {"network": "lenet5_keras", "size": 16, "epochs": 2, "batch": 8, "threads": 1}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders(tmp_path_factory.mktemp("data"), {"a": 20, "b": 20})


def run_command_line(words: list[str], patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sys, "argv", ["convolve", *words])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert not end.value.code


def without_times(text: str) -> list[str]:
    """The lines of some output, with what differs from one training to the next removed."""
    text = re.sub(r"about .* on this machine", "about TIME on this machine", text)
    return re.sub(r"(?m)(^(training|predict) \d+/\d+).*", r"\1", text).splitlines()


def test_a_training_reports_the_same_lines_in_python(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    convolve.train(images, **OPTIONS, out=tmp_path / "warms the cache", progress=False)
    assert capsys.readouterr() == ("", "")
    convolve.train(images, **OPTIONS, out=tmp_path / "python")
    python, errors = capsys.readouterr()
    flags = [word for name, value in OPTIONS.items() for word in (f"--{name}", str(value))]
    run_command_line(["train", str(images), *flags, "--out", str(tmp_path / "line")], monkeypatch)
    command_line, _ = capsys.readouterr()
    lines = without_times(python)
    assert errors == ""
    assert without_times(command_line)[: len(lines)] == lines
    assert f"report  {tmp_path / 'line' / 'report.html'}" in command_line
    assert "report  " not in python
    assert lines[-2:] == ["2 epochs, about TIME on this machine", "training 52/52"]
    assert any(line.startswith("optimizer adamw: ") for line in lines)


def test_in_a_terminal_both_show_a_bar(
    images: Path, digits_run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("COLUMNS", "160")
    convolve.predict(digits_run, images, threads=1)
    python = capsys.readouterr().out
    run_command_line(["predict", str(digits_run), str(images), "--threads", "1"], monkeypatch)
    command_line = capsys.readouterr().out
    for output in (python, command_line):
        assert re.search(r"predict .*━━━.*/40", output)
    convolve.predict(digits_run, images, threads=1, progress=False)
    assert capsys.readouterr().out == ""


def test_an_interrupted_bar_leaves_the_terminal_as_it_was(
    images: Path, digits_run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    with pytest.raises(convolve.ConvolveError, match=r"nothing\.png does not exist"):
        convolve.predict(digits_run, [images, "nothing.png"], threads=1)
    output = capsys.readouterr().out
    assert output.count("\x1b[?25l") == output.count("\x1b[?25h") == 1  # the cursor, hidden and shown again


def test_examining_data_reports_progress_in_python_and_on_the_command_line(
    images: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    convolve.data(images)
    assert capsys.readouterr() == ("", "")  # it took less than a second
    monkeypatch.setattr("convolve.progress._QUICK", 0)
    convolve.data(images, progress=False)
    assert capsys.readouterr() == ("", "")
    convolve.data(images)
    lines = re.sub(r" [\d.,]+ images/s", "", capsys.readouterr().out).splitlines()
    assert lines == ["read 40/40", "near duplicates 40/40"]
    run_command_line(["data", str(images)], monkeypatch)
    assert re.sub(r" [\d.,]+ images/s", "", capsys.readouterr().out).splitlines()[:2] == lines
    run_command_line(["data", str(images), "--quiet"], monkeypatch)
    assert "read" not in capsys.readouterr().out.split()


def test_pace_tells_the_speed_and_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    now, events = [100.0], list[Progress | Message]()
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    report = Pace(events.append, "read", 1000, "images")
    for seconds, done in ((0.05, 10), (10, 250), (10.05, 260), (40, 1000)):
        now[0] = 100 + seconds
        report(done)
    assert events == [
        Progress("read", 250, 1000, "25 images/s, 30 s left"),
        Progress("read", 1000, 1000, "25 images/s"),
    ]
