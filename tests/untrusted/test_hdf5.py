"""Reading HDF5 files in a process of its own; the oracle is h5py in this one."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from convolve.errors import WeightsError
from convolve.untrusted import hdf5
from convolve.untrusted.hdf5 import CHILD, SIGNATURE, Hdf5Node, parse_hdf5, read_hdf5

h5py = pytest.importorskip("h5py")

ARRAYS: dict[str, npt.NDArray[Any]] = {
    "floats": np.arange(24, dtype="f4").reshape(2, 3, 4),
    "doubles": np.linspace(-1, 1, 7),
    "halves": np.array([1, 0.5, np.inf, np.nan], "f2"),
    "large first": np.arange(5, dtype=">f4"),
    "bytes": np.arange(200, dtype="u1"),
    "wholes": np.array([-(2**62), 2**62]),
    "truths": np.array([True, False, True]),
    "a number": np.array(2.5, "f4"),
    "nothing": np.zeros((0, 3), "f4"),
}
BEGIN = 'import json, sys\nwrite = lambda entry: print(json.dumps(entry), flush=True)\nprint("{}", flush=True)\n'
ROOT = {"parent": -1, "name": "/", "attributes": {}}


def saved(fill: Callable[[Any], object], **options: Any) -> bytes:
    stream = io.BytesIO()
    with h5py.File(stream, "w", **options) as file:
        fill(file)
    return stream.getvalue()


def message(content: bytes) -> str:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - its text is what is compared
        parse_hdf5(content)
    return str(caught.value)


def array(node: Hdf5Node | None) -> npt.NDArray[Any]:
    assert node is not None
    assert node.array is not None
    return node.array


@pytest.mark.parametrize("libver", ["earliest", "latest"])
@pytest.mark.parametrize(
    "packing",
    [
        {},
        {"chunks": True},
        {"compression": "gzip", "shuffle": True, "fletcher32": True},
        {"compression": "lzf"},
    ],
)
def test_arrays_are_those_of_h5py(libver: str, packing: dict[str, Any], tmp_path: Path) -> None:
    def fill(file: Any) -> None:
        for name, values in ARRAYS.items():
            file.create_dataset(f"group/{name}", data=values, **packing if values.size and values.ndim else {})

    content = saved(fill, libver=libver)
    (tmp_path / "a.h5").write_bytes(content)
    assert content.startswith(SIGNATURE)
    for root in (parse_hdf5(content), read_hdf5(tmp_path / "a.h5")):
        group = root.links["group"]
        assert sorted(group.links) == sorted(ARRAYS)
        assert group.array is None
        for name, values in ARRAYS.items():
            found = array(root.child(f"group/{name}"))
            assert found.dtype == values.dtype.newbyteorder("=")
            np.testing.assert_array_equal(found, values, strict=found.dtype == values.dtype)
        assert root.child("group/other") is None
        assert root.child("other/floats") is None


def test_attributes_are_plain_values() -> None:
    def fill(file: Any) -> None:
        file.attrs["text"] = "한 text"
        file.attrs["fixed"] = np.bytes_(b"tensorflow")
        file.attrs["texts"] = ["conv/kernel:0", "conv/bias:0"]
        file.attrs["fixed texts"] = np.array([b"conv", b"dense_1"])
        file.attrs["no UTF-8"] = np.bytes_(b"a\xff")
        file.attrs.create("no UTF-8 either", b"a\xff", dtype=h5py.string_dtype())
        file.attrs["number"] = 3
        file.attrs["numbers"] = np.array([[1.5, 2]], ">f4")
        file.attrs["none"] = np.array([], "f8")
        file.attrs["empty"] = h5py.Empty("f4")
        file.attrs["reference"] = file.ref
        file.attrs["complex"] = 1j
        file.create_group("group").attrs["inside"] = "yes"

    root = parse_hdf5(saved(fill))
    assert root.attributes == {
        "text": "한 text",
        "fixed": "tensorflow",
        "texts": ["conv/kernel:0", "conv/bias:0"],
        "fixed texts": ["conv", "dense_1"],
        "no UTF-8": "a\N{REPLACEMENT CHARACTER}",
        "no UTF-8 either": "a\N{REPLACEMENT CHARACTER}",
        "number": 3,
        "numbers": [[1.5, 2]],
        "none": [],
        "empty": None,
        "reference": None,
        "complex": None,
    }
    assert root.links["group"].attributes == {"inside": "yes"}


def test_what_is_no_array_of_numbers_is_passed_over() -> None:
    def fill(file: Any) -> None:
        file["text"] = "a text"
        file["table"] = np.zeros(2, [("a", "i4"), ("b", "f4")])
        file["type"] = np.dtype("f4")
        file["long"] = np.ones(2, np.longdouble)
        odd = h5py.h5t.STD_I32LE.copy()
        odd.set_size(3)
        h5py.h5d.create(file.id, b"three bytes", odd, h5py.h5s.create_simple((2,)))
        file["numbers"] = [1.0]

    root = parse_hdf5(saved(fill))
    assert {name: node.array is None for name, node in root.links.items()} == {
        "long": True,
        "numbers": False,
        "table": True,
        "text": True,
        "three bytes": True,
    }


def link_around(file: Any) -> None:
    file.create_group("a/b")
    file["a/b/c"] = file["a"]


def nest(file: Any) -> None:
    file.create_group("/".join("a" * 70))


def leave_out_a_chunk(file: Any) -> None:
    file.create_dataset("gap", (4, 4), "f4", chunks=(2, 4))[:2] = 1


def refer_elsewhere(file: Any) -> None:
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "values", (4,))
    file.create_virtual_dataset("virtual", layout)


@pytest.mark.parametrize(
    ("fill", "expected"),
    [
        (lambda file: file.update(a=h5py.ExternalLink("/etc/passwd", "/")), "'a' in it is a link to elsewhere"),
        (lambda file: file.update(b=[1], a=h5py.SoftLink("/b")), "'a' in it is a link to elsewhere"),
        (refer_elsewhere, "the array '/virtual' is in another file"),
        (
            lambda file: file.create_dataset("raw", (4,), "f4", external=[("/etc/passwd", 0, 16)]),
            "the array '/raw' is in another file",
        ),
        (
            lambda file: file.create_dataset("a", (1,), h5py.ref_dtype, data=[file.ref]),
            "the array '/a' is of references",
        ),
        (lambda file: file.create_dataset("a", data=[1, 2], scaleoffset=0), "the array '/a' is packed by filter 6"),
        (lambda file: file.create_dataset("a", (3,), "f4"), "the array '/a' was never written"),
        (leave_out_a_chunk, "the array '/gap' was never written, or only in part"),
        (lambda file: file.create_dataset("a", (2**40,), "f4", chunks=(4,)), "'/a' announces 4,398,046,511,104 bytes"),
        (link_around, "it has more than 64 groups in one another"),
        (nest, "it has more than 64 groups in one another"),
    ],
)
def test_what_is_not_read_is_named(fill: Callable[[Any], object], expected: str) -> None:
    assert expected in message(saved(fill))


def test_a_file_that_is_none() -> None:
    content = saved(lambda file: file.update(a=np.arange(1000)))
    unreadable = "it is damaged: the HDF5 library cannot read it"
    assert message(b"") == unreadable
    assert message(content[:5000]) == f"it is cut short: 5,000 of its {len(content):,} bytes are there"
    assert message(content.replace(b"TREE", b"EERT")) == unreadable


def test_the_numbers_of_all_arrays_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(file: Any) -> None:
        for name in "abc":
            file.create_dataset(name, (4000,), "u1", chunks=(4000,), compression="gzip")[:] = 0

    monkeypatch.setattr(hdf5, "vouched_bytes", lambda length: 10_000)
    assert "'/c' announces 4,000 bytes" in message(saved(fill))


def test_what_has_a_path_and_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.h5")
    with pytest.raises(OSError, match="it is a pipe, not a file"):
        read_hdf5(tmp_path / "pipe.h5")


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], str]:
    """Let another program take the place of the one that reads, and give what the error says."""

    def run(program: str) -> str:
        (tmp_path / "child.py").write_text(program)
        monkeypatch.setattr(hdf5, "CHILD", tmp_path / "child.py")
        monkeypatch.setattr(hdf5, "_SECONDS", 1)
        return message(SIGNATURE)

    return run


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("import os\nos.abort()", "it is damaged: the HDF5 library crashed on it, or found no end"),
        ("sys.stdout.write('{')", "it is damaged: the HDF5 library crashed"),
        ("write({'end': True})", "an object is something else"),
        ("write([])", "an object is something else"),
        ("write({**root, 'attributes': 1})", "an object is something else"),
        ("write(root)\nwrite({**root, 'parent': 1})", "a number is too large"),
        ("write(root)\nfor _ in 'ab': write({**root, 'parent': 0})", "two things in it have the same name"),
        ("write({**root, 'type': 'O8', 'shape': []})", "numbers of no usual type"),
        ("write({**root, 'type': 'f4', 'shape': [1] * 33})", "numbers of no usual type"),
        ("write({**root, 'type': 'f4', 'shape': [-4]})", "a number is not whole, or too small"),
        ("write({**root, 'type': 'f4', 'shape': [2**40]})", "announce 4,398,046,511,"),
        ("write({**root, 'type': 'f4', 'shape': [2]})", "it is damaged: the HDF5 library crashed"),
        ("write({'error': 'one\\nline'})", "one line"),
        ("write(root)\nfor i in range(2**17): write({'parent': 0, 'name': i, 'attributes': {}})", "more groups and"),
        ("while True: sys.stdout.write(' ' * 2**20)", "its 8 bytes announce 134,218,241"),
    ],
)
def test_the_program_that_reads_is_not_trusted(play: Callable[[str], str], lines: str, expected: str) -> None:
    assert expected in play(f"{BEGIN}root = {ROOT}\n{lines}")


def test_the_program_that_reads_is_ended(
    play: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(hdf5, "_PATIENCE", 0.5)
    note = f"import os, pathlib, time\npathlib.Path({str(tmp_path / 'id')!r}).write_text(str(os.getpid()))\n"
    assert (
        play(f"{BEGIN}{note}time.sleep(60)")
        == "it was not read within 0.5 s; try again when the machine has less to do"
    )
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "id").read_text()), 0)


def test_the_program_that_reads_is_not_waited_for_after_an_error(play: Callable[[str], str]) -> None:
    started = time.monotonic()
    assert play(f"{BEGIN}write({{'error': 'no'}})\nimport time\ntime.sleep(60)") == "no"
    assert time.monotonic() < started + 30


LIMITS = f"""
import os, resource, runpy
limit = runpy.run_path({str(CHILD)!r})["limit_resources"]
limit(2**30, 1)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems have fewer limits")
@pytest.mark.parametrize(
    ("attempt", "expected"),
    [
        ("pass", ""),
        ("bytearray(2**30)", "MemoryError"),
        ("open('/etc/passwd')", "Too many open files"),
        ("__import__('_socket').socket()", "Too many open files"),
    ],
)
def test_the_program_bounds_itself(attempt: str, expected: str) -> None:
    command = [sys.executable, "-I", "-c", f"import _socket\n{LIMITS}{attempt}"]
    found = subprocess.run(command, capture_output=True, text=True, check=False).stderr
    assert expected in found
    assert bool(expected) == bool(found)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems have fewer limits")
