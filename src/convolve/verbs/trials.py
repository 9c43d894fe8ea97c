"""Trainings that a command makes one after another, each of them once: what `ablate` and `sweep` have in common."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convolve.errors import Interrupted, OptionError, RunError
from convolve.options import build, merge
from convolve.progress import Listener
from convolve.setup.runtime_options import RuntimeOptions
from convolve.training.recipe import Recipe, as_stored, read_recipe, values, with_lasting_paths

if TYPE_CHECKING:
    from convolve.training.run import Run


def open_recipe(path: Path) -> Recipe:
    """The recipe in a file, or of a run's folder. Raises `OptionError` where it has folds, or its metric is none that
    is written in percent.
    """
    from convolve.tasks.registry import find_task

    recipe = as_stored(read_recipe(path / "recipe.toml" if path.is_dir() else path))
    if (recipe.splitting.folds or 1) > 1:
        raise OptionError(f"{path} asks for {recipe.splitting.folds} folds; set folds to 1, and repeat with --seeds.")
    if recipe.task and (info := find_task(recipe.task).info).unit != "%":
        raise OptionError(
            f"The task {info.name} is measured in {info.unit}, and trials are written in percent; train its runs one "
            "by one, and use `convolve compare`."
        )
    return recipe


def with_value(recipe: Recipe, name: str, value: object) -> Recipe:
    """The recipe with one option changed, by its flat name, also to None."""
    if name in recipe.task_options:
        return replace(recipe, task_options={**recipe.task_options, name: value})
    known: dict[str, Any] = {key: entry for key, entry in {**values(recipe), name: value}.items() if entry is not None}
    return replace(build(Recipe, known), task_options=recipe.task_options)


def train_once(
    recipe: Recipe, folder: Path, runtime: RuntimeOptions, listener: Listener, *, validate_only: bool = False
) -> Run:
    """The ended run of a recipe in a folder: as it is there, continued, or trained now. Raises `RunError` where the
    folder holds a run of another recipe, `Interrupted` where a person has stopped it.
    """
    from convolve.tasks.registry import find_task
    from convolve.training.run import open_run
    from convolve.verbs import train

    wanted = with_lasting_paths(recipe, find_task(recipe.task).info.options if recipe.task else None)
    if wanted.transfer.weights in ("auto", "none"):  # a run stores which weights it found, or nothing
        wanted = with_value(wanted, "weights", None)
    options = train.Train(recipe, out=folder, runtime=runtime, validate_only=validate_only)
    if (folder / "manifest.json").is_file():
        run = open_run(folder)
        if merge(run.recipe, wanted) != run.recipe:
            raise RunError(f"{folder} holds a run of another recipe; choose another --out.")
        if run.manifest.results:
            return run
        options = train.Train(resume=folder, validate_only=validate_only)
    try:
        train.run(options, listener)
    except Interrupted as error:
        stopped = str(error).partition(";")[0]
        raise Interrupted(f"{stopped} of {folder}; the same command with the same --out goes on from there.") from error
    return open_run(folder)


def headline(run: Run, split: str) -> tuple[str, float]:
    """What the metric that selects a run's best epoch is called, and its value on a split. Raises `RunError`."""
    from convolve.tasks.registry import find_task

    manifest = run.manifest
    value = manifest.results.get(split, {}).get("metrics", {}).get(manifest.monitored)
    if value is None:
        raise RunError(f"{run.folder} has no {manifest.monitored} of the {split} split; train into another --out.")
    return find_task(manifest.task).info.metric_titles.get(manifest.monitored, manifest.monitored), float(value)


def format_scores(scores: Sequence[float]) -> str:
    """The mean in percent, with the sample standard deviation where there are several."""
    spread = f" ± {100 * statistics.stdev(scores):.1f}" if len(scores) > 1 else ""
    return f"{100 * statistics.mean(scores):.1f}{spread} %"
