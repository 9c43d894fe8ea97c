"""Which trained networks there are below a folder, under names that are no paths."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final, final

from convolve.exports.card import is_export
from convolve.serve.problems import ProblemError
from convolve.serve.served_models import ServedModel, open_model
from convolve.training.manifest import MANIFEST

_DEPTH: Final = 3
_MOST: Final = 10_000
MOST_OPEN: Final = 8
"""Networks that are in memory at once; the one that was not asked for the longest is closed first."""


@dataclass(frozen=True)
class Entry:
    """A run or an export: its ``name``, which is its path below the root with dots for slashes, and its folder."""

    name: str
    folder: Path

    @property
    def kind(self) -> str:
        """`export` or `run`."""
        return "export" if is_export(self.folder) else "run"


@final
class Catalog:
    """The runs and exports below ``root``, found anew each time, and those that are open."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._open: OrderedDict[Path, tuple[int, ServedModel]] = OrderedDict()
        self._lock = threading.Lock()

    def entries(self) -> list[Entry]:
        """All of them, by name. A link that leads out of the root is not followed."""
        found: list[Entry] = []
        level = [self.root]
        for _ in range(_DEPTH + 1):
            below: list[Path] = []
            for folder in level:
                if is_export(folder) or (folder / MANIFEST).is_file():
                    name = ".".join(folder.relative_to(self.root).parts) or folder.name
                    found.append(Entry(name, folder))
                elif len(found) < _MOST:
                    below += [each for each in _folders(folder) if each.resolve().is_relative_to(self.root)]
            level = below
        return sorted(found, key=lambda entry: entry.name)

    def find(self, name: str) -> Entry:
        """The entry of that name. Raises `ProblemError`."""
        for entry in self.entries():
            if entry.name == name:
                return entry
        sentence = "There is no run or export of that name; GET /v2/models lists them."
        raise ProblemError(HTTPStatus.NOT_FOUND, sentence)

    def open(self, name: str) -> ServedModel:
        """A network ready to be asked; one that was trained or exported anew is opened again. Raises `ProblemError`,
        `RunError`, `ExportError`.
        """
        entry = self.find(name)
        written = max(path.stat().st_mtime_ns for path in entry.folder.iterdir() if path.is_file())
        with self._lock:
            before, model = self._open.get(entry.folder, (0, None))
            if model is None or before != written:
                model = open_model(entry.folder)
            self._open[entry.folder] = written, model
            self._open.move_to_end(entry.folder)
            while len(self._open) > MOST_OPEN:
                self._open.popitem(last=False)[1][1].batcher.close()
        return model


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError:  # one that may not be read has nothing for us
        return []
