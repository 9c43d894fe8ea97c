"""Mutations of masks and of arrays."""

from __future__ import annotations

from pathlib import PurePosixPath

import numpy as np

from tests.datasets.mutations.case import Case
from tests.datasets.mutations.layouts import MASK_CLASSES
from tests.datasets.mutations.mask_style import ClassList
from tests.datasets.mutations.pixels import class_mask, encode, encoded, rectangles
from tests.datasets.mutations.registry import (
    ANNOTATION,
    CONTENT,
    FOREIGN,
    NAMES,
    Choose,
    has_files,
    has_mask_files,
    mutation,
)

_FOLDERS = (
    "labels", "Masks", "annotations", "gt", "GroundTruth", "ground_truth", "mask_images", "SegmentationClass",
    "label_masks", "annotated", "targets",
)  # fmt: skip
_SUFFIXES = ("_mask", "_seg", "_gt", "_label", "-mask", ".mask", "_Mask", "_segmentation", "_GT", "_annotation", "_m")
_MODES = ("palette", "palettes", "bits", "16 bits", "colors", "gray colors", "mixed", "transparent")
_VALUES = {"0 and 255": (0, 255), "0 and 1": (0, 1), "spaced": (0, 127, 255), "from 1": (1, 2, 3)}


def _in_gray(case: Case) -> bool:
    return case.layout in ("mask folders", "split masks", "suffixed masks")


def _blame(case: Case, *words: str) -> None:
    case.culprits |= {*words, "mask", "masks", *(sample.mask_path for sample in case.samples if sample.mask_path)}


@mutation(ANNOTATION, _in_gray)
def stored_values(case: Case, choose: Choose) -> str:
    """How class indices are stored."""
    style = case.style
    assert style is not None
    how = choose((*_MODES, *_VALUES))
    style.classes = 2 if how in ("0 and 255", "0 and 1", "bits", "mixed") else 3
    style.mode = how if how in _MODES else "gray"
    style.values = (0, 255) if how == "mixed" else _VALUES.get(how, (0, 1, 2))
    style.void = style.void and how not in ("bits", "colors", "gray colors", "transparent") and 255 not in style.values
    if how in ("palettes", "spaced", "transparent", "mixed"):
        _blame(case, "palette", "255", "transparent", "color")
    return how


@mutation(CONTENT, _in_gray)
def void_pixels(case: Case, choose: Choose) -> None:
    """255 where no class is meant, beside small numbers."""
    assert case.style is not None
    case.style.void = True


@mutation(ANNOTATION, _in_gray)
def class_list(case: Case, choose: Choose) -> str:
    """A text that names the classes."""
    name = choose(("classes.txt", "labels.txt", "codes.txt", "class_dict.csv", "classes.csv", "labelmap.txt"))
    how = {"class_dict.csv": "csv of colors", "classes.csv": "csv of numbers", "labelmap.txt": "labelmap"}.get(name)
    how = how or choose(("names", "numbers", "colors first"))
    names = choose((MASK_CLASSES, ("ground", "grade 1", "grade 2"), ("바닥", "원", "벽")))
    case.class_list = ClassList(name, names, how)
    _blame(case, name)
    return f"{name}, {how}, {names[1]}"


@mutation(NAMES, lambda case: has_mask_files(case) and case.layout != "suffixed masks")
def mask_folder(case: Case, choose: Choose) -> str:
    """Another name of the folder of masks."""
    name = choose(_FOLDERS)
    for sample in case.samples:
        path = PurePosixPath(sample.mask_path)
        sample.mask_path = str(path.parent.parent / name / path.name) if sample.mask_path else ""
    case.culprits |= {name, "mask", "masks", "images"}
    if name in ("annotated", "targets"):  # no usual words: that these are masks must be seen, or cannot
        case.culprits.add("known layouts")
    return name


@mutation(NAMES, has_mask_files)
def mask_names(case: Case, choose: Choose) -> str:
    """Another suffix of the masks' names."""
    word = choose(_SUFFIXES)
    for sample in case.samples:
        if sample.mask_path:
            path = PurePosixPath(sample.mask_path)
            sample.mask_path = str(path.with_name(f"{PurePosixPath(sample.path).stem}{word}{path.suffix}"))
    _blame(case, *(["known layouts"] if word == "_m" else []))  # which may mean anything
    return word


@mutation(NAMES, has_mask_files)
def mask_format(case: Case, choose: Choose) -> str:
    """Another format of the masks."""
    suffix = choose((".tif", ".tiff", ".bmp", ".PNG", ".jpg", ".gif"))
    if suffix == ".gif" and case.style and (case.style.mode != "gray" or case.style.void):
        suffix = ".tif"
    if suffix == ".bmp" and case.style and case.style.mode in ("16 bits", "transparent"):
        suffix = ".tif"
    if suffix == ".jpg" and case.style and case.style.mode in ("palette", "palettes", "16 bits", "transparent"):
        suffix = ".tiff"
    for sample in case.samples:
        if sample.mask_path:
            sample.mask_path = str(PurePosixPath(sample.mask_path).with_suffix(suffix))
    if suffix in (".jpg", ".gif"):
        _blame(case, "JPEG", "GIF")
    return suffix


