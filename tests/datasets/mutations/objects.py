"""Mutations of COCO's files."""

from __future__ import annotations

import json
from pathlib import PurePosixPath

from tests.datasets.mutations.case import Case
from tests.datasets.mutations.coco_file import SPELLINGS
from tests.datasets.mutations.registry import ANNOTATION, FOREIGN, NAMES, Choose, has_coco, has_outlines, mutation


def _blame(case: Case, *words: str) -> None:
    case.culprits |= {*words, *(style.path.rpartition("/")[2] for style in case.coco)}


@mutation(ANNOTATION, has_coco)
def text_ids(case: Case, choose: Choose) -> str:
    """Numbers in quotes, in one role or in several."""
    every = frozenset(("image.id", "annotation.image_id", "category.id", "annotation.category_id"))
    roles = choose([*(frozenset([role]) for role in sorted(every)), every])
    for style in case.coco:
        style.text_ids = roles
    _blame(case)
    return "all" if roles == every else min(roles)


@mutation(ANNOTATION, has_coco)
def ids_from_zero(case: Case, choose: Choose) -> str:
    """Of images, of categories or of both."""
    what = choose(("images", "categories", "both"))
    for style in case.coco:
        style.first_id = 0 if what != "categories" else style.first_id
        if what != "images":
            style.categories = [(position, name) for position, (_, name) in enumerate(style.categories)]
    return what


@mutation(ANNOTATION, has_coco)
def category_ids(case: Case, choose: Choose) -> str:
    """Ids with gaps, or against the order of the names."""
    ids = choose(((7, 90), (90, 7), (2, 1)))
    for style in case.coco:
        style.categories = [(key, name) for key, (_, name) in zip(ids, style.categories, strict=True)]
    return str(ids)


@mutation(ANNOTATION, has_coco)
def unused_categories(case: Case, choose: Choose) -> str:
    """Categories that no object has."""
    name = choose(("background", "animals-Zx3f", "none", "disc", "Ä"))
    for style in case.coco:
        taken = {key for key, _ in style.categories}
        style.unused = [(0 if 0 not in taken and name == "background" else 99, name)]
    case.optional_classes |= {name} - {"background", "disc"}
    if name == "background":
        case.culprits.add(name)
        case.optional_classes.add(name)
    if name == "disc":
        _blame(case, name)
    return name


@mutation(ANNOTATION, has_coco)
def file_name_spelling(case: Case, choose: Choose) -> str:
    """Names as other systems and programs write them."""
    name = choose([word for word in SPELLINGS if word != "bare"])
    for style in case.coco:
        style.spelling = name
    _blame(case, *(sample.path for sample in case.samples))
    return name


@mutation(ANNOTATION, has_coco)
def json_writing(case: Case, choose: Choose) -> str:
    """A byte order mark, another encoding, white space, further keys, another order."""
    how = choose(("byte order mark", "utf-16", "indented", "further keys", "reversed"))
    for style in case.coco:
        style.bom = how == "byte order mark"
        style.encoding = "utf-16" if how == "utf-16" else "utf-8"
        style.indent = 2 if how == "indented" else None
        style.extra_keys = how == "further keys"
        style.reverse = how == "reversed"
    if how == "utf-16":
        _blame(case)
    return how


@mutation(ANNOTATION, has_coco)
def missing_keys(case: Case, choose: Choose) -> str:
    """Neither sizes of images, nor areas of objects."""
    what = choose(("sizes", "areas", "both"))
    for style in case.coco:
        style.sizes = what == "areas"
        style.areas = what == "sizes"
    _blame(case)
    return what


@mutation(ANNOTATION, has_coco)
def shapes(case: Case, choose: Choose) -> str:
    """Run-length encoding, or a polygon that is no list of polygons."""
    kind = choose(("rle", "flat"))
    for style in case.coco:
        style.shapes = kind
    if kind == "flat":
        _blame(case, *(sample.path for sample in case.samples), "polygon")
    return kind


@mutation(ANNOTATION, has_coco)
def boxes_among_outlines(case: Case, choose: Choose) -> str:
    """Images whose objects have boxes and no outline; to paint these is right."""
    numbers = {sample.number for sample in case.samples[1::3]}
    for style in case.coco:
        style.boxes_only = numbers
    case.uncertain, case.remarks = numbers, {"box|boxes"}
    _blame(case, "box", "boxes")
    return str(len(numbers))


@mutation(ANNOTATION, has_coco)
def same_image_id(case: Case, choose: Choose) -> None:
    """Two images of one id; which objects belong to which of them cannot be known."""
    for style in case.coco:
        style.same_id = True
    _blame(case, "id", "ids")


@mutation(ANNOTATION, has_coco)
def orphan(case: Case, choose: Choose) -> None:
    """An object of an image that is not listed."""
    for style in case.coco:
        style.orphan = True
    _blame(case, "99999")


@mutation(ANNOTATION, lambda case: has_coco(case) or has_outlines(case))
def images_without_objects(case: Case, choose: Choose) -> None:
    """Listed images that show only background."""
    case.told.discard("box|boxes")  # whose images these may be
    for sample in case.samples[2::4]:
        if sample.annotated:
            sample.classes = frozenset()


@mutation(FOREIGN, has_coco)
def other_coco_files(case: Case, choose: Choose) -> str:
    """COCO's other files of the same images: captions, keypoints, results."""
    name = choose(("captions_val2017.json", "person_keypoints_val2017.json", "results.json", "image_info_test.json"))
    images = [{"id": 1, "file_name": PurePosixPath(case.samples[0].path).name, "height": 8, "width": 8}]
    box = {"id": 5, "image_id": 1, "category_id": 1, "bbox": [0, 0, 2, 2], "area": 4, "iscrowd": 0}
    person = {**box, "keypoints": [1, 1, 2], "num_keypoints": 1, "segmentation": [[0, 0, 2, 0, 2, 2]]}
    document: object = {
        "captions_val2017.json": {"images": images, "annotations": [{"image_id": 1, "id": 5, "caption": "A cat."}]},
        "person_keypoints_val2017.json": {
            "images": images,
            "annotations": [person],
            "categories": [{"id": 1, "name": "person", "keypoints": ["nose"]}],
        },
        "results.json": [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 2, 2], "score": 0.5}],
        "image_info_test.json": {"images": images, "categories": [{"id": 1, "name": "person"}]},
    }[name]
    case.files[f"annotations/{name}"] = json.dumps(document).encode()
    case.culprits.add(name)
    return name


@mutation(NAMES, has_coco)
def same_image_names(case: Case, choose: Choose) -> None:
    """Images of one name in the folders of two splits, or in two folders."""
    counts: dict[str, int] = {}
    for sample in case.samples:
        path = PurePosixPath(sample.path)
        folder = str(path.parent) if len(case.coco) > 1 else f"{path.parent}/{'ab'[sample.number % 2]}"
        number = counts[folder] = counts.get(folder, 0) + 1
        sample.path = f"{folder}/{number}{path.suffix}"
        case.culprits |= {sample.path, str(number), f"{number}{path.suffix}"}
