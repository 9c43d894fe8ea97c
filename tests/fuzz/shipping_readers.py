"""Fuzzers of what comes and goes with networks: cards of exports, official files, files of any program, class names."""

from __future__ import annotations

import io
from contextlib import suppress
from pathlib import Path
from typing import Final

import torch

from convolve.exports.card import CARD, ExportCard, read_card
from convolve.interop.foreign_files import is_foreign, kind_of
from convolve.interop.official_files import read_state
from convolve.setup.class_names import read_class_names
from convolve.values import Preprocessing
from tests.fuzz.darknet_readers import FILES
from tests.fuzz.reader import put, register

_CARD: Final = ExportCard(
    convolve="0.1.0",
    task="classify",
    network="lenet5",
    title="LeNet-5",
    paper="LeCun et al. 1998",
    parameters=61_706,
    macs=416_520,
    input=Preprocessing(28, 28, 1, "stretch", (0.1307,), (0.3081,)),
    engine="openvino",
    precision="fp32",
    main="network.xml",
    state={"classes": ["0", "1"], "multi_label": False},
    metrics={"validation": {"images": 10, "metrics": {"accuracy": 0.5}, "intervals": {}}},
    files={"network.xml": "0" * 32},
)


def _read_card(content: bytes, folder: Path) -> None:
    put(folder, {CARD: content})
    card = read_card(folder)
    assert card.input.height > 0
    assert isinstance(card.classes, tuple)


def _seed_state() -> bytes:
    file = io.BytesIO()
    torch.save({"a.weight": torch.arange(6.0)}, file)
    return file.getvalue()


def _read_state(content: bytes, folder: Path) -> None:
    """As the official weights are read, whose readers name what is wrong."""
    put(folder, {"a.pth": content})
    with suppress(OSError, ValueError):
        read_state(folder / "a.pth")


def _read_names(content: bytes, folder: Path) -> None:
    put(folder, {"names.txt": content})
    names = read_class_names(folder / "names.txt").names
    assert len({*names}) == len(names)


def _find_kind(content: bytes, folder: Path) -> None:
    for name in ("a.cfg", "a.prototxt", "a.weights", "a.h5", "a.bin"):
        put(folder, {name: content})
        is_foreign(folder / name)
        kind_of(folder / name)


register("export-card", "exports.card", lambda: [_CARD.to_json().encode()], _read_card)
register("official-weights", "interop.official_files", lambda: [_seed_state()], _read_state)
register(
    "class-names", "setup.class_names", lambda: [b"n01440764 tench, Tinca tinca\nn01443537 goldfish\n"], _read_names
)
register("kinds-of-files", "interop.foreign_files", lambda: [(FILES / "v2_small.cfg").read_bytes()], _find_kind)
