"""Labels of images as files have them: JSON Lines, lists of ImageNet, names of classes, choices, tags, Parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any
from xml.sax.saxutils import quoteattr

from tests.datasets.mutations.coco_file import SPELLINGS
from tests.datasets.mutations.outline_files import PLAIN, SPELLED, TextStyle
from tests.datasets.mutations.sample import Sample

WORDNET: Mapping[str, str] = {"n02085620": "Chihuahua", "n02123045": "tabby, tabby cat", "n02018207": "coot"}
"""Ids, and the names of their classes."""
IDS: Mapping[str, str] = {name: key for key, name in WORDNET.items()}
"""The ids by these names."""
_TIMES = {"created_at": "2024-05-01T10:00:00.000000Z", "updated_at": "2024-05-01T10:00:03.000000Z"}


def label_of(sample: Sample) -> str:
    """The first class of an image, or nothing."""
    return min(sample.classes, default="")


def id_of(sample: Sample) -> str:
    """The WordNet id of its class, whose name may be missing."""
    return IDS.get(label_of(sample), label_of(sample))


@dataclass
class JsonLines:
    """Hugging Face's `metadata.jsonl`, whose paths count from its folder. ``blank`` images have no label, ``repeated``
    ones a second line; ``joined`` says how several labels are written: as a list, or with a mark between them.
    """

    path: str
    split: str | None = None
    titles: tuple[str, str] = ("file_name", "label")
    text: TextStyle = PLAIN
    spelling: str = "relative"
    extra: str = ""
    blank: set[int] = field(default_factory=set)
    repeated: set[int] = field(default_factory=set)
    as_list: bool = False
    empty_lines: bool = False
    label_first: bool = False
    cut: bool = False

    def render(self, samples: Sequence[Sample]) -> dict[str, bytes]:
        """The one file."""
        lines = []
        for sample in samples:
            if self.split in (None, sample.split) and (sample.annotated or sample.number in self.blank):
                entry = self._entry(sample)
                lines += [json.dumps(entry, ensure_ascii=False)] * (1 + (sample.number in self.repeated))
        text = ("\n\n" if self.empty_lines else "\n").join(lines) + "\n"
        content = self.text.encode(text)
        return {self.path: content[: -len(lines[-1]) // 2 - 1] if self.cut else content}

    def _entry(self, sample: Sample) -> dict[str, Any]:
        path, folder = PurePosixPath(sample.name), PurePosixPath(self.path).parent
        name = str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)
        label: object = None if sample.number in self.blank else label_of(sample)
        if self.as_list and label is not None:
            label = [label]
        entry = {self.titles[0]: SPELLINGS[self.spelling](name), self.titles[1]: label}
        if self.label_first:
            entry = dict(reversed(entry.items()))
        extras: Mapping[str, Any] = {
            "objects": {"bbox": [[1, 2, 3, 4]], "categories": [0]},
            "width": 40,
            "id": 7000 + sample.number,
            "text": f"An image of number {sample.number}, by day.",
        }
        return entry | ({self.extra: extras[self.extra]} if self.extra else {})


@dataclass
class ClassIndex:
    """Names of classes whose folders are numbers, in one of some ``forms``; ``lacking`` the last one, perhaps."""

    path: str
    names: tuple[str, ...]
    form: str = "number to name"
    text: TextStyle = PLAIN
    lacking: bool = False
    cut: bool = False

    def render(self, samples: Sequence[Sample]) -> dict[str, bytes]:
        """The one file."""
        names = self.names[:-1] if self.lacking else self.names
        forms: Mapping[str, object] = {
            "number to name": {str(number): name for number, name in enumerate(names)},
            "name to number": {name: number for number, name in enumerate(names)},
            "name to text": {name: str(number) for number, name in enumerate(names)},
            "list": list(names),
            "id2label": {"id2label": {str(number): name for number, name in enumerate(names)}, "num_labels": 3},
            "pairs": {str(number): [str(number), name] for number, name in enumerate(names)},
        }
        content = self.text.dump(forms[self.form])
        return {self.path: content[: len(content) * 2 // 3] if self.cut else content}


@dataclass
class IdList:
    """ImageNet's list of the classes of images, in the form of Tiny ImageNet or of Kaggle; or ``words`` for the ids."""

    path: str
    kind: str
    split: str | None = None
    text: TextStyle = PLAIN
    lacking: bool = False
    broken: bool = False

    def render(self, samples: Sequence[Sample]) -> dict[str, bytes]:
        """The one file."""
        own = [one for one in samples if one.annotated and one.split == self.split]
        pairs = list(WORDNET.items())[: -1 if self.lacking else None]
        lines = [f"{key}\t{name}" if self.kind == "words" else f"{key} {name}" for key, name in pairs]
        if self.kind == "tiny":
            lines = [f"{PurePosixPath(one.name).name}\t{id_of(one)}\t0\t0\t7\t7" for one in own]
        if self.kind == "kaggle":
            boxes = [f"{PurePosixPath(one.name).stem},{id_of(one)} 1 1 7 7 " for one in own]
            lines = ["ImageId,PredictionString", *boxes]
        if self.broken:
            lines[-1] = lines[-1].replace("n0", "x0")
        return {self.path: self.text.encode("".join(f"{line}\n" for line in lines))}


