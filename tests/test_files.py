"""A file is the old one or the new one, never half of either."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path

import pytest

from convolve.errors import ConvolveError, DataError
from convolve.files import atomic_write, check_replaceable, shell_quote, write_text


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


def test_devices_and_links_stay_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old, and longer")
    (tmp_path / "link").symlink_to("file")
    write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "new"
    write_text(Path(os.devnull), "text")
    assert not Path(os.devnull).is_file()
    if Path("/dev/full").exists():
        with pytest.raises(ConvolveError, match=r"/dev/full cannot be written \(No space left on device\)"):
            write_text(Path("/dev/full"), "text")
        assert Path("/dev/full").is_char_device()


@pytest.mark.parametrize(
    ("path", "written"),
    [("runs/a", "runs/a"), ("my run", "'my run'"), ("a'b", "'a'\"'\"'b'"), ("-run", "./-run"), ("$HOME", "'$HOME'")],
)
def test_a_path_is_quoted_for_the_shell(path: str, written: str) -> None:
    assert shell_quote(path) == written
    assert Path(shlex.split(written)[0]) == Path(path)


def test_what_convolve_did_not_write_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    check_replaceable(path, lambda _: False)
    check_replaceable(Path(os.devnull), lambda _: False)
    path.write_text("mine")
    check_replaceable(path, lambda file: file.read_text() == "mine")
    with pytest.raises(DataError, match=r"a\.txt exists, and is no page of ours; choose another name, or remove it"):
        check_replaceable(path, lambda _: False, "page of ours")
    with pytest.raises(DataError, match="exists, and is no file that convolve wrote"):
        check_replaceable(tmp_path, lambda file: bool(file.read_bytes()))
