"""`convolve evaluate`: how good a run's network is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from convolve.errors import DataError, ImageError, RunError
from convolve.options import flat
from convolve.progress import Listener
from convolve.verbs.running import Running, restored
from convolve.verbs.verb import Verb

if TYPE_CHECKING:
    from rich.console import RenderableType

    from convolve.tasks.task import Evaluation
    from convolve.training.run import Run
    from convolve.values import Dataset, Indices, Splits


@dataclass(frozen=True)
class Evaluate:
    """Measure a trained network: figures, confusion, every class, calibration; and write its report."""

    run: Path
    """Folder of the run."""
    data: str | None = None
    """Other data to measure on, with the run's classes or some of them; by default the run's own."""
    _: KW_ONLY
    split: Literal["train", "validation", "test", "all"] | None = None
    """Part of the data to measure on: by default the run's test split, and all of other data."""
    report: Path | None = None
    """Where the page goes; by default `evaluation.html` in the run's folder."""
    running: Annotated[Running, flat("Runtime")] = field(default_factory=Running)


@dataclass(frozen=True)
class Evaluated:
    """The evaluation and its page."""

    task: str
    evaluation: Evaluation
    report: Path

    def as_json(self) -> dict[str, Any]:
        """`report`, and the evaluation's figures."""
        return {"report": str(self.report), **self.evaluation.as_json()}


def run(options: Evaluate, listener: Listener) -> Evaluated:
    """Measure. Raises `RunError`, and `DataError` when the data does not fit the run."""
    del listener
    from convolve.tasks.run_report import write_run_report
    from convolve.tasks.task import find
    from convolve.training.run import open_run
    from convolve.verbs.preparing import examples_of, measuring_batches

    trained = open_run(options.run)
    kind = find(trained.manifest.task)
    task, runtime = restored(trained, options.running)
    dataset, part, indices = asked(options, trained)
    preprocessing = trained.manifest.preprocessing
    batches = measuring_batches(examples_of(kind, dataset, preprocessing), indices, preprocessing)
    parts = kind.measured(task, dataset, indices, batches, preprocessing, runtime)
    evaluation = kind.evaluate(task, part, parts, trained.manifest.results)
    place = options.report or options.run / "evaluation.html"
    page = kind.report(task, evaluation, dataset, runtime, preprocessing)
    write_run_report(place, trained, evaluation, *page)
    return Evaluated(trained.manifest.task, evaluation, place)


def shown(result: Evaluated) -> Iterator[RenderableType]:
    """The figures, the confusion matrix, and where the page stands."""
    from convolve.tasks.task import find

    yield from find(result.task).shown(result.evaluation)
    yield f"report  {result.report}"


def asked(options: Evaluate, trained: Run) -> tuple[Dataset, str, Indices]:
    """The data with the run's classes, the name of its part, and that part's images."""
    import numpy as np

    from convolve.training.run import read_splits

    dataset = _opened(options, trained)
    splits = read_splits(trained.folder, dataset) if options.data is None else _own_splits(trained, dataset)
    if splits:
        parts = {"train": splits.train, "validation": splits.validation, "test": splits.test}
        part = options.split or ("test" if len(splits.test) else "validation")
    else:
        parts, part = dict(dataset.given), options.split or "all"
    parts["all"] = np.arange(len(dataset))
    if part not in parts or not len(parts[part]):
        present = ", ".join(name for name, indices in parts.items() if len(indices))
        raise DataError(f"{dataset.root} has no {part} images; choose --split from {present}.")
    return dataset, part, parts[part]


def _opened(options: Evaluate, trained: Run) -> Dataset:
    """The data that was asked for, as the run's task reads it, in the run's classes."""
    from convolve.datasets.layouts import open_dataset
    from convolve.tasks.task import find

    place = trained.recipe.data or ""
    if options.data is None and Path(place).is_absolute() and not Path(place).exists():
        raise DataError(f"The run's data is no longer at {place}; say where: convolve evaluate {options.run} DATA.")
    task = trained.manifest.task
    kind, dataset = find(task), open_dataset(options.data or place, task)
    return kind.relabel(kind.accept(dataset, trained.recipe), trained.manifest)


def _own_splits(trained: Run, dataset: Dataset) -> Splits | None:
    """The run's splits, where the data is the run's own at another place."""
    from convolve.training.run import read_splits
    from convolve.verbs.preparing import unchanged

    try:
        splits = read_splits(trained.folder, dataset)
        return splits if unchanged(trained, dataset, splits) else None
    except (RunError, ImageError):
        return None


VERB = Verb(Evaluate, run, shown)