@dataclass
class Choices:
    """Labels of whole images, as Label Studio (JSON, JSON-MIN or CSV) and CVAT (tags) export them."""

    path: str
    program: str
    text: TextStyle = PLAIN
    spelling: str = "relative"
    extra: str = ""
    repeated: set[int] = field(default_factory=set)
    disputed: set[int] = field(default_factory=set)
    other: str = ""
    waiting: set[int] = field(default_factory=set)
    cut: bool = False

    def render(self, samples: Sequence[Sample]) -> dict[str, bytes]:
        """The one file."""
        known = [one for one in samples if one.annotated or one.number in self.waiting]
        pairs = [(one, label_of(one)) for one in known for _ in range(1 + (one.number in self.repeated))]
        pairs += [(one, self.other) for one in known if one.number in self.disputed]
        content = _CHOICES[self.program](self, pairs)
        end = len(content) * 2 // 3
        if self.program == "label studio table":
            end = content.rfind(b"\n", 0, end) + 10  # in the middle of a line
        return {self.path: content[:end] if self.cut else content}

    def spell(self, sample: Sample) -> str:
        """What the file calls an image."""
        return SPELLED[self.spelling](sample.name)


def _tasks(style: Choices, pairs: Sequence[tuple[Sample, str]]) -> bytes:
    tasks = []
    for number, (sample, label) in enumerate(pairs):
        result = {"id": "x1", "type": "choices", "from_name": "choice", "to_name": "image"}
        result["value"] = {"choices": [label]}  # type: ignore[assignment]
        done = {"id": 9, "completed_by": 1, "result": [result], "was_cancelled": False, "ground_truth": False}
        annotations = [] if sample.number in style.waiting else [done]
        tasks.append({"id": number, "annotations": annotations, "data": {"image": style.spell(sample)}})
    return style.text.dump(tasks)


def _line(style: Choices, number: int, sample: Sample, label: str) -> dict[str, Any]:
    line = {"annotation_id": 40 + number, "annotator": 1, "choice": label, "id": number, "image": style.spell(sample)}
    extras: Mapping[str, Any] = {"agreement": 100, "second": "good", "sentiment": "good"}
    return line | ({style.extra: extras[style.extra]} if style.extra else {}) | {"lead_time": 3.5, **_TIMES}


def _lines(style: Choices, pairs: Sequence[tuple[Sample, str]]) -> bytes:
    done = [pair for pair in pairs if pair[0].number not in style.waiting]
    return style.text.dump([_line(style, number, *pair) for number, pair in enumerate(done)])


def _choice_table(style: Choices, pairs: Sequence[tuple[Sample, str]]) -> bytes:
    done = [pair for pair in pairs if pair[0].number not in style.waiting]
    rows = [_line(style, number, *pair) for number, pair in enumerate(done)]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return style.text.encode(text.getvalue())


