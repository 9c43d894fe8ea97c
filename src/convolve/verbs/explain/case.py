"""What `convolve explain` is asked, and of which network."""

from __future__ import annotations

from dataclasses import dataclass

from convolve.runtime import Runtime
from convolve.tasks.task import Explaining, Task
from convolve.training.run import Run
from convolve.verbs.explain.options import Explain


@dataclass(frozen=True)
class Chosen:
    """The methods by name; the classes by their places, none for the one that the network predicts."""

    methods: tuple[str, ...]
    classes: tuple[int, ...]


@dataclass(frozen=True)
class Case:
    """The options, what they come to for this network, the run, its task, what of its answers is explained, and where
    the arithmetic runs.
    """

    options: Explain
    chosen: Chosen
    trained: Run
    task: Task
    explaining: Explaining
    runtime: Runtime
