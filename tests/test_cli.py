"""The command line: the same words as in Python, help at once, one sentence for every mistake."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convolve
import convolve.models
from convolve import cli
from convolve.commands import COMMANDS
from convolve.options import fields
from convolve.tasks.registry import task_flags
from tests.verbs.synthetic import corner_image, folders, save

HEAVY = ("torch", "torchvision", "scipy", "sklearn", "matplotlib", "cv2", "PIL", "numpy", "pandas")


@dataclasses.dataclass(frozen=True)
class Completed:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


class Command:
    """Runs commands in this process."""

    def __init__(self, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]) -> None:
        self._patch, self._capture = patch, capture

    def __call__(self, *words: object) -> Completed:
        self._patch.setattr(sys, "argv", ["convolve", *map(str, words)])
        code: Any = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code or 0
        out, err = self._capture.readouterr()
        return Completed(code, out, err)

    def refused(self, *words: object) -> str:
        """The one sentence with which a command is refused."""
        done = self(*words)
        lines = done.err.strip().splitlines()
        assert (done.code, len(lines)) == (2, 1), done
        assert lines[0].endswith((".", "?")), lines
        assert "Traceback" not in done.out
        return lines[0]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(monkeypatch, capsys)


def test_help_imports_nothing_heavy() -> None:
    code = f"""
import sys
from convolve.cli import application
for words in (["--help"], *([name, "--help"] for name in {list(COMMANDS)!r})):
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


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_explained(name: str, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "900")
    rows = [
        re.split(r"\s{2,}", line.strip("│ "))
        for line in command(name, "--help").out.splitlines()
        if "│ " in line and " --" in line
    ]
    use = COMMANDS[name].task_use
    assert len(rows) >= len(list(fields(COMMANDS[name].options))) + len(task_flags(use) if use else [])
    assert [row[0] for row in rows if len(row) < 2 or not row[-1].endswith((".", "]"))] == []


def test_the_tasks_options_are_under_their_headings(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "900")
    page = command("train", "--help").out
    panels = dict(re.findall(r"╭─ ([^─]+) ─+╮\n(.*?)╰", page, re.DOTALL))
    flags = {title: re.findall(r"^│ +--([a-z-]+)", panel, re.MULTILINE) for title, panel in panels.items()}
    assert flags["Classification"] == ["label-smoothing", "mixup", "permute"]
    assert flags["Classification, Segmentation"] == ["balance"]
    assert flags["Embedding, Segmentation, Landmarks, Restoration"] == ["loss"]
    assert flags["Segmentation"] == ["ignore"]
    assert flags["Landmarks"] == ["sigma", "pairs"]
    assert "Alpha of mixup, which blends pairs of images and labels" in panels["Classification"]
    assert "Class whose pixels count neither in training nor in evaluation." in panels["Segmentation"]
    assert "[choices: none, weights, sampler]" in panels["Classification, Segmentation"]
    assert "TASKFLAGS" not in page.upper()


def test_flags_of_a_task_and_aliases_reach_the_recipe(command: Command, tmp_path: Path) -> None:
    words = (
        "--network",
        "lenet5_keras",
        "--size",
        "16",
        "--epochs",
        "1",
        "--threads",
        "1",
        "-o",
        tmp_path / "run",
        "-q",
    )
    done = command("train", "digits", *words, "--lr", "0.002", "--mixup", "0.1", "--balance", "weights")
    assert (done.code, done.err) == (0, "")
    recipe = tomllib.loads((tmp_path / "run" / "recipe.toml").read_text())
    assert recipe["optimization"]["learning_rate"] == 0.002
    assert recipe["classify"] == {"label_smoothing": 0.0, "mixup": 0.1, "balance": "weights", "permute": False}
    assert "epoch" not in done.out.partition("(best epoch")[0]


def test_the_package_has_every_command() -> None:
    assert set(COMMANDS) <= set(convolve.__all__) <= set(dir(convolve))
    assert not hasattr(convolve, "trian")


