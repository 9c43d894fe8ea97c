"""Mutations by files that do not belong to the dataset."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import PurePosixPath

from tests.datasets.mutations.case import Case
from tests.datasets.mutations.pixels import encode, encoded, pixels
from tests.datasets.mutations.registry import (
    FOREIGN,
    Choose,
    always,
    has_files,
    has_mask_files,
    in_class_folders,
    mutation,
)
from tests.datasets.mutations.sample import Sample
from tests.datasets.mutations.table import Table, render_table

_APPLE = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        " + bytes(30)
_PLOT = 61
_CLUTTER: dict[str, bytes] = {
    "Thumbs.db": b"\xd0\xcf\x11\xe0" + bytes(60),
    ".DS_Store": b"\x00\x00\x00\x01Bud1" + bytes(60),
    "desktop.ini": b"\xff\xfe" + "[.ShellClassInfo]\r\n".encode("utf-16-le"),
    "README.txt": b"Images of animals, taken in 2019.\nPlease cite us.\n",
    "README.md": b"# Animals\n\n| class | images |\n|---|---|\n| cat | 10 |\n",
    "LICENSE": b"CC BY 4.0\n",
    "LICENSE.txt": b"Creative Commons, Attribution 4.0\nNo warranties are given.\n",
    "requirements.txt": b"numpy==2.1.0\npillow>=10\ntorch\n",
    "data.zip": b"PK\x03\x04" + bytes(40),
    "data.yaml": b"train: ../train/images\nval: ../val/images\nnc: 3\n",
    "stats.xlsx": b"PK\x03\x04" + bytes(40),
    "make_set.py": b"print('hello')\n",
    "notes.csv": b"date,weather,temperature\n2019-05-01,sunny,21\n2019-05-02,rain,14\n",
    "log.txt": b"2019-05-01 12:00:01 started\n2019-05-01 12:00:02 1 done\n",
    "urls.txt": b"https://example.org/a/0.jpg\nhttps://example.org/a/1.jpg\n",
    "attribution.csv": b"author,license,url\nKim,CC0,https://example.org/0.jpg\n",
}
_JSON: dict[str, bytes] = {
    "meta.json": b'{"name": "animals", "version": 2}',
    "list.json": b"[1, 2, 3]",
    "broken.json": b'{"name": "ani',
    "empty.json": b"",
    "latin.json": '{"auteur": "Ren\u00e9"}'.encode("latin-1"),
    "dataset-metadata.json": b'{"title": "Animals", "images": [], "licenses": [{"name": "CC0"}]}',
    "annotations/via.json": b'{"_via_settings": {}, "_via_img_metadata": {}}',
}


def _image_folders(case: Case) -> Iterator[str]:
    found = {str(PurePosixPath(sample.path).parent) for sample in case.samples if sample.path}
    return iter(sorted("" if folder == "." else f"{folder}/" for folder in found) or [""])


@mutation(FOREIGN, always)
def clutter(case: Case, choose: Choose) -> str:
    """A file of the system, a person or a program."""
    name = choose(list(_CLUTTER))
    where = choose(("root", "images"))
    for folder in _image_folders(case) if where == "images" else ("",):
        case.files.setdefault(f"{folder}{name}", _CLUTTER[name])
    return f"{name} in {where}"


@mutation(FOREIGN, always)
def foreign_json(case: Case, choose: Choose) -> str:
    """JSON of another kind."""
    name = choose(list(_JSON))
    case.files.setdefault(name, _JSON[name])
    return name


@mutation(FOREIGN, has_files)
def sidecars(case: Case, choose: Choose) -> str:
    """A file next to each image: of a scraper, a camera, a program for boxes."""
    own = ".txt" if case.layout.startswith("yolo") else ".xml" if case.layout.startswith("voc ") else ""
    suffix = choose([each for each in (".json", ".txt", ".xml", ".xmp") if each != own])
    content = {
        ".json": b'{"id": 7, "likes": 12, "caption": ""}',
        ".txt": b"0 0.5 0.5 0.2 0.2\n",
        ".xml": b"<annotation><filename>0.jpg</filename></annotation>",
        ".xmp": b"<x:xmpmeta/>",
    }[suffix]
    for sample in case.samples:
        if sample.annotated or suffix != ".txt":
            case.files.setdefault(str(PurePosixPath(sample.path).with_suffix(suffix)), content)
    if suffix == ".txt" and case.kinds == (
        "labels",
    ):  # which are boxes of an unknown class, where nothing else is read
        case.alternatives.append({sample.number: frozenset(["class 0"]) for sample in case.samples})
        case.remarks |= {"numbers"}
    return suffix


@mutation(FOREIGN, always)
def apple_doubles(case: Case, choose: Choose) -> str:
    """A hidden companion of every file, next to it or in a tree of its own."""
    where = choose(("next to it", "__MACOSX"))
    for path in list(case.render()):
        pure = PurePosixPath(path)
        companion = str(pure.with_name(f"._{pure.name}"))
        case.files[companion if where == "next to it" else f"__MACOSX/{companion}"] = _APPLE
    return where


@mutation(FOREIGN, has_files)
def thumbnails(case: Case, choose: Choose) -> str:
    """Small versions of the images in folders of the system."""
    folder = choose(("@eaDir", ".thumbnails", ".ipynb_checkpoints", "#recycle", "$RECYCLE.BIN", "lost+found"))
    for sample in case.samples:
        path = PurePosixPath(sample.path)
        inner = f"{path.name}/SYNOPHOTO_THUMB_M.jpg" if folder == "@eaDir" else f"{path.stem}-copy{path.suffix}"
        if sample.exists:
            case.files[f"{path.parent}/{folder}/{inner}".removeprefix("./")] = encoded(sample.number, path.suffix)
    case.culprits.add(folder)
    return folder


@mutation(FOREIGN, has_files)
def own_run(case: Case, choose: Choose) -> str:
    """The folder that a training of convolve leaves."""
    folder = choose(("runs/set-resnet18", "run", "out/2024"))
    for name, number in (("contact_sheet.png", _PLOT), ("curves.png", _PLOT + 1)):
        case.files[f"{folder}/{name}"] = encode(pixels(number, 30, 40), ".png")
        case.samples.append(Sample(number, f"{folder}/{name}", annotated=False, foreign=True))
    manifest = {"task": "classify", "outputs": 3, "macs": 95400, "monitored": "accuracy", "state": {"classes": ["a"]}}
    case.files[f"{folder}/manifest.json"] = json.dumps(manifest, indent=2).encode()
    case.files[f"{folder}/splits.json"] = b'{"train": [], "validation": [], "test": []}'
    case.files[f"{folder}/recipe.toml"] = b'network = "resnet18"\n'
    case.files[f"{folder}/metrics.jsonl"] = b'{"epoch": 1, "loss": 0.5}\n'
    case.files[f"{folder}/checkpoints/best.safetensors"] = bytes(64)
    case.files[f"{folder}/report.html"] = b"<!doctype html><title>Report</title>"
    case.culprits.add(folder.split("/")[0])
    return folder


def _labels_by_number(case: Case, step: int) -> dict[int, str]:
    """Of each image the label of the class ``step`` further on."""
    names = case.classes() or ["cat", "dog"]
    return {
        sample.number: names[(names.index(min(sample.classes)) + step) % len(names)] if sample.classes else names[0]
        for sample in case.samples
    }


@mutation(FOREIGN, has_files)
def own_predictions(case: Case, choose: Choose) -> str:
    """The table that `convolve predict --csv` writes, with wrong labels."""
    name = choose(("answers.csv", "predictions.csv", "labels_predicted.csv"))
    spelling = choose(("relative", "absolute"))
    table = Table(name, titles=("image", "label", "split"), spelling=spelling, labels=_labels_by_number(case, 1))
    numbers = [sample.number for sample in case.samples]
    table.extras = {"confidence": dict.fromkeys(numbers, "0.734512"), "error": dict.fromkeys(numbers, "")}
    _freeze(case, table)
    return f"{name} {spelling}"


@mutation(FOREIGN, has_files)
def submission(case: Case, choose: Choose) -> str:
    """A competition's table of guesses that are all alike."""
    title = choose(("label", "target", "probability"))
    table = Table("sample_submission.csv", titles=("id", title, "split"), spelling=choose(("stem", "bare")))
    table.labels = {sample.number: "0.5" for sample in case.samples}
    _freeze(case, table)
    return f"id,{title}"


