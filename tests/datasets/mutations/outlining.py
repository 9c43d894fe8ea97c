"""Mutations of what annotation programs write of objects."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from copy import deepcopy
from dataclasses import replace
from pathlib import PurePosixPath
from unicodedata import normalize

from tests.datasets.mutations.case import Case
from tests.datasets.mutations.coco_file import SPELLINGS, CocoStyle, render_coco
from tests.datasets.mutations.outline_files import UPLOADS, OutlineStyle, TextStyle
from tests.datasets.mutations.pixels import rectangles
from tests.datasets.mutations.registry import ANNOTATION, CONTENT, FOREIGN, NAMES, WHOLE, Choose, has_outlines, mutation
from tests.datasets.mutations.sample import Sample

_VARIANTS = {
    "labelme": ("version 3", "with pixels", "stale path"),
    "cvat": ("project", "job"),
    "via": ("version 1", "project", "boxes to tick", "unused attribute", "two attributes"),
    "via table": ("version 1", "boxes to tick", "unused attribute", "two attributes"),
    "supervisely": ("no meta.json", "without the suffix"),
    "label studio": ("two people", "one canceled", "reviewed", "predictions"),
}
_FOR_EACH_IMAGE = ("labelme", "supervisely")
_BOXES = {"box|boxes"}
_TURNING = ("labelme", "cvat", "label studio")
_BITMAPS = ("labelme", "cvat", "supervisely", "label studio")


def _blame(case: Case, *words: str) -> None:
    case.blames_annotations = True
    case.culprits |= set(words)


def _of_program(*programs: str) -> Callable[[Case], bool]:
    def fits(case: Case) -> bool:
        return bool(case.outlines) and case.outlines[0].program in programs

    return fits


def _known(case: Case) -> list[Sample]:
    return [sample for sample in case.annotated() if sample.exists and not sample.damaged]


def _some(case: Case, choose: Choose) -> tuple[str, list[Sample]]:
    """The annotated images, all or a third of them, and a word for it."""
    word = choose(("some", "all"))
    return word, case.annotated()[1 if word == "some" else 0 :: 3 if word == "some" else 1]


@mutation(ANNOTATION, has_outlines)
def program_variant(case: Case, choose: Choose) -> str:
    """What versions and kinds of exports of one program have in different ways."""
    sized = not any(style.shrunk for style in case.outlines)  # which version 3 of LabelMe, without sizes, cannot tell
    variant = choose([each for each in _VARIANTS[case.outlines[0].program] if sized or each != "version 3"])
    for style in case.outlines:
        style.variant = variant
    if variant == "two attributes":
        _blame(case, "type")
        case.told.add("type")
    return variant


@mutation(ANNOTATION, has_outlines)
def outline_text(case: Case, choose: Choose) -> str:
    """A byte order mark, the ends of lines of Windows, another encoding, white space."""
    how = choose(("byte order mark", "crlf", "utf-16", "indented", "byte order mark, crlf"))
    for style in case.outlines:
        style.text = replace(
            style.text,
            bom="byte order mark" in how,
            newline="\r\n" if "crlf" in how else "\n",
            encoding="utf-16" if how == "utf-16" else "utf-8",
            indent=2 if how == "indented" else None,
        )
    if how == "utf-16":
        _blame(case)
    return how


@mutation(ANNOTATION, lambda case: has_outlines(case) and case.outlines[0].program != "supervisely")
def image_spelling(case: Case, choose: Choose) -> str:
    """Paths of images as other systems and programs write them."""
    words: list[str] = [*SPELLINGS, *(UPLOADS if case.outlines[0].program == "label studio" else ())]
    name = choose([word for word in words if word != case.outlines[0].spelling])
    for style in case.outlines:
        style.spelling = name
    _blame(case, *(sample.path for sample in case.samples))
    return name


@mutation(ANNOTATION, has_outlines)
def boxes_of_objects(case: Case, choose: Choose) -> str:
    """Objects whose outline is a box: they are painted as rectangles, unless all are."""
    word, samples = _some(case, choose)
    for style in case.outlines:
        style.forms |= {sample.number: "box" for sample in samples}
    _blame(case, "box", "boxes", *(sample.path for sample in case.samples))
    case.told |= _BOXES
    case.optional_kinds |= {"masks"}
    return word


@mutation(ANNOTATION, _of_program(*_TURNING))
def turned_boxes(case: Case, choose: Choose) -> str:
    """Boxes that were turned after they had been drawn."""
    word, samples = _some(case, choose)
    for style in case.outlines:
        style.forms |= {sample.number: "turned box" for sample in samples}
    case.told -= _BOXES
    case.optional_kinds |= {"masks"}
    _blame(case, "box", "boxes", *(sample.path for sample in case.samples))
    return word


@mutation(ANNOTATION, _of_program(*_BITMAPS))
def painted_objects(case: Case, choose: Choose) -> str:
    """Objects that were painted with a brush, and are kept as pixels."""
    word, samples = _some(case, choose)
    for style in case.outlines:
        style.forms |= {sample.number: "bitmap" for sample in samples}
    case.told -= _BOXES
    _blame(case, *(sample.path for sample in case.samples))
    return word


@mutation(ANNOTATION, has_outlines)
def points_among_outlines(case: Case, choose: Choose) -> str:
    """Points and lines that cover nothing, of a class that the image has anyway."""
    word, samples = _some(case, choose)
    marked = {sample.number for sample in samples if sample.classes}
    if not marked - case.outlines[0].shrunk:
        return "none"
    for style in case.outlines:
        style.marked = marked
    case.told.add("point|points|polyline|a keypoint|keypoints")
    return word


@mutation(ANNOTATION, has_outlines)
def object_without_label(case: Case, choose: Choose) -> str:
    """Objects that nobody gave a class: they cannot be read, or are left out aloud."""
    word, samples = _some(case, choose)
    numbers = {sample.number for sample in samples if sample.classes}
    if not numbers:
        return "none"
    for style in case.outlines:
        style.unnamed = numbers
    for sample in samples:
        if sample.classes:
            several = len(rectangles(sample.number, 3)) > 1
            sample.classes = sample.classes - {case.outlines[0].names[1]} if several else frozenset()
    case.uncertain, case.remarks = case.uncertain | numbers, case.remarks | {"label|labels|class|title|type"}
    case.told.add("label|labels|class|title|type")
    _blame(case, "label", "class", "title", *(sample.path for sample in samples))
    return word


@mutation(ANNOTATION, has_outlines)
def names_in_some_files(case: Case, choose: Choose) -> str:
    """A class that is spelled otherwise in some images: with a space, in the decomposed form, or as another word."""
    how = choose(("space", "decomposed", "another word"))
    new = {"space": " disc ", "decomposed": normalize("NFD", "Gebäude"), "another word": "plate"}[how]
    old = "Gebäude" if how == "decomposed" else "disc"
    case.mask_names = tuple(old if name == "disc" else name for name in case.mask_names)
    numbers = {sample.number for sample in case.samples[1::2]}
    for style in case.outlines:
        style.names = tuple(old if name == "disc" else name for name in style.names)
        style.spelled = {number: {old: new} for number in numbers}
    for sample in case.samples:
        name = new if how == "another word" and sample.number in numbers else old
        sample.classes = frozenset(name if one == "disc" else one for one in sample.classes)
    case.optional_classes |= {old} if how == "another word" else set()
    if how == "another word":
        case.mask_names = (*case.mask_names, new)
        case.other_first = numbers
    return how


def _gives_sizes(case: Case) -> bool:
    """Whether the files say how large their images are."""
    styles = case.outlines
    return has_outlines(case) and not styles[0].program.startswith("via") and styles[0].variant != "version 3"


@mutation(ANNOTATION, _gives_sizes)
def other_sizes(case: Case, choose: Choose) -> str:
    """Images that were made smaller after they had been annotated: left out, or none is read."""
    word, samples = _some(case, choose)
    for style in case.outlines:
        style.shrunk = {sample.number for sample in samples}
    case.told.clear()
    _blame(case, "size", *(sample.path for sample in samples))
    return word


@mutation(ANNOTATION, lambda case: has_outlines(case) and case.outlines[0].program not in _FOR_EACH_IMAGE)
def listed_twice(case: Case, choose: Choose) -> None:
    """Images that a file lists twice, as two exports joined have them."""
    for style in case.outlines:
        style.repeated = {sample.number for sample in case.annotated()[::2]}


@mutation(FOREIGN, has_outlines)
def cut_annotations(case: Case, choose: Choose) -> None:
    """A file that is cut short."""
    if case.outlines[0].program == "labelme" and "/a/" in f"/{case.samples[0].path}":
        return  # what is left could also be classes
    case.outlines[-1].cut = True
    case.tells_annotations = True
    _blame(case)


@mutation(ANNOTATION, _of_program("label studio"))
def unfinished_tasks(case: Case, choose: Choose) -> None:
    """Images that nobody has annotated yet."""
    numbers = {sample.number for sample in _known(case)[::3]}
    for sample in case.samples:
        sample.annotated = sample.annotated and sample.number not in numbers
    case.outlines[0].waiting = numbers
    _blame(case, "annotation", "annotations")


@mutation(WHOLE, has_outlines)
def second_export(case: Case, choose: Choose) -> str:
    """Another export in the same folder: the same once more, an older one of fewer images, or one that differs."""
    style = case.outlines[-1]
    if style.program in _FOR_EACH_IMAGE:
        return _second_folder(case, style, choose)
    how = choose(("the same", "fewer images", "fewer objects", "no objects"))
    stem, _, suffix = style.path.rpartition(".")
    second = deepcopy(style)
    second.path = choose((f"{stem} (1).{suffix}", f"{stem}_v1.{suffix}"))
    samples = _known(case)
    second.cut = False
    if how == "fewer images":
        second.omitted = {sample.number for sample in case.samples[1:]} - {samples[0].number} if samples else set()
    if how == "fewer objects":
        second.fewer = {sample.number for sample in samples if sample.classes}
    hidden = case.samples
    if how == "no objects":
        case.samples = [replace(sample, classes=frozenset()) for sample in hidden]
        second.unnamed = set()
    own = [one for one in case.annotated() if style.split in (None, one.split) and one.number not in second.omitted]
    case.files |= second.render(case.samples)
    case.samples = hidden
    _differ(case, {one.number for one in own if how in ("fewer objects", "no objects")}, second.path)
    return how


def _second_folder(case: Case, style: OutlineStyle, choose: Choose) -> str:
    how = choose(("the same", "fewer objects"))
    if style.program == "labelme" and choose((True, False)):
        return _copied_file(case, style, how)
    numbers = {sample.number for sample in _known(case) if sample.classes} if how == "fewer objects" else set()
    second = deepcopy(style)
    second.fewer, second.cut = numbers, False
    if style.program == "labelme":
        second.path = f"{style.path}_old" if style.path else "old"
        second.spelling = "relative"
        case.files |= second.render(case.samples)
    else:
        found = second.render(case.samples)
        case.files |= {f"ann_old/{path}": content for path, content in found.items()}
    _differ(case, numbers if style.program == "labelme" else set(), second.path)
    return how


def _copied_file(case: Case, style: OutlineStyle, how: str) -> str:
    """A file that was copied, and perhaps edited."""
    known = [sample for sample in _known(case) if sample.classes] or case.annotated()[:1]
    second = replace(style, fewer={known[0].number} if how == "fewer objects" else set(), cut=False)
    for path, content in second.render(known[:1]).items():
        case.files[path.replace(".json", " (1).json")] = content
    _differ(case, second.fewer, "")
    return f"{how}, one file"


@mutation(WHOLE, has_outlines)
def export_for_coco(case: Case, choose: Choose) -> str:
    """Another program's file of the same objects, or of fewer ones."""
    how = choose(("the same", "fewer objects"))
    style = CocoStyle("instances_default.json", spelling="relative")
    style.categories = list(enumerate(case.mask_names[1:3], start=1))
    samples = [sample for sample in case.annotated() if sample.number not in case.uncertain]
    plain = case.outlines[0].text == TextStyle() and not case.other_first
    told = case.told or case.outlines[0].forms or case.outlines[0].shrunk
    if not plain or told or not any(sample.classes for sample in samples):
        return "none"
    second = json.loads(render_coco(style, samples))
    fewer = {one["id"] for one in second["annotations"] if one["category_id"] == 2} if how == "fewer objects" else set()
    second["annotations"] = [one for one in second["annotations"] if one["id"] not in fewer]
    if fewer and second["annotations"]:
        _differ(case, {sample.number for sample in samples}, style.path)
        case.alternatives = [{sample.number: sample.classes - {"wall"} for sample in samples}]
        case.uncertain, case.remarks = {sample.number for sample in samples}, {"was not taken"}
    case.files[style.path] = json.dumps(second).encode()
    case.tells_annotations = False  # this file says as much as one that is cut short
    _blame(case, style.path)
    return how


