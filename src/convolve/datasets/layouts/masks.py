"""Images with masks of the same names, in neighboring folders, below splits, or in one folder with a suffix; also with
a mask for each of an image's objects.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import final
from unicodedata import normalize

import numpy as np

from convolve.datasets.images import DIGEST_BYTES, ImageFiles
from convolve.datasets.inventory import NAMED, Inventory, natural
from convolve.datasets.layouts.class_lists import ClassList, find_class_list
from convolve.datasets.layouts.mask_pairs import TWO_KINDS, Pair, Pairs, find_pairs, hold_masks, is_evident, is_mask
from convolve.datasets.layouts.mask_values import Meaning, interpret_files
from convolve.datasets.layouts.parts import build_dataset, read_lines, split_word
from convolve.datasets.masks import MaskFiles, Masks
from convolve.datasets.parallel import in_order
from convolve.datasets.stored_masks import TRANSPARENT, read_stored
from convolve.errors import DataError, ImageError
from convolve.values import Dataset, Pixels

NAME = "masks"
MARK = re.compile(
    r"\.(?!jpe?g$|jpe$|jfif$|csv$|json$|md$|txt$|xml$)[^./]*$|(?:^|/)[^./]+$|"
    r"mask|label|annot|trimap|truth|segm|(?:^|[-_. /])(?:gt|seg|l)(?:[-_. /\d]|fine|coarse|$)",
    re.IGNORECASE,
)
"""What is no JPEG, or is called as masks are."""
EXPECTED = "images/ and masks/ with files of the same names"
_SPLIT_LISTS = re.compile(r"(?:.*/)?imagesets/segmentation/[^/]+\.txt")
_TABLES = re.compile(r"\.(csv|tsv|txt)$", re.IGNORECASE)
_NUMBER, _WORD = re.compile(r"\d+"), re.compile(r"[^\W_]+")
_FORMS = 12  # of paths whose images are looked at, at most, where no name pairs them
_AGREE = 0.9  # of the numbers in two forms of paths, at least
_MOST = 0.5  # of the images, at least, have a mask where nothing says which
_CLASSES = "or choose --layout folders where the folders are classes"
_BACKGROUNDS = (0, (0, 0, 0), TRANSPARENT)

_Group = dict[tuple[int, ...], str]  # the numbers that vary in paths of one form -> the path


def recognize(inventory: Inventory) -> Dataset | None:
    """The dataset in a folder, or None where fewer than half of the masks found belong to an image.

    A mask is a file in a folder called so (`masks`, `labels`, `annotations`, `trainannot`, `SegmentationClass` …) or
    one whose name ends so (`17_mask.png`); it belongs to the image of the same name. Folders called otherwise are
    images and masks where their files agree, at least in their numbers, and the masks hold few values, unless they can
    be classes as well. What values mean is judged by `interpret_files`. Images without a mask, and pairs whose shapes
    differ, are left out and named in the notes. Raises `DataError` for what can be interpreted in two ways.
    """
    path = inventory.root
    found = find_pairs(path, inventory.images)
    alike = "names" if found.pairs else "numbers"
    if not found.pairs:
        found = _pairs_by_number(path, inventory.images)
    if not found.pairs:
        return None
    if inventory.options.layout != NAME and not any(map(is_evident, found.pairs)) and _are_classes(path, found.pairs):
        return None
    _refuse_other_pairs(inventory, found.pairs, alike)
    pairs, unlisted, notes = _assign_splits(inventory, found.pairs)
    broken = [mask for pair in unlisted for mask in pair.masks if not _can_be_read(path / mask)]
    pairs, differing = _with_same_shape(path, pairs)
    if not pairs:
        raise DataError(f"In {path} no mask has its image's shape, such as {differing[0]}; export them again.")
    masks, how = _masks(path, pairs, find_class_list(inventory), alike)
    for what, names in (
        ("without a mask", found.alone),
        ("with a mask of another shape", differing),
        ("that no list names", [pair.image for pair in unlisted]),
        ("of these with an unreadable mask", broken),
    ):
        if names:
            notes.append(f"left out: {len(names)} {what}, such as {', '.join(names[:NAMED])}")
    folders = Counter(pair.image.rpartition("/")[0] for pair in pairs if "/" in pair.image and _lie_together(pair))
    if (
        len(folders) > 1
        and not any(split_word(name.rpartition("/")[2]) for name in folders)
        and max(folders.values()) > 1
    ):
        first, second = sorted(folders, key=natural)[:2]
        notes.append(
            f"{first}/ and {second}/ are not taken for classes; --layout folders reads these, without the masks"
        )
    images = ImageFiles(path, tuple(pair.image for pair in pairs))
    reason = f"{len(pairs)} images with {how}"
    dataset = build_dataset(path, NAME, reason, images, [pair.split for pair in pairs], {"masks": masks})
    annotations = tuple(mask for pair in pairs for mask in pair.masks)
    left = (*found.redundant, *found.alone, *differing, *(pair.image for pair in unlisted))
    return replace(dataset, notes=(*found.notes, *notes), annotations=annotations, left_out=left)


def without_masks(inventory: Inventory) -> Inventory:
    """What lies in a folder but for the masks that are next to their images and called so, where these can be read."""
    try:
        pairs = find_pairs(inventory.root, inventory.images).pairs
    except DataError:
        return inventory
    found = {pair.masks[0]: pair.masks for pair in pairs if _lie_together(pair) and is_mask(pair.masks[0])}
    if not found or not hold_masks(inventory.root, list(found), guess=True):
        return inventory
    masks = {mask for masks in found.values() for mask in masks}
    return replace(inventory, images=tuple(image for image in inventory.images if image not in masks))


def _lie_together(pair: Pair) -> bool:
    return pair.image.rpartition("/")[0] == pair.masks[0].rpartition("/")[0]


@final
@dataclass(frozen=True)
class ObjectMaskFiles:
    """Image files below ``root``, several for each image: one for each of its objects. A pixel is 1 where any of them
    holds another value than the ``meaning`` has first, its background, and 0 elsewhere.
    """

    root: Path
    names: tuple[tuple[str, ...], ...]
    meaning: Meaning

    def __len__(self) -> int:
        return len(self.names)

    def read(self, index: int) -> Pixels:
        """(H, W) background and objects. Raises `ImageError`, also where an image's masks differ in size."""
        reader = MaskFiles(self.root, self.names[index], self.meaning.stored, self.meaning.ignored)
        joined = reader.read(0)
        for number in range(1, len(reader)):
            mask = reader.read(number)
            if mask.shape != joined.shape:
                raise ImageError(f"{reader.names[number]} has another size than {reader.names[0]}; export both again.")
            joined = np.maximum(joined, mask)
        return joined

    def digest(self, index: int) -> bytes:
        """BLAKE2b of the files' bytes and of what their values mean. Raises `ImageError`."""
        reader = MaskFiles(self.root, self.names[index], self.meaning.stored, self.meaning.ignored)
        content = b"".join(reader.digest(number) for number in range(len(reader)))
        return hashlib.blake2b(content, digest_size=DIGEST_BYTES).digest()


