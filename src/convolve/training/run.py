"""The folder that a training leaves: `recipe.toml`, `manifest.json`, `splits.json`, `metrics.jsonl`, checkpoints and
`report.html`.
"""

from __future__ import annotations

import errno
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import nn

from convolve import models
from convolve.choices import EXPORT_CARD, NETWORK_FILES
from convolve.errors import OptionError, RunError
from convolve.files import atomic_write, shell_quote, write_text
from convolve.layers.design import flags
from convolve.models.graph_file import definition_text
from convolve.training.manifest import MANIFEST, Manifest, Record, digest_of_file, is_number, parse_record
from convolve.training.recipe import Recipe, check, read_recipe, recipe_document, write_recipe
from convolve.untrusted.documents import parse_json
from convolve.untrusted.files import is_file, read_file, read_text
from convolve.values import Dataset, Splits

CHECKPOINTS, WEIGHTS = "checkpoints", "weights.safetensors"
METRICS, TIMES = "metrics.jsonl", "timing.jsonl"
_RECIPE, _SPLITS = "recipe.toml", "splits.json"
_NETWORKS = {".cfg": "network.cfg", ".json": "network.json"}
"""The copy of the file that describes the network, where it is not one of ours, by that file's suffix. What a person
writes, a text or a TOML file, becomes a definition too.
"""
DEFINITION = _NETWORKS[".json"]
_DIGESTED = (_SPLITS, METRICS, TIMES, WEIGHTS, *_NETWORKS.values())
_BACKUP = "restore it from a backup or train again."
_PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Run:
    """A run on disk."""

    folder: Path
    recipe: Recipe
    manifest: Manifest
    digests: Mapping[str, str] = field(default_factory=dict)
    """Of its other files by name, as far as they have one."""
    moved_data: bool = False
    """Whether its recipe has another path of the data than at its beginning; such data may be other data."""

    @property
    def weights(self) -> Path:
        """The file of the whole network's best weights; it exists once the training has ended."""
        return self.folder / WEIGHTS


def new_folder(name: str) -> Path:
    """Make a folder in `runs`, numbered where the name is taken; no other training gets it. Raises `RunError`."""
    number, folder = 1, Path("runs", name)
    while True:
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            number += 1
            folder = Path("runs", f"{name}-{number}")
        except OSError as error:
            raise RunError(f"{folder} cannot be made ({error.strerror}); choose another --out.") from error
        else:
            return folder


def taken(folder: Path) -> RunError:
    """What to raise where a folder holds a run, or what a training has left that was stopped before it began."""
    if not any((folder / name / "manifest.json").exists() for name in (".", "fold-1")):
        return RunError(
            f"{folder} holds a run that has not begun; choose another --out, or delete it where no training is running."
        )
    resume = f"--resume {shell_quote(folder)}"
    return RunError(f"{folder} already holds a run; choose another --out, or continue it with {resume}.")


def inner_path(folder: Path, name: str) -> Path:
    """The path of what a command fills in a run's folder. Raises `RunError` where a link is there."""
    path = folder / name
    if path.is_symlink():
        raise RunError(f"{path} is a link, which a run is not written through; put what it leads to in its place.")
    return path


def create_run(folder: Path, recipe: Recipe, manifest: Manifest, dataset: Dataset, splits: Splits) -> Run:
    """Create the folder with everything that is known before the first step. Raises `RunError` where another training
    has done so meanwhile.
    """
    text, size = None, manifest.preprocessing
    if recipe.network and (recipe.network.endswith(".toml") or " " in recipe.network):
        shape = (size.channels, size.height, size.width)
        definition = models.define(recipe.network, manifest.outputs, shape)
        text = None if definition is None else definition_text(definition)
    begin_folder(folder, recipe, text)
    own = _names(dataset)
    names = {part: [own[index] for index in getattr(splits, part).tolist()] for part in _PARTS}
    write_text(folder / _SPLITS, json.dumps({"origin": splits.origin, **names}, ensure_ascii=False, indent=0))
    return write_manifest(Run(folder, recipe, manifest))


def begin_folder(folder: Path, recipe: Recipe, network: str | None = None) -> None:
    """Make a run's folder, with its recipe and the text of the file that describes its ``network``, by default a copy
    of that file if it is not one of ours. Raises `RunError` where there is a run already.
    """
    try:
        (folder / CHECKPOINTS).mkdir(parents=True)
    except FileExistsError:
        raise taken(folder) from None
    except OSError as error:
        raise RunError(f"{folder} cannot be written ({error.strerror}); choose another --out.") from error
    write_recipe(folder / _RECIPE, recipe)
    if recipe.network and (network is not None or recipe.network.endswith(NETWORK_FILES)):
        copy = folder / _NETWORKS.get(Path(recipe.network).suffix, DEFINITION)
        write_text(copy, read_text(recipe.network) if network is None else network)


