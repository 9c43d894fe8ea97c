"""What several verbs share: where the arithmetic runs, and a run's network made ready to predict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convolve.words import Precision

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from convolve.runtime import Runtime
    from convolve.training.run import Run


@dataclass(frozen=True)
class Running:
    """Where and how the arithmetic runs; chosen by the machine and the network unless said."""

    device: str | None = None
    """`cpu`, `cuda`, `cuda:1` or `mps`."""
    precision: Precision | None = None
    """Number format of the arithmetic; weights are kept in fp32."""
    threads: int | None = None
    """Processor threads."""


def kept_weights(run: Run) -> Mapping[str, Tensor]:
    """The weights that a run keeps. Raises `RunError` where its training has not ended, `WeightsError` for a damaged
    file.
    """
    from convolve.errors import RunError
    from convolve.interop.weights import read_weights

    if not run.weights.is_file():
        raise RunError(f"{run.folder} has not ended its training; go on with `convolve train --resume {run.folder}`.")
    return read_weights(run.weights)


def restored(run: Run, running: Running) -> tuple[Any, Runtime]:
    """The run's network with its best weights, as the task that it was trained for. Raises `RunError`."""
    from convolve.errors import RunError
    from convolve.runtime import choose
    from convolve.summary import summarize
    from convolve.tasks.task import find
    from convolve.verbs.making import network_of

    manifest, recipe = run.manifest, run.recipe
    size = manifest.preprocessing
    network, _ = network_of(recipe, len(manifest.classes), size)
    weights = kept_weights(run)
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise RunError(f"{run.weights} does not fit {recipe.network}; restore it or train again.") from error
    macs = summarize(network, (size.channels, size.height, size.width)).macs
    runtime = choose(running.device, running.precision, running.threads, macs)
    runtime.prepare(network)
    network.eval()
    return find(manifest.task).restore(network, manifest), runtime
