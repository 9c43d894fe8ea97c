"""Mutations of tables."""

from __future__ import annotations

from itertools import permutations

from tests.datasets.mutations.case import Case
from tests.datasets.mutations.registry import ANNOTATION, WHOLE, Choose, has_tables, mutation
from tests.datasets.mutations.table import SPELLINGS

_PATHS = (
    "path",
    "file",
    "filename",
    "file_name",
    "image",
    "image_path",
    "image_name",
    "filepath",
    "Image",
    "File Name",
)
_LABELS = ("label", "class", "category", "target", "species", "Label", "CLASS", "class_name", "Category ")


def _blame(case: Case, *words: str) -> None:
    case.culprits |= {*words, *(table.path for table in case.tables)}


@mutation(ANNOTATION, has_tables)
def delimiter(case: Case, choose: Choose) -> str:
    """Semicolon, tab or bar."""
    mark = choose((";", "\t", "|"))
    for table in case.tables:
        table.delimiter = mark
        table.joiner = "," if mark == ";" else table.joiner
    if mark == "|":
        _blame(case)
    return {";": "semicolon", "\t": "tab", "|": "bar"}[mark]


@mutation(ANNOTATION, has_tables)
def line_ends(case: Case, choose: Choose) -> str:
    """Of Windows, or with empty lines."""
    style = choose(("crlf", "empty lines", "cr"))
    for table in case.tables:
        table.newline = {"crlf": "\r\n", "cr": "\r"}.get(style, "\n")
        table.blank_lines = style == "empty lines"
    return style


@mutation(ANNOTATION, has_tables)
def quotes(case: Case, choose: Choose) -> None:
    """Around every cell."""
    for table in case.tables:
        table.quote_all = True


@mutation(ANNOTATION, has_tables)
def encoding(case: Case, choose: Choose) -> str:
    """Another one than UTF-8."""
    name = choose(("utf-8-sig", "utf-16", "cp949", "cp1252"))
    for table in case.tables:
        table.encoding = name
    if name != "utf-8-sig":
        _blame(case)
    return name


@mutation(ANNOTATION, has_tables)
def sep_line(case: Case, choose: Choose) -> None:
    """Excel's first line, which says the delimiter."""
    for table in case.tables:
        table.sep_line = True


@mutation(ANNOTATION, has_tables)
def index_column(case: Case, choose: Choose) -> str:
    """A first column that counts."""
    title = choose(("", "Unnamed: 0", "index", "id"))
    for table in case.tables:
        table.index = title
    _blame(case)
    return repr(title)


@mutation(ANNOTATION, has_tables)
def more_columns(case: Case, choose: Choose) -> str:
    """Columns that are neither path nor label."""
    style = choose(("sizes", "author", "ids like file names", "class_id", "url", "date"))
    numbers = [sample.number for sample in case.samples]
    names = case.classes()
    first = {sample.number: min(sample.classes) if sample.classes else names[0] for sample in case.samples}
    extras: dict[str, dict[int, str]] = {
        "sizes": {"width": dict.fromkeys(numbers, "40"), "height": dict.fromkeys(numbers, "32")},
        "author": {"author": {number: f"person {number % 2}" for number in numbers}},
        "ids like file names": {"id": {number: str(max(numbers) - number) for number in numbers}},
        "class_id": {"class_id": {number: str(names.index(first[number])) for number in numbers}},
        "url": {"url": {number: f"https://example.org/images/{number}.jpg" for number in numbers}},
        "date": {"date": dict.fromkeys(numbers, "2024-05-01")},
    }[style]
    for table in case.tables:
        table.extras.update(extras)
    _blame(case, *extras)
    return style


@mutation(ANNOTATION, has_tables)
def shuffled_columns(case: Case, choose: Choose) -> str:
    """The columns in another order."""
    widths = {table.width for table in case.tables}
    order = choose(list(permutations(range(min(max(widths), 4)))))
    for table in case.tables:
        table.order = (*order, *range(len(order), table.width))
    _blame(case)
    return " ".join(map(str, order))


