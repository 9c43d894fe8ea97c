"""Changed inputs lead to a right result or to a sentence, in little time and memory.

`python -m tests.fuzz` reads more of them.
"""

from __future__ import annotations

import ast
import mmap
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

import convolve
from convolve.errors import DataError
from tests.fuzz.all_readers import ALL
from tests.fuzz.campaign import CORPUS, faults, make_inputs
from tests.fuzz.guard import run
from tests.fuzz.reader import Reader

SOURCE = Path(convolve.__file__).parent
OPENERS = frozenset(
    (
        "read_file",
        "read_text",
        "read_start",
        "open_file",
        "open_image",
        "open_parquet",
        "read_npy",
        "read_npz",
        "read_pfm",
        "read_cfg",
        "read_darknet",
        "read_keras_archive",
        "read_t7",
        "read_prototxt",
        "read_caffemodel",
        "read_hdf5",
        "parse_hdf5",
    )
)
"""What opens a file of unknown origin."""


@pytest.mark.parametrize("name", sorted(ALL))
def test_changed_inputs(name: str) -> None:
    found = [fault.what for fault in faults(ALL[name], make_inputs(ALL[name], "suite", ALL[name].inputs))]
    assert not found


@pytest.mark.parametrize("name", sorted(ALL))
def test_inputs_that_once_led_to_a_fault(name: str) -> None:
    paths = [path for path in sorted(CORPUS.iterdir()) if path.name.rpartition("-")[0] == name]
    assert not [f"{path.name}: {fault.what}" for path in paths for fault in faults(ALL[name], [path.read_bytes()])]


def test_every_such_input_has_its_reader() -> None:
    assert all(path.name.rpartition("-")[0] in ALL for path in CORPUS.iterdir())
    assert len(list(CORPUS.iterdir())) > 60


def _opens_files(path: Path) -> bool:
    """Whether a module calls what opens a file of unknown origin."""
    calls = (node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
    return any((isinstance(call, ast.Name) and call.id in OPENERS) for call in calls)


def test_every_module_that_opens_such_files_is_reached() -> None:
    covered = {module for reader in ALL.values() for module in reader.covers}
    modules = {
        ".".join(("convolve", *path.relative_to(SOURCE).with_suffix("").parts)): path
        for path in SOURCE.rglob("*.py")
        if "untrusted" not in path.parts
    }
    opening = {name for name, path in modules.items() if _opens_files(path)}
    assert len(opening) > 10
    assert opening - covered == set(), "add a fuzzer to tests/fuzz that reaches it"
    assert {name for name in covered if "untrusted" not in name} <= {*modules}


def _reader(read: Callable[[bytes, Path], object]) -> Reader:
    return Reader("made here", (), lambda: [b""], read)


def _whats(read: Callable[[bytes, Path], object], *inputs: bytes) -> list[str]:
    return [fault.what for fault in run(_reader(read), inputs or (b"a",))]


def test_a_reader_that_does_well_is_not_blamed() -> None:
    def read(content: bytes, folder: Path) -> None:
        (folder / "a").write_bytes(content)
        assert (folder / "a").read_bytes() == content
        raise DataError("It is damaged; copy it again.")

    assert _whats(read, b"a", b"b") == []


def test_what_a_reader_must_not_do_is_seen(tmp_path: Path) -> None:
    def allocate(_content: bytes, _folder: Path) -> None:
        with mmap.mmap(-1, 600 * 2**20) as memory:  # not of what other tests have left to the process
            for page in range(0, len(memory), mmap.PAGESIZE):
                memory[page] = 1

    def compute(_content: bytes, _folder: Path) -> None:
        started = time.process_time()
        while time.process_time() < started + 3:
            pass

    def execute(_content: bytes, _folder: Path) -> None:
        with suppress(Exception):  # as a reader would
            subprocess.run([sys.executable, "-c", ""], check=False)

    assert _whats(lambda content, _folder: {b"": 0}[content])[0].startswith("KeyError at test_fuzz.py:")
    (memory,) = _whats(allocate)
    assert (int(memory.split()[0]) > 500, memory.split()[1]) == (True, "MiB")
    assert [what.split()[1:] for what in _whats(compute)] == [["s", "of", "the", "processor"]]
    assert _whats(execute)[0].startswith("a violation: subprocess.Popen")
    assert _whats(lambda _content, _folder: (tmp_path / "out").write_bytes(b""))[0].startswith("a violation: open")
    assert not (tmp_path / "out").exists()


def test_a_reader_that_ends_the_process_is_outlived() -> None:
    def read(content: bytes, _folder: Path) -> None:
        if content == b"end":
            os.abort()
        if content == b"fail":
            raise KeyError

    found = _whats(read, b"a", b"end", b"b", b"fail", b"end")
    assert [what.split(" at ")[0] for what in found] == [
        "the process ended with -6",
        "KeyError",
        "the process ended with -6",
    ]