@mutation(FOREIGN, in_class_folders)
def second_table(case: Case, choose: Choose) -> str:
    """A table next to folders of classes that says the same, something else, or speaks of a few images only."""
    style = choose(("the same", "another label", "a few images"))
    step = int(style == "another label")
    table = Table("labels.csv", labels=_labels_by_number(case, step))
    hidden = case.samples
    if style == "a few images":
        case.samples = case.samples[:2]
    _freeze(case, table)
    case.samples = hidden
    if style == "another label":
        case.alternatives = [{number: frozenset([label]) for number, label in table.labels.items()}]
        case.remarks = {"labels.csv", "folder|folders|class|cat"}
    if any(sample.split for sample in case.samples):
        case.culprits.add("split")
    return style


def _freeze(case: Case, table: Table) -> None:
    """Write the table as things are now."""
    rows = [sample for sample in case.samples if sample.annotated]
    case.files[table.path] = render_table(table, rows)
    case.culprits.add(table.path)


@mutation(FOREIGN, lambda case: case.layout in ("folders", "split folders", "table", "single coco"))
def list_of_classes(case: Case, choose: Choose) -> str:
    """A text with the names of the classes."""
    name = choose(("classes.txt", "labels.txt", "names.txt", "class_names.txt"))
    style = choose(("names", "numbers before", "numbers after"))
    rows = {
        "names": [f"{label}" for label in case.classes()],
        "numbers before": [f"{number} {label}" for number, label in enumerate(case.classes())],
        "numbers after": [f"{label} {number}" for number, label in enumerate(case.classes())],
    }[style]
    case.files[name] = ("\n".join(rows) + "\n").encode()
    case.culprits.add(name)
    return f"{name}, {style}"


