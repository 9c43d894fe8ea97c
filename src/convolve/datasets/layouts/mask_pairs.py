"""Which files are masks, and of which images: by what they are called, or by the folders whose names agree."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from pathlib import Path, PurePosixPath

import numpy as np

from convolve.datasets.images import ImageFiles
from convolve.datasets.inventory import NAMED, natural
from convolve.datasets.layouts.parts import split_word
from convolve.datasets.stored_masks import read_stored
from convolve.errors import DataError, ImageError

_WORDS = (
    r"masks?|labels?|labelids|labeltrainids|annotations?|annots?|gt|ground[-_ ]?truths?|seg|segmentations?|trimaps?"
)
_MASKS = re.compile(rf"(?:^|[-_ ])({_WORDS}|segmentationclass(?:png|raw|aug)?|gtfine|gtcoarse)$|(?<=[a-z])(annot)$")
_IMAGES = re.compile(r"(?:^|[-_ ])(images?|imgs?|jpegimages|photos?|leftimg8bit|rgb|gtfine|gtcoarse)$")
_CERTAIN = re.compile(r"(?:^|[-_ /])ground[-_ ]?truths?/")  # what else a word means can be a class too: with_mask
_SUFFIX = re.compile(rf"^({_WORDS})$|[-_. ]({_WORDS})(?:[-_ ]?\d+)?$|[-_. ](l)$")
_PREFIX = re.compile(rf"^(?:{_WORDS})[-_ ]?(?=\d)")
_IMAGE_PREFIX = re.compile(r"^(?:images?|imgs?|photos?|scans?|slices?|frames?)[-_ ]?(?=\d)")
_NOT_CLASSES = re.compile(r"segmentationobject|_gt(?:fine|coarse)_(?:color|instance\w*)\.\w+$")
"""Pascal VOC's and Cityscapes' files next to the masks of classes."""
_FOLDERS = 12  # whose images are looked at, at most, where no name says which are masks
_AGREE = 0.9  # of the names of two such folders, at least
_AGREE_CALLED = 0.5  # where a name says which are masks
_VALUES = 64  # of a mask, at most, where its values alone say that it is one

_Key = tuple[str, ...]
_Groups = dict[str, dict[str, str]]  # folder -> what tells a file apart -> the file


@dataclass(frozen=True)
class Pair:
    """An image with its mask, or with several that each have one of its objects."""

    image: str
    masks: tuple[str, ...]
    split: str | None


@dataclass(frozen=True)
class Pairs:
    """The pairs in natural order, the images ``alone`` that have no mask, and ``notes`` on what was not taken."""

    pairs: list[Pair] = field(default_factory=list)
    alone: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def is_mask(name: str) -> bool:
    """Whether a path is called as masks are."""
    return _key(PurePosixPath(name))[1]


def find_pairs(root: Path, names: Sequence[str]) -> Pairs:
    """Images with their masks; nothing where fewer than half of the masks found belong to an image."""
    names = [name for name in names if not _NOT_CLASSES.search(name.casefold())]
    found = _pairs_by_name(root, names)
    return found if found.pairs else _pairs_by_folder(root, names)


def _key(path: PurePosixPath) -> tuple[tuple[str, ...], bool]:
    """What an image and its mask have in common, and whether this is the mask."""
    marked, parts = False, []
    for part in path.parts[:-1]:
        word = part.casefold()
        marked |= bool(_MASKS.search(word))
        rest = _IMAGES.sub("", _MASKS.sub("", word))
        parts += [rest.strip("-_ ")] if rest.strip("-_ ") else []
    stem = path.stem.casefold()
    bare = _PREFIX.sub("", _SUFFIX.sub("", stem))
    return (*parts, _IMAGE_PREFIX.sub("", _IMAGES.sub("", bare)).strip("-_ ")), marked or bare != stem


def _pairs_by_name(root: Path, names: Sequence[str]) -> Pairs:
    images, masks = defaultdict[_Key, list[str]](list), defaultdict[_Key, list[str]](list)
    for name in names:
        key, marked = _key(PurePosixPath(name))
        (masks if marked else images)[key].append(name)
    if masks.keys() - images.keys():
        _join_objects(images, masks)
    both = [key for key in images if key in masks]
    if not both or 2 * len(both) < len(masks):
        return Pairs()
    common = Counter(PurePosixPath(name).suffix for group in images.values() for name in group)
    several = any(len(masks[key]) > 1 for key in both)
    sources = Counter(_source(name) for key in both for name in masks[key]) if several else Counter()
    pairs, redundant = [], []
    for key in both:
        image, *others = sorted(images[key], key=lambda name: -common[PurePosixPath(name).suffix])
        chosen, left = _choose_masks(root, masks[key], sources) if len(masks[key]) > 1 else (masks[key], [])
        redundant += [f"{name} ({image} was taken)" for name in others]
        redundant += [f"{name} ({chosen[0]} was taken)" for name in left]
        pairs.append(Pair(image, tuple(chosen), next(filter(None, map(split_word, key[:-1])), None)))
    notes = []
    if redundant:
        notes.append(f"left out: {len(redundant)} called as another, such as {', '.join(redundant[:NAMED])}")
    alone = [name for key, group in images.items() if key not in masks for name in group]
    return Pairs(sorted(pairs, key=lambda pair: natural(pair.image)), alone, notes)


def _join_objects(images: Mapping[_Key, list[str]], masks: dict[_Key, list[str]]) -> None:
    """Give masks called otherwise than images to the only image of their folder, where two folders or more are so."""
    folders = defaultdict[_Key, list[_Key]](list)
    for key in images:
        folders[key[:-1]].append(key)
    owners = {
        key: folders[key[:-1]][0] for key in masks if key not in images and key[:-1] and len(folders[key[:-1]]) == 1
    }
    if len(set(owners.values())) > 1:
        for key, owner in owners.items():
            masks.setdefault(owner, []).extend(masks.pop(key))


def _source(mask: str) -> tuple[str, str]:
    """The folder's name and the suffix that make a file a mask."""
    path = PurePosixPath(mask)
    suffix = _SUFFIX.search(path.stem.casefold())
    return path.parent.name.casefold(), next(filter(None, suffix.groups()), "") if suffix else ""