def test_the_program_takes_so_many_seconds_of_the_processor() -> None:
    ended = subprocess.run([sys.executable, "-I", "-c", f"{LIMITS}while True: pass"], check=False, timeout=60)
    assert ended.returncode < 0


def test_a_library_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hdf5, "find_spec", lambda name: None)
    with pytest.raises(WeightsError, match=r"^h5py is not installed; run `pip install 'convolve\[convert\]'`\.$"):
        parse_hdf5(SIGNATURE)


def test_a_library_that_cannot_be_loaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "h5py.py").write_text("raise ImportError")
    folder = hdf5._folder_of
    monkeypatch.setattr(hdf5, "_folder_of", lambda name: str(tmp_path) if name == "h5py" else folder(name))
    with pytest.raises(WeightsError, match=r"^h5py cannot be loaded; run `pip install "):
        parse_hdf5(SIGNATURE)


def test_neither_h5py_nor_the_rest_of_convolve_is_where_the_other_is(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_bytes(saved(lambda file: file.update(a=[1.0])))
    program = (
        "import sys; from convolve.untrusted.hdf5 import read_hdf5; read_hdf5(sys.argv[1]); exit('h5py' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program, tmp_path / "a.h5"], check=False).returncode == 0
    program = f"import runpy, sys; runpy.run_path({str(CHILD)!r}); import h5py; exit('convolve' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
