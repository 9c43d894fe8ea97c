"""The lecturer's table: every slide has a command or a page, and the pages are those of the data."""

from __future__ import annotations

import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest

from convolve.commands import COMMANDS
from tools import slides
from tools.run_docs_commands import read_blocks

DOCS = Path(__file__).parent.parent / "docs"
DATA: dict[str, Any] = tomllib.loads((DOCS / "slides.toml").read_text(encoding="utf-8"))
ROWS: list[dict[str, Any]] = [row for lecture in DATA["lecture"] for row in lecture["rows"]]


@pytest.mark.parametrize(("language", "name"), [("en", "slides.md"), ("ko", "slides.ko.md")])
def test_the_pages_are_those_of_the_data(language: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(DOCS.parent)
    assert (DOCS / name).read_text(encoding="utf-8") == slides.slide_page(DATA, language), "run python tools/slides.py"


def test_every_slide_has_a_command_or_a_page_or_says_that_there_is_none_yet() -> None:
    for row in ROWS:
        assert row.keys() <= {"slide", "en", "ko", "see", "run", "claim", "minutes", "folder", "later"}, row
        assert {"slide", "en", "ko"} <= row.keys(), row
        assert ("run" in row or "see" in row) is not bool(row.get("later") and "see" not in row), row
        assert not (row.get("later") and "run" in row), row
        assert "run" in row or not {"minutes", "folder"} & row.keys(), row


def test_every_command_is_one_of_convolve_s_or_a_script_of_the_repository() -> None:
    for row in ROWS:
        first, second, third, *_ = [*shlex.split(row.get("run", "convolve data")), "", ""]
        if first == "python":
            assert (second, row["minutes"] > 0) == ("-m", True)
            assert (DOCS.parent / Path(*third.split("."))).with_suffix(".py").exists()
        else:
            assert (first, second in COMMANDS) == ("convolve", True), row


def test_the_commands_that_need_nothing_else_run_with_the_docs() -> None:
    expected = {row["run"] for row in ROWS if "run" in row and not {"minutes", "folder"} & row.keys()}
    blocks = read_blocks(DOCS / "slides.md")
    assert {block.script.strip() for block in blocks[2:]} == expected
    assert len(blocks) == len(expected) + 2
    assert [block.script for block in read_blocks(DOCS / "slides.ko.md")] == [block.script for block in blocks]


def test_a_claim_has_a_column_where_a_row_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(DOCS.parent)
    rows = [{"slide": "A|B", "en": "a", "ko": "a", "see": "training", "run": "convolve data | head"}]
    data = {**DATA, "lecture": [{"en": "One", "ko": "One", "rows": rows}]}
    last = r"`convolve data \| head` |"
    assert slides.slide_page(data, "en").endswith(f"| A\\|B | a | [Training](training.md) | {last}\n")
    rows[0]["claim"] = "lrn"
    assert slides.slide_page(data, "en").endswith(f"| A\\|B | a | [Training](training.md) | `lrn` | {last}\n")
