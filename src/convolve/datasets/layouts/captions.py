"""Captions: sentences on each image, in a file of COCO's captions or in a table.

- COCO's captions (`captions_train2017.json`): `images` with `id` and `file_name`, `annotations` with `image_id` and
  `caption`. Lin et al. 2014, "Microsoft COCO: Common Objects in Context"; the format:
  https://cocodataset.org/#format-data.
- Flickr8k's `Flickr8k.token.txt`: `photo.jpg#0`, a tab, a caption. Hodosh, Young, Hockenmaier 2013. Its lists of
  images, such as `Flickr_8k.trainImages.txt`, give the splits.
- A table with a column of images and one of captions (`image,caption`), perhaps one of splits; Flickr30k's
  `results.csv` has `image_name| comment_number| comment`.

An image may be on several lines. Such data is read for `--task caption` and by `--layout captions`, since files of COCO
and tables with texts are often there for other tasks too.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from convolve.datasets.captions import Captions
from convolve.datasets.images import ImageFiles
from convolve.datasets.inventory import Inventory, natural, take_inventory
from convolve.datasets.layouts.annotated_images import count_of, find_split, list_names
from convolve.datasets.layouts.box_tables import IMAGE_COLUMNS, SPLIT_COLUMNS, find_column
from convolve.datasets.layouts.coco import is_predicted
from convolve.datasets.layouts.coco_objects import id_text
from convolve.datasets.layouts.documents import read_json, without_duplicates
from convolve.datasets.layouts.image_finder import ImageFinder, folders_of_images
from convolve.datasets.layouts.parts import build_dataset, read_lines, split_of, split_word
from convolve.datasets.layouts.table_cells import decode_text, refuse_own
from convolve.datasets.reading import ReadingOptions
from convolve.errors import DataError
from convolve.untrusted.documents import cut_rows
from convolve.untrusted.files import read_file
from convolve.values import Dataset

NAME = "captions"
EXPECTED = "COCO's captions_*.json, Flickr8k.token.txt, or a table with the columns image and caption"
MARK = re.compile(r"(?!)")
"""Nothing tells it: it is asked only by its name."""
_FILES = re.compile(r"^([^/]+/)?[^/]+\.(json|csv|tsv|txt)$", re.IGNORECASE)
_LEMMAS = re.compile(r"lemma", re.IGNORECASE)
"""Flickr8k has the same captions in basic forms too."""
_TOKEN = re.compile(r"(.+?\.\w+)#\d+\t(.*)")
_COLUMNS = ("caption", "captions", "comment", "sentence", "text", "description", "캡션", "설명")
_KEYS = ("images", "annotations", "caption")


@dataclass
class _File:
    """What a file says: captions by the name of their image, in order; splits where a column has them; and how many
    lines of it are damaged.
    """

    name: str
    captions: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    splits: dict[str, str] = field(default_factory=dict)
    damaged: int = 0


def recognize(inventory: Inventory) -> Dataset | None:
    """The dataset in a folder with such files, or None. Raises `DataError` for a damaged file, and where none of the
    images that they name is there.
    """
    names = [name for name in inventory.annotation_files(_FILES) if not _LEMMAS.search(name)]
    files = [found for name in sorted(names, key=natural) if (found := _read(inventory.root / name, name))]
    if not files:
        return None
    kept, notes = without_duplicates(inventory.root, [one.name for one in files])
    files = [one for one in files if one.name in kept]
    finder, texts = ImageFinder(inventory.images), defaultdict[str, list[str]](list)
    splits: dict[str, str | None] = {}
    missing: list[str] = []
    lists = _split_lists(inventory)
    for one in files:
        located = finder.find(list(one.captions), one.name)
        missing += located.missing
        for name, path in located.paths.items():
            texts[path] += one.captions[name]
            own = one.splits.get(name) or _split_in_name(one.name)
            splits[path] = own or lists.get(Path(path).name) or find_split(path)
    if not texts:
        raise DataError(
            f"{inventory.root} holds none of the images that {files[0].name} names, such as {list_names(missing)}."
        )
    notes += _notes(files, missing)
    reason = f"captions in {', '.join(one.name for one in files)}"
    paths = sorted(texts, key=natural)
    images = ImageFiles(inventory.root, tuple(paths))
    captions = Captions(tuple(tuple(texts[path]) for path in paths))
    if wordless := [path for path, has_words in zip(paths, captions.covers, strict=True) if not has_words]:
        notes.append(f"left out: {count_of(len(wordless), 'image')} with empty captions, such as {wordless[0]}")
    given = [splits[path] for path in paths]
    dataset = build_dataset(inventory.root, NAME, reason, images, given, {"captions": captions})
    return replace(dataset, notes=tuple(notes), sources=tuple(one.name for one in files))


def _notes(files: Sequence[_File], missing: Sequence[str]) -> list[str]:
    """What is left out: captions of ``missing`` images, and damaged lines."""
    lost = sum(len(one.captions[name]) for one in files for name in missing if name in one.captions)
    notes = [f"left out: {count_of(lost, 'caption')} of missing images, such as {missing[0]}"] if missing else []
    return notes + [f"left out: {count_of(one.damaged, 'line')} of {one.name} without a caption" for one in files
                    if one.damaged]  # fmt: skip


def open_file(path: Path, options: ReadingOptions) -> Dataset:
    """The dataset of one such file, whose images are next to it or one folder above. Raises `DataError` as `recognize`
    does, and for another file.
    """
    obstacle = None
    for root in folders_of_images(path):
        own = replace(options, annotations=(path.relative_to(root).as_posix(),))
        try:
            if dataset := recognize(take_inventory(root, own)):
                return dataset
        except DataError as error:
            obstacle = obstacle or error
    raise obstacle or DataError(f"{path} has no captions; give {EXPECTED}.")


def _read(path: Path, name: str) -> _File | None:
    """A file's captions, or None where it has none. Raises `DataError` for a damaged one."""
    return _read_coco(path, name) if path.suffix.casefold() == ".json" else _read_table(path, name)


