"""What is printed cannot give orders to a terminal."""

from __future__ import annotations

import io

import pytest
from rich.table import Table
from rich.text import Text

from convolve.console import open_console
from convolve.errors import ConvolveError

ORDERS = "a\x1b[31mb\x1b]0;title\x07\x9b5n\rc"


@pytest.mark.parametrize("terminal", [True, False])
def test_control_characters_are_replaced(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in (("TERM", "xterm"), ("FORCE_COLOR", "1"), ("NO_COLOR", "")):
        monkeypatch.delenv(variable, raising=False)
        if terminal and value:
            monkeypatch.setenv(variable, value)
    console, output = open_console(), io.StringIO()
    console.file = output
    table = Table()
    table.add_column(ORDERS)
    table.add_row(Text(ORDERS, style="red"))
    for part in (ORDERS, Text(ORDERS), table, "zwei\nZeilen"):
        console.print(part)
    text = output.getvalue()
    assert "a\N{REPLACEMENT CHARACTER}[31mb" in text
    assert "\x1b]0" not in text
    assert "\x1b[31mb" not in text
    assert not set(text) & set("\x07\x9b\r")
    assert "zwei\nZeilen\n" in text
    assert ("\x1b[31m" in text) == terminal  # Rich's own red


def test_an_error_is_one_line_without_control_characters() -> None:
    error = ConvolveError(f"{ORDERS}\nis damaged;\tcopy it again.\n")
    assert str(error) == r"a\x1b[31mb\x1b]0;title\x07\x9b5n c is damaged; copy it again."
    assert str(ConvolveError("한글  e\u0301")) == "한글  e\u0301"
