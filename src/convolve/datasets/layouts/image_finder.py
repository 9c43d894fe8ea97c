"""Which image in a folder an annotation file means by a name that was perhaps written on another machine."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from unicodedata import normalize
from urllib.parse import unquote, urlsplit

from convolve.datasets.inventory import IMAGE_SUFFIXES
from convolve.datasets.layouts.mask_pairs import is_mask
from convolve.datasets.layouts.parts import split_word
from convolve.errors import DataError

_DRIVE = re.compile(r"^[A-Za-z]:(?=/)")


@dataclass(frozen=True)
class FoundImages:
    """Paths below the root by the names that a file has for them; ``moved`` are the names that lie in other folders
    here, and ``missing`` those without an image.
    """

    paths: Mapping[str, str]
    moved: tuple[str, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True)
class ImageFinder:
    """The images below a folder, to be found by what a file calls them."""

    images: Sequence[str]

    def find(self, names: Iterable[str], file: str) -> FoundImages:
        """The images that a ``file`` below the same folder names.

        The longest common ending of the paths decides, whatever the slashes, the escapes (`%20`) and the Unicode form;
        of several images those in a folder that is called as the file or as its split, then those next to the file.
        Where several names have an image's name but not its folder, all of them are missing.

        Raises `DataError` where several images fit equally well.
        """
        chosen: dict[str, tuple[str, bool]] = {}
        for name in dict.fromkeys(names):
            for parts in dict.fromkeys((path_parts(name), path_parts(unquote(name)))):
                if fits := self._fitting(parts, file):
                    chosen[name] = (_only(fits, name, file), _common(parts, path_parts(fits[0])) == len(parts))
                    break
        claims = defaultdict(set)
        for name, (path, whole) in chosen.items():
            claims[path].add(() if whole else path_parts(unquote(name)))
        paths = {name: path for name, (path, whole) in chosen.items() if whole or len(claims[path]) == 1}
        moved = tuple(name for name in paths if not chosen[name][1])
        return FoundImages(paths, moved, tuple(name for name in dict.fromkeys(names) if name not in paths))

    def _fitting(self, parts: tuple[str, ...], file: str) -> list[str]:
        """The images whose paths have the longest ending in common with a name; of an image and its mask the image."""
        found = self._by_name.get(parts[-1]) or self._by_name.get(parts[-1].casefold(), []) if parts else []
        if parts and not found and PurePosixPath(parts[-1]).suffix.casefold() not in IMAGE_SUFFIXES:
            found = self._by_stem.get(parts[-1].casefold(), [])
        folder, _, name = file.rpartition("/")
        words = {*PurePosixPath(name).stem.split("_"), *folder.split("/")[-1:]} - {""}
        splits = _splits(parts[:-1]) or _splits(words)
        found = [path for path in found if not splits or not (own := _splits(path_parts(path)[:-1])) or own & splits]
        most = max((_common(parts, path_parts(path)) for path in found), default=0)
        found = [path for path in found if _common(parts, path_parts(path)) == most]
        found = [path for path in found if not is_mask(path)] or found
        near = [path for path in found if set(PurePosixPath(path).parts[:-1]) & words]
        near = near or [path for path in found if splits & _splits(path_parts(path)[:-1])]
        adjacent = [path for path in near or found if path.rpartition("/")[0] == folder]
        return adjacent or near or found

    @cached_property
    def _by_name(self) -> Mapping[str, list[str]]:
        """Images by their names, and by these in lower case where no other image is called so."""
        found, folded = defaultdict(list), defaultdict(list)
        for path in self.images:
            name = normalize("NFC", PurePosixPath(path).name)
            found[name].append(path)
            folded[name.casefold()].append(path)
        return folded | found

    @cached_property
    def _by_stem(self) -> Mapping[str, list[str]]:
        found = defaultdict(list)
        for path in self.images:
            found[normalize("NFC", PurePosixPath(path).stem).casefold()].append(path)
        return found


def folders_of_images(file: Path) -> tuple[Path, ...]:
    """Where the images of an annotation file may lie: next to it, unless its folder is called as those of masks and
    annotations are, or else one folder above.
    """
    above = file.parent.parent
    return (above,) if is_mask(f"{file.parent.name}/{file.name}") else (file.parent, above)


def path_parts(name: str) -> tuple[str, ...]:
    """The folders and the name in a path or a web address, in Unicode's form NFC."""
    text = normalize("NFC", name.strip())
    if re.match(r"[a-z][a-z0-9+.-]+://", text, re.IGNORECASE):
        try:
            text = urlsplit(text).path
        except ValueError:  # brackets around what is no address
            return ()
    text = _DRIVE.sub("", text.replace("\\", "/"))
    return tuple(part for part in text.split("/") if part not in ("", ".", ".."))


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """How many parts at their ends two paths have in common, at least the last one."""
    count = 1
    while count < min(len(one), len(other)) and one[-1 - count].casefold() == other[-1 - count].casefold():
        count += 1
    return count


def _splits(words: Iterable[str]) -> set[str]:
    return {split for word in words if (split := split_word(word))}


def _only(fits: Sequence[str], name: str, file: str) -> str:
    if len(fits) > 1:
        raise DataError(
            f"{file} names {name}, which may be {' or '.join(fits[:2])}; leave one of them, or write its folder there."
        )
    return fits[0]
