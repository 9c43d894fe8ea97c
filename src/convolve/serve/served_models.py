"""Runs and exports as they are served: opened once, each with a thread of its own that runs its network."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, final

from convolve.datasets.images import EncodedFile
from convolve.errors import OptionError
from convolve.exports.card import ExportCard, is_export
from convolve.exports.engine import Outputs
from convolve.exports.images import FoundInImage, run_images
from convolve.options import fields
from convolve.progress import silent
from convolve.serve.batching import Batcher
from convolve.serve.inference_protocol import datatype
from convolve.setup.exported import Export, open_export
from convolve.setup.runtime_options import RuntimeOptions
from convolve.tasks.registry import build_options, task_infos
from convolve.values import Images, Indices, Pixels

if TYPE_CHECKING:
    from convolve.exports.images import ReadImage
    from convolve.tasks.exported_task import ExportedPredictor
    from convolve.tasks.task import Prediction, Predictor, Task
    from convolve.training.run import Run


_MOST_PREDICTORS: Final = 8
"""Of a run, each for other options."""
_IMAGES: Final = ("restored", "stylized")
"""What comes out of networks that answer with an image."""


@final
@dataclass(frozen=True)
class PostedImage(Images):
    """The one image of a request."""

    image: EncodedFile

    def __len__(self) -> int:
        return 1

    def name(self, index: int) -> str:
        """What the request calls it."""
        del index
        return self.image.name

    def open(self, index: int) -> EncodedFile:
        """The image."""
        del index
        return self.image

    def take(self, indices: Indices) -> Images:
        """Itself; there is nothing to choose."""
        del indices
        return self


@dataclass(frozen=True, eq=False)
class Query:
    """An image that was read for a network by the predictor that will say what is found in it."""

    name: str
    predictor: Any
    read: Any


class ServedModel(Protocol):
    """A trained network that is open."""

    @property
    def task(self) -> str:
        """The task's name."""
        ...

    @property
    def batcher(self) -> Batcher[Query, Prediction]:
        """Where queries go."""
        ...

    def query(self, blob: bytes, name: str, options: Mapping[str, object], drawn: Path | None) -> Query:
        """An image from its bytes; the answer is drawn into the folder ``drawn``, if any. Raises `ImageError`, and
        `OptionError` for an option that the task does not have or that names a file.
        """
        ...


def open_model(folder: Path) -> ServedModel:
    """A run or an export. Raises `RunError`, `ExportError`."""
    return ServedExport(folder) if is_export(folder) else ServedRun(folder)


@final
class ServedExport:
    """An export, which needs no torch."""

    def __init__(self, folder: Path) -> None:
        self.export: Export = open_export(folder, RuntimeOptions())
        self.batcher: Batcher[Query, Prediction] = Batcher(self._answer)
        self._lock = threading.Lock()

    @property
    def task(self) -> str:
        """The task's name."""
        return self.card.task

    @property
    def card(self) -> ExportCard:
        """What the export says of itself."""
        return self.export.card

    def query(self, blob: bytes, name: str, options: Mapping[str, object], drawn: Path | None) -> Query:
        """See `ServedModel.query`."""
        own = predict_options(self.task, options, drawn)
        predictor: ExportedPredictor = self.export.task.predictor(own, self.export.engine.outputs)
        return Query(name, predictor, predictor.read(PostedImage(EncodedFile(blob, name)), 0))

    def outputs(self) -> list[dict[str, Any]]:
        """What leaves the network, as the Open Inference Protocol describes tensors; -1 for any size."""
        described = self.export.engine.described_outputs()
        return [{"name": name, "datatype": datatype(kind), "shape": list(shape)} for name, kind, shape in described]

    def infer(self, images: Pixels) -> Outputs:
        """What leaves the network for images (N, H, W, C), by name. Raises `ExportError`."""
        with self._lock:
            return self.export.engine.infer(images)

    def _answer(self, queries: Sequence[Query]) -> list[Prediction | Exception]:
        read: list[tuple[int, ReadImage]] = [(index, each.read) for index, each in enumerate(queries)]
        with self._lock:
            found: list[FoundInImage] = list(run_images(self.export.engine, read))
        return [each.predictor.predict(each.name, one) for each, one in zip(queries, found, strict=True)]


@final
class ServedRun:
    """A run, for which torch is imported."""

    def __init__(self, folder: Path) -> None:
        from convolve.setup.restore import restore_task
        from convolve.training.run import open_run

        self._run: Run = open_run(folder)
        self._task: Task
        self._task, self._runtime = restore_task(self._run, RuntimeOptions(), silent)
        self._predictors: dict[str, Predictor] = {}
        self.batcher: Batcher[Query, Prediction] = Batcher(self._answer)

    @property
    def task(self) -> str:
        """The task's name."""
        return self._run.manifest.task

    def query(self, blob: bytes, name: str, options: Mapping[str, object], drawn: Path | None) -> Query:
        """See `ServedModel.query`."""
        own = predict_options(self.task, options, drawn)
        predictor = self._predictors.get(repr(own))
        if predictor is None:
            predictor = self._task.predictor(self._run.manifest.preprocessing, self._runtime, own)
        if drawn is None:
            if len(self._predictors) >= _MOST_PREDICTORS:
                self._predictors.clear()
            self._predictors[repr(own)] = predictor
        return Query(name, predictor, predictor.read(PostedImage(EncodedFile(blob, name)), 0))

    def _answer(self, queries: Sequence[Query]) -> list[Prediction | Exception]:
        answers: dict[int, Prediction] = {}
        for predictor in {id(each.predictor): each.predictor for each in queries}.values():
            own = [index for index, each in enumerate(queries) if each.predictor is predictor]
            names, read = [queries[index].name for index in own], [queries[index].read for index in own]
            answers |= zip(own, predictor.predict(names, read), strict=True)
        return [answers[index] for index in range(len(queries))]


def predict_options(task: str, values: Mapping[str, object], drawn: Path | None = None) -> Any:
    """A task's options from a request's, with the folder ``drawn`` for images, if any. Raises `OptionError` for an
    unknown one, for one that names a file, for a task that draws nothing, and without a folder for one that answers
    with an image.
    """
    own = build_options(task, "predict", values)
    known = {option.name: option for option in fields(type(own))}
    for name, option in known.items():
        value = getattr(own, name)
        paths = value if isinstance(value, tuple) else (value,)
        if any(isinstance(each, Path) for each in paths) or (option.path_like and value is not None):
            raise OptionError(f"{name} names a file, and the server reads and writes none; leave it out.")
    if drawn is None and next(info for info in task_infos() if info.name == task).output in _IMAGES:
        raise OptionError("This network answers with an image; ask for it with Accept: image/*.")
    if drawn is None:
        return own
    if "out" not in known:
        raise OptionError(f"The task {task} draws nothing; ask for its answer with Accept: application/json.")
    return replace(own, out=drawn)