def recipe_to_build(run: Run) -> Recipe:
    """The run's recipe, with its own copy of the file where the network is from a file. Raises `RunError`."""
    copy = next((name for name in _NETWORKS.values() if name in run.digests), None)
    return replace(run.recipe, network=str(check_file(run, copy))) if copy else run.recipe


def network_label(run: Run) -> str:
    """What the run's network is called, with what its design changes. Raises `RunError`, and `NetworkError` where a
    library is not installed.
    """
    label, changed = models.card(recipe_to_build(run).network or "").label, flags(run.recipe.design)
    return f"{label} {changed}" if changed else label


def without_data(run: Run) -> RunError:
    """What to raise where a run that was converted is asked for the data that it was trained on."""
    return RunError(
        f"{run.folder} was converted from another program's file and has no data of its own; name data or images."
    )


def open_training(folder: Path) -> Run:
    """A run whose training can go on. Raises `RunError` as `open_run` does, and for one that was converted."""
    run = open_run(folder)
    if not run.recipe.data:
        raise RunError(
            f"{run.folder} was converted, not trained; start a training from it with "
            f"`convolve train DATA --weights {shell_quote(run.folder)}`."
        )
    return run


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Keep other processes from training in this run's folder. Raises `RunError` where one does so already.

    The system releases the lock when the process ends, however that happens; where there are no such locks, nothing is
    kept.
    """
    try:
        import fcntl
    except ImportError:  # on Windows
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RunError(f"{folder} is being trained by another process; wait for it, or stop it first.") from error
        except OSError:  # a file system without locks
            pass
        yield
    finally:
        os.close(handle)


def save_weights(path: Path, network: nn.Module) -> None:
    """Write a network's weights and statistics by name. Raises `ConvolveError`."""
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    with atomic_write(path) as draft:
        try:
            save_file(state, draft)
        except SafetensorError as error:  # what it makes of a full disk
            raise OSError(errno.ENOSPC, str(error)) from error


def write_manifest(run: Run) -> Run:
    """Write `manifest.json`; the run with the digests of those files that had none. Raises `ConvolveError`."""
    paths = {name: path for name in _DIGESTED if (path := run.folder / name).is_file()}
    digests = {**{name: digest_of_file(path) for name, path in paths.items()}, **run.digests}
    write_text(run.folder / MANIFEST, Record(run.manifest, recipe_document(run.recipe), digests).to_json())
    return replace(run, digests=digests, moved_data=False)


def open_run(folder: Path) -> Run:
    """Read a run's folder. Raises `RunError` when it is missing, not a run, damaged, or has another recipe than the one
    that it was trained by.
    """
    path = folder / MANIFEST
    if not is_file(path):
        if (folder / CHECKPOINTS).is_dir():
            raise taken(folder)
        if is_file(folder / EXPORT_CARD):
            raise RunError(
                f"{folder} is an export, which can only predict, be evaluated and be compared; give the run that it "
                "was made from."
            )
        raise RunError(
            f"{folder} is not a run: it has no manifest.json; give the folder that `convolve train` reported."
        )
    try:
        record = parse_record(read_file(path))
    except (OSError, ValueError) as error:
        raise RunError(f"{path} is damaged ({error}); {_BACKUP}") from error
    try:
        recipe = read_recipe(folder / _RECIPE)
    except OptionError as error:
        raise RunError(str(error)) from error
    try:
        check(recipe, {})
    except OptionError as error:
        raise RunError(f"{folder / _RECIPE}: {error}") from error
    moved = record.recipe is not None and _is_moved(folder / _RECIPE, recipe, record.recipe)
    return Run(folder, recipe, record.manifest, record.digests, moved)


def check_file(run: Run, name: str, remedy: str = _BACKUP) -> Path:
    """The path of one of the run's files. Raises `RunError` where it is not what the run has written."""
    path = run.folder / name
    try:
        damaged = name in run.digests and digest_of_file(path) != run.digests[name]
    except OSError as error:
        raise RunError(f"{path} cannot be read ({error.strerror}); {remedy}") from error
    if damaged:
        raise RunError(f"{path} is damaged: its content does not match its digest; {remedy}")
    return path