def test_commands_and_packages_have_names_of_their_own() -> None:
    assert len(convolve.networks(progress=False).cards) == len(convolve.models.names())  # type: ignore[union-attr]
    assert convolve.networks(name="simple_cnn", progress=False).as_json()["parameters"] == 20_666
    assert convolve.data("digits", progress=False).dataset.layout == "named"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("train", "digits", "--netwrk", "x"), "Did you mean --network?"),
        (("trian",), 'Did you mean "train"?'),
        (("train", "digits", "--network", "lenet5-keras"), "Did you mean lenet5_keras, googlenet_keras or lenet5?"),
        (("train", "digits", "--minutes", "0"), "minutes cannot be 0.0; it must be a number above 0"),
        (("train", "digits", "--network", "resnet", "18"), "Unexpected argument '18'; write resnet18 as one word"),
        (("train", "--network", "lenet5_keras"), "Give the data to train on"),
        (("train", "digitz", "--network", "lenet5_keras"), "did you mean digits?"),
        (("train", "digits", "--epochs", "many"), 'unable to convert "many" into int'),
        (
            ("train", "digits", "--network", "lenet5_keras", "--epochs", "0"),
            "epochs cannot be 0; it must be a number from 1",
        ),
        (("train", "digits", "--network", "lenet5_keras", "--lr", "nan"), "learning_rate cannot be nan"),
        (("train", "digits", "--network", "lenet5_keras", "--seed", "-1"), "seed cannot be -1"),
        (("train", "digits", "--network", "lenet5_keras", "--size", "8"), "smallest side is 12"),
        (("train", "digits", "--network", "lenet5_keras", "--validation", "0"), "--validation a fraction above 0"),
        (("train", "digits", "--network", "lenet5_keras", "--freeze", "stage9"), "has no stage 'stage9'"),
        (("train", "digits", "--network", "lenet5_keras", "--device", "tpu"), "device 'tpu' is not on this machine"),
        (("train", "digits", "--network", "lenet5_keras", "--threads", "0"), "threads cannot be 0"),
        (("train", "digits", "--network", "lenet5_keras", "--group-by", "("), "is not a regular expression"),
        (("train", "digits", "--network", "lenet5_keras", "--weights", "nowhere.pth"), "no weight file nowhere.pth"),
        (("train", "digits", "--network", "lenet5_keras", "--weights", "imagenet"), "no official ImageNet weights"),
        (("train", "digits", "--optimizer", "sdg"), 'Did you mean "sgd"?'),
        (("train", "digits", "cifar10", "--network", "lenet5_keras"), "Unexpected argument 'cifar10'; --help lists"),
        (
            ("train", "digits", "--network", "lenet5_keras", "--loss", "dice"),
            "--loss is an option of embed, segment, landmarks and restore, not of classify; omit it.",
        ),
        (("train", "digits", "--network", "lenet5_keras", "--mixup", "2e9"), "mixup cannot be 2000000000.0"),
        (("train", "digits", "--network", "lenet5_keras", "--balance", "wood"), 'Choose from: "none", "weights"'),
        (("train", "digits", "--network", "lenet5_keras", "--task", "segmnt"), "did you mean segment?"),
        (("train", "digits", "--network", "lenet5_keras", "--task", "segment"), "segment needs them for pixels"),
        (("train", "--recipe", "nowhere.toml"), "nowhere.toml cannot be read"),
        (("train", "--resume", "nowhere"), "nowhere is not a run"),
        (("train", "--resume", "nowhere", "--epochs", "3"), "give --resume without other options"),
        (("evaluate", "nowhere"), "nowhere is not a run"),
        (("predict", "nowhere", "nothing.png"), "nowhere is not a run, nor an export"),
        (("compare", "nowhere"), "Give two or more runs"),
        (("compare", "a", "b"), "a is neither a run nor a network"),
        (("explain", "nowhere"), "nowhere is not a run"),
        (("explain", "nowhere", "--method", "gradcam"), 'Did you mean "grad-cam"?'),
        (("data", "nowhere"), "There is no file, folder or built-in dataset 'nowhere'"),
        (("networks", "resnet19"), "Did you mean resnet18, resnet18_c or resnet18_a?"),
        (("networks", "resnet18", "--input", "3x224"), "write channels x height x width"),
    ],
)
def test_an_error_is_one_sentence(
    words: tuple[str, ...], sentence: str, command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert sentence in command.refused(*words)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[segment]\nloss = 'dice'", 'has an unknown section [segment]; correct it, or set task = "segment".'),
        ("[classify]\nmixupp = 0.2", "There is no option 'mixupp'. Did you mean mixup?"),
        ("[classify]\nmixup = 'much'", "mixup cannot be 'much'; it must be a number."),
        (
            "[classify]\nloss = 'dice'",
            "--loss is an option of embed, segment, landmarks and restore, not of classify; omit it.",
        ),
        ("[classify]\nlabel_smoothing = 1.5", "label_smoothing cannot be 1.5; it must be a number from 0 to 0.9999."),
        ("[optimization]\nlearning_rate = true", "learning_rate cannot be True; it must be a number."),
    ],
)
def test_an_error_in_a_recipe_is_one_sentence(text: str, sentence: str, command: Command, tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(f"data = 'digits'\ntask = 'classify'\nnetwork = 'lenet5_keras'\n{text}\n")
    refused = command.refused("train", "--recipe", path, "--out", tmp_path / "run")
    assert refused.removeprefix(f"{path}: ").removeprefix(f"{path} ") == sentence
    assert not (tmp_path / "run").exists()


def test_a_recipe_may_be_used_for_another_task(command: Command, tmp_path: Path) -> None:
    """The options of the first one are dropped."""
    path = tmp_path / "recipe.toml"
    path.write_text("data = 'digits'\ntask = 'classify'\nnetwork = 'lenet5_keras'\n[classify]\nmixup = 0.2\n")
    words = ("train", "--recipe", path, "--task", "segment", "--loss", "dice", "--out", tmp_path / "run")
    assert "the task segment needs them for pixels" in command.refused(*words)


def test_a_folder_without_a_dataset_is_described(command: Command, tmp_path: Path) -> None:
    assert "Found there: nothing." in command.refused("train", tmp_path, "--network", "lenet5_keras")
    folders(tmp_path, {"cats": 3})
    assert "has only one class, cats" in command.refused("train", tmp_path, "--network", "lenet5_keras")
    (tmp_path / "labels.csv").write_text("cats/0.png,cat\ncats/1.png,cat\ncats/2.png,cat")
    assert "has only one class, 'cat'" in command.refused("train", tmp_path, "--network", "lenet5_keras")


def test_debug_shows_where_an_error_came_from(command: Command) -> None:
    with pytest.raises(convolve.ConvolveError, match="not a run") as caught:
        command("evaluate", "nowhere", "--debug")
    assert str(caught.traceback[-1].path).endswith("card.py")


def test_json_is_alone_on_standard_output(command: Command, tmp_path: Path) -> None:
    words = ("--network", "lenet5_keras", "--size", "16", "--epochs", "1", "--threads", "1", "--out", tmp_path / "run")
    done = command("train", "digits", *words, "--json")
    found = json.loads(done.out)
    assert done.code == 0
    names = ("run", "report", "epoch", "split", "images", "metrics", "intervals", "classes", "confusion", "calibration")
    assert found.keys() == set(names)
    assert "1 epoch, about" in done.err
    assert "1,797 images, 10 classes" in done.err
    assert "already holds a run" in command.refused("train", "digits", *words)
    for line in (
        ("data", "digits"),
        ("networks",),
        ("networks", "simple_cnn"),
        ("evaluate", tmp_path / "run"),
        ("predict", tmp_path / "run", tmp_path / "run" / "contact_sheet.png"),
        ("explain", tmp_path / "run", tmp_path / "run" / "contact_sheet.png", "--threads", "1"),
        ("compare", tmp_path / "run", tmp_path / "run"),
    ):
        done = command(*line, "--json")
        assert done.code == 0
        json.loads(done.out, parse_constant=pytest.fail)


def test_people_see_paths_and_names_as_they_are(command: Command, digits_run: Path, tmp_path: Path) -> None:
    """Brackets are no markup, and long paths are not broken into lines, so that they can be copied."""
    path = tmp_path / "[bold]a[/red]" / ("long " * 40).strip() / "page.html"
    done = command("evaluate", digits_run, "--report", path)
    assert done.code == 0
    assert f"report  {path}" in done.out.splitlines()
    assert "test accuracy " in done.out


_INTERRUPTED = """
import dataclasses, sys, threading
from convolve import cli
from convolve.commands import COMMANDS

def interrupt(options, listener):
    threading.Thread(target=threading.Event().wait).start()  # as a pool leaves one whose start was interrupted
    raise KeyboardInterrupt

COMMANDS["data"] = dataclasses.replace(COMMANDS["data"], run=interrupt)
sys.argv[1:] = ["data", "digits"]
cli.main()
"""


def test_interrupted_it_leaves_with_130_whatever_its_threads_do() -> None:
    done = subprocess.run([sys.executable, "-c", _INTERRUPTED], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr.strip()) == (130, "Interrupted.")


def test_the_reader_of_the_output_may_close_it() -> None:
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
    image = digits_run / "contact_sheet.png"
    several = convolve.predict(digits_run, [image, str(image)], threads=1, progress=False)
    single = convolve.predict(run=str(digits_run), images=image, threads=1, progress=False)
    assert [one.cells() for one in several.predictions] == [single.predictions[0].cells()] * 2
    assert convolve.data(str(Path("digits")), progress=False).dataset.layout == "named"
    with pytest.raises(TypeError, match="unexpected keyword argument 'netwrk'"):
        convolve.train("digits", netwrk="lenet5_keras")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="multiple values for argument 'data'"):
        convolve.train("digits", data="digits")  # type: ignore[misc]
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'path'"):
        convolve.data()  # type: ignore[call-arg]
    with pytest.raises(convolve.ConvolveError, match=r"no option 'netwrk'\. The options are top, threshold"):
        convolve.predict(digits_run, image, task_options={"netwrk": 1}, progress=False)
    with pytest.raises(convolve.ConvolveError, match=r"^epochs cannot be 'many'; it must be a whole number\.$"):
        convolve.train("digits", epochs="many")  # type: ignore[arg-type]


