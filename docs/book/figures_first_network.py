"""The figure of the chapter on one's first network: what `runs/first` and `runs/few` of that chapter have in their
`metrics.jsonl`.
"""

from __future__ import annotations

from collections.abc import Callable

from matplotlib.figure import Figure
from plots import grid

from convolve.reports.colors import INK, RIGHT, WRONG
from convolve.reports.drawing import use_log_scale

FIRST: dict[str, tuple[float, ...]] = {
    "train": (2.075, 1.038, 0.689, 0.562, 0.444, 0.371, 0.315, 0.316),
    "validation": (1.122, 0.447, 0.263, 0.217, 0.185, 0.158, 0.158, 0.154),
}
"""The losses of `convolve train digits --network lenet5_keras --size 28 --epochs 8 --seed 0`."""
FEW: dict[str, tuple[float, ...]] = {
    "train": (
        2.215, 1.803, 1.28, 0.704, 0.338, 0.17, 0.093, 0.054, 0.031, 0.027, 0.022, 0.073, 0.052, 0.053, 0.024, 0.009,
        0.008, 0.006, 0.005, 0.004, 0.004, 0.004, 0.003, 0.003, 0.003, 0.003, 0.003, 0.003, 0.002, 0.002, 0.002, 0.002,
        0.002, 0.002, 0.002, 0.002, 0.002, 0.002, 0.002, 0.002,
    ),
    "validation": (
        2.15, 1.653, 1.03, 0.548, 0.346, 0.312, 0.103, 0.165, 0.174, 0.142, 0.046, 0.077, 0.183, 0.227, 0.166, 0.127,
        0.064, 0.05, 0.052, 0.063, 0.08, 0.092, 0.096, 0.097, 0.093, 0.093, 0.093, 0.093, 0.093, 0.091, 0.091, 0.091,
        0.091, 0.091, 0.091, 0.091, 0.091, 0.091, 0.091, 0.091,
    ),
}  # fmt: skip
"""The same of ten images of each class, without augmentation and weight decay, for 40 epochs."""


def curves() -> Figure:
    """Training and validation loss over the epochs: all digits, and few of them on a logarithmic scale."""
    figure, axes = grid(1, 2, (7.7, 2.8))
    for ax, losses, title in zip(axes, (FIRST, FEW), ("1168", "65"), strict=True):
        for name, color in (("train", WRONG), ("validation", RIGHT)):
            ax.plot(range(1, len(losses[name]) + 1), losses[name], color=color, linewidth=2, label=name)
        ax.set_title(title)
    axes[0].set_ylim(0, 2.3)
    use_log_scale(axes[1], "y")
    axes[1].set_yticks((0.002, 0.02, 0.2, 2))
    axes[1].minorticks_off()
    axes[0].legend(frameon=False, fontsize=8, labelcolor=INK)
    return figure


FIGURES: dict[str, Callable[[], Figure]] = {"first-network-curves.svg": curves}
