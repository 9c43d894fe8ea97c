"""Mutations of masks and of arrays."""

from __future__ import annotations

from pathlib import PurePosixPath

from tests.datasets.mutations.case import Case
from tests.datasets.mutations.layouts import MASK_CLASSES
from tests.datasets.mutations.mask_style import ClassList
from tests.datasets.mutations.registry import ANNOTATION, CONTENT, NAMES, Choose, has_files, has_mask_files, mutation

_FOLDERS = (
    "labels", "Masks", "annotations", "gt", "GroundTruth", "ground_truth", "mask_images", "SegmentationClass",
    "label_masks", "annotated", "targets",
)  # fmt: skip
_SUFFIXES = ("_mask", "_seg", "_gt", "_label", "-mask", ".mask", "_Mask", "_segmentation", "_GT", "_annotation", "_m")


def _in_gray(case: Case) -> bool:
    return case.layout in ("mask folders", "split masks", "suffixed masks")


def _blame(case: Case, *words: str) -> None:
    case.culprits |= {*words, "mask", "masks", *(sample.mask_path for sample in case.samples if sample.mask_path)}


@mutation(ANNOTATION, _in_gray)
def stored_values(case: Case, choose: Choose) -> str:
    """How class indices are stored."""
    style = case.style
    assert style is not None
    styles = ("palette", "palettes", "0 and 255", "0 and 1", "spaced", "bits", "16 bits", "colors", "from 1")
    how = choose(styles)
    if how in ("0 and 255", "0 and 1", "bits"):
        style.classes = 2
    style.values = {"0 and 255": (0, 255), "spaced": (0, 127, 255), "from 1": (1, 2, 3)}.get(how, (0, 1, 2))
    style.mode = how if how in ("palette", "palettes", "bits", "16 bits", "colors") else "gray"
    style.void = style.void and style.mode != "bits" and 255 not in style.values
    if how in ("palettes", "spaced"):
        _blame(case, "palette", "255")
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
    return name


@mutation(NAMES, has_mask_files)
def mask_names(case: Case, choose: Choose) -> str:
    """Another suffix of the masks' names."""
    word = choose(_SUFFIXES)
    for sample in case.samples:
        if sample.mask_path:
            path = PurePosixPath(sample.mask_path)
            sample.mask_path = str(path.with_name(f"{PurePosixPath(sample.path).stem}{word}{path.suffix}"))
    _blame(case)
    return word


@mutation(NAMES, has_mask_files)
def mask_format(case: Case, choose: Choose) -> str:
    """Another format of the masks."""
    suffix = choose((".tif", ".tiff", ".bmp", ".PNG", ".jpg", ".gif"))
    if suffix == ".gif" and case.style and case.style.mode != "gray":
        suffix = ".tif"
    if suffix == ".bmp" and case.style and case.style.mode == "16 bits":
        suffix = ".tif"
    if suffix == ".jpg" and case.style and case.style.mode in ("palette", "palettes", "16 bits"):
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
    count = choose((1, 2))
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
    return not has_files(case)


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
    case.culprits |= {"known layouts", *_names_of_parts(path)}
    return path.rpartition("/")[2]


@mutation(CONTENT, _is_array)
def cut_part(case: Case, choose: Choose) -> str:
    """A file of the set is cut short."""
    path = choose(sorted(case.files))
    case.files[path] = case.files[path][: len(case.files[path]) * 2 // 3]
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
