"""`convolve scratch homework`: files with blanks, and what a check says of files that were filled in."""

from __future__ import annotations

import json
import re
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

import convolve
from convolve.errors import OptionError
from convolve.verbs.scratch import HomeworkCheck, homework
from convolve.verbs.scratch.exercises import EXERCISES
from tests.test_cli import Command

SOLUTIONS = {
    "conv": [
        "(size + 2 * padding - kernel) // stride + 1",
        "i * stride : i * stride + rows",
        "j * stride : j * stride + columns",
        "(window * w[f]).sum() + b[f]",
        "dy[f, i, j] * window",
        "dy[f, i, j] * w[f]",
        "dy[f, i, j]",
    ],
    "pool": [
        "window.max()",
        "window.argmax()",
        "dy[c, i, j]",
        "x[c, i * stride : i * stride + size, j * stride : j * stride + size].mean()",
        "dy[c, i, j] / size**2",
    ],
    "affine": [
        "x @ w + b",
        "dy @ w.T",
        "x.T @ dy",
        "dy.sum(axis=0)",
        "1 / (1 + np.exp(-x))",
        "dy * y * (1 - y)",
        "np.maximum(x, 0)",
        "dy * (x > 0)",
    ],
    "softmax": [
        "x.max(axis=1, keepdims=True)",
        "powers / powers.sum(axis=1, keepdims=True)",
        "-np.log(probabilities[np.arange(len(x)), labels]).mean()",
        "1",
        "dx / len(x)",
    ],
    "batchnorm": [
        "x.mean(axis=0)",
        "x.var(axis=0)",
        "(x - mean) / np.sqrt(variance + EPSILON)",
        "gamma * normalized + beta",
        "dy.sum(axis=0)",
        "(dy * normalized).sum(axis=0)",
        "ds / (2 * s)",
        "2 * c * dvariance / count",
        "dc.mean(axis=0)",
    ],
    "two-layer": [
        "1 / (1 + np.exp(-a1))",
        "z1 @ w2 + b2",
        "z1.T @ dy",
        "dy.sum(axis=0)",
        "dy @ w2.T",
        "dz1 * z1 * (1 - z1)",
        "x.T @ da1",
        "da1.sum(axis=0)",
    ],
}


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    monkeypatch.chdir(tmp_path)
    return Command(monkeypatch, capsys)


def filled_in(exercise: str, path: Path) -> str:
    """The text of an exercise with the answers in its blanks."""
    convolve.scratch("homework", exercise, out=path, progress=False)  # type: ignore[arg-type]
    head, start, body = path.read_text().partition("import numpy")
    answers = iter(SOLUTIONS[exercise])
    text = head + start + re.sub("____", lambda _: next(answers), body)
    assert next(answers, None) is None
    path.write_text(text)
    return text


def check(path: Path, exercise: str = "conv") -> dict[str, str]:
    """What is wrong with each function."""
    result = convolve.scratch("homework", exercise, check=path, progress=False)  # type: ignore[arg-type]
    assert isinstance(result, HomeworkCheck)
    assert result.right == (not any(function.mistake for function in result.functions))
    return {function.name: function.mistake for function in result.functions}


@pytest.mark.parametrize("exercise", EXERCISES)
def test_an_empty_file_is_wrong_and_a_filled_in_one_is_right(exercise: str, command: Command) -> None:
    written = command("scratch", "homework", exercise)
    path = Path(f"homework_{exercise.replace('-', '_')}.py")
    assert written.code == 0
    assert f"has {len(SOLUTIONS[exercise])} blanks" in " ".join(written.out.split())
    assert f"convolve scratch homework {exercise} --check {path}" in path.read_text()
    mistakes = check(path, exercise)
    assert all(re.fullmatch(r"line \d+: a blank ____ is not filled in", mistake) for mistake in mistakes.values())
    path.unlink()
    filled_in(exercise, path)
    assert not any(check(path, exercise).values())
    done = command("scratch", "homework", exercise, "--check", path)
    assert (done.code, f"{len(mistakes)} of {len(mistakes)} functions are right." in done.out) == (0, True)


def test_a_written_file_is_never_replaced(command: Command) -> None:
    assert command("scratch", "homework", "conv", "--out", "mine.py").code == 0
    before = Path("mine.py").read_text()
    sentence = command.refused("scratch", "homework", "conv", "--out", "mine.py")
    assert "mine.py exists, and may be filled in already" in sentence
    assert Path("mine.py").read_text() == before


def test_the_first_wrong_value_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    text = filled_in("conv", path)
    path.write_text(text.replace(" + b[f]", "").replace("// stride + 1", "// stride"))
    mistakes = check(path)
    assert mistakes["output_size"] == (
        "size is 9 and must be 10; in call 1, with 28, 5, 3, 2; worked: convolve scratch --example size"
    )
    assert mistakes["conv2d_forward"].startswith("y has the shape 1x2x2; it must have 1x3x3; in call 1, with 1x5x5")
    path.write_text(text.replace(" + b[f]", ""))
    mistakes = check(path)
    assert mistakes["output_size"] == mistakes["conv2d_backward"] == ""
    assert "(0 of 72 values are right); in call 2, with 2x6x7, 3x2x3x2, 3, 1, 0;" in mistakes["conv2d_forward"]
    assert re.match(r"y\[0, 0, 0\] is -?[\d.]+ and must be -?[\d.]+ \(", mistakes["conv2d_forward"])
    path.write_text(text.replace("dw[f] += dy[f, i, j] * window", "dw[f] += dy[f, i, j]"))
    assert re.match(r"dw\[0, 0, 0, 0\] is 45 and must be [\d.]+ \(", check(path)["conv2d_backward"])