def _choose_masks(root: Path, names: Sequence[str], sources: Counter[tuple[str, str]]) -> tuple[list[str], list[str]]:
    """An image's masks from the source that has the most, and the files left. Raises `DataError` where two have as
    many, as only one can be right.
    """
    own = sorted({_source(name) for name in names}, key=lambda source: (-sources[source], source))
    if len(own) > 1 and sources[own[0]] == sources[own[1]]:
        first, second = (next(name for name in names if _source(name) == source) for source in own[:2])
        raise DataError(f"{root} has two kinds of masks, such as {first} and {second}; leave one kind out.")
    chosen: dict[str, str] = {}
    for name in names:
        if _source(name) == own[0]:
            chosen.setdefault(PurePosixPath(name).stem, name)
    return list(chosen.values()), [name for name in names if name not in chosen.values()]


def _pairs_by_folder(root: Path, names: Sequence[str]) -> Pairs:
    """The pairs of folders of which one holds masks, by its name or by all that it holds, and whose files agree.

    Raises `DataError` where two folders hold masks of the same images.
    """
    groups = _group(names)
    called = {folder for folder in groups if any(map(_MASKS.search, folder.casefold().split("/")))}
    if called and len(called) < len(groups):
        certain = {folder for folder in called if _CERTAIN.search(folder.casefold())}
        masks = {folder for folder in called if folder in certain or _hold_masks(root, groups[folder])}
        agree = _AGREE_CALLED
        images = groups.keys() - called
    elif len(groups) <= _FOLDERS:
        alike = {each for each in groups for other in groups if each != other and _agree(groups, each, other) >= _AGREE}
        masks, agree = {folder for folder in alike if _hold_masks(root, groups[folder])}, _AGREE
        images = alike - masks
    else:
        return Pairs()
    pairs: dict[str, Pair] = {}
    for folder in sorted(masks, key=natural):
        near = max(images, key=lambda other: (_agree(groups, folder, other), _similar(folder, other)), default="")
        if near and _agree(groups, folder, near) >= agree and _have_one_shape(root, groups, folder, near):
            for stem, mask in groups[folder].items():
                image = groups[near].get(stem)
                if image in pairs:
                    other = pairs[image].masks[0]
                    raise DataError(f"{root} has two kinds of masks, such as {other} and {mask}; leave one kind out.")
                if image:
                    pairs[image] = Pair(image, (mask,), _split(near))
    alone = [name for folder in images for name in groups[folder].values() if name not in pairs] if pairs else []
    return Pairs(sorted(pairs.values(), key=lambda pair: natural(pair.image)), sorted(alone, key=natural))


