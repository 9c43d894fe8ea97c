"""Several trainings on different divisions of the same data, each a run of its own below one folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from convolve.errors import RunError
from convolve.progress import Listener, Remark
from convolve.training.interrupt import Interrupted
from convolve.training.recipe import Recipe
from convolve.training.run import open_run
from convolve.verbs.running import Running
from convolve.verbs.train import Folds, Train, Trained
from convolve.verbs.training import ended, resume, train


def fold_folder(folder: Path, fold: int) -> Path:
    """Where the run of a fold, counted from 0, stands."""
    return folder / f"fold-{fold + 1}"


def train_folds(recipe: Recipe, folder: Path, options: Train, listener: Listener) -> Folds:
    """Train every fold from the beginning. Raises `ConvolveError`."""

    def one(place: Path, fold: int) -> Trained:
        return train(recipe, place, options, listener, fold)

    return _each(recipe.splitting.folds or 1, folder, listener, one)


def resume_folds(folder: Path, options: Train, listener: Listener) -> Folds:
    """Go on where the folds were stopped: those that have ended are only measured again. Raises `ConvolveError`."""
    first = open_run(fold_folder(folder, 0))
    recipe, options = first.recipe, replace(options, running=Running(**first.manifest.runtime))
    folds = recipe.splitting.folds or 1
    begun = [place for fold in range(folds) if (place := fold_folder(folder, fold) / "manifest.json").is_file()]
    finished = [place for place in begun if open_run(place.parent).manifest.results]
    if len(finished) == folds:
        raise RunError(f"{folder} has ended its training of {folds} folds; train into another --out.")

    def one(place: Path, fold: int) -> Trained:
        if place / "manifest.json" in finished:
            return ended(place)
        if place / "manifest.json" in begun:
            return resume(place, options, listener)
        return train(recipe, place, options, listener, fold)

    return _each(folds, folder, listener, one)


def _each(folds: int, folder: Path, listener: Listener, one: Callable[[Path, int], Trained]) -> Folds:
    runs: list[Trained] = []
    for fold in range(folds):
        listener(Remark(f"Fold {fold + 1} of {folds}"))
        try:
            runs.append(one(fold_folder(folder, fold), fold))
        except Interrupted as error:
            sentence = str(error).partition(";")[0]
            raise Interrupted(f"{sentence}; go on with: convolve train --resume {folder}") from error
    return Folds(tuple(runs))