def _read_coco(path: Path, name: str) -> _File | None:
    document = read_json(path, _KEYS)
    if not isinstance(document, dict) or not document.keys() >= set(_KEYS[:2]) or is_predicted(document):
        return None
    for key in _KEYS[:2]:
        if not isinstance(document[key], list) or not all(isinstance(one, dict) for one in document[key]):
            raise DataError(f"{path} has COCO's keys, but its {key} are no list of objects; export it again.")
    images = {id_text(image.get("id")): str(image.get("file_name")) for image in document["images"]}
    found = _File(name)
    for one in document["annotations"]:
        if "caption" in one:
            image, caption = images.get(id_text(one.get("image_id"))), one["caption"]
            if image is None or not isinstance(caption, str):
                found.damaged += 1
            else:
                found.captions[image].append(" ".join(caption.split()))
    return found if found.captions else None


def _read_table(path: Path, name: str) -> _File | None:
    try:
        text, _ = decode_text(read_file(path))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as text ({error}); save it as UTF-8.") from error
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        return None
    if _TOKEN.fullmatch(lines[0]):
        rows = [["image", "caption"], *(list(match.groups()) if (match := _TOKEN.fullmatch(line)) else [line]
                                        for line in lines)]  # fmt: skip
    else:
        delimiter = max(",;\t|", key=lines[0].count)
        try:  # quotation marks are part of a caption where the cells are cut at bars and tabs
            rows = cut_rows(lines, delimiter) if delimiter in ",;" else [line.split(delimiter) for line in lines]
        except ValueError as error:
            raise DataError(f"{path} cannot be read as a table ({error}); correct that line.") from error
    header = [re.sub(r"[ -]", "_", cell.strip().casefold()) for cell in rows[0]]
    image, caption = find_column(header, IMAGE_COLUMNS), find_column(header, _COLUMNS)
    if min(image, caption) < 0:
        return None
    refuse_own(header)
    return _columns(path, _File(name), rows[1:], (image, caption, find_column(header, SPLIT_COLUMNS)))


def _columns(path: Path, found: _File, rows: Sequence[Sequence[str]], columns: tuple[int, int, int]) -> _File | None:
    """The cells of the columns of images, captions and splits (-1 for none). Raises `DataError`."""
    image, caption, split = columns
    for row in rows:
        cells = [cell.strip() for cell in row]
        if len(cells) <= max(image, caption) or not cells[image]:
            found.damaged += 1
            continue
        found.captions[cells[image]].append(" ".join(cells[caption].split()))
        if 0 <= split < len(cells):
            word = split_word(cells[split])
            if word is None:
                raise DataError(
                    f"{path} puts {cells[image]} into a split called '{cells[split]}'; write train, val or test."
                )
            found.splits[cells[image]] = word
    return found if found.captions else None


def _split_in_name(name: str) -> str | None:
    """The split in the name of a file, such as `captions_train2017.json`."""
    return next(filter(None, map(split_word, Path(name).stem.split("_"))), None) or split_of(name)


def _split_lists(inventory: Inventory) -> dict[str, str]:
    """The splits of images by their names, from lists of them such as `Flickr_8k.trainImages.txt`."""
    known, found = {Path(path).name for path in inventory.images}, dict[str, str]()
    for file in inventory.files:
        word = split_word(Path(file).stem, alone=False)
        if word and file.casefold().endswith(".txt"):
            lines = read_lines(inventory.root / file)
            if lines and all(line in known for line in lines):
                found |= dict.fromkeys(lines, word)
    return found
