"""Parsing documents of unknown origin."""

import gzip
import io
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from convolve.untrusted.arrays import read_npy
from convolve.untrusted.compression import check_ratio, unpack_gzip
from convolve.untrusted.documents import cut_rows, parse_json, parse_toml, parse_xml, parse_yaml


def test_json_is_read_in_each_of_its_encodings() -> None:
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-32-be"):
        assert parse_json('{"a": ["한", 1.5]}'.encode(encoding)) == {"a": ["한", 1.5]}


@pytest.mark.parametrize(
    "content", [b"{", b"[" * 100_000, b'{"a":' * 100_000, b"\xff", b"", b"1" * 5_000, "[" * 100_000]
)
def test_damaged_json_is_a_value_error(content: bytes | str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_json(content)


@pytest.mark.parametrize("text", ["a = " + "[" * 100_000, "a = ", "a" + ".a" * 50_000 + " = 1", "a = 1\na = 2", "\0"])
def test_damaged_toml_is_a_value_error(text: str) -> None:
    started = time.process_time()
    with pytest.raises(ValueError, match=r"."):
        parse_toml(text)
    assert time.process_time() - started < 1
    assert parse_toml("a = [1]") == {"a": [1]}


ENTITIES = '<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;&b;">]><a>&c;</a>'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-16-be"])
def test_xml_with_a_document_type_is_refused_in_every_encoding(encoding: str) -> None:
    with pytest.raises(ValueError, match="document type"):
        parse_xml(f'<?xml version="1.0" encoding="{encoding[:6]}"?>{ENTITIES}'.encode(encoding))


@pytest.mark.parametrize(
    "content",
    [b"<a>", b"", b'<?xml version="1.0" encoding="klingon"?><a/>', b"<a>\xff</a>", b"<a b='1' b='2'/>", b"\0\0\0"],
)
def test_damaged_xml_is_a_value_error(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_xml(content)


def test_xml_may_be_deep() -> None:
    """Its tree is built without recursion."""
    assert parse_xml(b"<a>" * 50_000 + b"</a>" * 50_000).tag == "a"


def test_rows_are_cut_and_long_cells_kept() -> None:
    assert cut_rows(["a, b\n", '"c, d",e\n'], spaced=True) == [["a", "b"], ["c, d", "e"]]
    assert cut_rows(["a;b"], ";") == [["a", "b"]]
    assert len(cut_rows(["a," + "b" * 2**20])[0][1]) == 2**20
    with pytest.raises(ValueError, match="line 2"):
        cut_rows(["a,b\n", '"c,d\n'], strict=True)


def test_rows_of_more_cells_than_any_table_has_are_refused_one_by_one() -> None:
    line = ",".join(["1"] * 10**6)
    start = time.process_time()
    with pytest.raises(ValueError, match="line 2: it has 1,000,000 cells, more than the 10,000 that are read"):
        cut_rows(["a,b", *[line] * 100])
    assert time.process_time() - start < 2
    assert len(cut_rows(["1" + "," * 16_383])[0]) == 16_384  # as a spreadsheet may write a line of one cell


def test_a_gzip_file_is_unpacked_as_far_as_asked() -> None:
    content = gzip.compress(b"0123456789") + gzip.compress(b"abc") + bytes(5)
    assert unpack_gzip(content, 100) == b"0123456789abc"
    assert unpack_gzip(content, 11) == b"0123456789a"
    assert unpack_gzip(gzip.compress(bytes(2**28)), 16) == bytes(16)
    for damaged in (content[:15], gzip.compress(b"0123456789")[:-1], b"\x1f\x8bgarbage"):
        with pytest.raises(ValueError, match=r"."):
            unpack_gzip(damaged, 100)


def test_many_members_cost_no_more_than_their_length() -> None:
    for filled in (b"", b"\0"):
        content = (gzip.compress(b"") + filled) * 50_000  # of which copying the rest each time would take a minute
        start = time.process_time()
        assert unpack_gzip(content + gzip.compress(b"abc"), 10) == b"abc"
        assert time.process_time() - start < 5
    large = os.urandom(3 * 2**20)
    assert unpack_gzip(gzip.compress(large) + gzip.compress(b"abc"), 2**30) == large + b"abc"


def test_what_a_file_vouches_for() -> None:
    check_ratio(2**27 + 6400, 100)
    check_ratio(6410, 100, 10)
    with pytest.raises(ValueError, match="its 100 bytes announce 6,411"):
        check_ratio(6411, 100, 10)


def _saved(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize(
    "array",
    [np.arange(6.0).reshape(2, 3), np.asfortranarray(np.arange(6).reshape(2, 3)), np.empty((0, 3)), np.array(5)],
)
def test_npy_as_numpy_reads_it(tmp_path: Path, array: Any) -> None:
    (tmp_path / "a.npy").write_bytes(_saved(array))
    read = read_npy(tmp_path / "a.npy")
    assert read.dtype == array.dtype
    assert_array_equal(read, array, strict=True)


def test_damaged_npy_is_a_value_error(tmp_path: Path) -> None:
    good = _saved(np.arange(6.0).reshape(2, 3))
    damaged = {
        "short": good[:-1],
        "long": good + b"1",
        "objects": _saved(np.array([{}], dtype=object)),
        "huge": good.replace(b"(2, 3)", b"(2,9999999999)"),
        "negative": good.replace(b"(2, 3), }", b"(-2,-3),}"),
        "truth": _saved(np.ones(1)).replace(b"(1,)", b"(True,)").replace(b"   \n", b"\n"),
        "shape": good.replace(b"(2, 3)", b"'2, 3'"),
        "version": good[:6] + b"\x09" + good[7:],
        "empty": b"",
        "deep": good[:10] + b"(" * 118 + good[128:],
    }
    for name, content in damaged.items():
        (tmp_path / "a.npy").write_bytes(content)
        assert content != good, name
        with pytest.raises(ValueError, match=r"^its? "):
            read_npy(tmp_path / "a.npy")


def test_yaml_is_text_lists_and_mappings() -> None:
    """`no` and `2024-01-01` are names of classes as good as any."""
    text = "names: [no, 'yes', 1.0, 2024-01-01, ~]\nnested: {a: {0: b}}\nempty:\n# a comment\n"
    assert parse_yaml(text) == {
        "names": ["no", "yes", "1.0", "2024-01-01", "~"],
        "nested": {"a": {"0": "b"}},
        "empty": "",
    }
    assert parse_yaml("") is None
    assert parse_yaml("a: !!python/object/apply:os.system [ls]\n") == {"a": ["ls"]}  # which runs nothing


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: &x [b]\nc: *x\n", "it has aliases"),
        ("a: &x\n  b: *x\n", "it has aliases"),
        ("a: 1\nb: 2\na: 3\n", "a key in line 3 is no text, or there twice"),
        ("? [a]\n: b\n", "a key in line 1 is no text, or there twice"),
        ("a: [", "while parsing a flow node"),
        ("a: \x00", "special characters are not allowed"),
        ("[" * 100_000, "nested too deeply"),
        ("- " * 60_000, "nested too deeply"),
        ("a: b\n" * 30_000, "it has 150,000 characters, more than the 131,072 that are read"),
        ("--- a\n--- b\n", "expected a single document"),
    ],
)
def test_other_yaml_is_refused_in_little_time(text: str, why: str) -> None:
    started = time.process_time()
    with pytest.raises(ValueError, match=why):
        parse_yaml(text)
    assert time.process_time() - started < 2
