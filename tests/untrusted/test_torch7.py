"""Torch7's values: files of others, and files that a writer of the tests makes."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convolve.untrusted.torch7 import LuaArray, LuaFunction, LuaObject, LuaTable, read_t7
from tests.interop.torch7.lua import Function, Lua, Storage, View, dump

FILES = Path(__file__).parents[1] / "interop" / "torch7"


def read(content: bytes, folder: Path) -> Any:
    """The value in a file."""
    (folder / "a.t7").write_bytes(content)
    return read_t7(folder / "a.t7")


def test_arrays_of_others() -> None:
    for name, values in (("x", [1, 2, 3]), ("y", [12, 13]), ("doubletensor", [[1, 2, 3], [4, 5, 6.9]])):
        found = read_t7(FILES / f"{name}.t7")
        assert isinstance(found, LuaArray)
        assert found.numbers.tolist() == values
    found = read_t7(FILES / "floattensor.t7").numbers
    assert (found.shape, found.dtype) == ((2, 3, 4), np.float32)
    assert found[0, 0, 0] == pytest.approx(0.8635312)


def test_tables_of_others() -> None:
    table = read_t7(FILES / "list_table.t7")
    assert table.items() == ["hello", "world", "third item", 123]
    assert read_t7(FILES / "map_table1.t7").fields[0] == "zero"
    assert read_t7(FILES / "map_table2.t7").fields["a"] == "non number key"


def test_values_that_hold_themselves() -> None:
    table = read_t7(FILES / "recursive_kv_table.t7")
    assert table.fields == {table: table}
    found = read_t7(FILES / "recursive_class.t7")
    assert (found.kind, found.fields) == ("A", {"a": found})


def test_classes_and_functions_of_others() -> None:
    assert read_t7(FILES / "custom_class.t7").kind == "Blah"
    assert read_t7(FILES / "function.t7") == LuaFunction()
    assert read_t7(FILES / "function_upvals.t7") == LuaFunction()
    node = read_t7(FILES / "nngraph_node.t7")
    assert node.fields["data"].fields["annotations"].fields["hello"] == 123


def _everything() -> Any:
    shared = Storage(np.arange(12, dtype=np.float32) / 8)
    numbers = {kind: np.array([0, 1, 2, 100], kind) for kind in ("f8", "f4", "i8", "i4", "i2", "i1", "u1", "f2")}
    return {
        "nothing": None, "truth": True, "falsehood": False, "number": -1.5e-7, "text": "한글 and\nlines ", "empty": "",
        3: [1, [2, [3]]], "function": Function(b"\x1bLJ 1 2\n3", [Function(b"", None), 5.0]), **numbers,
        "object": Lua("nn.Thing", {"a": 1, "b": {"c": "d"}}), "none": np.zeros(0, np.float32),
        "left": View(shared, (2, 3), (3, 1)), "right": View(shared, (3, 2), (1, 3), offset=6),
    }  # fmt: skip


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("long_size", [4, 8])
@pytest.mark.parametrize("versions", [False, True])
@pytest.mark.parametrize("prefix", ["", "Cuda", "Cl"])
def test_what_was_written(text: bool, long_size: int, versions: bool, prefix: str, tmp_path: Path) -> None:
    content = dump(_everything(), text=text, long_size=long_size, versions=versions, prefix=prefix)
    fields = read(content, tmp_path).fields
    assert "nothing" in fields
    assert (fields["nothing"], fields["truth"], fields["falsehood"]) == (None, True, False)
    assert (fields["number"], fields["text"], fields["empty"]) == (-1.5e-7, "한글 and\nlines ", "")
    assert fields[3].items()[1].items()[1].items() == [3]
    assert fields["function"] == LuaFunction()
    for kind in ("f8", "f4", "i8", "i4", "i2", "i1", "u1", "f2"):
        assert fields[kind].numbers.tolist() == [0, 1, 2, 100], kind
        if kind != "i8":
            assert fields[kind].numbers.dtype == kind
    assert isinstance(fields["object"], LuaObject)
    assert fields["object"].fields["b"].fields == {"c": "d"}
    assert fields["none"].numbers.size == 0
    assert (fields["left"].numbers * 8).tolist() == [[0, 1, 2], [3, 4, 5]]
    assert (fields["right"].numbers * 8).tolist() == [[6, 9], [7, 10], [8, 11]]


def test_many_numbers_as_text(tmp_path: Path) -> None:
    numbers = np.random.default_rng(0).normal(size=150_000).astype(np.float32)
    assert np.array_equal(read(dump(numbers, text=True), tmp_path).numbers, numbers)
    odd = np.array([np.nan, np.inf, -np.inf, 1e38], np.float32)
    assert np.array_equal(read(dump(odd, text=True), tmp_path).numbers, odd, equal_nan=True)


def test_deep_tables(tmp_path: Path) -> None:
    def nested(depth: int) -> bytes:
        opening = b"".join(struct.pack("<iii", 3, index, 1) + struct.pack("<id", 1, 1.0) for index in range(depth))
        return opening + struct.pack("<i", 0)

    table, depth = read(nested(20_000), tmp_path), 0
    while isinstance(table, LuaTable):
        table, depth = table.fields[1], depth + 1
    assert depth == 20_000
    with pytest.raises(ValueError, match="nested too deeply"):
        read(nested(200_000), tmp_path)


def _storage(count: int, held: bytes) -> bytes:
    name = b"torch.FloatStorage"
    return struct.pack("<iii", 4, 1, len(name)) + name + struct.pack("<q", count) + held


def _tensor(shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 1) -> bytes:
    name = b"torch.FloatTensor"
    sizes = struct.pack(f"<{2 * len(shape) + 1}q", *shape, *strides, offset)
    inner = struct.pack("<iii", 4, 2, len("torch.FloatStorage")) + b"torch.FloatStorage"
    head = struct.pack("<iii", 4, 1, len(name)) + name + struct.pack("<i", len(shape))
    return head + sizes + inner + struct.pack("<q", 4) + bytes(16)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "cut short"),
        (struct.pack("<i", 99), "of the type 99"),
        (struct.pack("<ii", 2, 2**30), "cut short"),
        (struct.pack("<ii", 2, -1), "cut short"),
        (struct.pack("<iii", 3, 1, 2**30), "cut short"),
        (_storage(2**40, b""), "cut short"),
        (_storage(-1, b""), "cut short"),
        (_tensor((5,), (1,)), "larger than its storage"),
        (_tensor((2,), (1,), 4), "larger than its storage"),
        (_tensor((2, 2), (-1, 1)), "has no numbers"),
        (_tensor((2**40,), (0,)), "larger than its storage"),
        (_tensor((4,) * 12, (0,) * 12), "repeats"),
        (_tensor((1,), (1,), -3), "has no numbers"),
        (struct.pack("<iiiidd", 3, 1, 1, 0, 0, 0), "value without a key"),
        (dump(Lua("tds.Hash", {})), "of the class tds.Hash"),
        (dump(1.5, text=True)[:-3], "cut short"),
        (b"1\nx\n", "is no number"),
        (dump(np.ones(3, np.float32), text=True).replace(b"1.0 1.0", b"1.0 x.0"), "cut short"),
        (dump(np.ones(3, np.int16), text=True).replace(b"1 1 1\n", b"1 1 99999\n"), "too large for its type"),
    ],
)
def test_damaged_files(content: bytes, says: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=says):
        read(content, tmp_path)
