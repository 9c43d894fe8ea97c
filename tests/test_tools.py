"""The project's own scripts: the limits, and the commands of the docs."""

from __future__ import annotations

import re
import subprocess
import sys
import urllib.request
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import pytest

from tools import install_cpu, limits, run_docs_commands, words
from tools.run_docs_commands import Block

DOCUMENT = """\
# A document

```console
$ mkdir made
$ printf '%s' \\
>   words > made/file
output that is not compared
> quoted output
```

```python
from pathlib import Path

assert Path("made/file").read_text() == "words"
```

<!-- cost: 5 min -->
```sh
exit 3
```

<!-- cost: sets up a machine -->

```python
raise SystemExit(3)
```

1. In a list:

   ~~~bash
   test -f made/file
   ~~~

```text
exit 3
```
"""


def long_function(lines: int) -> str:
    return "\n".join(["def walk(): ("] + [""] * (lines - 2) + [")\n"])


def test_code_within_the_limits_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models = tmp_path / "convolve" / "models"
    models.mkdir(parents=True)
    (models / "paper.py").write_text("\nVARIANTS = ()\n" + "\n" * 198)
    (models / "registry.py").write_text("\n" * 400)
    (tmp_path / "convolve" / "api.py").write_text("\n" * 401)
    (tmp_path / "convolve" / "long.py").write_text(long_function(60) + "\n" * 340)
    (tmp_path / "convolve" / "methods.py").write_text(
        """\
class Cls:
    def method(self, a, b, c, d, e, f): ...

    @classmethod
    async def create(cls, a, b, /, c, d, *rest, **others): ...
"""
    )
    assert limits.main([str(tmp_path)]) == 0
    assert capsys.readouterr().out == "files: 4, over a limit: 0\n"


@pytest.mark.parametrize(
    ("name", "source", "sentence"),
    [
        ("convolve/long.py", "\n" * 401, "long.py: 401 lines, at most 400"),
        ("convolve/models/paper.py", "\nVARIANTS = ()\n" + "\n" * 199, "paper.py: 201 lines, at most 200"),
        ("convolve/long.py", "\n" + long_function(61), "long.py:2 walk: 61 lines, at most 60"),
        (
            "convolve/long.py",
            "def walk(a, b, /, c, d, *rest, g, **others): ...\n",
            "long.py:1 walk: 7 parameters, at most 6",
        ),
        (
            "convolve/static.py",
            "class Cls:\n    @staticmethod\n    def f(a, b, c, d, e, f, g): ...\n",
            "static.py:3 f: 7 parameters, at most 6",
        ),
        (
            "convolve/nested.py",
            "def f():\n    async def g(a, b, c, d, e, f, g): ...\n",
            "nested.py:2 g: 7 parameters, at most 6",
        ),
    ],
)
def test_what_is_over_a_limit_is_named(
    name: str, source: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    path.write_text(source)
    assert limits.main([str(tmp_path)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"{path.parent}/{sentence}", "files: 1, over a limit: 1"]


NAMES = """\
import numpy as slopes
from typing import Literal

Fit = Literal["crop", "squash"]


class TruthTable:
    rate: float = 0.1

    def shown(self, picture, *, multiple=False):
        try:
            self.share, kept = 1, 2
        except ValueError as wanted_place:
            match picture:
                case [class_number, *rooms]:
                    rate = lambda heat: (mirror := heat)
        return sum(piece for piece in rooms)
"""


def test_refused_words_are_found_wherever_a_name_is_defined(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    package = tmp_path / "convolve" / "preparing"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "names.py").write_text(NAMES)
    assert words.main([str(tmp_path)]) == 1
    *lines, last = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{package}/__init__.py:1 preparing: not 'preparing' but a noun for what it holds"
    pattern = re.compile(rf"{package}/names\.py:(\d+) (\w+): not (.+)")
    matches = [pattern.fullmatch(line) for line in lines[1:]]
    found = [(int(match[1]), match[2], match[3]) for match in matches if match]
    assert found == [
        (1, "slopes", "'slopes' but gradient"),
        (4, "squash", "'squash' but stretch"),
        (7, "TruthTable", "'truth' but ground_truth or target"),
        (8, "rate", "'rate' but learning_rate"),
        (10, "shown", "'shown' but a verb, or a noun for what it returns"),
        (10, "picture", "'picture' but image"),
        (10, "multiple", "'multiple' but multi_label"),
        (12, "share", "'share' but probability, fraction or ratio"),
        (13, "wanted_place", "'place' but path, index or position"),
        (15, "class_number", "'class_number' but class_index"),
        (15, "rooms", "'rooms' but workspace or space"),
        (16, "heat", "'heat' but attribution or heatmap"),
        (16, "mirror", "'mirror' but flip or reflect"),
        (17, "piece", "'piece' but block or component"),
    ]
    assert last == f"names with a refused word: {len(lines)}"


def test_the_field_s_words_and_the_allowed_names_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "convolve" / "reports").mkdir(parents=True)
    (tmp_path / "convolve" / "reports" / "figures.py").touch()
    (tmp_path / "names.py").write_text(
        """\
class GroundTruth:
    ground_truths = ()
    learning_rate = negative_slope = 0.1

    def named_parameters(self, shared, replacement, shown_image, tensor_board_writer):
        image, seen, made, rate, every, average = shared.slope, set(), [], 0, 0, 0
"""
    )
    assert words.main([str(tmp_path)]) == 0
    (tmp_path / "figures.py").touch()
    assert words.main([str(tmp_path)]) == 1
    assert "figures.py:1 figures: not 'figures' but metrics" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["colours", "NormaliseLayer", "grey_level", "centerd", "Initialiser", "centre"])
