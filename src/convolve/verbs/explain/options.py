"""What a person may say to `convolve explain`."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from convolve.choices import Heat, View
from convolve.options import flat
from convolve.setup.runtime_options import RuntimeOptions as Running

_SEVERAL = Parameter(consume_multiple=True, negative=(), show_default=False)


@dataclass(frozen=True)
class Checks:
    """What to measure of the methods."""

    boxes: Path | None = None
    """Folder of Pascal VOC XML files named as the images: score by them how well heat finds the object."""
    sanity: bool = False
    """Re-initialize the network from the head down: a method whose maps survive that shows no more than the picture."""
    faithfulness: bool = False
    """Delete and insert pixels by their heat: does the score follow? With what each method costs."""


@dataclass(frozen=True)
class Explain:
    """Show what a trained network looks at: heat over images, how far to believe it, and what its layers hold.

    The arithmetic is fp32 unless another precision is asked for, so that slopes are exact.
    """

    run: Path
    """Folder of the run."""
    images: Annotated[tuple[str, ...], Parameter(negative=(), show_default=False)] = ()
    """Images and folders of images, `-` for names from standard input; by default a few of the run's test split."""
    _: KW_ONLY
    method: Annotated[tuple[Heat, ...], _SEVERAL] = ()
    """How to explain, several side by side; by default `cam` where the network can give it, else `grad-cam`."""
    classes: Annotated[tuple[str, ...], _SEVERAL] = ()
    """The classes to explain, several side by side; by default the one that the network predicts, of pixels most."""
    stage: str | None = None
    """The stage whose map is read, such as `stage3`; by default the one that the method is made for."""
    show: Annotated[tuple[View, ...], _SEVERAL] = ()
    """Look inside the network too: each view is a picture in the folder."""
    out: Path | None = None
    """Folder for the pictures, `heat.npz` and `explanations.html`; by default `explanations` in the run's folder."""
    checks: Annotated[Checks, flat("How far to believe it")] = field(default_factory=Checks)
    running: Annotated[Running, flat("Runtime")] = field(default_factory=Running)
