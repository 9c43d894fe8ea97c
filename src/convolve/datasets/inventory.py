"""What lies in a folder, listed once: images, other files, folders, and what does not count as data."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from unicodedata import normalize

from natsort import natsort_keygen, ns

from convolve.datasets.reading import BY_LOOKING, ReadingOptions
from convolve.errors import DataError
from convolve.marks import OVERLAY, has_mark
from convolve.untrusted.files import read_start

IMAGE_SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".avif",
     ".heic", ".dcm", ".dicom")
)  # fmt: skip
"""What counts as an image by its name. (HEIC counts, although it cannot be read, so that it is named and not lost; and
DICOM, which needs pydicom.)
"""
_OTHER_SUFFIXES = frozenset(
    (".bin", ".bz2", ".cfg", ".csv", ".db", ".doc", ".docx", ".gz", ".h5", ".htm", ".html", ".ini", ".json", ".jsonl",
     ".log", ".mat", ".md", ".npy", ".npz", ".onnx", ".parquet", ".pdf", ".pkl", ".pt", ".pth", ".pts", ".py", ".rar",
     ".safetensors", ".tar", ".toml", ".tsv", ".txt", ".xls", ".xlsx", ".xml", ".yaml", ".yml", ".zip")
)  # fmt: skip
"""What is no image by its name. Any other file is looked into."""
_UNREADABLE_SUFFIXES = frozenset(
    (".arw", ".avi", ".cr2", ".cr3", ".dng", ".exr", ".hdr", ".mkv", ".mov", ".mp4", ".nef", ".nii", ".orf",
     ".psd", ".raf", ".rw2", ".svg")
)  # fmt: skip
"""What people take for images, in formats that cannot be read."""
_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\x00", b"MM\x00*")
_START = 132  # bytes that tell
_SYSTEM_FOLDERS = frozenset(
    ("__macosx", "@eadir", "#recycle", "$recycle.bin", "lost+found", "system volume information", "__pycache__")
)
_RUN_FILES = frozenset(("contact_sheet.png", "recipe.toml", "report.html", "splits.json"))
"""One of these beside a `manifest.json` makes a folder a run."""
_ANNOTATIONS = re.compile(r"\.(csv|tsv|txt|jsonl|json|xml)$", re.IGNORECASE)
"""What may describe many images."""
NAMED = 3
"""How many of the files that are left out a sentence names."""
_natural_key = natsort_keygen(alg=ns.IGNORECASE)


@dataclass(frozen=True)
class Inventory:
    """What lies below ``root``: paths below it with `/`, each list in natural order.

    ``options`` are what a person said about how to read it. ``images`` are known by their names or, where the name says
    nothing, by their first bytes; ``files`` are all others, ``folders`` those that count. Hidden names are in none of
    them. ``notes`` say in a sentence each what does not count although it might be expected to.
    """

    root: Path
    options: ReadingOptions
    images: tuple[str, ...]
    files: tuple[str, ...]
    folders: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def below(self, folder: str) -> Inventory:
        """What lies in one of the folders."""
        parts = (self.images, self.files, self.folders)
        images, files, folders = (
            tuple(path.removeprefix(f"{folder}/") for path in paths if path.startswith(f"{folder}/")) for paths in parts
        )
        options, own = self.options, self.options.annotations
        if own is not None:
            own = tuple(name.removeprefix(f"{folder}/") for name in own if name.startswith(f"{folder}/"))
            options = replace(options, annotations=own)
        return Inventory(self.root / folder, options, images, files, folders, self.notes)

    def annotation_files(self, mark: re.Pattern[str]) -> list[str]:
        """The files that fit a layout's mark, but of those with annotations of many images only what a person names."""
        own = self.options.annotations
        wanted = {normalize("NFC", name) for name in own or ()}
        return [file for file in self.files if mark.search(file) and (own is None or normalize("NFC", file) in wanted)]

    def find_annotations(self) -> Inventory:
        """The same with the files that a person names by their paths below the root; where a bare name is that of one
        file alone in a folder below, it is meant, and said. Raises `DataError` for other names.
        """
        paths, notes = [], list(self.notes)
        for name in self.options.annotations or ():
            path = self._find_annotation(name)
            notes += [f"{name} is read from {path}"] if path.endswith(f"/{name}") else []
            paths.append(path)
        return replace(self, options=replace(self.options, annotations=tuple(paths)), notes=tuple(notes))

    def _find_annotation(self, name: str) -> str:
        if not name.strip():
            raise DataError("--annotations names no file; give its path below the data, or leave it out.")
        called = {normalize("NFC", file): file for file in self.files if _ANNOTATIONS.search(file)}
        for path in (os.path.normpath(name), os.path.relpath(name, self.root)):
            if found := called.get(normalize("NFC", path.replace(os.sep, "/"))):
                return found
        same = [file for file in called.values() if file.endswith(f"/{name}")]
        if len(same) == 1:
            return same[0]
        listed = same or list(called.values())
        remedy = f"choose one of {_name(listed)}" if listed else "add one"
        if same:
            raise DataError(f"{self.root} has several files called {name}; {remedy}.")
        if (self.root / name).exists():  # which may be absolute
            raise DataError(f"{self.root / name} is no table or file of annotations in {self.root}; {remedy}.")
        raise DataError(f"{self.root} has no {name}, from which it is to be read; restore it, or {remedy}.")


