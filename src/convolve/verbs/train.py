"""`convolve train`: from images on disk to a trained, evaluated network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from convolve.errors import OptionError, RunError
from convolve.options import Flat, flat, merge
from convolve.progress import Listener, Remark
from convolve.training.recipe import Recipe
from convolve.verbs.running import Running
from convolve.verbs.verb import Verb

if TYPE_CHECKING:
    from rich.console import RenderableType

    from convolve.tasks.classify_evaluation import Evaluation


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
        """`folds`, and `figures`: the mean and the spread (sample standard deviation) of each."""
        return {"folds": [run.as_json() for run in self.runs], "figures": self.figures()}

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
    from convolve.training.recipe_file import read_recipe
    from convolve.verbs.training import resume, train

    if options.resume:
        if options.training != Recipe() or options.recipe or options.out:
            raise OptionError("A run goes on with its own recipe and folder; give --resume without other options.")
        return resume(options.resume, options, listener)
    recipe = merge(read_recipe(options.recipe), options.training) if options.recipe else options.training
    folder = options.out or _new_folder(recipe)
    if (folder / "manifest.json").exists():
        raise RunError(f"{folder} holds a run already; choose another --out, or go on with it by --resume {folder}.")
    folds = recipe.splitting.folds or 1
    if folds == 1:
        return train(recipe, folder, options, listener)
    runs = []
    for fold in range(folds):
        listener(Remark(f"Fold {fold + 1} of {folds}"))
        runs.append(train(recipe, folder / f"fold-{fold + 1}", options, listener, fold))
    return Folds(tuple(runs))


def shown(result: Trained | Folds) -> Iterator[RenderableType]:
    """The test figures, the confusion matrix and where the report stands; or the folds' mean and spread."""
    from convolve.verbs.showing import evaluation_shown

    if isinstance(result, Trained):
        yield from evaluation_shown(result.evaluation)
        yield f"run     {result.run} (epoch {result.epoch} kept)"
        yield f"report  {result.report}"
        return
    for name, figure in result.figures().items():
        yield f"{name:20} {figure['mean']:.4f} ± {figure['spread']:.4f} over {len(result.runs)} folds"


def _new_folder(recipe: Recipe) -> Path:
    name = f"{Path(recipe.data or 'data').name}-{recipe.network or 'network'}"
    numbers = (Path("runs") / (f"{name}-{number}" if number > 1 else name) for number in range(1, 10**6))
    return next(folder for folder in numbers if not folder.exists())


VERB = Verb(Train, run, shown)
