"""Mutations of lists, of names of classes, and of labels that programs export."""

from __future__ import annotations

import io
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import PurePosixPath

from tests.datasets.mutations.case import Annotations, Case
from tests.datasets.mutations.coco_file import SPELLINGS
from tests.datasets.mutations.label_files import IDS, Choices, ClassIndex, IdList, JsonLines, Parquet
from tests.datasets.mutations.outline_files import UPLOADS, TextStyle
from tests.datasets.mutations.pixels import encode, encoded, pixels
from tests.datasets.mutations.registry import ANNOTATION, CONTENT, FOREIGN, NAMES, WHOLE, Choose, mutation
from tests.datasets.mutations.sample import Sample

_TEXTS = {
    "byte order mark": TextStyle(bom=True),
    "crlf": TextStyle(newline="\r\n"),
    "byte order mark, crlf": TextStyle(bom=True, newline="\r\n"),
    "utf-16": TextStyle(encoding="utf-16"),
}
_CUTS = (JsonLines, ClassIndex, Choices, Parquet)


def _has(*kinds: type) -> Callable[[Case], bool]:
    def fits(case: Case) -> bool:
        return bool(case.written) and isinstance(case.written[0], kinds)

    return fits


def _of(case: Case, *kinds: type) -> list[Annotations]:
    return [one for one in case.written if isinstance(one, kinds)]


def _blame(case: Case, *words: str) -> None:
    case.blames_annotations = True
    case.culprits |= set(words)


def _tell(case: Case) -> None:
    """The files must be named whenever the case is read."""
    case.tells_annotations = True
    _blame(case)


def _known(case: Case) -> list[Sample]:
    return [sample for sample in case.annotated() if sample.exists and not sample.damaged]


@mutation(ANNOTATION, _has(JsonLines, ClassIndex, IdList, Choices))
def label_text(case: Case, choose: Choose) -> str:
    """A byte order mark, the ends of lines of Windows, or another encoding."""
    how = choose(list(_TEXTS))
    for one in case.written:
        assert isinstance(one, JsonLines | ClassIndex | IdList | Choices)
        one.text = _TEXTS[how]
    if how == "utf-16":
        _blame(case)
    return how


@mutation(FOREIGN, _has(*_CUTS))
def cut_labels(case: Case, choose: Choose) -> None:
    """A file that is cut short: refused, or named."""
    last = case.written[-1]
    assert isinstance(last, _CUTS)
    last.cut = True
    if isinstance(last, ClassIndex):
        for sample in case.samples:
            sample.classes = frozenset(PurePosixPath(sample.path).parent.name for _ in sample.classes)
    _tell(case)


@mutation(ANNOTATION, _has(JsonLines))
def json_lines(case: Case, choose: Choose) -> str:
    """Other keys, another order, empty lines, labels in lists, images twice, nested values, texts."""
    how = choose(("keys", "label first", "empty lines", "lists", "twice", "objects", "width", "id", "text"))
    titles = choose((("file_name", "category"), ("image", "label"), ("path", "class")))
    for one in case.written:
        assert isinstance(one, JsonLines)
        one.titles = titles if how == "keys" else one.titles
        one.label_first = how == "label first"
        one.empty_lines = how == "empty lines"
        one.as_list = how == "lists"
        one.repeated = {sample.number for sample in case.samples[::2]} if how == "twice" else set()
        one.extra = how if how in ("objects", "width", "id", "text") else ""
    if how in ("objects", "width", "id", "text"):
        _blame(case, how)
    return how


@mutation(ANNOTATION, _has(JsonLines))
def lines_without_label(case: Case, choose: Choose) -> None:
    """Images whose label is null."""
    numbers = {sample.number for sample in _known(case)[1::4]}
    for sample in case.samples:
        sample.annotated = sample.annotated and sample.number not in numbers
    for one in case.written:
        assert isinstance(one, JsonLines)
        one.blank = numbers
    _blame(case, "label", "labels")


@mutation(ANNOTATION, _has(JsonLines, Choices))
def spelled_paths(case: Case, choose: Choose) -> str:
    """Paths of images as other systems and programs write them."""
    first = case.written[0]
    assert isinstance(first, JsonLines | Choices)
    uploads = list(UPLOADS) if isinstance(first, Choices) and first.program != "cvat" else []
    words = [word for word in (*SPELLINGS, *uploads) if word != first.spelling]
    if isinstance(first, JsonLines):
        words = [word for word in words if not word.startswith("percent")]
    name = choose(words)
    for one in case.written:
        assert isinstance(one, JsonLines | Choices)
        one.spelling = name
    _blame(case, *(sample.path for sample in case.samples))
    return name


