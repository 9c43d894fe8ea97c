"""Which files are masks, and of which images: by what they are called, or by the folders whose names agree."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from pathlib import Path, PurePosixPath
from unicodedata import normalize

import numpy as np

from convolve.datasets.images import ImageFiles
from convolve.datasets.inventory import IMAGE_SUFFIXES, NAMED, natural
from convolve.datasets.layouts.parts import split_word
from convolve.datasets.stored_masks import read_stored
from convolve.errors import DataError, ImageError

_WORDS = (
    r"masks?|labels?|labelids|labeltrainids|annotations?|annots?|gt|ground[-_ ]?truths?|seg|segmentations?|trimaps?"
)
_MASKS = re.compile(
    rf"(?:^|[-_ ])({_WORDS}|segmentationclass(?:png|raw|aug)?|gtfine|gtcoarse)(?:[-_ ](?:images?|imgs?|png))?$|"
    r"(?<=[a-z])(annot)$"
)
_IMAGES = re.compile(r"(?:^|[-_ ])(images?|imgs?|jpegimages|photos?|leftimg8bit|rgb|gtfine|gtcoarse)$")
TWO_KINDS = "leave one kind out, or paint both into one mask for each image"
"""What can be done where an image has them."""
_SIDES = re.compile(
    r"(?:^|[-_. ])(?:images?|imgs?|jpegimages|leftimg8bit|rgb|raw|inputs?|targets?|outputs?|sources?|originals?|"
    r"x|y|tra|lab|lbl|gt|seg)(?:[-_ ]?\d+)?$"
)
"""What else a folder of images or of masks is called, next to one that is called as its counterpart or as nothing."""
_CERTAIN = re.compile(r"(?:^|[-_ /])ground[-_ ]?truths?/")  # what else a word means can be a class too: with_mask
_SUFFIX = re.compile(rf"^({_WORDS})$|[-_. ]({_WORDS})(?:[-_ ]?\d+)?$|[-_. ](l)$")
_PREFIX = re.compile(rf"^(?:{_WORDS})[-_ ]?(?=\d)")
_IMAGE_PREFIX = re.compile(r"^(?:images?|imgs?|photos?|scans?|slices?|frames?)[-_ ]?(?=\d)")
_OBJECT = re.compile(r"[-_. ]\d+$")
_NOT_CLASSES = re.compile(r"segmentationobject|_gt(?:fine|coarse)_(?:color|instance\w*)\.\w+$")
"""Pascal VOC's and Cityscapes' files next to the masks of classes."""
_FOLDERS = 12  # whose images are looked at, at most, where no name says which are masks
_AGREE = 0.9  # of the names of two such folders, at least
_AGREE_CALLED = 0.5  # where a name says which are masks
_VALUES = 64  # of a mask, at most, where its values alone say that it is one, unless these lie in areas
_FLAT = 0.8  # of the pixels of objects, at least, that have the value of their right neighbor

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
    """The pairs in natural order, the images ``alone`` that have no mask, the files that are ``redundant``, and
    ``notes`` on these.
    """

    pairs: list[Pair] = field(default_factory=list)
    alone: list[str] = field(default_factory=list)
    redundant: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def is_mask(name: str) -> bool:
    """Whether a path is called as masks are."""
    return _key(name)[1]


def is_evident(pair: Pair) -> bool:
    """Whether something besides their values tells that they are an image and its mask: they lie in one folder, or one
    of the folders in which they do not lie together is called so, or the mask itself is.
    """
    image, mask = pair.image.split("/"), pair.masks[0].split("/")
    while len(image) > 1 and len(mask) > 1 and image[0] == mask[0]:
        image, mask = image[1:], mask[1:]
    folders = [normalize("NFC", part).casefold() for part in (*image[:-1], *mask[:-1])]
    return not folders or is_mask("/".join(mask)) or any(map(_SIDES.search, folders))


def find_pairs(root: Path, names: Sequence[str]) -> Pairs:
    """Images with their masks; nothing where fewer than half of the masks found belong to an image."""
    names = [name for name in names if not _NOT_CLASSES.search(name.casefold())]
    found = _pairs_by_name(root, names)
    return found if found.pairs else _pairs_by_folder(root, names)


def _key(path: str) -> tuple[_Key, bool]:
    """What an image and its mask have in common, and whether this is the mask."""
    marked, parts = False, []
    *folders, name = path.split("/")
    for part in folders:
        word = normalize("NFC", part).casefold()
        marked |= bool(_MASKS.search(word))
        rest = _MASKS.sub("", _IMAGES.sub("", _MASKS.sub("", word)))  # label_masks has two words
        parts += [rest.strip("-_ ")] if rest.strip("-_ ") else []
    start = name.rfind(".")  # as a path has it, whose making takes 10x as long
    suffix = name[start:] if 0 < start < len(name) - 1 else ""
    suffixed = suffix.casefold() in IMAGE_SUFFIXES or suffix[1:].isalpha()
    stem = normalize("NFC", name[: len(name) - len(suffix)] if suffixed else name).casefold()
    bare = _PREFIX.sub("", _SUFFIX.sub("", stem))
    return (*parts, _IMAGE_PREFIX.sub("", _IMAGES.sub("", bare)).strip("-_ ")), marked or bare != stem


def _pairs_by_name(root: Path, names: Sequence[str]) -> Pairs:
    if not any(_key(name)[1] for name in names):
        return Pairs()
    images, masks = defaultdict[_Key, list[str]](list), defaultdict[_Key, list[str]](list)
    for name in names:
        key, marked = _key(name)
        (masks if marked else images)[key].append(name)
    if masks.keys() - images.keys():
        _join_objects(images, masks)
    both = [key for key in images if key in masks]
    if not both or 2 * len(both) < len(masks):
        return Pairs()
    common = Counter(PurePosixPath(name).suffix for group in images.values() for name in group)
    several = any(len(masks[key]) > 1 for key in both)
    sources = Counter(_source(name) for key in both for name in masks[key]) if several else Counter()
    splits = {key: next(filter(None, map(split_word, key[:-1])), None) for key in both}
    if not any(splits.values()) and all(len(key) > 1 for key in both):
        with_others = {key: _split("/".join(key[:-1])) for key in both}
        splits = with_others if all(with_others.values()) else splits
    pairs, redundant = [], dict[str, str]()
    for key in both:
        image, *others = sorted(images[key], key=lambda name: -common[PurePosixPath(name).suffix])
        chosen, left = _choose_masks(root, masks[key], sources) if len(masks[key]) > 1 else (masks[key], [])
        redundant |= dict.fromkeys(others, image) | dict.fromkeys(left, chosen[0])
        pairs.append(Pair(image, tuple(chosen), splits[key]))
    named = ", ".join(f"{name} ({taken} was taken)" for name, taken in list(redundant.items())[:NAMED])
    notes = [f"left out: {len(redundant)} called as another, such as {named}"] if redundant else []
    alone = [name for key, group in images.items() if key not in masks for name in group]
    return Pairs(sorted(pairs, key=lambda pair: natural(pair.image)), alone, list(redundant), notes)


def _join_objects(images: Mapping[_Key, list[str]], masks: dict[_Key, list[str]]) -> None:
    """Give masks called otherwise than images to these: most of them by their numbers, where no image has another mask,
    or else all to the only image of their folder, where two folders or more are so.
    """
    numbered = {key: (*key[:-1], _OBJECT.sub("", key[-1])) for key in masks}
    numbered = {key: owner for key, owner in numbered.items() if owner in images}
    if 2 * len(numbered) > len(masks) and not masks.keys() & images.keys():
        for key, owner in numbered.items():
            masks.setdefault(owner, []).extend(masks.pop(key))
        return
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
        raise DataError(f"{root} has two kinds of masks, such as {first} and {second}; {TWO_KINDS}.")
    chosen: dict[str, str] = {}
    for name in names:
        if _source(name) == own[0]:
            chosen.setdefault(PurePosixPath(name).stem, name)
    return list(chosen.values()), [name for name in names if name not in chosen.values()]


def _pairs_by_folder(root: Path, names: Sequence[str]) -> Pairs:
    """The pairs of folders of which one holds masks, by its name or by all that it holds, and whose files agree.

    Raises `DataError` where two folders called so hold masks of the same images.
    """
    groups = _group(names)
    called = {folder for folder in groups if any(map(_MASKS.search, folder.casefold().split("/")))}
    guess = len(called) in (0, len(groups))
    if guess and len(groups) > _FOLDERS:
        return Pairs()
    others, least = (set(groups), _AGREE) if guess else (groups.keys() - called, _AGREE_CALLED)
    agreement = {
        (one, other): len(groups[one].keys() & groups[other].keys()) / max(len(groups[one]), len(groups[other]))
        for one in (others if guess else called)
        for other in others
        if one != other
    }
    alike = {one for (one, _), part in agreement.items() if part >= least}
    certain = {folder for folder in alike if not guess and _CERTAIN.search(folder.casefold())}
    masks = certain | {folder for folder in alike - certain if hold_masks(root, list(groups[folder].values()), guess)}
    images = (alike if guess else others) - masks
    pairs: dict[str, Pair] = {}
    for folder in sorted(masks if images else (), key=natural):
        near = max(images, key=lambda other: (agreement[folder, other], _similar(folder, other)))
        if agreement[folder, near] >= least and _have_one_shape(root, groups, folder, near):
            for stem, mask in groups[folder].items():
                image = groups[near].get(stem)
                if image in pairs and guess:
                    return Pairs()  # formats of the same images
                if image in pairs:
                    other = pairs[image].masks[0]
                    raise DataError(f"{root} has two kinds of masks, such as {other} and {mask}; {TWO_KINDS}.")
                if image:
                    pairs[image] = Pair(image, (mask,), _split(near))
    alone = [name for folder in images for name in groups[folder].values() if name not in pairs] if pairs else []
    return Pairs(sorted(pairs.values(), key=lambda pair: natural(pair.image)), sorted(alone, key=natural))


def _group(names: Sequence[str]) -> _Groups:
    """The files of each folder by their stems without what all of them begin or end with. A folder of two formats is
    two where their names agree.
    """
    folders: dict[str, dict[str, list[str]]] = {}
    for name in names:
        formats = folders.setdefault(name.rpartition("/")[0], {})
        formats.setdefault(PurePosixPath(name).suffix.casefold(), []).append(name)
    groups: _Groups = {}
    for folder, formats in folders.items():
        whole = [name for files in formats.values() for name in files]
        parts = {f"{folder}/*{suffix}": files for suffix, files in formats.items()} if len(formats) == 2 else {}
        for key, files in {f"{folder}/": whole, **parts}.items():
            stems = [PurePosixPath(name).stem.casefold() for name in files]
            start = os.path.commonprefix(stems)  # noqa: RUF071 - of letters
            end = os.path.commonprefix([stem[::-1] for stem in stems])[::-1]  # noqa: RUF071
            found = (re.match(r"(?:\D*[-_. ])?", start), re.search(r"(?:[-_. ][^\W\d_]+\d?)*$", end))
            low, high = (len(match.group()) if match and len(stems) > 1 else 0 for match in found)
            called = [stem[low : len(stem) - high] or stem for stem in stems]
            groups[key] = dict(zip(called, files, strict=True))
        alike = set.intersection(*(set(groups[part]) for part in parts)) if parts else set()
        two = parts and len(alike) >= _AGREE * max(len(groups[part]) for part in parts)
        for key in [f"{folder}/"] if two else parts:
            del groups[key]
    return groups


def _similar(one: str, other: str) -> float:
    return SequenceMatcher(None, one.casefold(), other.casefold()).ratio()


def _split(folder: str) -> str | None:
    """The split whose word a folder or one around it is called by, or has among its words."""
    return next(filter(None, (split_word(part, alone=False) for part in reversed(folder.split("/")))), None)


def hold_masks(root: Path, files: Sequence[str], guess: bool) -> bool:
    """Whether the first, the middle and the last of some files hold values as masks do: few, or more in areas, as the
    numbers of objects are. One that cannot be read says nothing, unless this is a ``guess``.
    """
    most = 0
    for name in {files[0], files[len(files) // 2], files[-1]}:
        try:
            values = read_stored(root / name).values
        except ImageError:
            if guess:
                return False
            continue
        found, counts = np.unique(values, return_counts=True)
        most = max(most, len(found))
        if len(found) > max(2, min(_VALUES, values.size // 16)):
            inside = values[:, :-1] != found[counts.argmax()]  # where pictures differ, even if most of them is black
            flat = inside & (values[:, 1:] == values[:, :-1])
            if len(found) > values.size // 16 or flat.sum() < _FLAT * inside.sum():
                return False
    return most > 1


def _have_one_shape(root: Path, groups: _Groups, masks: str, images: str) -> bool:
    """Whether the first, the middle and the last image have their masks' sizes, as far as these can be read."""
    stems = sorted(groups[masks].keys() & groups[images].keys())
    for stem in {stems[0], stems[len(stems) // 2], stems[-1]}:
        pair = ImageFiles(root, (groups[masks][stem], groups[images][stem]))
        try:
            if pair.size(0) != pair.size(1):
                return False
        except ImageError:
            continue
    return True