@mutation(FOREIGN, in_class_folders)
def link_to_parent(case: Case, choose: Choose) -> str:
    """A link inside that leads to the whole."""
    name = choose(("all", "latest"))
    case.links[name] = "."
    case.culprits |= {"link", "links", name}
    return name


@mutation(FOREIGN, has_mask_files)
def box_folder(case: Case, choose: Choose) -> None:
    """Boxes of the same images in XML."""
    for sample in case.samples:
        stem = PurePosixPath(sample.path).stem
        case.files[f"Annotations/{stem}.xml"] = b"<annotation><filename>0.jpg</filename></annotation>"


@mutation(FOREIGN, always)
def foreign_folder(case: Case, choose: Choose) -> str:
    """A folder without any image."""
    path = choose(
        ("scripts/train.py", "__pycache__/a.pyc", "weights/best.pt", "logs/log.txt", "docs/index.html", ".git/HEAD")
    )
    case.files[path] = b"# nothing\n"
    return path


@mutation(FOREIGN, lambda case: len(case.tables) == 1)
def table_copy(case: Case, choose: Choose) -> str:
    """A second table of the same content, as it is left by programs and people."""
    stem, _, suffix = case.tables[0].path.rpartition(".")
    name = choose((f"{stem} (1).{suffix}", f"{stem}.{suffix}.bak", f"{stem}_old.{suffix}", f"~${stem}.{suffix}"))
    rows = [sample for sample in case.samples if sample.annotated]
    case.files[name] = render_table(case.tables[0], rows)
    case.culprits |= {name, case.tables[0].path}
    return name
