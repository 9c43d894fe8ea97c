"""A dataset as it should be read, together with all that is needed to write it to disk in some layout."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Protocol

import numpy as np

from convolve.values import IGNORE, Pixels
from tests.datasets.mutations.coco_file import CocoStyle, render_coco
from tests.datasets.mutations.label_files import IdList
from tests.datasets.mutations.mask_style import ClassList, MaskStyle
from tests.datasets.mutations.outline_files import OutlineStyle
from tests.datasets.mutations.pixels import class_mask, rectangles, suffix_of
from tests.datasets.mutations.sample import Sample
from tests.datasets.mutations.table import Table, render_table


class AnnotationFile(Protocol):
    """A file, or a folder of files, that says something of several images."""

    path: str


class Annotations(AnnotationFile, Protocol):
    """What a program wrote about images, at ``path`` or below it."""

    def render(self, samples: Sequence[Sample]) -> dict[str, bytes]:
        """The files by their paths."""
        ...


@dataclass
class Listing:
    """A text of names: of Pascal VOC (stems) or the pets (``name class species breed``)."""

    path: str
    split: str | None
    kind: str
    newline: str = "\n"
    mark: bytes = b""


@dataclass
class Case:
    """What is known of the images are ``kinds`` of ground truths, some of them ``optional_kinds``, as where all
    outlines are boxes. ``files`` are written as they are; ``culprits`` are words of which a refusal must say one, or an
    annotation file where the case ``blames_annotations``. ``alternatives`` are other labels by number that are right
    too, and masks of the numbers in ``uncertain`` may be others, if the words of ``remarks`` are said, each one of
    several separated by bars. The words of ``told`` must be said whenever the case is read, those of ``told_of_folder``
    if no file itself is opened, and an annotation file or "left out" where it ``tells_annotations``. In the masks of
    ``other_first`` the first class of objects is the last one of ``mask_names``.
    """

    layout: str
    samples: list[Sample]
    kinds: tuple[str, ...] = ("labels",)
    files: dict[str, bytes] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    links: dict[str, str] = field(default_factory=dict)
    tables: list[Table] = field(default_factory=list)
    coco: list[CocoStyle] = field(default_factory=list)
    listings: list[Listing] = field(default_factory=list)
    outlines: list[OutlineStyle] = field(default_factory=list)
    written: list[Annotations] = field(default_factory=list)
    style: MaskStyle | None = None
    class_list: ClassList | None = None
    mask_names: tuple[str, ...] = ()
    box_names: tuple[str, ...] = ("disc", "wall")
    class_names: bool = True
    optional_classes: set[str] = field(default_factory=set)
    optional_kinds: set[str] = field(default_factory=set)
    culprits: set[str] = field(default_factory=set)
    alternatives: list[dict[int, frozenset[str]]] = field(default_factory=list)
    uncertain: set[int] = field(default_factory=set)
    remarks: set[str] = field(default_factory=set)
    told: set[str] = field(default_factory=set)
    told_of_folder: set[str] = field(default_factory=set)
    other_first: set[int] = field(default_factory=set)
    blames_annotations: bool = False
    tells_annotations: bool = False
    opened: str = ""

    def classes(self) -> list[str]:
        """The names of all classes that images have."""
        return sorted(set().union(*(sample.classes for sample in self.samples)))

    def annotated(self) -> list[Sample]:
        """The images of which something is known."""
        return [sample for sample in self.samples if sample.annotated]

    @property
    def annotation_files(self) -> list[str]:
        """The paths of files, or of folders of files, that say something of several images."""
        return [one.path for one in self._annotations()]

    def _annotations(self) -> list[AnnotationFile]:
        return [*self.tables, *self.coco, *self.listings, *self.outlines, *self.written]

    def names_of_annotations(self) -> set[str]:
        """What a sentence may call the files of annotations."""
        found = [path for one in (*self.outlines, *self.written) for path in one.render(self.samples)]
        return {path.rpartition("/")[2] for path in (*self.annotation_files, *found)} - {""}

    def lists(self, sample: Sample) -> bool:
        """Whether anything but the file itself says that there is an image."""
        splits = [one.split for one in self.written if isinstance(one, IdList) and one.kind in ("tiny", "kaggle")]
        if self.layout in ("class index", "parquet", "imagenet", "tiny imagenet"):
            return sample.split in splits
        return bool(self.annotation_files) or self.layout == "flowers"

    @property
    def outlined(self) -> bool:
        """Whether masks are painted by the outlines in annotations."""
        return bool(self.coco or self.outlines)

    def next_number(self) -> int:
        """One that no image has."""
        return 1 + max(sample.number for sample in self.samples if not sample.foreign)

    def move(self, new: Callable[[str], str]) -> None:
        """Move every file, and what annotations call it."""
        for sample in self.samples:
            sample.path = new(sample.path) if sample.path else ""
            sample.mask_path = new(sample.mask_path) if sample.mask_path else ""
            sample.listed = new(sample.listed) if sample.listed else ""
        for one in self._annotations() + ([self.class_list] if self.class_list else []):
            one.path = new(one.path) if one.path else ""
        self.files = {new(path): content for path, content in self.files.items()}
        self.folders = {new(path) for path in self.folders}
        self.opened = new(self.opened) if self.opened else ""
        self.links = {new(path): target for path, target in self.links.items()}

    def rename_class(self, old: str, name: str) -> None:
        """Also the folder of that name."""
        for sample in self.samples:
            sample.path = "/".join(name if part == old else part for part in sample.path.split("/"))
            if self.layout == "names":
                sample.path = re.sub(rf"(^|/){old}(?=\.\d)", lambda found: found[1] + name, sample.path)
            sample.classes = frozenset(name if one == old else one for one in sample.classes)
        self.mask_names = tuple(name if one == old else one for one in self.mask_names)
        for style in self.coco:
            style.categories = [(key, name if one == old else one) for key, one in style.categories]

    def expected_boxes(self, sample: Sample) -> list[tuple[str, tuple[float, ...]]]:
        """The class and the edges (left, top, right, bottom) of each object."""
        found = rectangles(sample.number, 3) if sample.classes else []
        return [(self.box_names[index - 1], (left, top, right, bottom)) for index, top, left, bottom, right in found]

    def expected_mask_names(self) -> tuple[str, ...]:
        """Of the class indices; none where nothing says them."""
        if not self.class_list or not self.style:
            return self.mask_names
        by_color = self.style.mode in ("colors", "palettes", "transparent")
        if by_color and (not self.class_list.colored or self.style.mode == "transparent"):
            return ()
        return self.class_list.names

    def expected_mask(self, sample: Sample) -> Pixels:
        """(H, W) class indices, `IGNORE` where it is void."""
        mask = class_mask(sample.number, self.style.classes if self.style else 3)
        if self.outlined and not sample.classes:
            mask[:] = 0
        if sample.number in self.other_first:
            mask[mask == 1] = len(self.mask_names) - 1
        if self.style and self.style.joined:
            mask = np.minimum(mask, 1).astype(np.uint8)
        if self.style and self.style.void and sample.number % 2 == 0:
            mask[:, -1] = IGNORE
        return mask

    def render(self) -> dict[str, bytes]:
        """Every file's path and bytes."""
        found = dict(self.files)
        for table in self.tables:
            rows = [sample for sample in self.samples if sample.annotated or sample.number in table.blank]
            found[table.path] = render_table(table, [row for row in rows if table.split in (None, row.split)])
        for style in self.coco:
            found[style.path] = render_coco(style, [s for s in self.annotated() if style.split in (None, s.split)])
        for one in (*self.outlines, *self.written):
            found |= one.render(self.samples)
        for listing in self.listings:
            found[listing.path] = self._render_listing(listing)
        if self.class_list:
            count = self.style.classes if self.style else len(self.class_list.names)
            found[self.class_list.path] = self.class_list.render(count)
        for sample in self.samples:
            if sample.path and sample.exists:
                found[sample.path] = sample.render()
            if sample.mask_path and self.style and sample.masked:
                content = self.style.render(self.expected_mask(sample), sample.number, suffix_of(sample.mask_path))
                found[sample.mask_path] = content[: len(content) // 3] if sample.mask_damaged else content
        return found

    def _render_listing(self, listing: Listing) -> bytes:
        order = self.classes()
        lines = []
        for sample in self.annotated():
            if listing.split in (None, sample.split):
                stem = PurePosixPath(sample.name).stem
                breed = order.index(next(iter(sample.classes))) + 1 if sample.classes else 0
                lines.append(stem if listing.kind == "voc" else f"{stem} {breed} 1 {breed}")
        return listing.mark + "".join(line + listing.newline for line in lines).encode()


def write(case: Case, root: Path) -> None:
    """Make the tree below a new folder."""
    made = set()
    for path, content in case.render().items():
        file = root / path
        if file.parent not in made:
            file.parent.mkdir(parents=True, exist_ok=True)
            made.add(file.parent)
        file.write_bytes(content)
    for folder in case.folders:
        (root / folder).mkdir(parents=True, exist_ok=True)
    for path, target in case.links.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).symlink_to(target, target_is_directory=True)