def _group(names: Sequence[str]) -> _Groups:
    """The files of each folder by what tells them apart. A folder of two formats is two where their names agree."""
    folders = defaultdict[str, list[str]](list)
    for name in names:
        folders[name.rpartition("/")[0]].append(name)
    groups: _Groups = {}
    for folder, files in folders.items():
        formats = defaultdict[str, list[str]](list)
        for name in files:
            formats[PurePosixPath(name).suffix.casefold()].append(name)
        parts = {f"{folder}/*{suffix}": _by_stem(part) for suffix, part in formats.items()}
        two = len(parts) == 2 and _agree(parts, *parts) >= _AGREE
        groups |= parts if two else {f"{folder}/": _by_stem(files)}
    return groups


def _by_stem(names: Sequence[str]) -> dict[str, str]:
    """Files by their stems without what all of them begin or end with."""
    stems = [PurePosixPath(name).stem.casefold() for name in names]
    start = os.path.commonprefix(stems)  # noqa: RUF071 - of letters
    end = os.path.commonprefix([stem[::-1] for stem in stems])[::-1]  # noqa: RUF071
    found = (re.match(r"(?:\D*[-_. ])?", start), re.search(r"(?:[-_. ][^\W\d_]+\d?)*$", end))
    low, high = (len(match.group()) if match and len(stems) > 1 else 0 for match in found)
    return {stem[low : len(stem) - high] or stem: name for stem, name in zip(stems, names, strict=True)}


def _agree(groups: _Groups, one: str, other: str) -> float:
    """How many of the files of two folders are called alike, as a fraction of the larger one."""
    return len(groups[one].keys() & groups[other].keys()) / max(len(groups[one]), len(groups[other]))


def _similar(one: str, other: str) -> float:
    return SequenceMatcher(None, one.casefold(), other.casefold()).ratio()


def _split(folder: str) -> str | None:
    """The split whose word a folder or one around it is called by, or has among its words."""
    return next(filter(None, (split_word(part, alone=False) for part in reversed(folder.split("/")))), None)


def _hold_masks(root: Path, group: Mapping[str, str]) -> bool:
    """Whether the values of a few of some files are as few as those of masks."""
    files, most = _sample(list(group.values())), 0
    for name in files:
        try:
            values = read_stored(root / name).values
        except ImageError:
            return False
        distinct = len(np.unique(values))
        most = max(most, distinct)
        if distinct > max(2, min(_VALUES, values.size // 16)):
            return False
    return most > 1


def _have_one_shape(root: Path, groups: _Groups, masks: str, images: str) -> bool:
    """Whether a few images have their masks' sizes."""
    stems = _sample(sorted(groups[masks].keys() & groups[images].keys()))
    files = [ImageFiles(root, tuple(groups[folder][stem] for stem in stems)) for folder in (masks, images)]
    try:
        return all(files[0].size(index) == files[1].size(index) for index in range(len(stems)))
    except ImageError:
        return False


def _sample(names: Sequence[str]) -> Sequence[str]:
    """The first one, the last one, and one between."""
    return [names[index] for index in sorted({0, len(names) // 2, len(names) - 1})]
