"""Layouts of boxes, and mutations of their files."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import PurePosixPath

from tests.datasets.mutations.box_files import ODD, BoxStyle
from tests.datasets.mutations.case import Case
from tests.datasets.mutations.coco_file import SPELLINGS
from tests.datasets.mutations.registry import ANNOTATION, CONTENT, FOREIGN, WHOLE, Choose, mutation
from tests.datasets.mutations.sample import Sample

_IN_SPLITS = (("train", "train"), ("validation", "val"))


def _boxed(layout: str, samples: list[Sample], *files: BoxStyle) -> Case:
    for sample in samples:
        sample.classes = frozenset(["disc", "wall"] if sample.number % 3 != 1 else ["disc"])
    return Case(layout, samples, ("labels", "boxes"), written=[*files])


def _images(count: int, path: str) -> list[Sample]:
    return [Sample(number, path.format(number)) for number in range(3 * count)]


def _in_splits(count: int, path: str) -> list[Sample]:
    splits = [(split, word) for split, word in _IN_SPLITS for _ in range(3 * count)]
    return [Sample(number, path.format(word, number), split=split) for number, (split, word) in enumerate(splits)]


def voc_boxes(count: int) -> Case:
    """The challenge's folders."""
    return _boxed("voc boxes", _images(count, "JPEGImages/{:06}.jpg"), BoxStyle("voc", "Annotations"))


def voc_neighbors(count: int) -> Case:
    """Files next to the images, in folders of splits."""
    return _boxed("voc neighbors", _in_splits(count, "{}/{}.png"), BoxStyle("voc", ""))


def yolo(count: int) -> Case:
    """The tree of Ultralytics."""
    return _boxed("yolo", _in_splits(count, "images/{}/{}.jpg"), BoxStyle("yolo", "data.yaml"))


def yolo_neighbors(count: int) -> Case:
    """The tree of labelImg and Darknet."""
    return _boxed("yolo neighbors", _images(count, "{}.jpg"), BoxStyle("yolo", "classes.txt"))


def coco_boxes(count: int) -> Case:
    """COCO without outlines, a file for each split."""
    files = [BoxStyle("coco", f"annotations/instances_{word}.json", split) for split, word in _IN_SPLITS]
    return _boxed("coco boxes", _in_splits(count, "{}/{}.jpg"), *files)


def box_table(count: int) -> Case:
    """A table of boxes."""
    return _boxed("box table", _images(count, "images/{}.jpg"), BoxStyle("table", "annotations.csv"))


def split_box_tables(count: int) -> Case:
    """A table for each split, of images in one folder."""
    files = [BoxStyle("table", f"{word}_labels.csv", split) for split, word in _IN_SPLITS]
    samples = _in_splits(count, "images/{0}_{1}.jpg")
    return _boxed("split box tables", samples, *files)


BOXED: dict[str, Callable[[int], Case]] = {
    "voc boxes": voc_boxes,
    "voc neighbors": voc_neighbors,
    "yolo": yolo,
    "yolo neighbors": yolo_neighbors,
    "coco boxes": coco_boxes,
    "box table": box_table,
    "split box tables": split_box_tables,
}
"""By name: from a number of images to a case."""


def _styles(case: Case) -> list[BoxStyle]:
    return [one for one in case.written if isinstance(one, BoxStyle)]


def has_boxes(case: Case) -> bool:
    """Whether files have boxes."""
    return bool(_styles(case))


def _of(*programs: str) -> Callable[[Case], bool]:
    return lambda case: has_boxes(case) and _styles(case)[0].program in programs


def _blame(case: Case, *words: str) -> None:
    case.blames_annotations = True
    case.culprits |= set(words)


_FORMS = {
    "voc": ("no filename", "stem", "labelImg"),
    "yolo": ("polygons", "no empty files", "mapping"),
    "coco": ("text ids", "from zero", "gaps", "super-category"),
    "table": ("bare", "retinanet", "open images"),
}


@mutation(ANNOTATION, has_boxes)
def box_form(case: Case, choose: Choose) -> str:
    """What versions and kinds of exports of one program have in different ways."""
    program = _styles(case)[0].program
    form = choose(_FORMS[program])
    for style in _styles(case):
        style.form = form
    if form == "super-category":
        case.optional_classes.add("things")
    if form in ("stem", "open images"):
        _blame(case, *(sample.path for sample in case.samples))
    return form


@mutation(ANNOTATION, _of("voc", "coco", "table"))
def box_spelling(case: Case, choose: Choose) -> str:
    """Paths of images as other systems and programs write them."""
    name = choose([word for word in SPELLINGS if word != "bare"])
    for style in _styles(case):
        style.spelling = name
    _blame(case, *(sample.path for sample in case.samples))
    return name


@mutation(ANNOTATION, _of("voc", "coco", "table"))
def box_sizes(case: Case, choose: Choose) -> str:
    """Sizes of the images that are missing or not known."""
    how = choose(("absent", "zero"))
    for style in _styles(case):
        style.sizes = how
    return how