def test_american_spelling_is_asked_for(name: str) -> None:
    assert [instead for _, instead in words.refused(name, "local")] == ["the American spelling"]


@pytest.mark.parametrize("name", ["four_hours", "centered", "normalizer", "promise", "premises", "advise", "wise"])
def test_words_that_only_look_british_pass(name: str) -> None:
    assert not list(words.refused(name, "local"))


def test_names_allowed_in_one_package_are_still_there() -> None:
    source = Path(__file__).parent.parent / "src"
    files = [(path.relative_to(source).as_posix(), path) for path in source.rglob("*.py")]
    for prefix, stays in (entry for entry in words.ALLOWED if entry[0]):
        names = (name for short, path in files if short.startswith(prefix) for _, name, _ in words.identifiers(path))
        assert stays in names, (prefix, stays)


LOCK = """\
torch==2.14.1 \\
    --hash=sha256:00
    # via convolve (pyproject.toml)
torchcam==0.5.0 \\
    --hash=sha256:01
nvidia-cublas==13.1 ; sys_platform == 'linux' \\
    --hash=sha256:02
triton==3.8.0 ; sys_platform == 'linux' \\
    --hash=sha256:03
    # via torch
"""


def test_the_lock_without_what_only_a_gpu_needs() -> None:
    lock = (Path(__file__).parent.parent / "requirements.lock").read_text(encoding="utf-8")
    builds, rest = install_cpu.split_lock(lock)
    names = set(re.findall(r"^([a-z0-9.-]+)==", lock, re.MULTILINE))
    left_out = names - set(re.findall(r"^([a-z0-9.-]+)==", rest, re.MULTILINE))
    assert [build.partition("==")[0] for build in builds] == ["torch", "torchvision"]
    assert {"torch", "torchvision", "triton", "nvidia-cublas", "cuda-toolkit"} < left_out
    assert not re.search(r"^(nvidia|cuda)|^(triton|torch|torchvision)==", rest, re.MULTILINE)
    assert all(re.match(r"nvidia-|cuda-|triton$|torch$|torchvision$", name) for name in left_out)
    entries = (entry for entry in re.split(r"^(?=[a-z0-9])", lock, flags=re.MULTILINE)[1:])
    kept = "".join(entry for entry in entries if entry.partition("==")[0] not in left_out)
    assert rest.endswith(kept)
    assert install_cpu.split_lock(LOCK) == (["torch==2.14.1"], "torchcam==0.5.0 \\\n    --hash=sha256:01\n")


def test_an_index_that_cannot_be_reached_ends_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert install_cpu.main("http://127.0.0.1:9/whl/cpu") == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert re.fullmatch(
        r"PyTorch's index http://127\.0\.0\.1:9/whl/cpu cannot be reached from here \(.+\): "
        r"run the command without CPU=1, .+\n",
        captured.err,
    )