def _masks(folder: Path, pairs: Sequence[Pair], listed: ClassList | None, alike: str) -> tuple[Masks, str]:
    """The pairs' masks and how they were read, a part of a sentence; ``alike`` is what pairs have in common. Raises
    `DataError`.
    """
    files = [mask for pair in pairs for mask in pair.masks]
    meaning, counts = interpret_files([folder / mask for mask in files], listed)
    if len(files) == len(pairs):
        reader = MaskFiles(folder, tuple(files), meaning.stored, meaning.ignored)
        return Masks(reader, meaning.names, meaning.colors, counts=counts), f"masks of the same {alike}; {meaning.how}"
    if len(meaning.stored) != 2 or meaning.ignored or meaning.stored[0] not in _BACKGROUNDS:
        several = next(pair for pair in pairs if len(pair.masks) > 1)
        raise DataError(
            f"{several.image} in {folder} has {len(several.masks)} masks, such as {several.masks[0]}; they are joined "
            "only where all hold black and one other value. Export one mask for each image."
        )
    objects = ObjectMaskFiles(folder, tuple(pair.masks for pair in pairs), meaning)
    names = meaning.names if listed else ("background", "object")
    return Masks(objects, names, meaning.colors), f"{len(files)} masks of single objects, which are joined"


def _pairs_by_number(root: Path, names: Sequence[str]) -> Pairs:
    """Images with masks whose paths have another form but the same numbers: `raw/t001.tif` and `gt/man_seg001.tif`.

    Raises `DataError` where two forms are masks of the same images, or images of the same masks; and where one of two
    folders holds what looks like masks of the images in the other one, but no name says of which.
    """
    groups = _group_by_form(names)
    called = {form for form in groups if is_mask(form)}
    pairs: dict[str, Pair] = {}
    for form in sorted(groups, key=lambda form: (form not in called, natural(form))):
        own, others = groups[form], []
        for other, group in groups.items():
            common = len(own.keys() & group.keys()) if other != form else 0
            least = _AGREE * (len(own) if form in called else max(len(own), len(group)))
            if 1 < common >= least and hold_masks(root, [*own.values()], guess=True):
                others += [] if hold_masks(root, [*group.values()], guess=True) else [other]
        if others:
            nearest = groups[_nearest_form(root, groups, form, others)]
            if not _add_pairs(root, pairs, own, nearest, form in called):
                return Pairs()
    if not pairs:
        _refuse_unpaired(root, names)
        return Pairs()
    found = sorted(pairs.values(), key=lambda pair: natural(pair.image))
    images = [group.values() for group in groups.values() if not pairs.keys().isdisjoint(group.values())]
    alone = [name for group in images for name in group if name not in pairs]
    note = f"paired by the numbers in their names, such as {found[0].image} with {found[0].masks[0]}"
    note += "; --layout folders makes classes of the folders" if "/" in found[0].image else ""
    return Pairs(found, sorted(alone, key=natural), notes=[note])


