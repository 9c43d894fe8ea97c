"""What a worked example is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Example:
    """What it shows, the slide that it stands on, and the options of `convolve scratch` that ask for it."""

    title: str
    slide: str
    options: Mapping[str, str | int | bool]
