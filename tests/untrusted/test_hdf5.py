"""HDF5 files hold what h5py has written, and nothing outside of them is followed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convolve.untrusted.hdf5 import Hdf5File, Hdf5Node, open_hdf5

h5py = pytest.importorskip("h5py")
RANDOM = np.random.default_rng(0)
NUMBERS = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", ">f4", ">i4")


def write(path: Path, fill: Callable[[Any], object], **options: Any) -> Hdf5Node:
    """The root of a file that h5py writes."""
    with h5py.File(path, "w", **options) as file:
        fill(file)
    return open_hdf5(path).root()


@pytest.mark.parametrize("options", [{}, {"track_order": True}])
def test_groups_arrays_and_texts(options: dict[str, Any], tmp_path: Path) -> None:
    arrays: dict[str, Any] = {kind: (RANDOM.normal(size=(3, 4)) * 50).astype(kind) for kind in NUMBERS}
    arrays |= {"scalar": np.float32(3), "empty": np.zeros((0, 3), "f4"), "line": np.arange(1000.0)}

    def fill(file: Any) -> None:
        group = file.create_group("a/b:0/c")
        for name, values in arrays.items():
            group[name] = values
        group.attrs["text"] = "한글 " * 7
        group.attrs["bytes"] = b"abc"
        group.attrs["texts"] = ["a", "", "bc"]
        group.attrs["names"] = np.array([b"a", b"bcd"])

    group = write(tmp_path / "a.h5", fill, **options).child("a/b:0/c")
    assert group is not None
    assert {*group.links} == {*arrays}
    for name, values in arrays.items():
        node = group.child(name)
        found = node.array() if node else None
        assert found is not None
        assert (found.dtype, found.shape) == (np.asarray(values).dtype, np.asarray(values).shape)
        assert np.array_equal(found, values)
    assert group.attributes["text"] == "한글 " * 7
    assert group.attributes["bytes"] == "abc"
    assert (group.attributes["texts"], group.attributes["names"]) == (["a", "", "bc"], ["a", "bcd"])
    assert group.child("none") is None
    assert group.array() is None


def test_groups_whose_links_are_in_their_header(tmp_path: Path) -> None:
    root = write(tmp_path / "a.h5", lambda file: file.create_dataset("x/y/z", data=np.arange(3)), libver="v108")
    node = root.child("x/y/z")
    assert node is not None
    assert np.array_equal(node.array(), [0, 1, 2])  # type: ignore[arg-type]


def test_long_texts_and_many_groups(tmp_path: Path) -> None:
    def fill(file: Any) -> None:
        file.attrs["long"] = "x" * 300_000
        for index in range(1000):
            file.create_group(f"g/{index}").attrs["index"] = index

    root = write(tmp_path / "a.h5", fill)
    assert root.attributes["long"] == "x" * 300_000
    group = root.child("g")
    assert group is not None
    assert {*group.links} == {str(index) for index in range(1000)}
    inner = group.child("531")
    assert inner is not None
    assert inner.attributes["index"] == 531


@pytest.mark.parametrize(
    "options",
    [
        {"chunks": (5, 7)},
        {"chunks": (41, 30), "compression": "gzip"},
        {"chunks": (3, 4), "compression": "gzip", "shuffle": True, "fletcher32": True},
        {"chunks": (1, 30), "shuffle": True},
    ],
)
def test_chunks(options: dict[str, Any], tmp_path: Path) -> None:
    values = RANDOM.normal(size=(41, 30)).astype("f4")

    def fill(file: Any) -> None:
        file.create_dataset("a", data=values, **options)
        file.create_dataset("unwritten", shape=(41, 30), dtype="f4", **options)

    root = write(tmp_path / "a.h5", fill)
    for name, expected in (("a", values), ("unwritten", np.zeros((41, 30)))):
        node = root.child(name)
        assert node is not None
        assert np.array_equal(node.array(), expected)  # type: ignore[arg-type]


def test_nothing_outside_is_followed(tmp_path: Path) -> None:
    def fill(file: Any) -> None:
        file["x"] = np.arange(3.0)
        file["hard"] = file["x"]
        file["loop"] = file["/"]
        file["soft"] = h5py.SoftLink("/x")
        file["other"] = h5py.ExternalLink("/etc/passwd", "/x")
        file.attrs["reference"] = file["x"].ref
        file["pairs"] = np.zeros(3, [("a", "f4"), ("b", "i4")])
        file["truths"] = np.array([True, False])

    root = write(tmp_path / "a.h5", fill)
    assert {*root.links} == {"x", "hard", "loop", "pairs", "truths"}
    looped = root.child("loop/loop/loop/hard")
    assert looped is not None
    assert np.array_equal(looped.array(), [0, 1, 2])  # type: ignore[arg-type]
    assert root.attributes == {"reference": None}
    for name in ("pairs", "truths"):
        node = root.child(name)
        assert node is not None
        assert node.array() is None


def test_what_is_refused(tmp_path: Path) -> None:
    def external(file: Any) -> None:
        file.create_dataset("a", (100,), dtype="f4", external=[("/etc/passwd", 0, 400)])

    with pytest.raises(ValueError, match="in another file, which is not followed"):
        write(tmp_path / "a.h5", external).child("a")

    def virtual(file: Any) -> None:
        layout = h5py.VirtualLayout((3,), "f4")
        layout[:] = h5py.VirtualSource("/etc/passwd", "x", (3,))
        file.create_virtual_dataset("a", layout)

    with pytest.raises(ValueError, match="newer layout"):
        write(tmp_path / "a.h5", virtual).child("a")
    with pytest.raises(ValueError, match="newer layout"):
        write(tmp_path / "a.h5", lambda file: [file.create_group(str(i)) for i in range(99)], libver="latest")
    with pytest.raises(ValueError, match="filter 32000"):
        write(tmp_path / "a.h5", lambda file: file.create_dataset("a", data=np.zeros(9), compression="lzf")).child("a")
    with pytest.raises(ValueError, match="damaged"):
        write(tmp_path / "a.h5", lambda file: None, userblock_size=512)


def test_more_is_announced_than_there_is(tmp_path: Path) -> None:
    def fill(file: Any) -> None:
        file.create_dataset("a", shape=(2**20, 2**20), dtype="f4", chunks=(2**10, 2**10), compression="gzip")

    node = write(tmp_path / "a.h5", fill).child("a")
    assert node is not None
    with pytest.raises(ValueError, match="announce"):
        node.array()


def test_every_shortened_file_is_refused_or_read(tmp_path: Path) -> None:
    write(tmp_path / "a.h5", lambda file: file.create_dataset("g/a", data=np.arange(9.0)))
    content = (tmp_path / "a.h5").read_bytes()
    read = 0
    for length in range(0, len(content), 7):
        try:
            node = Hdf5File(content[:length]).root().child("g/a")
            values = node.array() if node else None
        except ValueError:
            continue
        read += values is not None and bool(np.array_equal(values, np.arange(9.0)))
    assert read < 3
