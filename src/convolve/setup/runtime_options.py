"""The options of where and how the arithmetic runs; they import nothing, so that `--help` starts at once."""

from __future__ import annotations

from dataclasses import dataclass

from convolve.choices import Precision


@dataclass(frozen=True)
class RuntimeOptions:
    """Where and how the arithmetic runs; chosen by the machine and the network unless given."""

    device: str | None = None
    """`cpu`, `cuda`, `cuda:1` or `mps`."""
    precision: Precision | None = None
    """Number format of the arithmetic; weights are stored in fp32. A trained network is used as it was trained."""
    threads: int | None = None
    """Number of processor threads."""
    fast_convolutions: bool | None = None
    """Winograd's filtering for wide 3x3 convolutions, one matrix product for those with many weights (fp32, CPU)."""
