"""What an export's folder says of itself: `card.json`, which is written last and read by whatever uses the folder.

The folder holds the network (`network.xml` and `network.bin`, or `network.onnx`), the card and a README. The network
takes one input, ``images`` (N, H, W, C) uint8 of any N, H and W: RGB, or one gray channel. What leaves it, by name:

- classify: ``probabilities`` (N, classes) float32;
- localize: ``probabilities`` (N, classes) float32, and ``boxes`` (N, 4) float32, left, top, right and bottom in the
  images' own pixels;
- segment: ``classes`` (N, H, W) uint8 at the images' own size, and ``confidence`` (N, H, W) float32, the probability of
  that class;
- embed: ``embedding`` (N, D) float32 of length 1, and ``distances`` (N, identities) float32, 0 to 2;
- landmarks: ``points`` (N, P, 2) float32, x and y in the images' own pixels, and ``confidence`` (N, P) float32;
- restore: ``restored`` (N, upscale H, upscale W, C) float32, from 0 to 255, not rounded; of a network of one channel
  the gray levels;
- style: ``stylized`` (N, H, W, 3) float32, from 0 to 255, not rounded;
- detect: ``boxes`` (K, 4) float32, left, top, right and bottom in the images' own pixels, ``scores`` (K,) float32,
  ``classes`` (K,) int64, ``image`` (K,) int64, the image's index in the batch. Images in their order, the most
  confident box of each first, without any threshold but the least score that the task ever shows.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, get_args

from convolve.choices import EXPORT_CARD
from convolve.errors import ExportError, RunError
from convolve.files import write_text
from convolve.training.manifest import digest_of_document, digest_of_file, parse_preprocessing
from convolve.untrusted.documents import parse_json
from convolve.untrusted.files import is_file, read_file
from convolve.values import Preprocessing

Engine = Literal["openvino", "onnx", "torch"]
ExportPrecision = Literal["fp32", "bf16", "int8"]

CARD: Final = EXPORT_CARD
FORMAT: Final = 1
"""Of the card; a later convolve may write another one."""
_CARD_BYTES: Final = 2**24
_TEXTS: Final = ("convolve", "task", "network", "title", "paper")
_OBJECTS: Final = ("state", "source", "metrics", "parity", "speed", "quantization", "versions", "files")
_BACKUP: Final = "export the run again, or restore the folder from a backup."


@dataclass(frozen=True)
class ExportCard:
    """All that `card.json` holds.

    ``convolve`` is the version that wrote it; ``task``, ``network`` (the key of the network), ``title`` and ``paper``
    say what was trained, and ``parameters`` and ``macs`` (multiply-adds of one image) how large it is. ``input`` is the
    run's preprocessing, which the graph carries out itself: what gives the network the image need not.

    ``engine`` says what runs it, ``torch`` for weights under another library's names or a program of PyTorch's;
    ``precision`` the number format in which the gates measured it: ``bf16`` has weights in fp32, with which a processor
    that has bfloat16 computes in it by itself. ``main`` is the name of the file to open.

    ``state`` is what `Task.state` gave, with what the export adds (`Exportable.state`), so `classes` is in it, and for
    a classifier the temperature (already applied in the graph), for a detector `threshold`, from which on a detection
    is worth showing.

    ``source`` says where it comes from: `run` (its folder's name), `data` (as the recipe has it, None for a converted
    network), `layout`, `fingerprint` and `epoch`, as far as known.

    ``metrics`` are of this export, by split: `images`, `metrics` by name (None where undefined), and `intervals` by
    metric, two ends each, for those that have one. A split is only there if it was measured.

    ``parity`` compares it with the run, image by image through decoding and resizing: `images`, `answers` (one of an
    image, a pixel or an object), `changed`, `fraction` and `tolerance`, `largest_difference` of probabilities or
    distances, `largest_shift` of edges in pixels (None without boxes), and `gray_levels`, how far the inputs are apart
    on average and at most since the run decodes JPEGs smaller, and `view_pixels`, the most pixels of an image as a
    network sees it that takes any size. ``speed`` has `threads`, `torch_precision`, `processor`, and for each of its
    `batches` the medians in milliseconds: `batch`, `torch`, `export`, `ratio`. ``quantization`` is empty unless int8
    was asked for: `images` for the ranges, `seconds` that it took, and `attempts`, of the last of which all is there
    again: `kept` (whether the file is int8), `reason`, `left_in_float` (layers), and unless the processor refused it
    `drop` of the headline metric, `class_drop` of the `class` that falls most, in points, `gain` in speed of one image,
    and `milliseconds`, for each `batch` those of `int8` and of the `baseline`, the export in higher precision. Of a
    file for PyTorch parity and speed are empty.

    ``notes`` are sentences on what the graph does not do exactly as the run. ``versions`` are those of the libraries
    that wrote it; ``files`` the digests of the folder's other files by name.
    """

    convolve: str
    task: str
    network: str
    title: str
    paper: str
    parameters: int
    macs: int
    input: Preprocessing
    engine: Engine
    precision: ExportPrecision
    main: str
    state: Mapping[str, Any]
    source: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    parity: Mapping[str, Any] = field(default_factory=dict)
    speed: Mapping[str, Any] = field(default_factory=dict)
    quantization: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes; empty where the task has none."""
        return tuple(self.state.get("classes", ()))

    def to_json(self) -> str:
        """The file's text, with a digest of its own content."""
        document = {"format": FORMAT, **dataclasses.asdict(self), "files": dict(self.files)}
        document = parse_json(json.dumps(document))  # as it will be read
        document["files"][CARD] = digest_of_document(document)
        return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def is_export(folder: Path) -> bool:
    """Whether a folder holds an exported network; what is in it may still be damaged."""
    return is_file(folder / CARD)


