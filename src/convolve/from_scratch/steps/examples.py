"""The lectures' worked examples by name, as the options that a person would type; `/` ends a row, `|` a channel.

Each says on which slide it stands, and whether numbers of it are not the lecture's.
"""

from __future__ import annotations

from collections.abc import Mapping

from convolve.from_scratch.steps.example import Example
from convolve.from_scratch.steps.examples_layers import LAYERS
from convolve.from_scratch.steps.examples_windows import WINDOWS

EXAMPLES: Mapping[str, Example] = {**WINDOWS, **LAYERS}
