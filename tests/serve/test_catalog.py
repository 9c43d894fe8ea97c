"""Which networks are found, under which names, and when they are opened anew."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from convolve.errors import ExportError
from convolve.serve import catalog as module
from convolve.serve.catalog import Catalog
from convolve.serve.problems import ProblemError
from tests.exports.small_exports import classifier


def test_links_out_of_the_folder_are_not_followed(served_folder: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    classifier(root / "inside")
    (root / "outside").symlink_to(served_folder / "colors")
    (root / "again").symlink_to(root / "inside")
    assert [entry.name for entry in Catalog(root).entries()] == ["again", "inside"]


@pytest.mark.parametrize("name", ["../served/colors", "nothing", "", ".", "shop"])
def test_only_names_of_the_list_are_found(served_folder: Path, name: str) -> None:
    with pytest.raises(ProblemError, match="no run or export of that name"):
        Catalog(served_folder).open(name)


def test_a_network_is_opened_once_until_it_is_written_again(tmp_path: Path) -> None:
    classifier(tmp_path / "colors")
    catalog = Catalog(tmp_path)
    first = catalog.open("colors")
    assert catalog.open("colors") is first
    shutil.rmtree(tmp_path / "colors")
    classifier(tmp_path / "colors", ("cyan", "green", "blue"))
    assert catalog.open("colors") is not first


def test_the_network_not_asked_for_the_longest_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_OPEN", 2)
    for name in "abc":
        classifier(tmp_path / name)
    catalog = Catalog(tmp_path)
    first, second = catalog.open("a"), catalog.open("b")
    assert catalog.open("a") is first
    catalog.open("c")
    assert catalog.open("a") is first
    assert catalog.open("b") is not second


def test_a_damaged_export_says_so(tmp_path: Path) -> None:
    (classifier(tmp_path / "colors") / "network.bin").write_bytes(b"")
    with pytest.raises(ExportError, match="damaged"):
        Catalog(tmp_path).open("colors")
