"""A small dataset in each layout of annotation programs and of lists, with what is true of it."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

from tests.datasets.mutations.case import Case
from tests.datasets.mutations.label_files import IDS, Choices, ClassIndex, IdList, JsonLines, Parquet
from tests.datasets.mutations.layouts import CLASSES
from tests.datasets.mutations.mask_style import MaskStyle
from tests.datasets.mutations.outline_files import OutlineStyle
from tests.datasets.mutations.sample import Sample

_NAMES = ("background", "disc", "wall")
_IN_SPLITS = (("train", "train"), ("validation", "val"))


def _outlined(layout: str, samples: list[Sample], *files: OutlineStyle) -> Case:
    for sample in samples:
        sample.classes = frozenset(["disc", "wall"] if sample.number % 3 != 1 else ["disc"])
    style = MaskStyle()
    return Case(layout, samples, ("labels", "masks"), outlines=list(files), style=style, mask_names=_NAMES)


def _images(count: int, path: str = "images/{}.jpg") -> list[Sample]:
    return [Sample(number, path.format(number)) for number in range(3 * count)]


def labelme(count: int) -> Case:
    """A file next to each image."""
    return _outlined("labelme", _images(count, "{}.jpg"), OutlineStyle("labelme", ""))


def labelme_folder(count: int) -> Case:
    """The files in a folder of their own."""
    return _outlined("labelme folder", _images(count), OutlineStyle("labelme", "annotations", spelling="relative"))


def cvat(count: int) -> Case:
    """A task of CVAT."""
    return _outlined("cvat", _images(count), OutlineStyle("cvat", "annotations.xml"))


def cvat_project(count: int) -> Case:
    """A project of CVAT with two subsets."""
    samples = [
        Sample(number, f"images/{split.capitalize()}/{number}.png", split=split)
        for number, split in enumerate(split for split, _ in _IN_SPLITS for _ in range(3 * count))
    ]
    return _outlined("cvat project", samples, OutlineStyle("cvat", "annotations.xml", variant="project"))


def via(count: int) -> Case:
    """A file of VIA next to the images."""
    return _outlined("via", _images(count, "{}.jpg"), OutlineStyle("via", "via_export_json.json"))


def split_via(count: int) -> Case:
    """A file of VIA in the folder of each split."""
    samples = [
        Sample(number, f"{word}/{number}.jpg", split=split)
        for number, (split, word) in enumerate(pair for pair in _IN_SPLITS for _ in range(3 * count))
    ]
    files = [OutlineStyle("via", f"{word}/via_region_data.json", split) for split, word in _IN_SPLITS]
    return _outlined("split via", samples, *files)


def via_table(count: int) -> Case:
    """VIA's CSV."""
    return _outlined("via table", _images(count), OutlineStyle("via table", "via_export_csv.csv"))


def supervisely(count: int) -> Case:
    """A project with two folders of images."""
    samples = [Sample(number, f"ds{number % 2}/img/{number}.png") for number in range(3 * count)]
    return _outlined("supervisely", samples, OutlineStyle("supervisely", "meta.json"))


def label_studio(count: int) -> Case:
    """A project of outlines."""
    style = OutlineStyle("label studio", "project-1-at-2024-05-01-10-00-1a2b3c4d.json", spelling="local files")
    return _outlined("label studio", _images(count), style)


def _labeled(count: int, path: str = "images/{}.jpg") -> list[Sample]:
    labels = [label for _ in range(count + 1) for label in CLASSES]
    return [Sample(number, path.format(number, label), frozenset([label])) for number, label in enumerate(labels)]


def label_studio_choices(count: int) -> Case:
    """A project of choices, as CSV."""
    return Case("label studio table", _labeled(count), written=[Choices("project-2.csv", "label studio table")])


def label_studio_min(count: int) -> Case:
    """A project of choices, as JSON or JSON-MIN."""
    program = "label studio min" if count % 2 else "label studio"
    return Case(
        "label studio choices", _labeled(count), written=[Choices("project-2.json", program, spelling="upload")]
    )


def cvat_tags(count: int) -> Case:
    """Labels of whole images in CVAT."""
    return Case("cvat tags", _labeled(count), written=[Choices("annotations.xml", "cvat")])


