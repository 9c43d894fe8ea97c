from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from convolve.untrusted.darknet import read_cfg, read_darknet

NUMBERS = np.array([0.5, -2.0, 3.0], "<f4").tobytes()


def _write(tmp_path: Path, content: bytes) -> Path:
    (tmp_path / "file").write_bytes(content)
    return tmp_path / "file"


def test_sections_and_options_are_read_as_the_program_reads_them(tmp_path: Path) -> None:
    lines = ["\ufeff# a comment", "[net]", " width = 4 16 ", ";another", "", "[ conv ]", "mask = 1, 2,3", "mask=1,2,3"]
    net, layer = read_cfg(_write(tmp_path, "\r\n".join(lines).encode()))
    assert (net.name, net.line, dict(net.options)) == ("net", 2, {"width": "416"})
    assert (layer.name, layer.line, dict(layer.options)) == ("conv", 6, {"mask": "1,2,3"})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"", r"it does not begin with a section \[net\]"),
        (b"[convolutional]\n[net]\n", r"it does not begin with a section \[net\]"),
        (b"[net]\nwidth=3\n", "it has 0 layers, and must have 1 to 1,999"),
        (b"[net]\n" + b"[dropout]\n" * 2000, "it has 2,000 layers, and must have 1 to 1,999"),
        (b"width=3\n[net]\n", "line 1 is no option of a section, such as filters=32"),
        (b"[net]\nwidth\n", "line 2 is no option of a section"),
        (b"[net]\nwidth=\n", "line 2 is no option of a section"),
        (b"[net]\n=3\n", "line 2 is no option of a section"),
        (b"[net\nwidth=3\n", "line 1 begins a section and has no ']'"),
        (b"[]\n", "line 1 begins a section and has no ']'"),
        (b"[net]\nwidth=3\nwidth=4\n", "line 3 gives width a second value"),
        (b"\xff\xfe", "codec can't decode"),
    ],
)
def test_what_is_no_cfg_is_refused(tmp_path: Path, text: bytes, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        read_cfg(_write(tmp_path, text))


def test_a_cfg_of_more_than_a_megabyte_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="more than the 1,048,576 that are read"):
        read_cfg(_write(tmp_path, b"#" * (2**20 + 1)))


@pytest.mark.parametrize(
    "header", [struct.pack("<3ii", 0, 1, 0, 7), struct.pack("<3iQ", 0, 2, 0, 7), struct.pack("<3iQ", 1, 0, 5, 7)]
)
def test_a_header_has_16_or_20_bytes(tmp_path: Path, header: bytes) -> None:
    numbers = read_darknet(_write(tmp_path, header + NUMBERS))
    assert numbers.dtype == np.float32
    assert numbers.tolist() == [0.5, -2.0, 3.0]


HEADER = struct.pack("<3iQ", 0, 2, 0, 7)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "it does not begin with a version of Darknet"),
        (HEADER[:8], "it does not begin with a version of Darknet"),
        (b"<html>404 Not found</html>", "it does not begin with a version of Darknet"),
        (struct.pack("<3iQ", 0, -1, 0, 7) + NUMBERS, "it does not begin with a version of Darknet"),
        (struct.pack("<3iQ", 1001, 0, 0, 7) + NUMBERS, "it does not begin with a version of Darknet"),
        (HEADER, "it is cut short"),
        (HEADER[:14], "it is cut short"),
        (HEADER + NUMBERS[:-1], "it is cut short"),
        (HEADER + NUMBERS + struct.pack("<f", np.nan), "it holds numbers that are not finite"),
        (HEADER + struct.pack("<f", np.inf) + NUMBERS, "it holds numbers that are not finite"),
    ],
)
def test_what_are_no_weights_is_refused(tmp_path: Path, content: bytes, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        read_darknet(_write(tmp_path, content))