def read_lines(run: Run, name: str) -> tuple[list[Mapping[str, Any]], bool]:
    """The numbers by name in each line of one of the run's files; none where there is no such file. And whether its
    last line is left out, since a power cut has torn it. Raises `RunError` for any other damage.
    """
    path, remedy = run.folder / name, "delete it to do without, or restore it from a backup."
    if not path.exists():
        return [], False
    check_file(run, name, remedy)
    try:
        *whole, last = read_file(path).split(b"\n")
    except OSError as error:
        raise RunError(f"{path} cannot be read ({error.strerror}); {remedy}") from error
    lines: list[Mapping[str, Any]] = []
    for number, text in enumerate(whole, 1):
        try:
            line = parse_json(text)
        except ValueError as error:
            raise RunError(f"{path} is damaged: line {number} is no JSON ({error}); {remedy}") from error
        if not isinstance(line, dict) or not all(value is None or is_number(value) for value in line.values()):
            raise RunError(f"{path} is damaged: line {number} holds more than numbers by name; {remedy}")
        lines.append(line)
    return lines, bool(last)


def read_split_names(run: Run) -> tuple[dict[str, list[str]], str]:
    """The names of the images in each of the run's splits, and why they are there. Raises `RunError`."""
    path = check_file(run, _SPLITS)
    try:
        return _names_of_splits(parse_json(read_file(path)))
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read ({error}); {_BACKUP}") from error


def read_splits(run: Run, dataset: Dataset) -> Splits:
    """The splits that the run was trained with, identified by the images' names. Raises `RunError`."""
    names, origin = read_split_names(run)
    index_of = {name: index for index, name in enumerate(_names(dataset))}
    missing = [name for part in _PARTS for name in names[part] if name not in index_of]
    if missing:
        count = len(missing) - 1
        others = f" and {count:,} other image{'s' if count > 1 else ''} of this run" if count else ""
        them = "them" if count else "it"
        raise RunError(f"{dataset.root} no longer holds {missing[0]}{others}; put {them} back, or train again.")
    found = {part: np.array([index_of[name] for name in names[part]], dtype=np.int64) for part in _PARTS}
    return Splits(**found, origin=origin)


def _names_of_splits(document: Any) -> tuple[dict[str, list[str]], str]:
    """The images of each part, and why they are there. Raises `ValueError`."""
    if not isinstance(document, dict) or not isinstance(document.get("origin"), str):
        raise ValueError("it has no origin")
    for part in _PARTS:
        if not isinstance(document.get(part), list) or not all(isinstance(name, str) for name in document[part]):
            raise ValueError(f"{part} is no list of names")
    names = {part: document[part] for part in _PARTS}
    times = Counter(name for part in _PARTS for name in names[part])
    if times and times.most_common(1)[0][1] > 1:
        raise ValueError(f"{times.most_common(1)[0][0]} is in it twice")
    return names, document["origin"]


def _is_moved(path: Path, recipe: Recipe, recorded: Mapping[str, Any]) -> bool:
    """Whether a recipe differs from the one that was recorded by the path of the data alone. Raises `RunError` for any
    other difference, and where there is nothing at that path.
    """
    now, before = (_flat(parse_json(json.dumps(each, default=str))) for each in (recipe_document(recipe), recorded))
    changed = [name for name in {**before, **now} if now.get(name) != before.get(name)]
    if not changed:
        return False
    name = changed[0]
    values = [json.dumps(each[name], ensure_ascii=False) if name in each else "none" for each in (now, before)]
    difference = f"{path} has {name} = {values[0]}, but the run was trained with {values[1]}"
    if changed == ["data"] and Path(recipe.data or "").exists():
        return True
    if changed == ["data"]:
        raise RunError(f"{difference}, and there is nothing at that path; correct it.")
    raise RunError(
        f"{difference}; a run keeps the recipe that it was trained by: undo the change, or train another run with "
        f"`convolve train --recipe {shell_quote(path)}`."
    )


def _flat(document: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A document's entries by names such as `optimization.momentum`."""
    found: dict[str, Any] = {}
    for name, value in document.items():
        found |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return found


def _names(dataset: Dataset) -> list[str]:
    """Unique names: where a table lists a file again, with a number that no file name can have."""
    times: Counter[str] = Counter()
    found: list[str] = []
    for index in range(len(dataset)):
        name = dataset.images.name(index)
        times[name] += 1
        found.append(name if times[name] == 1 else f"{name}/{times[name]}")
    return found