@mutation(ANNOTATION, _of("voc", "coco", "table"))
def odd_box(case: Case, choose: Choose) -> str:
    """A box without area, inverted, or outside of its image."""
    how = choose(sorted(ODD))
    _styles(case)[0].odd = how
    first = next((sample for sample in case.annotated() if _styles(case)[0].split in (None, sample.split)), None)
    if first and first.exists and not first.damaged and (first.classes or how != "outside"):
        case.told |= {"left out"}
    _blame(case, "box", "boxes", *(sample.path for sample in case.samples))
    return how


@mutation(ANNOTATION, has_boxes)
def box_text(case: Case, choose: Choose) -> str:
    """A byte order mark, the ends of lines of Windows, another encoding."""
    how = choose(("byte order mark", "crlf", "utf-16"))
    for style in _styles(case):
        style.text = replace(
            style.text,
            bom=how == "byte order mark",
            newline="\r\n" if how == "crlf" else "\n",
            encoding="utf-16" if how == "utf-16" else "utf-8",
        )
    if how == "utf-16":
        _blame(case, "known layouts", *(sample.path for sample in case.samples))
    return how


@mutation(ANNOTATION, has_boxes)
def box_class_names(case: Case, choose: Choose) -> str:
    """Classes of other names: in Korean, with spaces, numbers, what YAML takes for something else."""
    names = choose(
        (("원", "벽"), ("big disc", "small wall"), ("0", "1"), ("no", "yes"), ("null", "~x"), ("a'b", 'c"d'))
    )
    if _styles(case)[0].program == "table" and names[0] in ("a'b", "null"):
        return "as they were"
    new = dict(zip(case.box_names, names, strict=True))
    case.box_names = names
    for style in _styles(case):
        style.names = names
    for sample in case.samples:
        sample.classes = frozenset(new.get(name, name) for name in sample.classes)
    return " ".join(names)


@mutation(ANNOTATION, _of("voc", "table"))
def object_without_class(case: Case, choose: Choose) -> None:
    """Nobody knows what it is."""
    _styles(case)[0].unnamed = {sample.number for sample in case.annotated()[1::3]}
    _blame(case, "class", "label", *(sample.path for sample in case.samples))


@mutation(ANNOTATION, has_boxes)
def images_without_boxes(case: Case, choose: Choose) -> str:
    """Images in which there is nothing; of these the tables of some programs say nothing."""
    style = _styles(case)[0]
    for sample in case.samples[2::4]:
        if sample.annotated:
            sample.classes = frozenset()
            sample.annotated = style.program != "table"
            case.culprits |= {sample.path, PurePosixPath(sample.path).stem}
    return style.program


@mutation(ANNOTATION, _of("yolo"))
def short_class_list(case: Case, choose: Choose) -> str:
    """A list of classes that lacks one, or that is not there."""
    how = choose(("short", "none"))
    (style,) = _styles(case)
    if how == "none":
        style.path = ""
        new = {name: f"class {index}" for index, name in enumerate(case.box_names)}
        case.box_names = tuple(new.values())
        case.told |= {"numbers"}
        for sample in case.samples:
            sample.classes = frozenset(new.get(name, name) for name in sample.classes)
        return how
    case.files[f"{PurePosixPath(style.path).parent}/{style.path}".removeprefix("./")] = (
        b"names: [disc]\n" if style.path.endswith(".yaml") else b"disc\n"
    )
    listed = case.files.pop(style.path)
    style.path = ""
    case.files["data.yaml" if listed.startswith(b"names") else "classes.txt"] = listed
    _blame(case, "data.yaml", "classes.txt")
    return how


@mutation(FOREIGN, _of("voc", "coco", "table"))
def cut_boxes(case: Case, choose: Choose) -> None:
    """A file that is cut short."""
    _styles(case)[-1].cut = True
    _blame(case, *(sample.path for sample in case.samples))
    case.tells_annotations = True


@mutation(WHOLE, _of("coco", "table"))
def second_boxes(case: Case, choose: Choose) -> str:
    """Another export in the same folder: the same once more, or one that differs."""
    how = choose(("the same", "other edges"))
    style = deepcopy(_styles(case)[-1])
    stem, _, suffix = style.path.rpartition(".")
    style.path = f"{stem} (1).{suffix}"
    style.odd = "no area" if how == "other edges" and not style.odd else style.odd
    content = style.render(case.samples)
    case.files |= content
    if how == "other edges" or style.cut:
        _blame(case, *content, *(path.rpartition("/")[2] for path in content))
    return how


@mutation(CONTENT, has_boxes)
def some_without_file(case: Case, choose: Choose) -> str:
    """Images that no annotation knows: next to label files of YOLO they have no objects."""
    program = _styles(case)[0].program
    for sample in case.samples[1::4]:
        if program == "yolo":
            sample.classes = frozenset()
            _styles(case)[0].form = "no empty files"
        else:
            sample.annotated = False
        case.culprits |= {sample.path, PurePosixPath(sample.path).stem}
    return program