def _differ(case: Case, numbers: Collection[int], second: str) -> None:
    """Two files differ on some images: refused, or said."""
    _blame(case, second.rpartition("/")[2], *(sample.path for sample in case.samples))
    if numbers:
        case.told_of_folder.add("differ|differently|was not taken|without an image")


@mutation(WHOLE, lambda case: len(case.outlines) == 1 and case.outlines[0].program not in _FOR_EACH_IMAGE)
def annotations_given(case: Case, choose: Choose) -> None:
    """The file itself is opened, not its folder."""
    case.opened = case.outlines[0].path


@mutation(NAMES, lambda case: len(case.outlines) == 1 and case.outlines[0].program not in _FOR_EACH_IMAGE)
def annotations_elsewhere(case: Case, choose: Choose) -> str:
    """The file in a folder of its own, or among the images, or under another name."""
    style = case.outlines[0]
    folder = choose(("annotations", "images", "as instances"))
    suffix = PurePosixPath(style.path).suffix
    style.path = f"instances_default{suffix}" if folder == "as instances" else f"{folder}/{style.path}"
    _blame(case)
    return folder


@mutation(NAMES, lambda case: has_outlines(case) and case.outlines[0].program in ("labelme", "cvat", "label studio"))
def same_names_in_folders(case: Case, choose: Choose) -> str:
    """Images of one name in two folders, whose paths the file says, or not."""
    spelling = choose(("relative", "bare"))
    if set(case.outlines[0].forms.values()) == {"box"} or len(case.annotated()) < len(case.samples):
        return "as they were"  # folders of images without outlines may be classes
    for style in case.outlines:
        style.spelling = spelling
        style.path = "" if style.program == "labelme" else style.path
    for position, sample in enumerate(case.samples):
        path = PurePosixPath(sample.path)
        sample.path = f"{path.parent}/{'ab'[position % 2]}/{position // 2}{path.suffix}".removeprefix("./")
        case.culprits |= {sample.path, str(position // 2), f"{position // 2}{path.suffix}"}
    _blame(case)
    return spelling


@mutation(CONTENT, has_outlines)
def images_without_annotation(case: Case, choose: Choose) -> str:
    """Images that the file does not list, or that have no file of their own."""
    for sample in _known(case)[1::4]:
        sample.annotated = False
        case.culprits |= {sample.path, PurePosixPath(sample.path).stem}
    return str(len(_known(case)[1::4]))
