"""What `manifest.json` holds of a run, and how a reader sees that it is still what was written."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from convolve.choices import Fit, Precision
from convolve.errors import DataError
from convolve.untrusted.documents import parse_json
from convolve.untrusted.files import open_file
from convolve.values import Preprocessing

MANIFEST = "manifest.json"
_DIGEST_BYTES = 16
_LARGEST_SIDE = 2**16
_LARGEST_MEAN, _LEAST_STD = 10_000, 1e-6
"""Of pixels from 0 to 1, or from 0 to 255: beyond them what a network is given would overflow."""


@dataclass(frozen=True)
class Manifest:
    """What a run must know to go on, to be evaluated and to predict.

    ``outputs`` is the number of scores that the network gives, for an image or for each of its pixels; ``macs`` its
    multiply-adds of one image, stored because counting them would take most of the time of a single prediction;
    ``monitored`` the metric that selects the best epoch; ``state`` what the task restores itself from. ``data``
    describes the dataset (fingerprint, layout, counts); ``runtime`` and ``reasons`` say what was chosen and why.
    ``results`` holds the final metrics, empty until the training has ended.
    """

    task: str
    outputs: int
    macs: int
    monitored: str
    state: Mapping[str, Any]
    preprocessing: Preprocessing
    runtime: Mapping[str, Any]
    data: Mapping[str, Any]
    machine: Mapping[str, Any]
    reasons: Mapping[str, str]
    results: Mapping[str, Any]


@dataclass(frozen=True)
class Record:
    """All that `manifest.json` holds: the manifest, the ``recipe`` as a document, and the ``digests`` of the run's
    other files by name. Runs that were written before there were digests have neither.
    """

    manifest: Manifest
    recipe: Mapping[str, Any] | None
    digests: Mapping[str, str]

    def to_json(self) -> str:
        """The file's text, with a digest of its own content."""
        document = {**dataclasses.asdict(self.manifest), "recipe": self.recipe, "digests": dict(self.digests)}
        document = parse_json(json.dumps(document))  # as it will be read
        document["digests"][MANIFEST] = digest_of_document(document)
        return json.dumps(document, ensure_ascii=False, indent=2)


def parse_record(content: bytes) -> Record:
    """A manifest's file. Raises `ValueError`, which names the field that is damaged."""
    document = parse_json(content)
    if not isinstance(document, dict):
        raise ValueError("it is no dictionary")
    recipe, digests = document.pop("recipe", None), document.pop("digests", {})
    if not _is_dictionary(digests, str) or not isinstance(recipe, dict | None):
        raise ValueError("its digests or its recipe are of another kind")
    own = digests.pop(MANIFEST, None)
    sealed = {**document, "recipe": recipe, "digests": digests}
    if own != digest_of_document(sealed) and (own or digests or recipe):
        raise ValueError("its content does not match its digest")
    return Record(_manifest(document), recipe, digests)


def digest_of_file(path: Path) -> str:
    """What changes with any bit of a file. Raises `OSError`."""
    with open_file(path) as file:
        digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def is_number(value: object) -> bool:
    """Whether a value from a document can be calculated with, as a metric can; NaN and inf are among them."""
    return type(value) is float or (type(value) is int and abs(value) < 2**63)


def digest_of_document(document: Mapping[str, Any]) -> str:
    """The same for any order of entries and any white space."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=_DIGEST_BYTES).hexdigest()


def _manifest(document: Mapping[str, Any]) -> Manifest:
    kinds = {"task": str, "outputs": int, "macs": int, "monitored": str}
    for field in dataclasses.fields(Manifest):
        if field.name not in document:
            raise ValueError(f"it has no {field.name}")
        kind = kinds.get(field.name, dict)
        if type(document[field.name]) is not kind:
            raise ValueError(f"{field.name} is of another kind")
    if len(document) > len(dataclasses.fields(Manifest)):
        raise ValueError("it has an unknown entry")
    for name, least in (("outputs", 1), ("macs", 0)):
        if not least <= document[name] < 2**63:
            raise ValueError(f"{name} is out of its range")
    if not _is_dictionary(document["reasons"], str):
        raise ValueError("reasons is of another kind")
    _check_runtime(document["runtime"])
    _check_data(document["data"])
    _check_results(document["results"])
    return Manifest(**{**document, "preprocessing": parse_preprocessing(document["preprocessing"])})


def parse_preprocessing(document: Mapping[str, Any]) -> Preprocessing:
    """The preprocessing that a file holds. Raises `ValueError`."""
    sides = [document.get(name) for name in ("height", "width", "channels")]
    if not all(type(side) is int and 1 <= side <= _LARGEST_SIDE for side in sides):
        raise ValueError("preprocessing has no height, width or channels")
    if document.get("fit") not in get_args(Fit):
        raise ValueError(f"preprocessing fits images in an unknown way, {document.get('fit')!r}")
    mean, std = document.get("mean"), document.get("std")
    for values in (mean, std):
        if not isinstance(values, list) or not all(is_number(each) and abs(each) <= _LARGEST_MEAN for each in values):
            raise ValueError(f"preprocessing has no mean or std of at most {_LARGEST_MEAN:,}")
    if not isinstance(mean, list) or not isinstance(std, list) or min(std, default=0) < _LEAST_STD:
        raise ValueError(f"preprocessing has a std that is not at least {_LEAST_STD}")
    permutation = document.get("permutation", 0)
    if permutation is not None and not (type(permutation) is int and 0 <= permutation < 2**63):
        raise ValueError("preprocessing has a permutation that is no seed")
    try:
        return Preprocessing(**{**document, "mean": tuple(mean), "std": tuple(std)})
    except (DataError, TypeError) as error:
        raise ValueError(f"preprocessing: {error}") from error


def _check_runtime(runtime: Mapping[str, Any]) -> None:
    kinds = {"device": str, "precision": str, "threads": int, "fast_convolutions": bool}
    if any(type(value) is not kinds.get(name) for name, value in runtime.items()):
        raise ValueError("runtime is of another kind")
    if "device" not in runtime or runtime.get("precision") not in get_args(Precision):
        raise ValueError("runtime has no device, or an unknown precision")
    if not 1 <= runtime.get("threads", 1) < _LARGEST_SIDE:
        raise ValueError("runtime has threads out of their range")


def _check_data(data: Mapping[str, Any]) -> None:
    summary, warnings = data.get("summary", {}), data.get("warnings", [])
    if not isinstance(data.get("fingerprint"), str):
        raise ValueError("data has no fingerprint")
    if not isinstance(warnings, list) or not all(isinstance(each, str) for each in warnings):
        raise ValueError("data has warnings of another kind")
    if not isinstance(summary, dict) or type(summary.get("classes", 0)) is not int:
        raise ValueError("data has a summary of another kind")


def _check_results(results: Mapping[str, Any]) -> None:
    if type(results.get("epoch")) not in (int, type(None)) or not isinstance(results.get("ended", ""), str):
        raise ValueError("results has an epoch of another kind")
    for name, result in results.items():
        if name in ("epoch", "ended"):
            continue
        metrics = result.get("metrics") if isinstance(result, dict) else None
        if not isinstance(metrics, dict) or type(result.get("images")) is not int:
            raise ValueError(f"results has no metrics of the {name} split")
        if not all(value is None or is_number(value) for value in metrics.values()):
            raise ValueError(f"results has metrics of the {name} split that are no numbers")


def _is_dictionary(value: object, kind: type) -> bool:
    return isinstance(value, dict) and all(type(each) is kind for each in value.values())
