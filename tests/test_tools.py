"""The project's own scripts: the budgets, and the commands of the docs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tools import budgets, run_docs_commands
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
    return "\n".join(["def walk(): ("] + [""] * (lines - 2) + [")\n"]) if lines > 1 else "def walk(): ...\n"


def test_functions_are_measured_as_they_stand(tmp_path: Path) -> None:
    source = tmp_path / "source.py"
    source.write_text(
        '''\
class Cls:
    @property
    def one(self):
        """Two lines."""
        return 1

    @staticmethod
    def static(a, /, b, *rest, c, **others): ...

    @classmethod
    async def made(cls, a):

        def inner(self): ...

        return inner
'''
    )
    found = {place.rpartition(" ")[2]: (lines, parameters) for place, lines, parameters in _measures(source)}
    assert found == {"one": (3, 0), "static": (1, 5), "made": (5, 1), "inner": (1, 1)}


def _measures(source: Path) -> list[tuple[str, int, int]]:
    return [(function.place, function.lines, function.parameters) for function in budgets.functions(source)]


def test_code_within_every_budget_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "short.py").write_text("def walk(a, b, c, d, e, f): ...\n")
    assert budgets.main([str(tmp_path)]) == 0
    assert "most parameters              6  budget 6" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("\n" * 301, "long.py: 301 lines, at most 300"),
        ("\n" + long_function(41) + long_function(1) * 20, "long.py:2 walk: 41 lines, at most 40"),
        ("def walk(a, b, c, d, e, f, *, g): ...\n", "long.py:1 walk: 7 parameters, at most 6"),
    ],
)
def test_what_is_over_a_budget_is_named(
    source: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "long.py").write_text(source)
    assert budgets.main([str(tmp_path)]) == 1
    assert sentence in capsys.readouterr().out


@pytest.mark.parametrize(
    "lengths",
    [
        [9] * 6 + [1] * 5,  # the median is 9
        [26] * 2 + [1] * 9,  # two in eleven are longer than 25
    ],
)
def test_the_spread_of_functions_has_budgets_too(lengths: list[int], tmp_path: Path) -> None:
    (tmp_path / "many.py").write_text("".join(map(long_function, lengths)))
    assert budgets.main([str(tmp_path)]) == 1
    (tmp_path / "many.py").write_text("".join(map(long_function, lengths[1:])))
    assert budgets.main([str(tmp_path)]) == 0


def test_the_blocks_that_a_reader_runs_are_found() -> None:
    found = list(run_docs_commands.blocks(DOCUMENT))
    assert [(block.line, block.program) for block in found] == [(3, "bash"), (11, "python"), (30, "bash")]
    assert found[0].script == "mkdir made\nprintf '%s' \\\n  words > made/file\n"
    assert found[2].script == "test -f made/file\n"


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


def test_a_translation_with_other_blocks_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for language, document in (("en", DOCUMENT), ("ko", DOCUMENT.replace("words", "낱말"))):
        (tmp_path / language).mkdir()
        (tmp_path / language / "guide.md").write_text(document, encoding="utf-8")
    translation = tmp_path / "ko" / "guide.md"
    assert run_docs_commands.main([str(translation)]) == 1
    said = f"failed {translation} does not have the blocks of {tmp_path / 'en' / 'guide.md'}\n"
    assert capsys.readouterr().out == said


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