@mutation(FOREIGN, _has(Choices))
def choices(case: Case, choose: Choose) -> str:
    """Tasks exported twice, tasks without an answer, further columns, and two people who disagree."""
    (one,) = case.written
    assert isinstance(one, Choices)
    how = choose(("twice", "unfinished", "agreement", "sentiment", "disputed"))
    known = _known(case)
    if how == "twice":
        one.repeated = {sample.number for sample in known[::2]}
    elif how == "unfinished":
        one.waiting = {sample.number for sample in known[1::4]}
        for sample in known[1::4]:
            sample.annotated = False
        _blame(case, "label", "labels", "annotation", "annotations")
    elif how == "disputed" and known:
        one.disputed, one.other = {known[0].number}, "zebra"
        case.optional_classes.add("zebra")
        case.told.add("twice|different labels|missing")
        case.alternatives = [{s.number: s.classes | ({"zebra"} if s is known[0] else set()) for s in case.samples}]
        _blame(case, known[0].path, "zebra")
    elif one.program in ("label studio min", "label studio table"):
        one.extra = how
        if how == "sentiment":
            _blame(case, how)
            case.told_of_folder.add(how)
    return how


@mutation(WHOLE, _has(Choices, ClassIndex))
def second_labels(case: Case, choose: Choose) -> str:
    """A second file of the same kind: the same, or one that differs."""
    how = choose(("the same", "another version"))
    one = case.written[0]
    second = deepcopy(one)
    stem, _, suffix = one.path.rpartition(".")
    second.path = choose((f"{stem} (1).{suffix}", f"{stem}_old.{suffix}"))
    changed = list(case.samples)
    if how == "another version" and isinstance(second, ClassIndex):
        second.names = (second.names[1], second.names[0], *second.names[2:])
    elif how == "another version":
        names = case.classes()
        first = next((position for position, sample in enumerate(changed) if sample.annotated and sample.exists), 0)
        label = names[(names.index(min(changed[first].classes)) + 1) % len(names)]
        changed[first] = replace(changed[first], classes=frozenset([label]))
    case.files |= second.render(changed)
    _blame(case, second.path, second.path.rpartition("/")[2], *(sample.path for sample in case.samples))
    if how == "another version":
        case.told_of_folder.add("differ|differently|was not taken|missing")
    return how


@mutation(ANNOTATION, _has(ClassIndex))
def index_forms(case: Case, choose: Choose) -> str:
    """The forms in which programs name classes, and a file that names too few."""
    (one,) = case.written
    assert isinstance(one, ClassIndex)
    how = choose(("name to number", "name to text", "list", "id2label", "pairs", "lacking"))
    if how == "lacking":
        one.lacking = True
        for sample in case.samples:
            sample.classes = frozenset(str(one.names.index(name)) for name in sample.classes)
        _tell(case)
    else:
        one.form = how
    return how


@mutation(NAMES, _has(ClassIndex))
def index_name(case: Case, choose: Choose) -> str:
    """Another name of the file."""
    (one,) = case.written
    one.path = choose(("cat_to_name.json", "class_to_idx.json", "labels.json", "id2label.json", "classes.json"))
    return one.path


@mutation(NAMES, _has(ClassIndex))
def zeros_before_codes(case: Case, choose: Choose) -> None:
    """Folders called 00, 01 and 02, while the file says 0, 1 and 2."""
    if all(not name.isdecimal() for name in case.classes()):
        for sample in case.samples:
            if sample.annotated:
                sample.path = f"0{sample.path}"


@mutation(ANNOTATION, _has(IdList))
def id_lists(case: Case, choose: Choose) -> str:
    """Lists that lack a name, or a word that is no id, or that are not there."""
    lists = [one for one in _of(case, IdList) if isinstance(one, IdList)]
    how = choose(("a name lacks", "no names", "a line is broken", "no list of images"))
    if how in ("a name lacks", "no names"):
        lists[1].lacking = True
        known = lists[1].render([])[lists[1].path].decode()
        for sample in case.samples if how == "a name lacks" else ():
            sample.classes = frozenset(name if name in known else _id_of(name) for name in sample.classes)
        if how == "no names":
            case.written.remove(lists[1])
            for sample in case.samples:
                sample.classes = frozenset(map(_id_of, sample.classes))
    elif how == "a line is broken":
        lists[0].broken = True
        _tell(case)
    else:
        case.written.remove(lists[0])
        for sample in case.samples:
            sample.annotated = sample.annotated and sample.split == "train"
        case.culprits |= {"val", lists[0].path.rpartition("/")[2]}
    return how


def _id_of(name: str) -> str:
    return IDS.get(name, name)


@mutation(CONTENT, _has(IdList))
def unlabeled_tests(case: Case, choose: Choose) -> str:
    """The images of tests, which nothing says the classes of."""
    folder = choose(("test/images", "test"))
    inside = "" if case.layout == "tiny imagenet" else "ILSVRC/Data/CLS-LOC/"
    for position in range(3):
        path = f"{inside}{folder}/test_{position}.JPEG"
        case.samples.append(Sample(case.next_number(), path, annotated=False))
    return folder


@mutation(NAMES, lambda case: case.layout == "names")
def name_forms(case: Case, choose: Choose) -> str:
    """Other ways to write a label and a number into a name, which only a person can tell."""
    style = choose(("cat_0", "cat-0", "cat (0)", "cat0", "0.cat"))
    for sample in case.samples:
        path = PurePosixPath(sample.path)
        if sample.annotated:
            label, number = path.stem.split(".", 1)
            forms = {"cat_0": f"{label}_{number}", "cat-0": f"{label}-{number}", "cat (0)": f"{label} ({number})"}
            stem = forms.get(style, f"{label}{number}" if style == "cat0" else f"{number}.{label}")
            sample.path = str(path.with_name(f"{stem}{path.suffix}"))
    case.culprits |= {"known layouts", "class"}
    return style


