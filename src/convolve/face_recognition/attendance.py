"""From photographs to a table of who is present, absent or unknown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast, final

import numpy as np

from convolve.datasets.images import ImageFiles
from convolve.datasets.inventory import take_inventory
from convolve.datasets.preprocess import fit_to_input
from convolve.errors import DataError, ImageError, OptionError
from convolve.face_recognition.faces import FaceFinder, FoundFace
from convolve.face_recognition.roll import Enrolled, Limit, Sighting, recognize
from convolve.metrics.verification import Doubles, distances_between
from convolve.progress import Listener, Pace
from convolve.setup.restore import restore_task
from convolve.setup.runtime_options import RuntimeOptions
from convolve.tasks.embed.options import EmbedPredictOptions
from convolve.tasks.embed.predictor import EmbeddingPredictor
from convolve.tasks.embed.task import Embed
from convolve.training.run import open_run
from convolve.values import Floats, Pixels


@final
class FaceEmbedder:
    """A run of the task embed that embeds crops of faces."""

    def __init__(self, folder: Path, options: RuntimeOptions, listener: Listener) -> None:
        """Raises `RunError`, and `OptionError` for a run of another task."""
        run = open_run(folder)
        if run.manifest.task != "embed":
            raise OptionError(f"{folder} is a run of the task {run.manifest.task}; give --embedding one of embed.")
        task, runtime = restore_task(run, options, listener)
        self._task = cast(Embed, task)
        self._predictor = EmbeddingPredictor(self._task, runtime, run.manifest.preprocessing, EmbedPredictOptions())

    def embed(self, crops: Sequence[Pixels]) -> Floats:
        """(N, D) embeddings of crops."""
        inputs = [fit_to_input(crop, self._predictor.preprocessing) for crop in crops]
        return self._predictor.embed(inputs)[0]

    @property
    def limit(self) -> Limit:
        """The run's own threshold."""
        own = self._task.threshold
        source = f"the embedding's own, of {own.pairs:,} pairs of different identities in its validation split"
        return Limit(own.distance, own.far, own.frr, source)


@dataclass(frozen=True, eq=False)
class Roll:
    """The ``sightings`` of all photographs; whether the faces are aligned by points, and the limit. ``failed`` says by
    path why photographs could not be read.
    """

    enrolled: Enrolled
    sightings: tuple[Sighting, ...]
    photographs: int
    limit: Limit
    aligned: bool
    failed: Mapping[str, str]

    def best(self, person: int) -> Sighting | None:
        """The nearest face that is the person's; None for who is absent."""
        own = [one for one in self.sightings if one.person == person]
        return min(own, key=lambda one: one.distance) if own else None

    @property
    def present(self) -> tuple[int, ...]:
        """The people of whom there is a face."""
        return tuple(sorted({one.person for one in self.sightings if one.person is not None}))

    @property
    def unknown(self) -> tuple[Sighting, ...]:
        """The faces of nobody who is enrolled."""
        return tuple(one for one in self.sightings if one.person is None)


def enroll(folder: Path, finder: FaceFinder, embedder: FaceEmbedder, listener: Listener) -> Enrolled:
    """The people of a folder: a folder of photographs for each, or single photographs called by their names. Each shows
    one face. Raises `DataError`, and `ImageError` for a photograph that cannot be read.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder; give --enrolled one with a folder of photographs for each person.")
    paths = [Path(name) for name in take_inventory(folder).images]
    if not paths:
        raise DataError(f"There is no image in {folder}; enroll people by photographs of them.")
    owners = [path.parts[0] if len(path.parts) > 1 else path.stem for path in paths]
    names = tuple(sorted(set(owners)))
    files, pace = ImageFiles(folder, tuple(map(str, paths))), Pace(listener, "enrolled", len(paths), "photographs")
    crops = []
    for index in range(len(files)):
        found = finder.find(files, index)
        if len(found) != 1:
            what = "no face" if not found else f"{len(found)} faces"
            raise DataError(
                f"{what.capitalize()} found in {folder / paths[index]}; enroll photographs that show one face, cut out "
                "if need be."
            )
        crops.append(found[0].crop)
        pace(index + 1)
    people = np.array([names.index(owner) for owner in owners], np.int64)
    return Enrolled(names, _embed(embedder, crops), people, tuple(crops))


def take_attendance(
    photographs: ImageFiles, enrolled: Enrolled, finder: FaceFinder, embedder: FaceEmbedder, limit: Limit
) -> Roll:
    """Who is in the photographs. Raises `DataError` where none can be read."""
    means, sightings, failed = enrolled.means(), list[Sighting](), dict[str, str]()
    for index in range(len(photographs)):
        name = photographs.name(index)
        try:
            faces = finder.find(photographs, index)
        except ImageError as error:
            failed[name] = str(error)
            continue
        if faces:
            sightings += recognize(name, faces, _distances(embedder, faces, means), limit.distance)
    if len(failed) == len(photographs):
        raise DataError(f"None of the photographs can be read; the first: {next(iter(failed.values()))}")
    return Roll(enrolled, tuple(sightings), len(photographs), limit, finder.aligns, failed)


def given_limit(distance: float) -> Limit:
    """A limit that a person sets."""
    return Limit(distance, math.nan, math.nan, "as requested, with unknown error rates")


def _distances(embedder: FaceEmbedder, faces: Sequence[FoundFace], means: Floats) -> Doubles:
    return distances_between(_embed(embedder, [face.crop for face in faces]), means)


def _embed(embedder: FaceEmbedder, crops: Sequence[Pixels], batch: int = 32) -> Floats:
    parts = [embedder.embed(crops[start : start + batch]) for start in range(0, len(crops), batch)]
    return np.concatenate(parts)
