"""What `convolve explain` is asked, and of which network."""

from __future__ import annotations

from dataclasses import dataclass

from convolve.runtime import Runtime
from convolve.tasks.classify import Classify
from convolve.training.run import Run
from convolve.verbs.explain.options import Explain


@dataclass(frozen=True)
class Chosen:
    """The methods by name; the classes by their places, none for the one that the network predicts."""

    methods: tuple[str, ...]
    classes: tuple[int, ...]


@dataclass(frozen=True)
class Case:
    """The options, what they come to for this network, the run, its task, and where its arithmetic runs."""

    options: Explain
    chosen: Chosen
    trained: Run
    task: Classify
    runtime: Runtime