def test_what_looks_like_an_option_may_be_a_file(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("-1.png", "--json.png"):
        save(tmp_path / name, corner_image([0], np.random.default_rng(0)))
    assert command.refused("predict", "run", "-1.png").endswith("The file of that name is written ./-1.png.")
    assert command.refused("predict", "run", "--json.png").endswith("The file of that name is written ./--json.png.")
    assert command.refused("predict", "run", "a.png", "--qiet") == "Unknown option: --qiet. Did you mean --quiet?"
    assert "run is not a run" in command.refused("predict", "run", "--", "-1.png")


@pytest.mark.parametrize("words", [("-", "-q"), ("-q", "-"), ("-q", "--", "-"), ("-", "-q", "--", "-")])
def test_a_dash_is_standard_input(
    words: tuple[str, ...], command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, digits_run: Path
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(f"{digits_run / 'contact_sheet.png'}\n".encode())))
    done = command("predict", digits_run, "--threads", "1", *words)
    assert done.code == 0, done.err
    assert done.out.count("contact_sheet.png") == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
@pytest.mark.parametrize("words", [["networks"], ["networks", "--json"], ["--help"], ["data", "digits", "-q"]])
def test_a_full_disk_under_the_output_is_one_sentence(words: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "convolve", *words], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    sentence = "The output cannot be written (No space left on device); free some space or write it elsewhere.\n"
    assert (done.returncode, done.stderr) == (2, sentence)


