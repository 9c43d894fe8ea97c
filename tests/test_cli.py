"""The command line: the same words as in Python, help at once, one sentence for every mistake."""

from __future__ import annotations

import dataclasses
import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import convolve
from convolve import cli
from convolve.command import NAMES, find_command
from convolve.options import fields
from tests.verbs.synthetic import folders

HEAVY = ("torch", "torchvision", "scipy", "sklearn", "matplotlib", "cv2", "PIL", "numpy", "pandas")


@dataclasses.dataclass(frozen=True)
class Left:
    """What a command left."""

    code: int
    out: str
    err: str


class Command:
    """Runs commands in this process."""

    def __init__(self, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]) -> None:
        self._patch, self._capture = patch, capture

    def __call__(self, *words: object) -> Left:
        self._patch.setattr(sys, "argv", ["convolve", *map(str, words)])
        code: Any = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code or 0
        out, err = self._capture.readouterr()
        return Left(code, out, err)

    def refused(self, *words: object) -> str:
        """The one sentence with which a command is refused."""
        left = self(*words)
        lines = left.err.strip().splitlines()
        assert (left.code, len(lines)) == (2, 1), left
        assert lines[0].endswith((".", "?")), lines
        assert "Traceback" not in left.out
        return lines[0]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(monkeypatch, capsys)