@mutation(CONTENT, lambda case: case.layout == "names")
def tests_in_numbers(case: Case, choose: Choose) -> str:
    """Images of tests without a label, as Kaggle's dogs and cats have them."""
    folder = choose(("test1", "test", "test/images"))
    for position in range(3):
        path = f"{folder}/{position + 1}.jpg"
        case.samples.append(Sample(case.next_number(), path, annotated=False))
    return folder


@mutation(CONTENT, lambda case: case.layout == "names")
def split_by_folders(case: Case, choose: Choose) -> None:
    """A folder for each split."""
    for position, sample in enumerate(case.samples):
        if sample.annotated:
            sample.split = "train" if position // 3 % 2 == 0 else "validation"
            sample.path = sample.path.replace("train/", "train/" if sample.split == "train" else "val/")


@mutation(ANNOTATION, _has(Parquet))
def parquet_columns(case: Case, choose: Choose) -> str:
    """Labels as names or lists, bytes without a structure, no paths, further columns."""
    (one,) = case.written
    assert isinstance(one, Parquet)
    how = choose(("names", "lists", "bytes", "no paths", "image_id", "width"))
    one.labels = how if how in ("names", "lists") else one.labels
    one.column = {"bytes": "bytes", "no paths": "no paths"}.get(how, one.column)
    one.extra = how if how in ("image_id", "width") else ""
    if one.extra:
        _blame(case, how)
    return how


@mutation(NAMES, _has(Parquet))
def parquet_names(case: Case, choose: Choose) -> str:
    """How conversions and people call the shards."""
    (one,) = case.written
    assert isinstance(one, Parquet)
    patterns = {
        "conversion": "default/{word}/{shard:04}.parquet",
        "hash": "{folder}/{word}-{shard:05}-of-{count:05}-0a1b2c3d.parquet",
        "plain": "{word}_{shard}.parquet",
        "folders": "{word}/part-{shard}.parquet",
    }
    how = choose(list(patterns))
    one.pattern = patterns[how]
    return how


@mutation(ANNOTATION, _has(Parquet))
def rows_without_label(case: Case, choose: Choose) -> None:
    """Rows whose label is -1 or null."""
    (one,) = case.written
    assert isinstance(one, Parquet)
    one.blank = {sample.number for sample in case.annotated()[1::4]}
    for sample in case.samples:
        if sample.number in one.blank and one.labels == "lists":
            sample.classes = frozenset()
        elif sample.number in one.blank:
            sample.annotated = False


@mutation(FOREIGN, _has(Parquet))
def lost_shard(case: Case, choose: Choose) -> str:
    """A shard that is not there, or of which only Git's pointer is."""
    (one,) = case.written
    assert isinstance(one, Parquet)
    how = choose(("lost", "pointer"))
    if how == "pointer":
        one.pointer = True
        _tell(case)
        return how
    names = sorted(one.render(case.samples))
    if one.cut or len(names) < 3:
        return "none"
    one.lost = choose(range(len(names)))
    lost = names[one.lost]
    files = one.files_of(case.samples)
    if "-of-" in lost and sum(name.partition("-0")[0] == lost.partition("-0")[0] for name in names) > 1:
        case.told.add(lost.partition("-0")[0].rpartition("/")[2])
    for sample in case.samples:
        sample.exists = files[sample.number] != lost
    return how


@mutation(FOREIGN, _has(Parquet))
def files_beside_parquet(case: Case, choose: Choose) -> str:
    """What programs leave next to shards."""
    name = choose(("_SUCCESS", "data/.part-0.parquet.crc", "dataset_infos.json", "sample.png", "embeddings.parquet"))
    case.files[name] = b"{}" if name.endswith(".json") else b""
    if name == "sample.png":
        case.files[name] = encode(pixels(62), ".png")
    if name == "embeddings.parquet":
        case.files[name] = _embeddings()
        case.told.add(name)
        _blame(case, name)
    return name


def _embeddings() -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    stream = io.BytesIO()
    parquet.write_table(pa.table({"id": [1, 2], "vector": [[0.5, 1.0], [1.0, 0.5]]}), stream)
    return stream.getvalue()


@mutation(FOREIGN, lambda case: case.layout == "dicom")
def files_of_a_scanner(case: Case, choose: Choose) -> str:
    """A list of files, and a report without an image, as a scanner's disc has them."""
    name = choose(("DICOMDIR", "cat/DICOMDIR", "VERSION", "autorun.inf"))
    case.files[name] = encoded(0, ".dcm") if name.endswith("DICOMDIR") else b"1.0\n"
    return name


@mutation(WHOLE, lambda case: _has(JsonLines, Choices)(case) and len(case.written) == 1)
def labels_given(case: Case, choose: Choose) -> None:
    """The file itself is opened, not its folder."""
    case.opened = case.written[0].path
