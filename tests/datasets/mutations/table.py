"""A table of images as people write it."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from tests.datasets.mutations.sample import Sample


def _relative(name: str) -> str:
    return name


SPELLINGS: Mapping[str, Callable[[str], str]] = {
    "relative": _relative,
    "bare": lambda name: PurePosixPath(name).name,
    "stem": lambda name: PurePosixPath(name).stem,
    "dot": lambda name: f"./{name}",
    "backslash": lambda name: name.replace("/", "\\"),
    "absolute": lambda name: f"/content/drive/MyDrive/set/{name}",
    "windows": lambda name: "C:\\Users\\kim\\set\\" + name.replace("/", "\\"),
}
"""How a path below the table's folder is written, by a word for it."""


@dataclass
class Table:
    """``titles`` are those of path, label and split; ``extras`` further columns by title with a cell per number;
    ``order`` a permutation of all columns; ``blank`` numbers have an empty label cell, and ``repeated`` a second row.
    """

    path: str
    split: str | None = None
    titles: Sequence[str] = ("path", "label", "split")
    with_split: bool = False
    header: bool = True
    spelling: str = "relative"
    delimiter: str = ","
    newline: str = "\n"
    encoding: str = "utf-8"
    quote_all: bool = False
    sep_line: bool = False
    blank_lines: bool = False
    index: str | None = None
    joiner: str = ";"
    one_hot: bool = False
    blank_cell: str = ""
    extras: dict[str, dict[int, str]] = field(default_factory=dict)
    order: tuple[int, ...] = ()
    blank: set[int] = field(default_factory=set)
    repeated: set[int] = field(default_factory=set)
    labels: dict[int, str] = field(default_factory=dict)

    @property
    def width(self) -> int:
        """Number of columns that can be shuffled."""
        return 2 + self.with_split + len(self.extras)


def render_table(table: Table, rows: Sequence[Sample]) -> bytes:
    """The file's bytes; in UTF-8 where the encoding lacks a character."""
    names = sorted(set().union(*(row.classes for row in rows)))
    titles = [table.titles[0], *(names if table.one_hot else [table.titles[1]])]
    titles += [table.titles[2]] if table.with_split else []
    cells = [[*titles, *table.extras]] if table.header else []
    for row in rows:
        cells += [_cells(table, row, names)] * (2 if row.number in table.repeated else 1)
    if table.order and not table.one_hot:
        cells = [[line[column] for column in table.order] for line in cells]
    if table.index is not None:
        first = [table.index] if table.header else []
        numbers = [*first, *(str(number) for number in range(len(cells)))]
        cells = [[number, *line] for number, line in zip(numbers, cells, strict=False)]
    text = io.StringIO()
    if table.sep_line:
        text.write(f"sep={table.delimiter}{table.newline}")
    style: dict[str, Any] = {"delimiter": table.delimiter, "lineterminator": table.newline}
    writer = csv.writer(text, quoting=csv.QUOTE_ALL if table.quote_all else csv.QUOTE_MINIMAL, **style)
    for number, line in enumerate(cells):
        writer.writerow(line)
        if table.blank_lines and number % 3 == 2:
            text.write(table.newline)
    try:
        return text.getvalue().encode(table.encoding)
    except UnicodeEncodeError:  # what nobody could have written
        return text.getvalue().encode()


def _cells(table: Table, row: Sample, names: Sequence[str]) -> list[str]:
    folder = PurePosixPath(table.path).parent
    path = PurePosixPath(row.name)
    relative = str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)
    label = table.labels.get(row.number) or table.joiner.join(sorted(row.classes))
    labels = [str(int(name in row.classes)) for name in names] if table.one_hot else [label]
    if row.number in table.blank:
        labels = [table.blank_cell]
    split = [row.split or ""] if table.with_split else []
    return [SPELLINGS[table.spelling](relative), *labels, *split, *(cell[row.number] for cell in table.extras.values())]
