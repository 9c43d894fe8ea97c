"""A file is the old one or the new one, never half of either."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from convolve.errors import ConvolveError, DataError
from convolve.files import append_text, atomic_write, check_replaceable, link_target, shell_quote, write_text


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


def test_a_link_is_replaced_unless_a_person_has_named_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old, and longer")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "second").symlink_to(tmp_path / "link")
    write_text(link_target(tmp_path / "second"), "new")
    assert (tmp_path / "second").is_symlink()
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "new"
    write_text(tmp_path / "second", "newer")
    assert not (tmp_path / "second").is_symlink()
    assert (tmp_path / "second").read_text() == "newer"
    assert (tmp_path / "file").read_text() == "new"
    (tmp_path / "device").symlink_to(os.devnull)
    write_text(tmp_path / "device", "text")
    assert (tmp_path / "device").read_text() == "text"
    (tmp_path / "round").symlink_to("round")
    write_text(link_target(tmp_path / "round"), "text")


def test_nothing_is_appended_through_a_link_or_to_a_pipe(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    (tmp_path / "link").symlink_to("file")
    append_text(tmp_path / "link", "new")
    append_text(tmp_path / "link", "er")
    assert (tmp_path / "link").read_text() == "newer"
    assert (tmp_path / "file").read_text() == "old"
    append_text(tmp_path / "file", "er")
    assert (tmp_path / "file").read_text() == "older"
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConvolveError, match="pipe cannot be written"):
        append_text(tmp_path / "pipe", "new")


def test_standard_output_stays_what_it_is(tmp_path: Path) -> None:
    code = "from pathlib import Path; from convolve.files import *; print('a', flush=True); "
    code += "write_text(link_target(Path('/dev/stdout')), 'b')"
    ended = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
    assert ended.stdout == "a\nb"
    with (tmp_path / "file").open("ab") as file:
        subprocess.run([sys.executable, "-c", code], stdout=file, check=True)
        assert os.fstat(file.fileno()).st_ino == (tmp_path / "file").stat().st_ino
    assert "b" in (tmp_path / "file").read_text()


def test_devices_stay_what_they_are() -> None:
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


def test_a_pipe_that_nobody_reads_is_not_waited_for(tmp_path: Path) -> None:
    """As one in a stranger's run, where a page belongs."""
    os.mkfifo(tmp_path / "evaluation.html")
    with pytest.raises(ConvolveError, match=r"evaluation\.html cannot be written"):
        write_text(tmp_path / "evaluation.html", "page")
