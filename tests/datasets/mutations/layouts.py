"""A small dataset in each layout of files, with what is true of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tests.datasets.mutations.case import Case, Listing
from tests.datasets.mutations.coco_file import CocoStyle
from tests.datasets.mutations.mask_style import ClassList, MaskStyle
from tests.datasets.mutations.sample import Sample
from tests.datasets.mutations.table import Table

CLASSES = ("cat", "dog", "emu")
_SPLITS = ("train", "validation", "test")
SPLIT_WORDS = {"train": "train", "validation": "val", "test": "test"}
"""The folders of splits."""
_TRIMAP_NAMES = ("background", "pet")
MASK_CLASSES = ("ground", "disc", "wall")


def _labeled(count: int, path: Callable[[int, str, str], str], splits: Sequence[str | None] = (None,)) -> list[Sample]:
    """``count`` images of each class in each split; ``path`` of number, class and split."""
    pairs = [(split, label) for split in splits for label in CLASSES for _ in range(count)]
    return [
        Sample(number, path(number, label, split or ""), frozenset([label]), split)
        for number, (split, label) in enumerate(pairs)
    ]


def folders(count: int) -> Case:
    """A folder for each class."""
    return Case("folders", _labeled(count + 1, lambda number, label, _: f"{label}/{number}.jpg"))


def split_folders(count: int) -> Case:
    """Classes below splits."""
    name = lambda number, label, split: f"{SPLIT_WORDS[split]}/{label}/{number}.jpg"  # noqa: E731
    return Case("split folders", _labeled(count, name, _SPLITS))


def table(count: int) -> Case:
    """A table next to a folder of images."""
    samples = _labeled(count + 1, lambda number, *_: f"images/{number}.jpg")
    return Case("table", samples, tables=[Table("labels.csv")])


def split_table(count: int) -> Case:
    """A table with a column of splits, whose images are in folders."""
    samples = _labeled(count, lambda number, _, split: f"part{number % 2}/img_{number}.png", ("train", "test"))
    return Case("split table", samples, tables=[Table("labels.csv", with_split=True)])


def split_tables(count: int) -> Case:
    """A table for each split."""
    samples = _labeled(count, lambda number, *_: f"images/{number}.jpg", _SPLITS)
    tables = [Table(f"{SPLIT_WORDS[split]}.csv", split) for split in _SPLITS]
    return Case("split tables", samples, tables=tables)


def multi_label_table(count: int) -> Case:
    """A table with several labels in a cell."""
    samples = _labeled(count + 1, lambda number, *_: f"images/{number}.jpg")
    for sample in samples[::2]:
        sample.classes |= {CLASSES[(sample.number + 1) % 3]}
    return Case("multi-label table", samples, tables=[Table("labels.csv", titles=("path", "labels", "split"))])


def _with_objects(samples: Sequence[Sample]) -> list[Sample]:
    for sample in samples:
        sample.classes = frozenset(["disc", "wall"] if sample.number % 3 != 1 else ["disc"])
    return list(samples)


def coco(count: int) -> Case:
    """COCO with a file and a folder for each of two splits."""
    splits = [split for split in ("train", "validation") for _ in range(3 * count)]
    samples = [
        Sample(number, f"{SPLIT_WORDS[split]}2017/{number:012}.jpg", split=split) for number, split in enumerate(splits)
    ]
    files = [
        CocoStyle(f"annotations/instances_{SPLIT_WORDS[split]}2017.json", split) for split in ("train", "validation")
    ]
    names = ("background", "disc", "wall")
    return Case("coco", _with_objects(samples), ("labels", "masks"), coco=files, style=MaskStyle(), mask_names=names)


def single_coco(count: int) -> Case:
    """COCO as annotation programs export it."""
    samples = _with_objects([Sample(number, f"images/{number}.jpg") for number in range(3 * count)])
    style = CocoStyle("annotations/instances_default.json")
    names = ("background", "disc", "wall")
    return Case("single coco", samples, ("labels", "masks"), coco=[style], style=MaskStyle(), mask_names=names)


def _masked(layout: str, samples: list[Sample]) -> Case:
    return Case(layout, samples, ("masks",), style=MaskStyle())


def mask_folders(count: int) -> Case:
    """Images and masks side by side."""
    return _masked(
        "mask folders",
        [Sample(number, f"images/{number}.jpg", mask_path=f"masks/{number}.png") for number in range(3 * count)],
    )


def split_masks(count: int) -> Case:
    """Images and masks below splits."""
    splits = [split for split in ("train", "test") for _ in range(3 * count)]
    samples = [
        Sample(number, f"{split}/images/{number}.png", split=split, mask_path=f"{split}/masks/{number}.png")
        for number, split in enumerate(splits)
    ]
    return _masked("split masks", samples)


def suffixed_masks(count: int) -> Case:
    """Images and masks in one folder."""
    samples = [Sample(number, f"{number}.jpg", mask_path=f"{number}_mask.png") for number in range(3 * count)]
    return _masked("suffixed masks", samples)


def colored_masks(count: int) -> Case:
    """Masks of colors, with a list of these."""
    samples = [Sample(number, f"images/{number}.jpg", mask_path=f"labels/{number}.png") for number in range(3 * count)]
    case = _masked("colored masks", samples)
    case.style = MaskStyle(mode="colors")
    case.class_list = ClassList("label_colors.txt", MASK_CLASSES, "colors first")
    case.mask_names = MASK_CLASSES
    return case


def voc(count: int) -> Case:
    """Pascal VOC."""
    splits = [split for split in ("train", "validation") for _ in range(3 * count)]
    samples = [
        Sample(
            number,
            f"JPEGImages/2007_{number:06}.jpg",
            split=split,
            mask_path=f"SegmentationClass/2007_{number:06}.png",
        )
        for number, split in enumerate(splits)
    ]
    case = _masked("voc", samples)
    case.style = MaskStyle(mode="palette", void=True)
    case.listings = [
        Listing(f"ImageSets/Segmentation/{word}.txt", split, "voc")
        for word, split in (("train", "train"), ("val", "validation"), ("trainval", None))
    ]
    case.mask_names = ("background", "aeroplane", "bicycle")
    return case


def pets(count: int) -> Case:
    """The pets with their breeds and trimaps."""
    breeds = ("Abyssinian", "Bengal", "Sphynx")
    samples = [
        Sample(
            number,
            f"images/{breeds[number % 3]}_{number}.jpg",
            frozenset([breeds[number % 3]]),
            split,
            f"annotations/trimaps/{breeds[number % 3]}_{number}.png",
        )
        for number, split in enumerate(split for split in ("train", "test") for _ in range(3 * count))
    ]
    listings = [
        Listing("annotations/trainval.txt", "train", "pets"),
        Listing("annotations/test.txt", "test", "pets"),
        Listing("annotations/list.txt", None, "pets"),
    ]
    style = MaskStyle(2, (2, 1), "trimap", void=True)
    return Case("pets", samples, ("labels", "masks"), listings=listings, style=style, mask_names=_TRIMAP_NAMES)


FILES: dict[str, Callable[[int], Case]] = {
    "folders": folders,
    "split folders": split_folders,
    "table": table,
    "split table": split_table,
    "split tables": split_tables,
    "multi-label table": multi_label_table,
    "coco": coco,
    "single coco": single_coco,
    "mask folders": mask_folders,
    "split masks": split_masks,
    "suffixed masks": suffixed_masks,
    "colored masks": colored_masks,
    "voc": voc,
    "pets": pets,
}
"""By name: from the number of images of a class (in each split) to a case; 3 at most."""