def _tags(style: Choices, pairs: Sequence[tuple[Sample, str]]) -> bytes:
    labels = "".join(f"<label><name>{name}</name></label>\n" for name in sorted({label for _, label in pairs}))
    start = '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n'
    lines = [f"{start}<meta>\n<task>\n<labels>\n{labels}</labels>\n</task>\n</meta>\n"]
    for number, (sample, label) in enumerate(pairs):
        lines.append(f'<image id="{number}" name={quoteattr(style.spell(sample))} width="8" height="8">\n')
        tag = f'<tag label={quoteattr(label)} source="manual">\n</tag>\n'
        lines.append(f"{'' if sample.number in style.waiting else tag}</image>\n")
    return style.text.encode("".join([*lines, "</annotations>\n"]))


_CHOICES: Mapping[str, Callable[[Choices, Sequence[tuple[Sample, str]]], bytes]] = {
    "label studio": _tasks,
    "label studio min": _lines,
    "label studio table": _choice_table,
    "cvat": _tags,
}


@dataclass
class Parquet:
    """Shards as Hugging Face's hub has them, of a few rows each, by the names that ``pattern`` gives. ``labels`` are
    numbers of declared names, names, or lists of one; ``column`` says how the image is kept.
    """

    path: str
    pattern: str = "{folder}/{word}-{shard:05}-of-{count:05}.parquet"
    rows: int = 3
    labels: str = "numbers"
    column: str = "bytes and path"
    extra: str = ""
    blank: set[int] = field(default_factory=set)
    lost: int = -1
    cut: bool = False
    pointer: bool = False

    def render(self, samples: Sequence[Sample]) -> dict[str, bytes]:
        """The files by their paths."""
        names = sorted({label_of(one) for one in samples if one.annotated and one.classes})
        found = {}
        for split in ("train", "test"):
            own = [s for s in samples if s.split == split and (s.annotated or s.number in self.blank)]
            parts = [own[start : start + self.rows] for start in range(0, len(own), self.rows)]
            for shard, part in enumerate(parts):
                place = {"folder": self.path, "word": split, "shard": shard, "count": len(parts)}
                found[self.pattern.format(**place)] = self._shard(part, names)
        last = sorted(found)[self.lost if self.lost >= 0 else -1]
        if self.lost >= 0:
            del found[last]
        if self.cut:
            found[last] = found[last][: len(found[last]) * 2 // 3]
        if self.pointer:
            found[last] = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
        return found

    def files_of(self, samples: Sequence[Sample]) -> dict[int, str]:
        """The file of each image, by number."""
        found = {}
        for split in ("train", "test"):
            own = [one for one in samples if one.split == split]
            count = -(-len(own) // self.rows)
            for position, one in enumerate(own):
                place = {"folder": self.path, "word": split, "shard": position // self.rows, "count": count}
                found[one.number] = self.pattern.format(**place)
        return found

    def _shard(self, samples: Sequence[Sample], names: Sequence[str]) -> bytes:
        import pyarrow as pa
        from pyarrow import parquet

        values = [one.render() for one in samples]
        paths = [f"{one.number}.jpg" if self.column == "bytes and path" else None for one in samples]
        structures = [{"bytes": value, "path": path} for value, path in zip(values, paths, strict=True)]
        labels: list[Any] = [None if one.number in self.blank else label_of(one) for one in samples]
        if self.labels == "numbers":
            labels = [-1 if label is None else names.index(label) for label in labels]
        if self.labels == "lists":
            labels = [[] if label is None else [label] for label in labels]
        columns: dict[str, Any] = {"image": values if self.column == "bytes" else structures, "label": labels}
        extras: Mapping[str, Any] = {"image_id": list(range(len(values))), "width": [8] * len(values)}
        columns |= {self.extra: extras[self.extra]} if self.extra else {}
        table = pa.table(columns)
        features: dict[str, Any] = {"image": {"_type": "Image"}}
        if self.labels == "numbers":
            features["label"] = {"names": list(names), "_type": "ClassLabel"}
            table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
        stream = io.BytesIO()
        parquet.write_table(table, stream)
        return stream.getvalue()
