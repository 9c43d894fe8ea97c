"""`convolve train`: from images on disk to a trained, evaluated network."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from convolve.errors import OptionError, RunError
from convolve.options import Flat, flat
from convolve.progress import Listener
from convolve.training.recipe import Recipe
from convolve.verbs.running import Running
from convolve.verbs.verb import Verb

if TYPE_CHECKING:
    from rich.console import RenderableType

    from convolve.tasks.task import Evaluation


@dataclass(frozen=True)
class Train:
    """Train a network on images, and leave a run: a folder with its weights, figures and report.

    What is not said is chosen from the data and the machine, and printed with its reason.
    """

    training: Annotated[Recipe, Flat] = field(default_factory=Recipe)
    _: KW_ONLY
    recipe: Path | None = None
    """Start from this recipe (a run's `recipe.toml`); options that are given too win over it."""
    out: Path | None = None
    """Folder of the run; by default a new one below `runs`."""
    resume: Path | None = None
    """Go on with this run where it was stopped, to the same weights, bit for bit."""
    tensorboard: bool = False
    """Write the figures for TensorBoard too, into the run's folder."""
    running: Annotated[Running, flat("Runtime")] = field(default_factory=Running)


@dataclass(frozen=True)
class Trained:
    """A run that has ended: its folder, its evaluation, and the epoch that was kept."""

    run: Path
    task: str
    evaluation: Evaluation
    epoch: int
    report: Path

    def as_json(self) -> dict[str, Any]:
        """`run`, `report`, `epoch` and the evaluation's figures."""
        return {"run": str(self.run), "report": str(self.report), "epoch": self.epoch, **self.evaluation.as_json()}


@dataclass(frozen=True)
class Folds:
    """Several runs on different divisions of the same data."""

    runs: tuple[Trained, ...]

    def as_json(self) -> dict[str, Any]:
        """`folds`, and `figures`: the mean and the spread (sample standard deviation) of each, null where undefined."""
        plain = {
            name: {key: value if math.isfinite(value) else None for key, value in figure.items()}
            for name, figure in self.figures().items()
        }
        return {"folds": [run.as_json() for run in self.runs], "figures": plain}

    def figures(self) -> Mapping[str, dict[str, float]]:
        """Mean and spread of every figure over the folds."""
        import statistics

        names = self.runs[0].evaluation.figures
        columns = {name: [run.evaluation.figures[name] for run in self.runs] for name in names}
        return {
            name: {"mean": statistics.mean(values), "spread": statistics.stdev(values)}
            for name, values in columns.items()
        }


def run(options: Train, listener: Listener) -> Trained | Folds:
    """Train, or go on with a run. Raises `ConvolveError`."""
    from convolve.training.recipe_file import changed, read_recipe
    from convolve.verbs.folds import fold_folder, resume_folds, train_folds
    from convolve.verbs.training import resume, train

    if options.tensorboard:
        _need_tensorboard()
    if options.resume:
        if options.training != Recipe() or options.recipe or options.out or options.running != Running():
            raise OptionError("A run goes on with its own recipe and folder; give --resume without other options.")
        return (resume_folds if fold_folder(options.resume, 0).is_dir() else resume)(options.resume, options, listener)
    recipe = changed(read_recipe(options.recipe), options.training) if options.recipe else options.training
    folder = options.out or _new_folder(recipe)
    _refuse_taken(folder)
    return (train_folds if (recipe.splitting.folds or 1) > 1 else train)(recipe, folder, options, listener)


def shown(result: Trained | Folds) -> Iterator[RenderableType]:
    """The test figures, the confusion matrix and where the report stands; or the folds' mean and spread."""
    from convolve.tasks.task import find

    if isinstance(result, Trained):
        yield from find(result.task).shown(result.evaluation)
        yield f"run     {result.run} (epoch {result.epoch} kept)"
        yield f"report  {result.report}"
        return
    for name, figure in result.figures().items():
        yield f"{name:20} {figure['mean']:.4f} ± {figure['spread']:.4f} over {len(result.runs)} folds"


def _need_tensorboard() -> None:
    """Before anything is read: a person should not wait for it."""
    import importlib.util

    if importlib.util.find_spec("tensorboard") is None:
        raise OptionError("TensorBoard is not installed; run `pip install convolve[tensorboard]`.")


def _refuse_taken(folder: Path) -> None:
    taken = [name for name in ("manifest.json", "checkpoints", "fold-1") if (folder / name).exists()]
    if taken:
        raise RunError(f"{folder} holds a run already; choose another --out, or go on with it by --resume {folder}.")


def _new_folder(recipe: Recipe) -> Path:
    name = f"{Path(recipe.data or 'data').resolve().name or 'data'}-{recipe.network or 'network'}".replace("/", "-")
    numbers = (Path("runs") / (f"{name}-{number}" if number > 1 else name) for number in range(1, 10**6))
    return next(folder for folder in numbers if not folder.exists())


VERB = Verb(Train, run, shown)
