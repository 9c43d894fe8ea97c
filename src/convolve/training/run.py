"""The folder that a training leaves: `recipe.toml`, `manifest.json`, `splits.json`, `metrics.jsonl`, checkpoints and
`report.html`.
"""

from __future__ import annotations

import dataclasses
import errno
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import nn

from convolve.errors import RunError
from convolve.files import atomic_write, shell_quote, write_text
from convolve.training.recipe import Recipe, read_recipe, write_recipe
from convolve.values import Dataset, Preprocessing, Splits

CHECKPOINTS = "checkpoints"
_PARTS = ("train", "validation", "test")


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
class Run:
    """A run on disk."""

    folder: Path
    recipe: Recipe
    manifest: Manifest

    @property
    def weights(self) -> Path:
        """The file of the whole network's best weights; it exists once the training has ended."""
        return self.folder / "weights.safetensors"


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


def create_run(folder: Path, recipe: Recipe, manifest: Manifest, dataset: Dataset, splits: Splits) -> Run:
    """Create the folder with everything that is known before the first step. Raises `RunError` where another training
    has done so meanwhile.
    """
    try:
        (folder / CHECKPOINTS).mkdir(parents=True)
    except FileExistsError:
        raise taken(folder) from None
    except OSError as error:
        raise RunError(f"{folder} cannot be written ({error.strerror}); choose another --out.") from error
    write_recipe(folder / "recipe.toml", recipe)
    own = _names(dataset)
    names = {part: [own[index] for index in getattr(splits, part).tolist()] for part in _PARTS}
    write_text(folder / "splits.json", json.dumps({"origin": splits.origin, **names}, ensure_ascii=False, indent=0))
    write_manifest(folder, manifest)
    return Run(folder, recipe, manifest)


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


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `manifest.json`. Raises `ConvolveError`."""
    write_text(folder / "manifest.json", json.dumps(dataclasses.asdict(manifest), ensure_ascii=False, indent=2))


def open_run(folder: Path) -> Run:
    """Read a run's folder. Raises `RunError` when it is missing, not a run, or damaged."""
    path = folder / "manifest.json"
    if not path.is_file():
        if (folder / CHECKPOINTS).is_dir():
            raise taken(folder)
        raise RunError(
            f"{folder} is not a run: it has no manifest.json; give the folder that `convolve train` reported."
        )
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        inner = document.pop("preprocessing")
        preprocessing = Preprocessing(**inner | {"mean": tuple(inner["mean"]), "std": tuple(inner["std"])})
        manifest = Manifest(preprocessing=preprocessing, **document)
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path} is damaged ({error}); restore it from a backup or train again.") from error
    return Run(folder, read_recipe(folder / "recipe.toml"), manifest)


def read_splits(folder: Path, dataset: Dataset) -> Splits:
    """The splits that the run was trained with, identified by the images' names. Raises `RunError`."""
    try:
        document = json.loads((folder / "splits.json").read_text(encoding="utf-8"))
        names, origin = {part: list(document[part]) for part in _PARTS}, str(document["origin"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{folder / 'splits.json'} cannot be read ({error}); train again.") from error
    index_of = {name: index for index, name in enumerate(_names(dataset))}
    missing = [name for part in _PARTS for name in names[part] if name not in index_of]
    if missing:
        count = len(missing) - 1
        others = f" and {count:,} other image{'s' if count > 1 else ''} of this run" if count else ""
        them = "them" if count else "it"
        raise RunError(f"{dataset.root} no longer holds {missing[0]}{others}; put {them} back, or train again.")
    found = {part: np.array([index_of[name] for name in names[part]], dtype=np.int64) for part in _PARTS}
    return Splits(**found, origin=origin)


def _names(dataset: Dataset) -> list[str]:
    """Unique names: where a table lists a file again, with a number that no file name can have."""
    times: Counter[str] = Counter()
    found: list[str] = []
    for index in range(len(dataset)):
        name = dataset.images.name(index)
        times[name] += 1
        found.append(name if times[name] == 1 else f"{name}/{times[name]}")
    return found
