"""What the views of `convolve explain --show` are given of a run and its images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from convolve.datasets.batches import Batches, BatchOptions
from convolve.tasks.task import find
from convolve.training.run import Run
from convolve.values import Batch
from convolve.verbs.explain.case import Case
from convolve.verbs.explain.subjects import Looked, own_part
from convolve.verbs.explain.views import Inside
from convolve.verbs.preparing import READERS, examples_of, scoring_batch

_SHOWN = 6


def insight(case: Case, looked: Looked, names: Sequence[str], out: Path) -> Inside:
    """The first images of a batch, and the run's own data to look through."""
    shown = looked.take(np.arange(min(_SHOWN, len(looked.places))))
    return Inside(
        task=case.task,
        runtime=case.runtime,
        preprocessing=case.trained.manifest.preprocessing,
        names=tuple(names[:_SHOWN]),
        pixels=np.stack(shown.pictures),
        inputs=shown.inputs,
        said=shown.said,
        stage=case.options.stage,
        asked=case.chosen.classes,
        out=out,
        batches=partial(_own_batches, case.trained, "train"),
        unseen=partial(_own_batches, case.trained, None),
    )


def _own_batches(trained: Run, split: Literal["train"] | None) -> Iterator[Batch]:
    """A split of the run as it is, by default the one it was measured on, in random order."""
    dataset, part = own_part(trained, split)
    examples = examples_of(find(trained.manifest.task), dataset, trained.manifest.preprocessing)
    preprocessing = trained.manifest.preprocessing
    options = BatchOptions(preprocessing, scoring_batch(preprocessing), seed=0, shuffle=True, workers=READERS)
    return iter(Batches(examples.source, examples.truth, examples.of(part), options).epoch(0))