@pytest.mark.skipif(os.name == "nt", reason="a shell's way to close streams")
def test_closed_streams_do_no_harm(digits_run: Path) -> None:
    def run(command: str) -> tuple[int, str, str]:
        script = f'"$PYTHON" -m convolve {command}'
        environment = os.environ | {"PYTHON": sys.executable}
        done = subprocess.run(["sh", "-c", script], env=environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    assert run("data digits >&- 2>&- <&-") == (0, "", "")
    assert run("data nowhere 2>&-") == run("data nowhere >&- 2>&-") == (2, "", "")
    code, out, err = run(f"predict '{digits_run}' - <&-")
    assert (code, out) == (2, "")
    assert err.startswith("Standard input is closed;")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (PermissionError(13, "Permission denied", "run/x"), "run/x cannot be used (Permission denied); check its path"),
        (OSError(28, "No space left on device"), "The output cannot be written (No space left on device)"),
        (MemoryError(), "There is not enough memory; close other programs"),
    ],
)
def test_what_the_system_refuses_is_one_sentence(
    error: Exception, sentence: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(options: object, listener: object) -> None:
        raise error

    monkeypatch.setattr(cli, "_discard_output", lambda: None)  # this process needs its own
    monkeypatch.setitem(COMMANDS, "data", dataclasses.replace(COMMANDS["data"], run=fail))
    assert command.refused("data", "digits").startswith(sentence)
    with pytest.raises(type(error)):
        command("data", "digits", "--debug")