@pytest.mark.parametrize("locked", [False, True])
def test_processor_builds_are_installed_before_the_rest(
    locked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commands: list[list[str]] = []

    def run(command: Sequence[str], *, check: bool) -> subprocess.CompletedProcess[bytes]:
        del check
        commands.append(list(command[4:]))
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(urllib.request, "urlopen", lambda url, timeout: BytesIO())
    monkeypatch.setattr(subprocess, "run", run)
    Path("requirements.lock").write_text(LOCK)
    if locked:
        Path("requirements-cpu.lock").touch()
    assert install_cpu.main("https://index") == 0
    builds = ["--require-hashes", "--requirement", "requirements-cpu.lock"] if locked else ["torch==2.14.1"]
    rest = tmp_path / "requirements-rest.lock"
    assert commands == [
        ["--disable-pip-version-check", "--no-deps", "--index-url", "https://index", *builds],
        ["--disable-pip-version-check", "--no-deps", "--require-hashes", "--requirement", str(rest)],
    ]
    assert rest.read_text() == "torchcam==0.5.0 \\\n    --hash=sha256:01\n"
    assert ("hashes of torch==2.14.1 are not checked" in capsys.readouterr().out) is not locked


def test_the_blocks_that_a_reader_runs_are_found() -> None:
    found = list(run_docs_commands.blocks(DOCUMENT))
    assert [(block.line, block.program) for block in found] == [(3, "bash"), (11, "python"), (30, "bash")]
    assert found[0].script == "mkdir made\nprintf '%s' \\\n  words > made/file\n"
    assert found[2].script == "test -f made/file\n"


def test_the_commands_of_a_table_are_found_where_the_last_column_is_headed_so() -> None:
    table = """\
| slide | command |
|---|---|
| one | `echo "1 \\| 2"` |
| again | `echo "1 \\| 2"` |
| long | `sleep 600` (10 min) |
| none | – |

```sh
true
```

| slide | result |
|---|---|
| one | `false` |
"""
    found = list(run_docs_commands.blocks(table))
    assert found == [Block(3, "bash", 'echo "1 | 2"\n'), Block(8, "bash", "true\n")]


def test_a_document_runs_in_one_folder_and_its_translation_not_at_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    original, translation = tmp_path / "README.md", tmp_path / "README.ko.md"
    original.write_text(DOCUMENT)
    translation.write_text(DOCUMENT.replace("A document", "문서"), encoding="utf-8")
    assert run_docs_commands.main([str(original), str(translation)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in said] == ["ok", "ok", "ok", "same"]
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(("english", "korean"), [("en/guide.md", "ko/guide.md"), ("guide.md", "guide.ko.md")])
def test_a_translation_with_other_blocks_fails(
    english: str, korean: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    original, translation = tmp_path / english, tmp_path / korean
    for path, document in ((original, DOCUMENT), (translation, DOCUMENT.replace("words", "낱말"))):
        path.parent.mkdir(exist_ok=True)
        path.write_text(document, encoding="utf-8")
    assert run_docs_commands.main([str(translation)]) == 1
    assert capsys.readouterr().out == f"failed {translation} does not have the blocks of {original}\n"


def test_originals_run_before_their_translations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("docs").mkdir()
    for name in ("guide.md", "guide.ko.md"):
        Path("docs", name).write_text("```sh\ntrue\n```\n")
    assert run_docs_commands.main([]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith(f"{Path('docs', 'guide.md')}:1")
    assert second == f"same   {Path('docs', 'guide.ko.md')}, as {Path('docs', 'guide.md')}"


def test_a_failing_block_is_shown_and_the_rest_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = tmp_path / "guide.md"
    document.write_text("```sh\necho before\nfalse\necho after\n```\n\n```python\nprint(1)\n```\n")
    assert run_docs_commands.main([str(document)]) == 1
    said = capsys.readouterr().out
    assert "guide.md:1\n    echo before\n    false\n    echo after\n    before\n    left with 1\n" in said
    assert said.splitlines()[-1].startswith("ok")


def test_commands_use_the_programs_beside_this_python(tmp_path: Path) -> None:
    programs = Path(sys.executable).parent
    assert run_docs_commands.run(Block(1, "bash", f"test $(command -v python) = {programs}/python"), tmp_path) is None


def test_a_block_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_docs_commands, "LIMIT", 0.2)
    assert run_docs_commands.run(Block(1, "bash", "exec sleep 5"), tmp_path) == "not done after 0.2 seconds"