@mutation(CONTENT, has_mask_files)
def images_without_masks(case: Case, choose: Choose) -> str:
    """Masks that are lost."""
    count = min(choose((1, 2)), len(case.samples) // 4 or 1)
    for sample in case.samples[:count]:
        sample.masked = False
        sample.annotated = False
        case.culprits |= {sample.path, PurePosixPath(sample.path).stem}
    return str(count)


@mutation(CONTENT, has_mask_files)
def damaged_mask(case: Case, choose: Choose) -> None:
    """A mask that is cut short."""
    sample = case.samples[-1]
    sample.mask_damaged = sample.masked
    case.culprits |= {sample.path, sample.mask_path}


def _is_array(case: Case) -> bool:
    return not has_files(case) and bool(case.files)


@mutation(CONTENT, _is_array)
def lost_part(case: Case, choose: Choose) -> str:
    """A file of the set is not there."""
    path = choose(sorted(case.files))
    del case.files[path]
    name = path.rpartition("/")[2]
    if case.layout in ("idx", "svhn") and "-labels" not in name:  # nothing else tells of this part
        split = "train" if name.startswith("train") else "test"
        for sample in case.samples:
            sample.exists &= sample.split != split
    if case.layout == "numbered stacks":  # the other half of the pair must be named
        partner = name.replace("labels", "volume") if "labels" in name else name.replace("volume", "labels")
        case.told.add(partner)
        for position, sample in enumerate(case.samples):
            sample.exists &= (position < 2) != ("_1_" in name)
    case.culprits |= {"known layouts", *_names_of_parts(path)}
    return path.rpartition("/")[2]


@mutation(CONTENT, _is_array)
def cut_part(case: Case, choose: Choose) -> str:
    """A file of the set is cut short."""
    path = choose(sorted(case.files))
    case.files[path] = case.files[path][: len(case.files[path]) * 2 // 3 - 1]  # not between two images
    case.culprits |= _names_of_parts(path)
    return path.rpartition("/")[2]


def _names_of_parts(path: str) -> set[str]:
    name = path.rpartition("/")[2]
    return {name, name.removesuffix(".gz"), name.partition(".")[0], name.partition("-idx")[0]}


@mutation(NAMES, lambda case: case.layout == "idx")
def idx_names(case: Case, choose: Choose) -> str:
    """Other names of MNIST's files, also as folders that hold them."""
    import gzip

    style = choose(("plain", "dots", "folders", "raw folder"))
    files = {}
    for path, content in case.files.items():
        bare = path.removesuffix(".gz")
        if not bare.endswith("-ubyte"):
            files[path] = content
            continue
        try:
            plain = gzip.decompress(content)
        except (OSError, EOFError):
            plain = content
        names = {"dots": bare.replace("-idx", ".idx"), "folders": f"{bare}/{bare}", "raw folder": f"MNIST/raw/{bare}"}
        files[names.get(style, bare)] = plain
    case.files = files
    return style


@mutation(ANNOTATION, lambda case: bool(case.listings))
def list_writing(case: Case, choose: Choose) -> str:
    """Lists as Windows writes them."""
    how = choose(("crlf", "byte order mark", "both"))
    for listing in case.listings:
        listing.newline = "\n" if how == "byte order mark" else "\r\n"
        listing.mark = b"" if how == "crlf" else b"\xef\xbb\xbf"
    return how


@mutation(NAMES, _in_gray)
def mask_for_each_object(case: Case, choose: Choose) -> None:
    """Several masks of an image, 0 and 255, for the objects of one class."""
    assert case.style is not None
    case.style.joined, case.style.void, case.style.classes = True, False, 3
    _blame(case, "several", "objects")
    for sample in case.samples:
        path = PurePosixPath(sample.mask_path)
        for index, _ in enumerate(rectangles(sample.number, 3) if sample.mask_path and sample.masked else ()):
            one = np.where(class_mask(sample.number, 3) == index + 1, np.uint8(255), np.uint8(0))
            case.files[f"{path.parent}/{path.stem}_{index}.png".removeprefix("./")] = encode(one, ".png")
        sample.mask_path = ""
    case.class_list = None


@mutation(FOREIGN, has_mask_files)
def overlays(case: Case, choose: Choose) -> str:
    """A third set of images of the same names, for people to look at."""
    folder = choose(("overlays", "visualization", "preview", "images_with_masks"))
    for sample in case.samples:
        if sample.exists and not sample.damaged:
            path = PurePosixPath(sample.path)
            case.files[f"{path.parent.parent}/{folder}/{path.name}".removeprefix("./")] = encoded(sample.number, ".png")
    case.culprits |= {folder, "mask", "masks"}
    if folder == "images_with_masks":
        case.culprits.add("known layouts")  # it is called as masks are
    return folder


@mutation(FOREIGN, lambda case: case.layout == "voc")
def object_masks(case: Case, choose: Choose) -> None:
    """Pascal VOC's masks of single objects, and its lists for other tasks."""
    for sample in case.annotated():
        content = encode(class_mask(sample.number, 3), ".png", palette=bytes(range(256)) * 3)
        case.files[sample.mask_path.replace("SegmentationClass", "SegmentationObject")] = content
    names = [PurePosixPath(sample.path).stem for sample in case.samples]
    case.files["ImageSets/Main/aeroplane_train.txt"] = "".join(f"{name}  1\n" for name in names).encode()