def natural(name: str) -> str:
    """A key that sorts `2` before `10`, and both before `a`, in upper or lower case; total, so that no order depends on
    the file system.

    It is one text, which takes little memory: in it texts end with what is less than any letter, and the number of its
    digits goes before each number.
    """
    parts = _natural_key(name)
    texts = (f"{chr(len(str(part)) + 1)}{part}" if isinstance(part, int) else f"{part}\x01" for part in parts)
    return f"{''.join(texts)}\0{name}"


def take_inventory(root: Path, options: ReadingOptions = BY_LOOKING) -> Inventory:
    """Walk through a folder once. Links to folders are followed, except to one that contains them.

    Raises `DataError` for a folder that may not be opened, and for files of annotations that are not there.
    """
    images: list[str] = []
    others: list[str] = []
    found: list[str] = []
    own: list[str] = []
    loops: list[str] = []
    unreadable: list[str] = []

    def refuse(error: OSError) -> None:
        raise DataError(f"{error.filename} cannot be opened ({error.strerror}); check its permissions.") from error

    for parent, folders, files in os.walk(root, followlinks=True, onerror=refuse):
        below = os.path.relpath(parent, root).replace(os.sep, "/")
        prefix = "" if below == "." else f"{below}/"
        if prefix and "manifest.json" in files and _RUN_FILES.intersection(files):
            folders.clear()
            own.append(below)
            continue
        visible = [name for name in folders if not name.startswith(".") and name.casefold() not in _SYSTEM_FOLDERS]
        links = {name for name in visible if os.path.islink(f"{parent}/{name}")}  # noqa: PTH114 - 10x as fast
        folders[:] = [name for name in visible if name not in links or not _contains_itself(Path(parent, name), root)]
        loops += [prefix + name for name in visible if name not in folders]
        found += [prefix + name for name in folders]
        for name in files:
            if not name.startswith("."):
                suffix = os.path.splitext(name)[1].casefold()  # noqa: PTH122 - 10x as fast
                known = suffix in IMAGE_SUFFIXES or suffix in _OTHER_SUFFIXES
                image = suffix in IMAGE_SUFFIXES if known else has_image_signature(Path(parent, name))
                listed = unreadable if suffix in _UNREADABLE_SUFFIXES else images if image else others
                if (suffix == ".png" or name.endswith(OVERLAY)) and has_mark(f"{parent}/{name}"):
                    listed = own
                listed.append(prefix + name)
    emptied = {path[:end] for path in own for end, mark in enumerate(f"{path}/") if mark == "/"}
    if emptied:
        filled = {path[:end] for path in (*images, *others) for end, mark in enumerate(path) if mark == "/"}
        found = [folder for folder in found if folder not in emptied or folder in filled]
    notes = tuple(
        f"{_name(paths)} {what}"
        for paths, what in (
            (own, "left out: convolve wrote it"),
            (loops, "left out: a link to a folder that it lies in"),
            (unreadable, "left out: the format cannot be read; convert it to PNG or JPEG"),
        )
        if paths
    )
    images, others, found = (sorted(paths, key=natural) for paths in (images, others, found))
    inventory = Inventory(root, options, tuple(images), tuple(others), tuple(found), notes)
    return inventory.find_annotations() if options.annotations else inventory


def _name(paths: Sequence[str]) -> str:
    """The first few of some paths, and how many there are, for a sentence."""
    rest = f" and {len(paths) - NAMED:,} more" if len(paths) > NAMED else ""
    return ", ".join(sorted(paths, key=natural)[:NAMED]) + rest


def _contains_itself(folder: Path, root: Path) -> bool:
    """Whether a link to a folder leads to one of those that it lies in."""
    target = os.path.realpath(folder)
    above = [folder.parent, *folder.parent.parents]
    inside = above[: above.index(root) + 1]
    return any(os.path.commonpath((target, os.path.realpath(each))) == target for each in inside)


def has_image_signature(path: Path) -> bool:
    """Whether a file begins as JPEG, PNG, GIF, TIFF, BMP, WebP, AVIF or DICOM do, and is no list of such files."""
    if path.name.casefold() == "dicomdir":
        return False
    try:
        return begins_as_image(read_start(path, _START))
    except OSError:
        return False


def begins_as_image(start: bytes) -> bool:
    """Whether bytes begin as those of an image do."""
    if start[:4] == b"RIFF":
        return start[8:12] == b"WEBP"
    if start[:2] == b"BM":  # as text does that begins with "BMW"
        return start[6:10] == bytes(4)
    return start[128:132] == b"DICM" or start.startswith(_SIGNATURES) or start[4:12] in (b"ftypavif", b"ftypheic")