def test_help_imports_nothing_heavy() -> None:
    code = f"""
import sys
from convolve.cli import application
for words in (["--help"], *([name, "--help"] for name in {NAMES!r})):
    try:
        application()(words)
    except SystemExit as end:
        assert not end.code, words
found = sorted({{name.partition(".")[0] for name in sys.modules}} & set({HEAVY!r}))
print("heavy:", found)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "heavy: []" in done.stdout


@pytest.mark.parametrize("module", ["options", "models", "datasets", "values", "errors", "verbs"])
def test_every_module_can_be_the_first_to_be_imported(module: str) -> None:
    subprocess.run([sys.executable, "-c", f"from convolve import {module}"], check=True)


@pytest.mark.parametrize("name", NAMES)
def test_flags_are_fields_are_keywords(name: str, command: Command) -> None:
    verb = find_command(name)
    names = [option.name for option in fields(verb.options)]
    assert len(names) == len(set(names))
    assert set(inspect.signature(getattr(convolve, name)).parameters) == set(names)
    page = command(name, "--help").out
    shown = set(re.findall(r"(?<!-)--([a-z][a-z0-9-]*)", page))
    flags = {flag.replace("_", "-") for flag in names}
    assert flags <= shown
    negatives = {f"no-{flag}" for flag in flags}
    assert shown - flags - negatives <= {
        "json",
        "debug",
        "no-images",
        "no-runs",
        "empty-images",
        "empty-runs",
        "help",
        "out",
    }


@pytest.mark.parametrize("name", NAMES)
def test_every_option_is_explained(name: str, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    rows = [re.split(r"\s{2,}", line.strip("│ ")) for line in command(name, "--help").out.splitlines() if " --" in line]
    assert len(rows) >= len(list(fields(find_command(name).options)))
    assert [row[0] for row in rows if len(row) < 2 or not row[-1].endswith((".", "]"))] == []


def test_the_package_names_its_verbs() -> None:
    assert set(NAMES) <= set(convolve.__all__) <= set(dir(convolve))
    with pytest.raises(AttributeError, match="has no verb 'trian'"):
        convolve.trian  # noqa: B018


def test_packages_that_share_their_name_with_a_verb_are_both() -> None:
    assert convolve.models.create("simple_cnn", classes=3).card.name == "simple_cnn"
    assert len(convolve.networks().cards) == len(convolve.models.names())
    assert convolve.networks(name="simple_cnn").as_json()["parameters"] == 20_666
    assert convolve.data("digits").dataset.layout == "named"
    assert convolve.datasets.layouts.open_dataset("digits").layout == "named"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("train", "digits", "--netwrk", "x"), "Did you mean --network?"),
        (("trian",), 'Did you mean "train"?'),
        (("train", "digits", "--network", "lenet5-keras"), "Did you mean lenet5_keras?"),
        (("train", "digits"), "Name a network with --network"),
        (("train", "--network", "lenet5_keras"), "Name the data"),
        (("train", "digitz", "--network", "lenet5_keras"), "did you mean digits?"),
        (("train", "digits", "--epochs", "many"), 'unable to convert "many" into int'),
        (
            ("train", "digits", "--network", "lenet5_keras", "--epochs", "0"),
            "epochs cannot be 0; it takes a number from 1",
        ),
        (("train", "digits", "--network", "lenet5_keras", "--rate", "nan"), "rate cannot be nan"),
        (("train", "digits", "--network", "lenet5_keras", "--seed", "-1"), "seed cannot be -1"),
        (("train", "digits", "--network", "lenet5_keras", "--size", "8"), "smallest side is 12"),
        (("train", "digits", "--network", "lenet5_keras", "--validation", "0"), "--validation a share above 0"),
        (("train", "digits", "--network", "lenet5_keras", "--freeze", "stage9"), "has no stage 'stage9'"),
        (("train", "digits", "--network", "lenet5_keras", "--device", "tpu"), "device 'tpu' is not on this machine"),
        (("train", "digits", "--network", "lenet5_keras", "--threads", "0"), "threads cannot be 0"),
        (("train", "digits", "--network", "lenet5_keras", "--group-by", "("), "no regular expression"),
        (("train", "digits", "--network", "lenet5_keras", "--weights", "nowhere.pth"), "no weight file nowhere.pth"),
        (("train", "digits", "--network", "lenet5_keras", "--weights", "imagenet"), "no official ImageNet weights"),
        (("train", "digits", "--optimizer", "sdg"), 'Did you mean "sgd"?'),
        (("train", "digits", "cifar10", "--network", "lenet5_keras"), "There is no place for 'cifar10'"),
        (("train", "--recipe", "nowhere.toml"), "nowhere.toml cannot be read"),
        (("train", "--resume", "nowhere"), "nowhere is not a run"),
        (("train", "--resume", "nowhere", "--epochs", "3"), "give --resume without other options"),
        (("evaluate", "nowhere"), "nowhere is not a run"),
        (("predict", "nowhere", "nothing.png"), "nothing.png does not exist"),
        (("compare", "nowhere"), "Give two runs or more"),
        (("compare", "a", "b"), "a is not a run"),
        (("explain", "nowhere"), "nowhere is not a run"),
        (("explain", "nowhere", "--method", "gradcam"), 'Did you mean "grad-cam"?'),
        (("data", "nowhere"), "There is no 'nowhere' here"),
        (("networks", "resnet19"), "Did you mean resnet18?"),
        (("networks", "resnet18", "--input", "3x224"), "write channels x height x width"),
    ],
)
def test_mistakes_are_one_sentence(
    words: tuple[str, ...], sentence: str, command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert sentence in command.refused(*words)
    assert not list(tmp_path.iterdir())


def test_data_that_is_none_is_told(command: Command, tmp_path: Path) -> None:
    assert "seen: nothing" in command.refused("train", tmp_path, "--network", "lenet5_keras")
    folders(tmp_path, {"cats": 3})
    assert "seen: cats/" in command.refused("train", tmp_path, "--network", "lenet5_keras")
    (tmp_path / "labels.csv").write_text("cats/0.png,cat\ncats/1.png,cat\ncats/2.png,cat")
    assert "has one class only, 'cat'" in command.refused("train", tmp_path, "--network", "lenet5_keras")


def test_debug_shows_where_an_error_came_from(command: Command) -> None:
    with pytest.raises(convolve.ConvolveError, match="not a run") as caught:
        command("evaluate", "nowhere", "--debug")
    assert str(caught.traceback[-1].path).endswith("run.py")


def test_json_is_alone_on_standard_output(command: Command, tmp_path: Path) -> None:
    words = ("--network", "lenet5_keras", "--size", "16", "--epochs", "1", "--threads", "1", "--out", tmp_path / "run")
    left = command("train", "digits", *words, "--json")
    found = json.loads(left.out)
    assert left.code == 0
    assert {"run", "report", "epoch", "split", "metrics", "classes", "confusion", "calibration"} == set(found) - {
        "images"
    }
    assert "1 epoch, about" in left.err
    assert "1,797 images, 10 classes" in left.err
    assert "holds a run already" in command.refused("train", "digits", *words)
    for line in (
        ("data", "digits"),
        ("networks",),
        ("networks", "simple_cnn"),
        ("evaluate", tmp_path / "run"),
        ("predict", tmp_path / "run", tmp_path / "run" / "contact_sheet.png"),
        ("explain", tmp_path / "run", tmp_path / "run" / "contact_sheet.png", "--threads", "1"),
        ("compare", tmp_path / "run", tmp_path / "run"),
    ):
        left = command(*line, "--json")
        assert left.code == 0
        json.loads(left.out, parse_constant=pytest.fail)


def test_people_see_paths_and_names_as_they_are(command: Command, digits_run: Path, tmp_path: Path) -> None:
    """Brackets are no markup, and long paths are not broken into lines, so that they can be copied."""
    place = tmp_path / "[bold]a[/red]" / ("long " * 40).strip() / "page.html"
    left = command("evaluate", digits_run, "--report", place)
    assert left.code == 0
    assert f"report  {place}" in left.out.splitlines()
    assert "test accuracy " in left.out


def test_interrupted_it_leaves_with_130(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(options: object, listener: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("convolve.verbs.data.VERB", dataclasses.replace(find("data"), run=interrupt))
    left = command("data", "digits")
    assert (left.code, left.err.strip()) == (130, "Interrupted.")


def test_whoever_reads_may_stop_reading() -> None:
    """As `convolve networks --json | head` does."""
    process = subprocess.Popen(
        [sys.executable, "-m", "convolve", "networks", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    with process.stderr as errors:
        assert errors.read() == b""
    assert process.wait() == 1


def test_names_that_the_terminal_cannot_show_do_no_harm() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "convolve", "data", "고양이"],
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2
    assert b"\\uace0" in done.stderr
    assert b"Traceback" not in done.stderr


def test_python_takes_what_the_command_line_takes(digits_run: Path) -> None:
    picture = digits_run / "contact_sheet.png"
    several = convolve.predict(digits_run, picture, str(picture), threads=1)
    single = convolve.predict(run=str(digits_run), images=picture, threads=1)
    assert [answer.label for answer in several.answers] == [single.answers[0].label] * 2
    assert convolve.data(Path("digits")).dataset.layout == "named"
    with pytest.raises(convolve.ConvolveError, match=r"no option 'netwrk'\. Did you mean network\?"):
        convolve.train("digits", netwrk="lenet5_keras")
    with pytest.raises(convolve.ConvolveError, match="each option once"):
        convolve.train("digits", data="digits")
    with pytest.raises(convolve.ConvolveError, match="Say also: path"):
        convolve.data()
