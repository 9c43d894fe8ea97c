"""What a folder's listing counts, and what it leaves out by name."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from natsort import natsort_keygen, ns
from PIL import Image

from convolve.datasets.inventory import natural, take_inventory
from tests.datasets.layouts.test_folders import put


def test_kinds_of_files(tmp_path: Path) -> None:
    put(
        tmp_path, "b/10.jpg", "b/9.jpg", "a/notes.txt", "labels.csv", "empty", ".git/x.jpg", "b/._9.jpg", "@eaDir/1.jpg"
    )
    listed = take_inventory(tmp_path)
    assert listed.images == ("b/9.jpg", "b/10.jpg")
    assert listed.files == ("a/notes.txt", "labels.csv")
    assert listed.folders == ("a", "b", "empty")
    assert listed.notes == ()
    inside = listed.below("b")
    assert (inside.root, inside.images, inside.files) == (tmp_path / "b", ("9.jpg", "10.jpg"), ())


@settings(deadline=None)
@given(st.sets(st.one_of(st.text("a1B0/ ._9é²٣", max_size=8), st.text(st.characters(exclude_characters="\0\1")))))
def test_the_order_is_that_of_numbers_and_texts_without_case(names: set[str]) -> None:
    key = natsort_keygen(alg=ns.IGNORECASE)
    assert sorted(names, key=natural) == sorted(names, key=lambda name: (key(name), name))


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "GIF", "TIFF", "BMP", "WEBP"])
def test_images_without_a_telling_name(tmp_path: Path, format_: str) -> None:
    for name in ("IMG_0001", "photo.jpg_large", "page.ashx", "5.part"):
        Image.new("L", (4, 4)).save(tmp_path / name, format_)
    (tmp_path / "README").write_text("text")
    listed = take_inventory(tmp_path)
    assert (listed.images, listed.files) == (("5.part", "IMG_0001", "page.ashx", "photo.jpg_large"), ("README",))


def test_what_is_left_out_is_named(tmp_path: Path) -> None:
    put(tmp_path, "cat/1.jpg", "runs/first/contact_sheet.png", "raw/1.dng", "raw/2.NEF")
    (tmp_path / "runs" / "first" / "manifest.json").write_text("{}")
    (tmp_path / "cat" / "all").symlink_to(tmp_path)
    (tmp_path / "more").symlink_to(tmp_path / "cat")
    listed = take_inventory(tmp_path)
    assert listed.images == ("cat/1.jpg", "more/1.jpg")
    assert "runs" not in listed.folders
    assert listed.notes == (
        "runs/first left out: convolve wrote it",
        "cat/all, more/all left out: a link to a folder that it lies in",
        "raw/1.dng, raw/2.NEF left out: the format cannot be read; convert it to PNG or JPEG",
    )


def test_links_that_lead_to_each_other_end(tmp_path: Path) -> None:
    put(tmp_path, "a/1.jpg", "b/2.jpg")
    (tmp_path / "a" / "other").symlink_to(tmp_path / "b")
    (tmp_path / "b" / "other").symlink_to(tmp_path / "a")
    assert take_inventory(tmp_path).images == ("a/1.jpg", "a/other/2.jpg", "b/2.jpg", "b/other/1.jpg")