def _group_by_form(names: Sequence[str]) -> dict[str, _Group]:
    """The paths by their forms, in which each number is `#`; nothing where these are too many, and nothing of a form
    that no number tells apart.
    """
    forms: dict[str, list[str]] = defaultdict(list)
    for name in names:
        forms[_NUMBER.sub("#", name.rpartition(".")[0] or name)].append(name)
        if len(forms) > _FORMS:
            return {}
    groups: dict[str, _Group] = {}
    for form, paths in forms.items():
        numbers = [[int(number) for number in _NUMBER.findall(path.rpartition(".")[0] or path)] for path in paths]
        varying = [column for column, each in enumerate(zip(*numbers, strict=True)) if len(set(each)) > 1]
        group = {tuple(row[column] for column in varying): path for row, path in zip(numbers, paths, strict=True)}
        if varying and len(group) == len(paths):
            groups[form] = group
    return groups


def _nearest_form(root: Path, groups: Mapping[str, _Group], masks: str, forms: Sequence[str]) -> str:
    """The form that has most of its words in common with that of some masks. Raises `DataError` where two have."""
    own = set(_WORD.findall(masks.casefold()))
    common = {form: len(own.intersection(_WORD.findall(form.casefold()))) for form in forms}
    first, *others = [form for form in forms if common[form] == max(common.values())]
    if others:
        mask, *images = (next(iter(groups[form].values())) for form in (masks, first, others[0]))
        raise DataError(
            f"{root} has masks, such as {mask}, that may be of {images[0]} or of {images[1]}; leave one kind out, "
            f"{_CLASSES}."
        )
    return first


