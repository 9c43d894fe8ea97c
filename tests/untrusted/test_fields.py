"""Values out of documents, each of the type that is expected."""

from __future__ import annotations

from typing import Any

import pytest

from convolve.errors import DataError, escape_text
from convolve.untrusted.fields import as_dict, as_list, as_number, as_size, as_text, as_whole

NO_NUMBERS: tuple[Any, ...] = (
    True, None, [], {}, "", "a", "nan", float("nan"), float("inf"), "1e999", 1e7, -1e7, 10**400, "9" * 400,
)  # fmt: skip


def test_what_is_as_expected_is_given_back() -> None:
    assert [as_text(value) for value in ("한", 7, 1.5, "")] == ["한", "7", "1.5", ""]
    assert [as_number(value) for value in (7, 1.5, "-2.5", "1e3", 0)] == [7, 1.5, -2.5, 1000, 0]
    assert [as_whole(value) for value in (7, 7.0, "7")] == [7, 7, 7]
    assert as_whole(2**26, 0, 2**26) == 2**26
    assert as_size(6.0, "10") == (6, 10)
    assert (as_list([1]), as_dict({"a": 1})) == ([1], {"a": 1})


@pytest.mark.parametrize("value", NO_NUMBERS)
def test_what_is_no_number(value: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        as_number(value)
    with pytest.raises(ValueError, match=r"."):
        as_whole(value)
    with pytest.raises(ValueError, match=r"."):
        as_size(6, value)


@pytest.mark.parametrize("size", [(0, 1), (-1, -1), (2.5, 1), (10_000, 10_000), (2**21, 1)])
def test_what_is_no_size(size: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match=r"."):
        as_size(*size)


def test_other_types() -> None:
    no_text: tuple[Any, ...] = (None, True, [], {}, float("nan"))
    for value in no_text:
        with pytest.raises(ValueError, match="a text is something else"):
            as_text(value)
    no_list: tuple[Any, ...] = (None, "ab", {}, (1, 2))
    for value in no_list:
        with pytest.raises(ValueError, match="a list is something else"):
            as_list(value)
    with pytest.raises(ValueError, match="an object is something else"):
        as_dict([])
    with pytest.raises(ValueError, match="too small"):
        as_whole(-1, 0, 5)


def test_sentences_show_what_cannot_be_printed_as_escapes() -> None:
    assert escape_text("한\x1b[2J\ud800\n\x9b") == "한\\x1b[2J\\ud800\\n\\x9b"
    assert str(DataError("a\0b")) == "a\\x00b"
    assert len(str(DataError("a" * 10**6))) < 2_010
    assert str(DataError(f"it {'a' * 10**6}; mend it.")).endswith("a; mend it.")
