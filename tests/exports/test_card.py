"""An export's card is read as it was written, or refused in one sentence."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

from convolve.errors import ExportError
from convolve.exports.card import CARD, ExportCard, check_file, is_export, read_card, write_card
from convolve.values import Preprocessing

_CARD = ExportCard(
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
    state={"classes": ["0", "한"], "multi_label": False},
    metrics={"validation": {"images": 10, "metrics": {"accuracy": 0.5, "auc": None}, "intervals": {}}},
    notes=("A note.",),
    versions={"openvino": "2026.4"},
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "network.xml").write_text("<net/>")
    (tmp_path / "network.bin").write_bytes(bytes(100))
    write_card(tmp_path, _CARD)
    return tmp_path


def test_a_card_is_read_as_it_was_written(folder: Path) -> None:
    found = read_card(folder)
    assert set(found.files) == {"network.xml", "network.bin"}
    assert dataclasses.replace(found, files={}) == _CARD
    assert found.classes == ("0", "한")
    assert is_export(folder)
    assert check_file(folder, found, "network.bin") == folder / "network.bin"


def test_a_folder_without_a_card_is_no_export(tmp_path: Path) -> None:
    assert not is_export(tmp_path)
    assert not is_export(tmp_path / "absent")
    with pytest.raises(ExportError, match=r"is no export: it has no card\.json; give the folder"):
        read_card(tmp_path)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"format": 2}, "its format is 2, not 1"),
        ({"task": 3}, "task is of another kind"),
        ({"engine": "tensorrt"}, "its engine or its precision is unknown"),
        ({"main": "other.xml"}, "its main file is not among its files"),
        ({"state": {"classes": "ab"}}, "its classes are no names"),
        ({"extra": 1}, "extra is missing or unknown"),
        ({"macs": 1}, "its content does not match its digest"),
    ],
)
def test_a_changed_card_is_refused(folder: Path, change: dict[str, object], what: str) -> None:
    document = json.loads((folder / CARD).read_text())
    (folder / CARD).write_text(json.dumps(document | change))
    with pytest.raises(ExportError, match=what):
        read_card(folder)


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b'{"format": 1}', b"\xff\xfe", b"[" * 100_000])
def test_a_card_of_another_kind_is_refused(folder: Path, content: bytes) -> None:
    (folder / CARD).write_bytes(content)
    with pytest.raises(ExportError, match="is damaged"):
        read_card(folder)


def test_a_damaged_file_is_refused(folder: Path) -> None:
    (folder / "network.bin").write_bytes(bytes(99) + b"\x01")
    with pytest.raises(ExportError, match="does not match its digest"):
        check_file(folder, read_card(folder), "network.bin")
    (folder / "network.bin").unlink()
    with pytest.raises(ExportError, match="cannot be read"):
        check_file(folder, read_card(folder), "network.bin")


def test_reading_a_card_imports_no_torch(folder: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from convolve.exports.card import read_card\n"
        f"read_card(Path({str(folder)!r})); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
