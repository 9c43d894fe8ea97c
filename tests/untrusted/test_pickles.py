"""Pickles whose loading would take gigabytes, hours or the interpreter are found without loading them."""

import io
import pickle
import struct
import tracemalloc
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from convolve.untrusted.pickles import MAX_DEPTH, check_pickle

_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(_SCALARS, inner)
        | st.frozensets(_SCALARS)
        | st.lists(inner).map(lambda values: [values, values])
    ),
    max_leaves=20,
)


@given(value=_VALUES, protocol=st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_plain_values_pass_in_every_protocol(value: Any, protocol: int) -> None:
    content = pickle.dumps(value, protocol)
    assert check_pickle(content) == len(content)
    assert check_pickle(b"12" + content + b"3", 2) == len(content) + 2


@given(value=_VALUES, protocol=st.integers(0, pickle.HIGHEST_PROTOCOL), data=st.data())
def test_a_pickle_that_is_cut_short_is_refused(value: Any, protocol: int, data: st.DataObject) -> None:
    content = pickle.dumps(value, protocol)
    with pytest.raises(ValueError, match=r"^its? "):
        check_pickle(content[: data.draw(st.integers(0, len(content) - 1))])


@given(st.binary(max_size=200))
def test_any_bytes_pass_or_are_a_value_error(content: bytes) -> None:
    try:
        check_pickle(content)
    except ValueError as error:
        assert str(error).startswith(("it ", "its "))  # noqa: PT017


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_batches_of_images_and_weights_pass(protocol: int) -> None:
    batch = {
        b"data": np.zeros((100, 3072), np.uint8),
        b"labels": list(range(100)),
        b"filenames": [f"{number}.png".encode() for number in range(100)],
    }
    content = pickle.dumps(batch, protocol)
    assert check_pickle(content) == len(content)


def test_each_pickle_of_a_legacy_weight_file_passes() -> None:
    file = io.BytesIO()
    state = OrderedDict((f"layer{number}.weight", torch.zeros(2, 3)) for number in range(200))
    torch.save(state, file, _use_new_zipfile_serialization=False)
    content, end = file.getvalue(), 0
    for _ in range(5):  # magic number, protocol, machine, weights, names of the storages
        end = check_pickle(content, end)
    assert len(content) - end == 200 * (8 + 2 * 3 * 4)


def _shared(times: int, pair: bytes) -> bytes:
    """Pairs of the pair before: to hash the last takes twice as long as to hash the one before."""
    steps = b"".join(b"h%ch%c%sq%c" % (n, n, pair, n + 1) for n in range(times))
    return b"\x80\x02(K\x01K\x02\x86q\x00" + steps + b"t."


REFUSED: dict[str, tuple[bytes, str]] = {
    "4 GB of text in 9 bytes": (b"\x80\x02X\xff\xff\xff\xffa.", "more bytes than it has"),
    "bytes": (b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"a.", "more bytes than it has"),
    "text of 8 bytes": (b"\x80\x04\x8d" + struct.pack("<Q", 2**40) + b"a.", "more bytes than it has"),
    "bytearray": (b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b"a.", "more bytes than it has"),
    "negative text": (b"\x80\x02T\xff\xff\xff\xffa.", "more bytes than it has"),
    "long": (b"\x80\x02\x8b\xff\xff\xff\x7fa.", "more bytes than it has"),
    "frame": (b"\x80\x04\x95" + struct.pack("<Q", 2**33) + b"N.", "more bytes than it has"),
    "number of the memo": (b"\x80\x02Nr\xff\xff\xff\x05.", "it numbers a value"),
    "text number of the memo": (b"Np999999999\n.", "it numbers a value"),
    "long text number of the memo": (b"Np" + b"9" * 5000 + b"\n.", "in an unknown way"),
    "no value of the memo": (b"\x80\x02h\x00.", "a value that it has not built"),
    "deep tuples": (b"\x80\x02N" + b"\x85" * 100_000 + b".", "nested too deeply"),
    "deep tuple as a key": (b"\x80\x02}N" + b"\x85" * 100_000 + b"Ns.", "nested too deeply"),
    "deep lists": (b"\x80\x02" + b"]" * 5_000 + b"a" * 4_999 + b".", "nested too deeply"),
    "deep through the memo": (
        b"\x80\x02(]q\x00" + b"".join(b"]q%ch%ca" % (n, n - 1) for n in range(1, 256)) + b"t.",
        "nested too deeply",
    ),
    "list in itself": (b"\x80\x02]q\x00h\x00a.", "nested too deeply"),
    "shared tuples": (_shared(40, b"\x86"), "repeats its values"),
    "no value": (b"\x80\x02.", "more values from the stack"),
    "only a mark": (b"\x80\x02(.", "more values from the stack"),
    "two values": (b"\x80\x02NN.", "more values than the one"),
    "dropped value": (b"\x80\x02NN0.", "no instruction of a pickle of plain values"),
    "extension": (b"\x80\x02\x82\x01.", "no instruction of a pickle of plain values"),
    "buffer": (b"\x80\x05\x97.", "no instruction of a pickle of plain values"),
    "item of a number": (b"\x80\x02K\x01K\x02a.", "into one that holds none"),
    "many instructions": (b"\x80\x02(" + b"N" * 3_000_000 + b"t.", "more than 2,000,000 instructions"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_costly_pickles_are_refused_at_little_cost(name: str) -> None:
    content, message = REFUSED[name]
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=message):
            check_pickle(content)
        assert tracemalloc.get_traced_memory()[1] < 2**26
    finally:
        tracemalloc.stop()


def _nest(levels: int, build: Callable[[Any], Any]) -> Any:
    value: Any = 0
    for _ in range(levels):
        value = build(value)
    return value


@pytest.mark.parametrize("build", [lambda value: (value,), lambda value: [value], lambda value: {1: value}])
def test_the_limit_of_the_depth(build: Callable[[Any], Any]) -> None:
    check_pickle(pickle.dumps(_nest(MAX_DEPTH, build)))
    with pytest.raises(ValueError, match="too deeply"):
        check_pickle(pickle.dumps(_nest(MAX_DEPTH + 1, build)))


def test_labels_of_few_bytes_that_fill_gigabytes_are_refused() -> None:
    """A list of 90 times the same list of 90 times the same list ..."""
    check_pickle(pickle.dumps(_nest(2, lambda value: [value] * 90)))
    content = pickle.dumps(_nest(5, lambda value: [value] * 90))
    assert len(content) < 6_600
    with pytest.raises(ValueError, match="repeats its values"):
        check_pickle(content)


def test_a_list_that_grows_after_it_was_repeated_counts_as_it_ends() -> None:
    content = b"\x80\x02(]q\x00" + b"(" + b"h\x00" * 300 + b"tq\x01" + b"(" + b"h\x01" * 300 + b"tq\x02"
    grown = content + b"h\x00(" + b"K\x01" * 300 + b"et."
    with pytest.raises(ValueError, match="repeats its values"):
        check_pickle(grown)
