"""The faces of photographs, each cut out as an embedding sees it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np

from convolve.datasets.images import ImageFiles, to_channels
from convolve.errors import OptionError
from convolve.face_recognition.alignment import align, cut
from convolve.progress import Listener
from convolve.setup.restore import restore_task
from convolve.setup.runtime_options import RuntimeOptions
from convolve.tasks.detect.prediction import BoxPrediction
from convolve.tasks.faces.prediction import FacePrediction
from convolve.tasks.registry import build_options
from convolve.training.run import open_run
from convolve.values import Pixels

Box = tuple[float, float, float, float]
_FACE = "face"


@dataclass(frozen=True, eq=False)
class FoundFace:
    """A face's left, top, right and bottom in its photograph, the detector's score, and the ``crop`` (112, 112, 3)."""

    box: Box
    score: float
    crop: Pixels


@final
class FaceFinder:
    """Finds faces by a run of the task faces, which gives five points to align them by, or by one of the task detect,
    whose boxes are cut out as they are.
    """

    def __init__(self, folder: Path, options: RuntimeOptions, listener: Listener) -> None:
        """Raises `RunError`, and `OptionError` for a run that finds no faces."""
        run = open_run(folder)
        kind = run.manifest.task
        if kind not in ("faces", "detect"):
            raise OptionError(f"{folder} is a run of the task {kind}; give --faces one of faces, or of detect.")
        task, runtime = restore_task(run, options, listener)
        self._classes = task.classes
        if kind == "detect" and _FACE not in task.classes and len(task.classes) > 1:
            raise OptionError(f"{folder} detects {', '.join(task.classes)}, none of which is called 'face'.")
        self._predictor: Any = task.predictor(run.manifest.preprocessing, runtime, build_options(kind, "predict", {}))
        self.aligns = kind == "faces"

    def find(self, images: ImageFiles, index: int) -> list[FoundFace]:
        """The faces of a photograph, the most confident first. Raises `ImageError`."""
        pixels = to_channels(images.read(index), 3)
        (found,) = self._predictor.predict([images.name(index)], [self._predictor.read(images, index)])
        if isinstance(found, FacePrediction):
            return [
                FoundFace(face.box, face.score, align(pixels, np.array(face.points, np.float64)))
                for face in found.faces
            ]
        if not isinstance(found, BoxPrediction):
            raise TypeError(found)
        wanted = _FACE if _FACE in self._classes else self._classes[0]
        own = [each for each in found.detections if each.name == wanted]
        return [FoundFace(each.box, each.score, cut(pixels, each.box)) for each in own]