def check_run_or_export(folder: Path) -> None:
    """Raise `RunError` where there is nothing at all that could be a run or an export."""
    if not folder.exists():
        raise RunError(
            f"{folder} is not a run, nor an export: there is no such folder; give the one that `convolve train` or "
            "`convolve export` reported."
        )


def read_card(folder: Path) -> ExportCard:
    """Read an export's card. Raises `ExportError` where there is none, or it is damaged."""
    path = folder / CARD
    if not is_export(folder):
        raise ExportError(f"{folder} is no export: it has no {CARD}; give the folder that `convolve export` wrote.")
    try:
        return parse_card(read_file(path, _CARD_BYTES))
    except (OSError, ValueError) as error:
        raise ExportError(f"{path} is damaged ({error}); {_BACKUP}") from error


def check_file(folder: Path, card: ExportCard, name: str) -> Path:
    """The path of one of the export's files. Raises `ExportError` where it is not what was written."""
    path = folder / name
    try:
        intact = card.files.get(name) == digest_of_file(path)
    except OSError as error:
        raise ExportError(f"{path} cannot be read ({error.strerror}); {_BACKUP}") from error
    if not intact:
        raise ExportError(f"{path} is damaged: its content does not match its digest; {_BACKUP}")
    return path


def write_card(folder: Path, card: ExportCard) -> None:
    """Write the card of a folder whose other files are there already, with their digests. Raises `ConvolveError`."""
    names = sorted(path.name for path in folder.iterdir() if path.is_file() and path.name != CARD)
    digests = {name: digest_of_file(folder / name) for name in names}
    write_text(folder / CARD, dataclasses.replace(card, files=digests).to_json())


def parse_card(content: bytes) -> ExportCard:
    """A card's file. Raises `ValueError`, which says what is damaged."""
    document = parse_json(content)
    if not isinstance(document, dict):
        raise ValueError("it is no dictionary")
    if document.get("format") != FORMAT:
        raise ValueError(f"its format is {document.get('format')!r}, not {FORMAT}: another convolve wrote it")
    _check_fields(document)
    own = document["files"].pop(CARD, None)
    if own != digest_of_document(document):
        raise ValueError("its content does not match its digest")
    del document["format"]
    preprocessing = parse_preprocessing(document["input"])
    return ExportCard(**{**document, "input": preprocessing, "notes": tuple(document["notes"])})


def _check_fields(document: Mapping[str, Any]) -> None:
    known = {each.name for each in dataclasses.fields(ExportCard)} | {"format"}
    if missing := sorted(known ^ set(document)):
        raise ValueError(f"{missing[0]} is missing or unknown")
    kinds: list[tuple[type, tuple[str, ...]]] = [
        (str, (*_TEXTS, "engine", "precision", "main")),
        (int, ("parameters", "macs")),
        (dict, (*_OBJECTS, "input")),
        (list, ("notes",)),
    ]
    for kind, names in kinds:
        for name in names:
            if type(document[name]) is not kind:
                raise ValueError(f"{name} is of another kind")
    if document["engine"] not in get_args(Engine) or document["precision"] not in get_args(ExportPrecision):
        raise ValueError("its engine or its precision is unknown")
    texts = [*document["notes"], *document["versions"].values(), *document["files"].values()]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("notes, versions or files are of another kind")
    if document["main"] not in document["files"]:
        raise ValueError("its main file is not among its files")
    classes = document["state"].get("classes", [])
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise ValueError("its classes are no names")
