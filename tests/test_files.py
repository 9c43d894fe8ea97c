"""A file is the old one or the new one, never half of either."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from convolve.errors import ConvolveError
from convolve.files import atomic_write, write_text


def test_a_failing_block_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(ZeroDivisionError), atomic_write(path) as draft:
        draft.write_text(f"half {1 / 0}")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with (
        pytest.raises(ConvolveError, match=r"a\.txt cannot be written \(No space left on device\)"),
        atomic_write(path),
    ):
        raise OSError(28, "No space left on device")
    assert path.read_text() == "old"


def test_a_folder_in_place_of_the_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConvolveError, match="cannot be written"):
        write_text(tmp_path / "file" / "inner.txt", "text")


def test_a_name_that_is_not_unicode_is_written_as_json_has_it(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9 \xea\xb3\xa0.png")
    write_text(tmp_path / "a.json", json.dumps([name], ensure_ascii=False))
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == [name]