@mutation(ANNOTATION, has_tables)
def header_words(case: Case, choose: Choose) -> str:
    """Other usual words for the columns."""
    titles = choose(_PATHS), choose(_LABELS), choose(("split", "set", "subset", "Split"))
    for table in case.tables:
        table.titles = titles
    _blame(case)
    return ", ".join(titles)


@mutation(ANNOTATION, has_tables)
def no_header(case: Case, choose: Choose) -> None:
    """The table begins with the first image."""
    for table in case.tables:
        table.header = False
    _blame(case, "header")


@mutation(ANNOTATION, has_tables)
def path_spelling(case: Case, choose: Choose) -> str:
    """Paths as other systems and other people's disks have them."""
    style = choose([name for name in SPELLINGS if name != "relative"])
    for table in case.tables:
        table.spelling = style
    _blame(case, *(sample.path for sample in case.samples))
    return style


@mutation(ANNOTATION, lambda case: has_tables(case) and case.layout != "multi-label table")
def empty_label(case: Case, choose: Choose) -> str:
    """An image without a label in the table."""
    cell = choose(("", "nan", "NaN", "N/A"))
    sample = next((one for one in case.samples if one.annotated and one.exists and not one.damaged), None)
    if sample is None:
        return "none"
    sample.annotated = False
    for table in case.tables:
        table.blank, table.blank_cell = {sample.number}, cell
    _blame(case, sample.path, "label")
    return cell or "empty"


@mutation(ANNOTATION, has_tables)
def repeated_rows(case: Case, choose: Choose) -> None:
    """An image named twice, with the same label."""
    for table in case.tables:
        table.repeated = {case.samples[0].number, case.samples[-1].number}
    _blame(case, case.samples[0].path, case.samples[-1].path)


@mutation(ANNOTATION, has_tables)
def one_hot(case: Case, choose: Choose) -> None:
    """A column of 0 and 1 for each class."""
    for table in case.tables:
        table.one_hot = True
    _blame(case)


@mutation(ANNOTATION, lambda case: case.layout == "multi-label table")
def label_separator(case: Case, choose: Choose) -> str:
    """Between the labels of a cell."""
    mark = choose(("|", ",", "; "))
    for table in case.tables:
        table.joiner = mark
    _blame(case)
    return repr(mark)


@mutation(ANNOTATION, has_tables)
def table_name(case: Case, choose: Choose) -> str:
    """Another name or suffix of the table."""
    style = choose(("upper suffix", "annotations", "txt"))
    for table in case.tables:
        stem, _, suffix = table.path.rpartition(".")
        if style == "txt" and "/" in stem:
            return "as it was"  # plain text in a folder below is on single images
        new = {"upper suffix": f"{stem}.{suffix.upper()}", "txt": f"{stem}.txt"}
        table.path = new.get(style, f"annotations_{stem}.{suffix}")
    return style


@mutation(ANNOTATION, has_tables)
def table_elsewhere(case: Case, choose: Choose) -> str:
    """The table in a folder of its own, or among the images."""
    folder = choose(("annotations", "images", "meta"))
    for table in case.tables:
        table.path = f"{folder}/{table.path}"
        case.culprits.add(table.path.rpartition("/")[2])
    _blame(case)
    return folder


@mutation(WHOLE, lambda case: len(case.tables) == 1)
def table_given(case: Case, choose: Choose) -> None:
    """The table itself is opened, not its folder."""
    case.opened = case.tables[0].path


@mutation(ANNOTATION, has_tables)
def spaces_in_cells(case: Case, choose: Choose) -> None:
    """Spaces before and after the labels."""
    for table in case.tables:
        table.labels = {s.number: f" {table.joiner.join(sorted(s.classes))} " for s in case.samples if s.classes}
