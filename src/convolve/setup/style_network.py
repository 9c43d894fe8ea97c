"""The network whose maps style transfer compares: that of a run, or one with official weights."""

from __future__ import annotations

from pathlib import Path

from convolve import models
from convolve.errors import OptionError, WeightsError
from convolve.interop.official_files import fetch_file, find_file, torch_cache
from convolve.interop.weights import imagenet_weights, official_file, rename
from convolve.models import Network
from convolve.models.weights import load_weights, translate
from convolve.progress import Listener
from convolve.runtime import Runtime, choose
from convolve.setup.restore import restore_task
from convolve.setup.runtime_options import RuntimeOptions
from convolve.training.run import open_run
from convolve.values import Preprocessing


def open_style_network(
    name: str, options: RuntimeOptions, listener: Listener
) -> tuple[Network, Preprocessing, Runtime]:
    """A trained network by the folder of its run, or by its name with its official ImageNet weights.

    Raises `RunError`, `NetworkError`, `WeightsError` where there are no weights, and `OptionError` for a network that
    takes no images as they are.
    """
    network, preprocessing, runtime = (_of_run if Path(name).is_dir() else _official)(name, options, listener)
    if preprocessing.channels not in (1, 3) or preprocessing.permutation is not None:
        raise OptionError(f"{name} takes no color or gray images as they are; choose another --network.")
    return network, preprocessing, runtime


def _of_run(name: str, options: RuntimeOptions, listener: Listener) -> tuple[Network, Preprocessing, Runtime]:
    run = open_run(Path(name))
    task, runtime = restore_task(run, options, listener)
    return task.network, run.manifest.preprocessing, runtime


def _official(name: str, options: RuntimeOptions, listener: Listener) -> tuple[Network, Preprocessing, Runtime]:
    published = models.card(name).classifier or name
    file = official_file(published)
    if file and find_file(file) is None:
        try:
            fetch_file(file, listener)
        except OSError as error:
            raise WeightsError(
                f"The weights of {name} are not on this machine and cannot be fetched ({error}); put {file.address} "
                f"into {torch_cache()}, or give --network the folder of a run of yours or of `convolve convert`."
            ) from error
    found = imagenet_weights(published, listener)
    network = models.create(name, channels=found.preprocessing.channels)
    load_weights(network, translate(network, found.state, rename))
    runtime = choose(**vars(options))
    runtime.prepare(network)
    return network, found.preprocessing, runtime
