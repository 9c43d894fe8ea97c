"""Opening files of unknown origin."""

import os
import socket
from pathlib import Path

import pytest

from convolve.untrusted.files import is_file, open_file, read_file, read_text


def test_a_file_is_read_wholly(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for content in (b"", b"1", os.urandom(3 * 2**20)):
        path.write_bytes(content)
        assert read_file(path) == content
        with open_file(path) as file:
            assert file.read() == content


def test_a_file_whose_size_the_system_does_not_know_is_read_wholly() -> None:
    path = Path("/proc/self/status")
    if not path.exists():
        pytest.skip("this system has no such file")
    assert path.stat().st_size == 0
    assert b"VmRSS" in read_file(path)


@pytest.mark.parametrize("most", [0, 9])
def test_a_longer_file_is_refused_unread(tmp_path: Path, most: int) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"0123456789")
    assert read_file(path, 10) == b"0123456789"
    with pytest.raises(OSError, match=f"it holds 10 bytes, more than the {most} that are read"):
        read_file(path, most)


def test_a_sparse_file_is_refused_at_once(tmp_path: Path) -> None:
    with (tmp_path / "a").open("wb") as file:
        file.truncate(20 * 2**30)
    with pytest.raises(OSError, match="it holds 21,474,836,480 bytes"):
        read_file(tmp_path / "a")


def test_a_file_that_is_longer_than_the_system_says_is_refused() -> None:
    path = Path("/proc/self/status")
    if not path.exists():
        pytest.skip("this system has no such file")
    with pytest.raises(OSError, match="more than the 10 that are read"):
        read_file(path, 10)


def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path) -> None:
    pipe, link, listening = tmp_path / "pipe", tmp_path / "link", tmp_path / "socket"
    os.mkfifo(pipe)
    link.symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(listening))
        for path, kind in ((pipe, "a pipe"), (link, "a device"), (listening, "a socket")):
            for read in (read_file, read_text):
                with pytest.raises(OSError, match=f"it is {kind}, not a file"):
                    read(path)
            with pytest.raises(OSError, match=f"it is {kind}, not a file"), open_file(path):
                pass
            assert not is_file(path)
    with pytest.raises(IsADirectoryError):
        read_file(tmp_path)


def test_names_that_no_file_can_have(tmp_path: Path) -> None:
    for name in ("a\0b", "a" * 5000):
        assert not is_file(tmp_path / name)
        with pytest.raises(OSError, match=r"no file can be called so|too long"):
            read_file(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        read_file(tmp_path / "absent")


def test_no_handle_stays_open(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    handles = Path("/proc/self/fd")
    if not handles.exists():
        pytest.skip("this system does not list them")
    before = len(list(handles.iterdir()))
    for _ in range(20):
        read_file(tmp_path / "a")
        with pytest.raises(OSError, match="more than"):
            read_file(tmp_path / "a", 0)
    assert len(list(handles.iterdir())) == before


def test_text_has_neither_a_mark_nor_carriage_returns(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes("\ufeffeins\r\nzwei\rdr\u00e4i\n".encode())
    assert read_text(tmp_path / "a") == "eins\nzwei\ndr\u00e4i\n"
    (tmp_path / "a").write_bytes(b"\xff")
    with pytest.raises(UnicodeDecodeError):
        read_text(tmp_path / "a")