@pytest.mark.parametrize(
    ("old", "new", "mistake"),
    [
        ("return y\n", "pass\n", "y is None; is a return missing?"),
        ("return y\n", "return 'y'\n", "TypeError: a returned value is str, and no array of numbers"),
        ("return y\n", "return np.zeros(10**6)\n", "ValueError: a returned value has 1000000 numbers"),
        ("return y\n", "return y, y\n", "it returns 2 values; it must return 1: y"),
        ("return y\n", "raise SystemExit('b\\x1bye')\n", "line 30: SystemExit: b\\x1bye"),
        ("return y\n", "import os; os._exit(0)\n", "the file ended the process, or used too much memory"),
        ("return y\n", "return y * np.nan\n", "y[0, 0, 0] is nan and must be 4 (0 of 9 values are right)"),
        ("return y\n", "y[0, 1, 2] = 1\n    return y\n", "y[0, 1, 2] is 1 and must be 3 (8 of 9 values are right)"),
        ("def conv2d_forward", "def conv2d", "there is no function of this name"),
    ],
)
def test_mistakes_of_a_function(old: str, new: str, mistake: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    text = filled_in("conv", path)
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    assert check(path)["conv2d_forward"].startswith(mistake)


def test_a_file_that_cannot_be_loaded_is_wrong_in_all_functions(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    filled_in("conv", path)
    for line, mistake in (
        ("def (:", "line 1: SyntaxError: "),
        ("import nowhere_at_all", "line 1: ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("import os; os.kill(os.getpid(), 9)", "the file ended the process, or used too much memory"),
    ):
        path.write_text(line + "\n")
        assert all(each.startswith(mistake) for each in check(path).values())


def test_a_file_may_print_and_import_its_neighbors_but_not_run_forever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, mark = tmp_path / "mine.py", tmp_path / "mark"
    text = filled_in("conv", path)
    (tmp_path / "helper.py").write_text("ONE = 1\n")
    path.write_text("import helper\nprint('x' * 10**6)\n" + text)
    assert not any(check(path).values())
    assert {each.name for each in tmp_path.iterdir()} == {"mine.py", "helper.py"}  # nothing is left there
    monkeypatch.setattr(homework, "TIME_LIMIT", 2)
    child = f"import subprocess; subprocess.Popen(['sh', '-c', 'sleep 4; touch {mark}'])\n    while True: pass\n"
    path.write_text(text.replace("return y\n", child))
    begin = time.monotonic()
    mistakes = check(path)
    assert time.monotonic() - begin < 4
    assert mistakes["output_size"] == ""
    assert mistakes["conv2d_forward"] == "it did not come to an end within 2 seconds"
    assert mistakes["conv2d_backward"] == "not reached, since a function before it did not come to an end"
    time.sleep(max(0.0, begin + 7 - time.monotonic()))
    assert not mark.exists()  # what it started has ended too


def test_what_a_file_writes_in_place_of_results_is_no_answer(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    text = filled_in("conv", path)
    lines = ("{}", '{"values": [{"shape": [-5], "values": "a"}]}', '{"values": 3}', '{"values": [1, 2, 3]}', "[1]", "{")
    pattern = f"{tempfile.gettempdir()}/convolve-homework-*/results.json"
    program = f"import glob, os, pathlib\nfor name in glob.glob({pattern!r}):\n"
    program += f"    pathlib.Path(name).write_text({chr(10).join(lines)!r})\nos._exit(0)\n"
    path.write_text(f"{text}\n{program}")
    mistakes = check(path)
    assert set(mistakes) == {"output_size", "conv2d_forward", "conv2d_backward"}
    assert all(mistakes.values())


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("homework",), "homework needs the name of an exercise; choose one of conv, pool"),
        (("homework", "conv", "--check", "nowhere.py"), "nowhere.py cannot be read"),
        (("homework", "conv", "--check", "a.py", "--out", "b.py"), "--check reads a file and --out writes one"),
        (("homework", "conv", "--input", "1"), "homework does not take input; omit --input"),
        (("homework", "cnov"), "cnov"),
        (("pool", "conv", "--input", "1 2; 3 4"), "pool does not take exercise"),
        (("pool", "--check", "a.py", "--input", "1 2; 3 4"), "pool does not take check; omit --check"),
    ],
)
def test_options_that_do_not_fit_are_refused(words: tuple[str, ...], sentence: str, command: Command) -> None:
    assert sentence in command.refused("scratch", *words)


def test_json_and_python(command: Command) -> None:
    written = json.loads(command("scratch", "homework", "affine", "--json").out)
    assert written["blanks"] == 8
    checked = json.loads(command("scratch", "homework", "affine", "--check", written["path"], "--json").out)
    assert checked["right"] is False
    assert [each["name"] for each in checked["functions"]][:2] == ["affine_forward", "affine_backward"]
    with pytest.raises(OptionError, match="cannot be read"):
        convolve.scratch("homework", "conv", check=Path("nowhere.py"))


def test_the_cases_tell_right_from_wrong() -> None:
    """Every output of every case has values that a constant or the input cannot give by chance."""
    for build in EXERCISES.values():
        for function in build():
            for arguments in function.cases:
                for values in function.expected(arguments):
                    assert np.isfinite(values).all()
                    assert values.size == 1 or len(np.unique(values.round(6))) > 1
