"""What `convolve compare` compares: a run or a published network with its accuracy, its costs and its speed here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from convolve.errors import NetworkError, RunError
from convolve.verbs.running import Running, restored
from convolve.verbs.timing import BATCH, seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from convolve.models import Card
    from convolve.runtime import Runtime
    from convolve.training.run import Run

PUBLISHED = "published"
_ILSVRC = "ILSVRC-2012"


@dataclass(frozen=True)
class Compared:
    """One run or network: its ``accuracy`` on a split, costs, and the speed measured here. ``criterion`` says what the
    accuracy is: `accuracy`, `average_precision` where images carry several labels, `mean_iou` of pixels.

    A network has the accuracy that its paper gives on ILSVRC-2012, its ``split`` being `published` and ``evaluation``
    saying how it was measured; None where none is known. ``images`` are those that the accuracy was measured on, None
    for networks. ``latency`` is the median of one image's milliseconds, ``speed`` images a second in batches of 16.
    """

    run: str
    network: str
    data: str
    split: str
    images: int | None
    accuracy: float | None
    parameters: int
    macs: int
    latency: float
    speed: float
    evaluation: str = ""
    criterion: str = "accuracy"


def found(what: Path) -> Run | Card:
    """The run in that folder, or the card of the network of that name. Raises `RunError` when it is neither."""
    from convolve import models
    from convolve.training.run import open_run

    if what.is_dir():
        return open_run(what)
    try:
        return models.card(what.as_posix())
    except NetworkError as error:
        if what.as_posix().startswith(("timm/", "torchvision/")):
            raise
        raise RunError(
            f"{what} is not a run, nor is a network called so; give the folder that `convolve train` named, "
            "or a name that `convolve networks` lists."
        ) from error


def ended_split(run: Run) -> str:
    """The split whose figures count: the test images', or the validation images'. Raises `RunError` for none."""
    split = next((name for name in ("test", "validation") if name in run.manifest.results), None)
    if split is None:
        raise RunError(f"{run.folder} has not ended its training; go on with `convolve train --resume {run.folder}`.")
    return split


def weigh_run(run: Run, running: Running) -> Compared:
    """A run's own figures, and the speed of its network."""
    from convolve.summary import summarize

    split, size = ended_split(run), run.manifest.preprocessing
    result = run.manifest.results[split]
    task, runtime = restored(run, running)
    summary = summarize(task.network, (size.channels, size.height, size.width))
    latency, speed = _timed(task.predict, runtime, (size.height, size.width, size.channels))
    return Compared(
        run=str(run.folder),
        network=run.recipe.network or "",
        data=run.recipe.data or "",
        split=split,
        images=result["images"],
        accuracy=result["figures"][run.manifest.criterion],
        parameters=summary.parameters,
        macs=summary.macs,
        latency=latency,
        speed=speed,
        criterion=run.manifest.criterion,
    )


def weigh_network(card: Card, running: Running) -> Compared:
    """A network's published figures, and its speed at the published input with fresh weights."""
    from convolve import models
    from convolve.runtime import choose
    from convolve.summary import summarize

    network = models.create(card.name).eval()
    summary = summarize(network, card.input)
    runtime = choose(running.device, running.precision, running.threads, summary.macs)
    runtime.prepare(network)
    channels, height, width = card.input
    latency, speed = _timed(network, runtime, (height, width, channels))
    return Compared(
        run=card.name,
        network=card.name,
        data=_ILSVRC,
        split=PUBLISHED,
        images=None,
        accuracy=None if card.top1_error is None else round(1 - card.top1_error / 100, 6),
        parameters=summary.parameters,
        macs=summary.macs,
        latency=latency,
        speed=speed,
        evaluation=card.evaluation,
    )


def _timed(predict: Callable[[Tensor], Tensor], runtime: Runtime, shape: tuple[int, int, int]) -> tuple[float, float]:
    """Milliseconds of one image, and images a second in batches."""
    return 1000 * seconds(predict, runtime, shape, 1), BATCH / seconds(predict, runtime, shape)
