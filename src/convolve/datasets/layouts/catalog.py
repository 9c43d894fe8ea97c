"""Sets known by name: scikit-learn's digits, and those that are in a data folder or can be downloaded into it."""

from __future__ import annotations

import os
import sys
import textwrap
from pathlib import Path

import numpy as np

from convolve.datasets.images import ImageArray
from convolve.datasets.labels import Labels
from convolve.errors import DataError
from convolve.values import Dataset

NAMES = (
    "digits", "mnist", "fashion-mnist", "kmnist", "emnist-balanced", "emnist-letters", "emnist-digits",
    "emnist-byclass", "emnist-bymerge", "cifar10", "cifar100", "stl10", "svhn", "flowers102", "pets",
)  # fmt: skip
"""The names that `open_dataset` knows."""
SYSTEM_FOLDERS = (Path("/usr/share/datasets"), Path("/usr/local/share/datasets"))
"""Where systems' packages put datasets (Debian's `dataset-fashion-mnist`, for one)."""
_DEBIAN_PACKAGES = {"fashion-mnist": "dataset-fashion-mnist"}


def data_folder() -> Path:
    """Where downloads go: `$CONVOLVE_DATA`, or `convolve/data` in the user's cache folder.

    Raises `DataError` where the user has no home directory.
    """
    try:
        if chosen := os.environ.get("CONVOLVE_DATA"):
            return Path(chosen).expanduser()
        if sys.platform == "win32":
            return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "convolve" / "data"
        if sys.platform == "darwin":
            return Path.home() / "Library" / "Caches" / "convolve" / "data"
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "convolve" / "data"
    except RuntimeError as error:  # as Path.home has it
        raise DataError(
            "There is no home directory for built-in datasets; set CONVOLVE_DATA to a folder for them."
        ) from error


def digits() -> Dataset:
    """1,797 handwritten digits of 8x8, scanned by NIST and part of scikit-learn; their 17 grays become 0 to 255."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[..., None]
    labels = Labels(bunch.target.astype(np.int64), tuple("0123456789"))
    reason = "the digits that come with scikit-learn"
    return Dataset("digits", "named", reason, ImageArray(images, "digits"), {"labels": labels}, {})


def locate(name: str) -> Path:
    """A built-in dataset's folder, or its images file: in the data folder, where the system has it, or downloaded now.

    Raises `DataError` saying where to put the files when it is nowhere.
    """
    collection = "emnist" if name.startswith("emnist") else name
    home = data_folder() / collection
    candidates = [home, *(folder / collection for folder in SYSTEM_FOLDERS)]
    found = next((folder for folder in candidates if folder.is_dir()), None)
    if found is None:
        _download(collection, home)
        found = home
    return _one_of_emnist(name, found) if collection == "emnist" else found


def _download(name: str, home: Path) -> None:
    from convolve.datasets.download import ADDRESSES, download

    try:
        download(name, home)
    except Exception as error:  # whatever a network can do
        why = textwrap.shorten(str(error), 160, placeholder=" …")
        package = _DEBIAN_PACKAGES.get(name)
        other = f", or install the system's package, on Debian `apt install {package}`" if package else ""
        raise DataError(
            f"{name} is not on this machine and could not be downloaded from {ADDRESSES[name]} ({why}); put its files "
            f"into {home}{other}."
        ) from error


def _one_of_emnist(name: str, folder: Path) -> Path:
    files = sorted(folder.rglob(f"{name}-train-images*")) + sorted(folder.rglob(f"{name}-test-images*"))
    if not files:
        raise DataError(f"{name} is not among the files in {folder}; put {name}-train-images-idx3-ubyte.gz there.")
    return files[0]
