"""A trained network: that of a run, or one with official weights; a task may learn by what such a network sees."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from convolve import models
from convolve.errors import OptionError, RunError, WeightsError
from convolve.files import shell_quote
from convolve.interop.official_files import fetch_file, find_file, torch_cache
from convolve.interop.weights import imagenet_weights, official_file, read_weights, rename
from convolve.models import Network
from convolve.models.gap import with_gap
from convolve.models.weights import check_numbers, load_weights, translate
from convolve.progress import Listener, silent
from convolve.training.run import WEIGHTS, Run, check_file, open_run, recipe_to_build
from convolve.values import Preprocessing


def open_trained_network(name: str, option: str, listener: Listener = silent) -> tuple[Network, Preprocessing]:
    """A network by the folder of its run, or by its name with its official ImageNet weights, in evaluation mode.

    Raises `RunError`, `NetworkError`, `WeightsError` where there are no weights, and `OptionError`, which names the
    ``option``, for a network that takes no images as they are, or gives none but images.
    """
    network, preprocessing = (_of_run if Path(name).is_dir() else _official)(name, option, listener)
    if preprocessing.channels not in (1, 3) or preprocessing.permutation is not None:
        raise OptionError(f"{name} takes no color or gray images as they are; choose another {option}.")
    if network.card.output == "stylized":
        raise OptionError(
            f"{name} has learned a style itself: it is applied with `convolve predict`; choose another {option}."
        )
    return network.eval(), preprocessing


def load_run(run: Run) -> Network:
    """A run's network with the weights of its best epoch. Raises `RunError`."""
    recipe, manifest = recipe_to_build(run), run.manifest
    channels, size = manifest.preprocessing.channels, (manifest.preprocessing.height, manifest.preprocessing.width)
    seed = recipe.seed or 0
    network = models.create(recipe.network or "", manifest.outputs, channels, size, seed, recipe.design)
    if recipe.transfer.gap:
        network = with_gap(network, manifest.outputs, seed)
    weights = best_weights(run)
    try:
        check_numbers(network.state_dict(), weights)
        network.load_state_dict(weights)
    except WeightsError as error:
        raise RunError(f"{run.weights} is damaged: {error}") from error
    except RuntimeError as error:
        raise RunError(
            f"{run.weights} does not fit {run.recipe.network}; restore it from a backup or train again."
        ) from error
    return network


def best_weights(run: Run) -> Mapping[str, Tensor]:
    """The weights of a run's best epoch. Raises `RunError` where the training has not ended or the file is damaged."""
    begun = bool(run.digests) and WEIGHTS not in run.digests
    if begun or not run.weights.is_file():
        command = f"convolve train --resume {shell_quote(run.folder)}"
        raise RunError(f"{run.folder} has not ended its training; continue with `{command}`.")
    try:
        return read_weights(check_file(run, WEIGHTS))
    except WeightsError as error:
        raise RunError(f"{run.weights} is damaged; restore it from a backup or train again.") from error


def _of_run(name: str, option: str, listener: Listener) -> tuple[Network, Preprocessing]:
    del option, listener
    run = open_run(Path(name))
    return load_run(run), run.manifest.preprocessing


def _official(name: str, option: str, listener: Listener) -> tuple[Network, Preprocessing]:
    published = models.card(name).classifier or name
    file = official_file(published)
    if file and find_file(file) is None:
        try:
            fetch_file(file, listener)
        except OSError as error:
            raise WeightsError(
                f"The weights of {name} are not on this machine and cannot be fetched ({error}); put {file.address} "
                f"into {torch_cache()}, or give {option} the folder of a run of yours or of `convolve convert`."
            ) from error
    found = imagenet_weights(published, listener)
    network = models.create(name, channels=found.preprocessing.channels)
    load_weights(network, translate(network, found.state, rename))
    return network, found.preprocessing
