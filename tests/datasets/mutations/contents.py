"""Mutations of what there is: images dropped, added or damaged, classes called otherwise, files moved and renamed."""

from __future__ import annotations

from pathlib import PurePosixPath
from unicodedata import normalize

from tests.datasets.mutations.case import Case
from tests.datasets.mutations.registry import (
    CONTENT,
    NAMES,
    WHOLE,
    Choose,
    always,
    has_files,
    has_tables,
    in_class_folders,
    mutation,
)
from tests.datasets.mutations.sample import DAMAGES, Sample

_CLASS_NAMES = {
    "Korean": ("고양이", "강아지", "새"),
    "accented": ("Café", "Über", "Niño"),
    "numbers": ("0", "2", "10"),
    "spaces": ("big cat", "small dog", "emu 2"),
    "punctuation": ("T-shirt", "cat+dog", "50% wool"),
    "split words among others": ("bus", "car", "train"),
    "two split words": ("train", "test", "match"),
    "like a layout": ("images", "boat", "car"),
    "decimal commas": ("0,5", "1,0", "1,5"),
    "names with commas": ("Hound, large", "Hound, small", "emu"),
    "words for nothing": ("None", "NA", "null"),
    "leading zeros": ("1", "01", "001"),
    "upper and lower case": ("cat", "Cat", "CAT"),
    "marks": ("_misc_", "-none-", "~other"),
    "like a run": ("runs", "walks", "sits"),
    "like thumbnails": ("thumbnails", "cache", "tmp"),
    "words of splits inside": ("train station", "test tube", "valley"),
}
_ALONE = ("spaces", "punctuation", "Korean", "accented")
_SPLIT_STYLES = {
    "training_set": ("training_set", "validation_set", "test_set"),
    "Train": ("Train", "Val", "Test"),
    "TRAINING": ("TRAINING", "VALIDATION", "TESTING"),
    "train_images": ("train_images", "val_images", "test_images"),
    "1_train": ("1_train", "2_val", "3_test"),
    "01-train": ("01-train", "02-valid", "03-test"),
    "seg_train": ("seg_train", "seg_val", "seg_test"),
    "train_data": ("train_data", "valid_data", "test_data"),
    "pets-train": ("pets-train", "pets-dev", "pets-test"),
    "Training Images": ("Training Images", "Validation Images", "Testing Images"),
}


def _has_split_folders(case: Case) -> bool:
    return case.layout in ("split folders", "split masks", "coco")


def _names_classes(case: Case) -> bool:
    return case.layout in ("folders", "split folders", "table", "split table", "split tables", "multi-label table")


@mutation(CONTENT, _names_classes)
def class_names(case: Case, choose: Choose) -> str:
    """Classes of other names."""
    options = list(_CLASS_NAMES)
    if case.layout == "multi-label table":
        options = list(_ALONE)
    elif not case.tables:
        options.remove("decimal commas")
    style = choose(options)
    for old, new in zip(case.classes(), _CLASS_NAMES[style], strict=True):
        case.rename_class(old, new)
    if style == "like a layout":
        case.culprits.add("images")
    unclear = ("words for nothing", "leading zeros", "upper and lower case")
    if style in unclear or style == "two split words" or (case.layout == "split folders" and "split words" in style):
        case.culprits |= set(_CLASS_NAMES[style])
    if style == "decimal commas" or (style == "names with commas" and case.tables):
        case.culprits |= {"comma", "decimal", "label", *(table.path for table in case.tables)}
    return style