def json_lines(count: int) -> Case:
    """A table of lines in JSON in the folder of each split."""
    pairs = [(split, label) for split in ("train", "test") for _ in range(count + 1) for label in CLASSES]
    samples = [
        Sample(number, f"{split}/{number:04}.png", frozenset([label]), split)
        for number, (split, label) in enumerate(pairs)
    ]
    files = [JsonLines(f"{split}/metadata.jsonl", split) for split in ("train", "test")]
    return Case("json lines", samples, written=[*files])


def single_json_lines(count: int) -> Case:
    """One table of lines in JSON."""
    return Case("single json lines", _labeled(count), written=[JsonLines("metadata.jsonl")])


def names(count: int) -> Case:
    """Labels in the names of files."""
    return Case("names", _labeled(count, "train/{1}.{0}.jpg"))


def indexed(count: int) -> Case:
    """Folders of numbers, and a file that names them."""
    samples = _labeled(count)
    for sample in samples:
        sample.path = f"{CLASSES.index(min(sample.classes))}/{sample.number}.jpg"
    return Case("class index", samples, written=[ClassIndex("class_indices.json", CLASSES)])


def _wordnet(count: int, train: str, others: str) -> list[Sample]:
    rows = [(split, name) for split in ("train", "validation") for _ in range(count) for name in IDS]
    return [
        Sample(number, (train if split == "train" else others).format(number, IDS[name]), frozenset([name]), split)
        for number, (split, name) in enumerate(rows)
    ]


def tiny_imagenet(count: int) -> Case:
    """Tiny ImageNet."""
    samples = _wordnet(count, "train/{1}/images/{1}_{0}.JPEG", "val/images/val_{0}.JPEG")
    lists = [IdList("val/val_annotations.txt", "tiny", "validation"), IdList("words.txt", "words")]
    case = Case("tiny imagenet", samples, written=[*lists])
    case.files["wnids.txt"] = "".join(f"{key}\n" for key in IDS.values()).encode()
    for key in IDS.values():
        case.files[f"train/{key}/{key}_boxes.txt"] = f"{key}_0.JPEG\t0\t0\t7\t7\n".encode()
    return case


def imagenet(count: int) -> Case:
    """The ILSVRC of Kaggle."""
    inside = "ILSVRC/Data/CLS-LOC"
    samples = _wordnet(count, f"{inside}/train/{{1}}/{{1}}_{{0}}.JPEG", f"{inside}/val/ILSVRC2012_val_{{0:08}}.JPEG")
    lists = [IdList("LOC_val_solution.csv", "kaggle", "validation"), IdList("LOC_synset_mapping.txt", "synsets")]
    case = Case("imagenet", samples, written=[*lists])
    case.files["LOC_train_solution.csv"] = b"ImageId,PredictionString\nn02085620_0,n02085620 1 1 7 7 \n"
    case.files["LOC_sample_submission.csv"] = b"ImageId,PredictionString\nILSVRC2012_test_00000001,n02085620 0 0 9 9\n"
    return case


def parquet(count: int) -> Case:
    """Files of Hugging Face's hub."""
    pairs = [
        (split, label) for split in ("train", "test") for _ in range(count + (split == "train")) for label in CLASSES
    ]
    samples = [Sample(number, "", frozenset([label]), split) for number, (split, label) in enumerate(pairs)]
    return Case("parquet", samples, written=[Parquet("data")])


def dicom(count: int) -> Case:
    """A folder of DICOM files for each class."""
    samples = _labeled(count, "{1}/IM{0:04}.dcm")
    for sample in samples:
        sample.suffix = ".dcm"
    return Case("dicom", samples)


ANNOTATED: dict[str, Callable[[int], Case]] = {
    "labelme": labelme,
    "labelme folder": labelme_folder,
    "cvat": cvat,
    "cvat project": cvat_project,
    "cvat tags": cvat_tags,
    "via": via,
    "split via": split_via,
    "via table": via_table,
    "supervisely": supervisely,
    "label studio": label_studio,
    "label studio choices": label_studio_min,
    "label studio table": label_studio_choices,
    "json lines": json_lines,
    "single json lines": single_json_lines,
    "names": names,
    "class index": indexed,
    "tiny imagenet": tiny_imagenet,
    "imagenet": imagenet,
}
"""By name: from a number of images to a case; those of a library only where it is installed."""
if find_spec("pyarrow"):
    ANNOTATED["parquet"] = parquet
if find_spec("pydicom"):
    ANNOTATED["dicom"] = dicom