def _add_pairs(root: Path, pairs: dict[str, Pair], masks: _Group, images: _Group, called: bool) -> bool:
    """Add the pairs of images without a mask; whether others have one that is called so, unless these are ``called``
    too, which raises `DataError`.
    """
    for numbers, mask in masks.items():
        image = images.get(numbers)
        if image in pairs:
            other = pairs[image].masks[0]
            if called:
                raise DataError(f"{root} has two kinds of masks, such as {other} and {mask}; {TWO_KINDS}.")
            if not is_mask(other):
                return False  # formats of the same images
        elif image:
            folders = reversed(image.split("/")[:-1])
            split = next(filter(None, (split_word(part, alone=False) for part in folders)), None)
            pairs[image] = Pair(image, (mask,), split)
    return True


def _are_classes(root: Path, pairs: Sequence[Pair]) -> bool:
    """Whether pairs whose folders no word calls those of images or of masks differ in size, as the images of two
    classes do. Raises `DataError` where they are alike: both readings are as likely then.
    """
    chosen = [pairs[0], pairs[len(pairs) // 2], pairs[-1]]
    sizes = ImageFiles(root, tuple(name for pair in chosen for name in (pair.image, pair.masks[0])))
    try:
        if any(sizes.size(index) != sizes.size(index + 1) for index in range(0, len(sizes), 2)):
            return True
    except ImageError:
        pass  # what cannot be read says nothing
    raise DataError(
        f"{root} can be read as a class for each folder, or as images with masks, such as {pairs[0].image} with "
        f"{pairs[0].masks[0]}, as no folder is called so; choose --layout folders or --layout {NAME}."
    )


def _refuse_unpaired(root: Path, names: Sequence[str]) -> None:
    """Raise `DataError` where folders of two names hold images and what looks like masks of most of them."""
    kinds: dict[str, list[str]] = defaultdict(list)
    for name in names:
        kinds[name.rpartition("/")[0].rpartition("/")[2]].append(name)
    if len(kinds) != 2 or "" in kinds:
        return
    fewer, more = sorted(kinds, key=lambda kind: len(kinds[kind]))
    if len(kinds[fewer]) < _MOST * len(kinds[more]) and not is_mask(f"{fewer}/"):
        return
    masks = [kind for kind in kinds if hold_masks(root, kinds[kind], guess=True)]
    pair = ImageFiles(root, (kinds[fewer][0], kinds[more][0]))
    try:
        alike = len(masks) == 1 and pair.size(0) == pair.size(1)
    except ImageError:
        return
    if alike:
        images = more if masks[0] == fewer else fewer
        raise DataError(
            f"{root} can be read as two classes, {images} and {masks[0]}, or as images in {images} and masks in "
            f"{masks[0]}, whose names do not say to which image each belongs; call each mask as its image, {_CLASSES}."
        )


def _refuse_other_pairs(inventory: Inventory, pairs: Sequence[Pair], alike: str) -> None:
    """Raise `DataError` where a line of a table names an image and the mask of another one; ``alike`` is what pairs
    have in common.
    """
    tables = [file for file in inventory.files if _TABLES.search(file)]
    if not tables:
        return
    stems = {_stem(image) for image in inventory.images}  # texts called so are of single images
    tables = [table for table in tables if _stem(table) not in stems]
    own = {pair.image: pair.masks for pair in pairs}
    owners = {mask: image for image, masks in own.items() for mask in masks}
    forms: dict[str, set[str]] = defaultdict(set)
    for path in (*own, *owners):
        for form in {normalize("NFC", path), normalize("NFC", path.rpartition("/")[2]), _stem(path)}:
            forms[form].add(path)
    known = {form: next(iter(paths)) for form, paths in forms.items() if len(paths) == 1 and not form.isdecimal()}
    for table in tables:
        try:
            lines = read_lines(inventory.root / table)
        except DataError:
            continue  # the layout of tables judges it
        for line in lines:
            cells = re.split(r"[,;\t|]", line)
            cells = [cell.strip("\"' ") for cell in (cells if len(cells) > 1 else line.split())]
            named = {known[form] for cell in cells for form in _endings(cell) if form in known}
            images, masks = [path for path in named if path in own], [path for path in named if path in owners]
            if len(images) == len(masks) == 1 and owners[masks[0]] != images[0]:
                raise DataError(
                    f"{inventory.root / table} pairs {images[0]} with {masks[0]}, but the {alike} of the files pair it "
                    f"with {own[images[0]][0]}; call each mask as its image, or remove the table if it is wrong."
                )


def _assign_splits(inventory: Inventory, pairs: list[Pair]) -> tuple[list[Pair], list[Pair], list[str]]:
    """Pairs with the splits of Pascal VOC's lists, where they are; then those that no list names, and what is to be
    said of the lists. Raises `DataError` where they name no pair.
    """
    files = [file for file in inventory.files if _SPLIT_LISTS.fullmatch(file.casefold())]
    lists = {file: word for file in files if (word := split_word(PurePosixPath(file).stem))}
    if not lists:
        return pairs, [], []
    stems = {_stem(pair.image): index for index, pair in enumerate(pairs)}
    found: dict[int, set[str]] = {}
    absent = []
    for file, word in lists.items():
        for line in read_lines(inventory.root / file):
            index = next((stems[name] for name in _possible_stems(line) if name in stems), None)
            if index is None:
                absent.append(line)
            else:
                found.setdefault(index, set()).add(word)
    if not found:
        first, name = next(iter(lists)), f", such as {absent[0]!r}" if absent else ""
        raise DataError(f"{inventory.root / first} names no image that has a mask{name}; correct or remove the lists.")
    known = [replace(pairs[index], split=max(found[index])) for index in sorted(found)]
    notes = []
    if absent:
        notes.append(
            f"left out: {len(absent)} listed but absent, such as {', '.join(sorted(absent, key=natural)[:NAMED])}"
        )
    twice = [pairs[index].image for index, words in found.items() if len(words) > 1]
    if twice:
        notes.append(f"{len(twice)} images are in the lists of two splits, such as {', '.join(twice[:NAMED])}")
    return known, [pair for index, pair in enumerate(pairs) if index not in found], notes


def _stem(name: str) -> str:
    return normalize("NFC", PurePosixPath(name).stem)


def _possible_stems(line: str) -> list[str]:
    """What a line can mean: a name that is all of it, perhaps with a path or a suffix, or its first column."""
    whole = normalize("NFC", line).replace("\\", "/")
    flag = re.sub(r"\s+-?[01]$", "", whole)
    return [form for text in (whole, flag, whole.split()[0]) for form in (text, text.rpartition("/")[2], _stem(text))]


def _endings(path: str) -> list[str]:
    """The endings of a path from a folder or the name on, and the name without its suffix."""
    parts = normalize("NFC", path).replace("\\", "/").split("/")
    return [*("/".join(parts[start:]) for start in range(len(parts))), _stem(parts[-1])]


def _can_be_read(mask: Path) -> bool:
    try:
        read_stored(mask)
    except ImageError:
        return False
    return True


def _with_same_shape(folder: Path, pairs: list[Pair]) -> tuple[list[Pair], list[str]]:
    """Pairs of one shape (a mask may be smaller than its image), and the images of the others."""
    images = ImageFiles(folder, tuple(pair.image for pair in pairs))
    masks = ImageFiles(folder, tuple(pair.masks[0] for pair in pairs))

    def same(index: int) -> bool:
        try:
            (height, width), (rows, columns) = images.size(index), masks.size(index)
        except ImageError:
            return True  # the doctor names what cannot be read
        return abs(height * columns - width * rows) <= max(height + rows, width + columns) / 2

    fits = list(in_order(same, range(len(pairs))))
    differing = [pair.image for pair, fit in zip(pairs, fits, strict=True) if not fit]
    return [pair for pair, fit in zip(pairs, fits, strict=True) if fit], differing