@mutation(CONTENT, has_files)
def missing_files(case: Case, choose: Choose) -> str:
    """Some images are lost; annotations still name them."""
    count = min(choose((1, 2)), len(case.samples) // 4 or 1)
    for sample in case.samples[:: max(2, len(case.samples) // count)][:count]:
        if sample.annotated and not sample.damaged:
            sample.exists = False
            case.culprits |= {sample.path, PurePosixPath(sample.path).stem}
    case.culprits |= {"class"} if case.layout == "names" else set()  # one image alone makes none
    return str(count)


@mutation(CONTENT, has_files)
def damaged_file(case: Case, choose: Choose) -> str:
    """An image that is cut short, empty or no image at all."""
    sample = case.samples[choose((1, 2))]
    damage = choose(sorted(DAMAGES)[1:])
    if sample.exists:
        sample.damage = damage
        case.culprits |= {sample.path, PurePosixPath(sample.path).stem}
    return damage


@mutation(CONTENT, has_files)
def image_format(case: Case, choose: Choose) -> str:
    """Images of another format than their suffix says, or turned by their orientation."""
    style = choose(("PNG inside", "JPEG inside", "turned", "some turned", "turned TIFF", "pages"))
    if style == "pages" and case.layout in ("pets", "flowers", "dicom"):
        return "as they were"
    if style == "pages":
        case.told.add("pages")
    for sample in case.samples:
        sample.paged = style == "pages"
        if style in ("turned TIFF", "pages") and case.layout not in ("pets", "flowers", "dicom"):
            sample.path = str(PurePosixPath(sample.path).with_suffix(".tif"))
        if style in ("PNG inside", "JPEG inside"):
            sample.suffix = ".png" if style == "PNG inside" else ".jpg"
        elif style != "pages" and (style != "some turned" or sample.number % 2):
            sample.turned = PurePosixPath(sample.path).suffix in (".jpg", ".png", ".tif")
    return style


@mutation(CONTENT, has_files)
def unannotated_images(case: Case, choose: Choose) -> str:
    """Images of which no annotation speaks: among the others where there are annotations, else in the root."""
    count = choose((1, 3))
    suffix = PurePosixPath(case.samples[0].path).suffix
    for position in range(count):
        bare = in_class_folders(case) or case.layout == "class index"
        last = -1 if "imagenet" in case.layout else 0  # a folder whose images are listed
        folder = "" if bare else f"{PurePosixPath(case.samples[last].path).parent}/"
        path = f"{folder}extra_{position}{suffix}".removeprefix("./")
        empty = case.layout.startswith("yolo")  # where no file says that there is nothing
        split = case.samples[0].split if empty else None
        case.samples.append(Sample(case.next_number(), path, annotated=empty, split=split))
        case.culprits |= {path, f"extra_{position}"}
    return str(count)


@mutation(CONTENT, lambda case: case.layout == "split folders")
def unlabeled_split(case: Case, choose: Choose) -> str:
    """A test split without classes, as competitions have it."""
    folder = choose(("test", "pred", "test/images", "unlabeled"))
    if folder.startswith("test"):
        case.samples = [sample for sample in case.samples if sample.split != "test"]
    for position in range(3):
        case.samples.append(Sample(case.next_number(), f"{folder}/{900 + position}.jpg", annotated=False))
    case.culprits.add(folder.split("/")[0])
    return folder


@mutation(CONTENT, lambda case: case.layout == "table")
def competition(case: Case, choose: Choose) -> str:
    """As competitions have it: the images of `train` in `train.csv`, those of `test` without labels, and guesses."""
    others = choose(("test images", "test.csv", "sample_submission.csv", "all"))
    (table,) = case.tables
    table.path, table.spelling, table.titles = "train.csv", choose(("bare", "stem")), ("id", "label", "split")
    case.move(lambda path: path.replace("images/", "train/"))
    first = case.next_number()
    for number in range(first, first + 4):
        case.samples.append(Sample(number, f"test/{number}.jpg", annotated=False))
    stems = range(first, first + 4)
    guesses = "".join(f"{number},{case.classes()[0]}\n" for number in stems)
    if others in ("test.csv", "all"):
        case.files["test.csv"] = ("id\n" + "".join(f"{number}\n" for number in stems)).encode()
    if others in ("sample_submission.csv", "all"):
        case.files["sample_submission.csv"] = f"id,label\n{guesses}".encode()
        case.culprits.add("sample_submission.csv")
    return others


@mutation(CONTENT, in_class_folders)
def single_class(case: Case, choose: Choose) -> None:
    """The images of one class only, from which nothing can be learned."""
    first = case.classes()[0]
    case.samples = [sample for sample in case.samples if first in sample.classes or not sample.annotated]
    case.culprits |= {"class", "classes", first}


@mutation(CONTENT, in_class_folders)
def empty_class(case: Case, choose: Choose) -> None:
    """A class without images."""
    parent = "train/" if case.layout == "split folders" else ""
    case.folders.add(f"{parent}zebra")
    case.optional_classes.add("zebra")
    case.culprits.add("zebra")


@mutation(NAMES, in_class_folders)
def deeper_images(case: Case, choose: Choose) -> str:
    """Images one folder deeper than usual."""
    word = choose(("images", "session 1", "2024-05-01"))
    for sample in case.samples:
        if sample.annotated and sample.number % 2:
            path = PurePosixPath(sample.path)
            sample.path = f"{path.parent}/{word}/{path.name}"
    return word


@mutation(NAMES, in_class_folders)
def same_file_names(case: Case, choose: Choose) -> None:
    """Every class counts its images anew."""
    counts: dict[str, int] = {}
    for sample in case.samples:
        path = PurePosixPath(sample.path)
        number = counts[str(path.parent)] = counts.get(str(path.parent), 0) + 1
        sample.path = str(path.with_name(f"{number:03}{path.suffix}"))


@mutation(NAMES, has_tables)
def same_name_in_folders(case: Case, choose: Choose) -> str:
    """Images of one name in several folders; tables say the whole path. Folders called as splits are splits, unless the
    table says others.
    """
    style = choose(("folders a and b", "folders train and test"))
    words = ("a", "b") if style == "folders a and b" else ("train", "test")
    splits = style == "folders train and test" and not any(sample.split for sample in case.samples)
    for position, sample in enumerate(case.samples):
        folder = f"images/{words[position % 2]}"
        sample.split = words[position % 2] if splits else sample.split
        sample.path = f"{folder}/{position // 2}{PurePosixPath(sample.path).suffix}"
        case.culprits |= {sample.path, str(position // 2)}
    return style


@mutation(NAMES, _has_split_folders)
def split_names(case: Case, choose: Choose) -> str:
    """Folders of splits under other names."""
    style = choose(list(_SPLIT_STYLES))
    words = {"train": 0, "train2017": 0, "val": 1, "val2017": 1, "test": 2}
    names = _SPLIT_STYLES[style]

    def new(path: str) -> str:
        first, slash, rest = path.partition("/")
        return f"{names[words[first]]}{slash}{rest}" if first in words else path

    case.move(new)
    case.culprits |= set(names)
    return style


@mutation(NAMES, has_files)
def suffixes(case: Case, choose: Choose) -> str:
    """Suffixes of images in upper case, or another spelling of them; annotations follow, or do not."""
    style = choose(("upper", "upper unlisted", "capital", "jpeg"))
    for sample in case.samples:
        path = PurePosixPath(sample.path)
        if not path.suffix[1:]:
            continue
        suffix = {"upper": path.suffix.upper(), "capital": f".{path.suffix[1:].capitalize()}"}.get(style.split()[0])
        new = str(path.with_suffix(suffix or (".jpeg" if path.suffix == ".jpg" else path.suffix)))
        if style == "upper unlisted" or case.layout in ("pets", "flowers"):
            sample.listed = sample.name
        sample.path = new
    if case.layout in ("pets", "flowers") or style == "upper unlisted":
        case.culprits |= {"suffix", *(s.path for s in case.samples), *(s.name for s in case.samples)}
        case.culprits |= {PurePosixPath(s.path).stem for s in case.samples}
    return style


@mutation(NAMES, has_files)
def no_suffix(case: Case, choose: Choose) -> str:
    """Images without a suffix: some, or all."""
    style = choose(("some", "all"))
    for sample in case.samples if style == "all" else case.samples[::3]:
        if sample.damaged:
            continue  # it could not be told from other files
        path = PurePosixPath(sample.path)
        sample.listed = sample.name
        sample.path = str(path.with_suffix(""))
        case.culprits |= {path.name, path.stem}
    case.culprits |= {"suffix", "ending", "extension", *case.annotation_files}
    case.culprits |= {"class", "known layouts"} if case.layout == "names" else set()
    return style


@mutation(NAMES, has_files)
def file_names(case: Case, choose: Choose) -> str:
    """Names of images in other scripts and with unusual characters; masks are called alike."""
    prefixes = {
        "Korean": "사진 각",
        "accented": "été_Ü",
        "spaces": "my photo ",
        "percent": "50%25 a",
        "dots": "v1.2.x_",
    }
    style = choose(list(prefixes))

    if case.layout in ("pets", "flowers", "names"):
        return "as they were"
    _prefix(case, prefixes[style])
    return style


def _prefix(case: Case, word: str) -> None:
    """Put a word before the names of all images and masks."""

    def new(path: str) -> str:
        pure = PurePosixPath(path)
        return str(pure.with_name(word + pure.name)) if path else ""

    for sample in case.samples:
        sample.path, sample.listed, sample.mask_path = new(sample.path), new(sample.listed), new(sample.mask_path)


@mutation(WHOLE, has_files)
def decomposed(case: Case, choose: Choose) -> str:
    """Files and folders are called in the decomposed form, as macOS does; annotations remain in the composed one."""
    some = choose(("all", "some"))
    if case.style and case.style.joined:
        return "as they were"  # the masks of single objects would have to follow
    if case.layout == "names":
        case.rename_class(case.classes()[0], "é각")
    elif all(sample.path.isascii() for sample in case.samples) and case.layout not in ("pets", "flowers"):
        _prefix(case, "é각")
    for sample in case.samples[:: 1 if some == "all" else 2]:
        sample.listed = sample.name
        sample.path = normalize("NFD", sample.path)
        sample.mask_path = normalize("NFD", sample.mask_path)
    case.culprits |= {name for path in case.annotation_files for name in (path, path.rpartition("/")[2])}
    return some


@mutation(WHOLE, always)
def wrapped(case: Case, choose: Choose) -> str:
    """The whole in a folder of its own, or in two, as archives are unpacked."""
    folder = choose(("animals", "animals/animals", "My data (1)", "archive/set/v1", "train"))
    case.move(lambda path: f"{folder}/{path}")
    return folder
