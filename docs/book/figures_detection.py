"""The figures of the chapter on detection; every number in them is computed here, from the worked examples."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from figures_convolution import numbers
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from plots import grid

from convolve.from_scratch.arrays import Array
from convolve.from_scratch.average_precision import (
    ELEVEN_RECALLS,
    ImageBoxes,
    find_true_positives,
    precision_and_recall,
    precision_envelope,
)
from convolve.from_scratch.boxes import box_areas, box_overlaps, intersection_over_union, non_maximum_suppression
from convolve.from_scratch.traces.examples import EXAMPLES
from convolve.from_scratch.yolo import Cell, corners, decode_v2, v2_scores
from convolve.reports.colors import INK, LINE, MUTED, PAPER, RIGHT, WRONG

THRESHOLD = 0.5
"""Of the confidence, and of the IoU."""


def panels(
    count: int, size: tuple[float, float], extent: tuple[float, float, float, float]
) -> tuple[Figure, list[Axes]]:
    """Plots side by side in pixels, y downwards, without axes."""
    figure, axes = grid(1, count, size)
    left, top, right, bottom = extent
    for ax in axes:
        ax.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")
        ax.set_axis_off()
    return figure, axes


def draw_box(ax: Axes, box: Array, color: str, label: str = "", style: str = "solid", width: float = 1.4) -> None:
    """The outline of a box (4,), with a label in its upper left corner."""
    left, top, right, bottom = box.tolist()
    outline = Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor=color, linestyle=style)
    outline.set_linewidth(width)
    ax.add_patch(outline)
    if label:
        background = {"facecolor": PAPER, "edgecolor": "none", "pad": 0.6}
        ax.text(left + 1, top + 1, label, color=color, fontsize=7.5, va="top", ha="left", bbox=background)


def fill_box(ax: Axes, box: Array, color: str) -> None:
    """The area of a box (4,) as a tint."""
    left, top, right, bottom = box.tolist()
    ax.add_patch(
        Rectangle((left, top), right - left, bottom - top, facecolor=color, alpha=0.28, edgecolor="none", zorder=0)
    )


def overlap() -> Figure:
    """The worked example of IoU: what the predicted box alone has, what both have, what the ground truth alone has."""
    options = EXAMPLES["iou"].options
    p, t = numbers(options["input"]), numbers(options["target"])
    common = np.concatenate([np.maximum(p[0, :2], t[0, :2]), np.minimum(p[0, 2:], t[0, 2:])])
    shared = box_overlaps(p, t).item()
    figure, (ax,) = panels(1, (4.2, 3.6), (6, 6, 84, 74))
    fill_box(ax, common, RIGHT)
    draw_box(ax, p[0], INK)
    draw_box(ax, t[0], RIGHT)
    for x, y, name, value in (
        (20, 30, "FP", box_areas(p).item() - shared),
        (45, 35, "TP", shared),
        (70, 58, "FN", box_areas(t).item() - shared),
    ):
        ax.text(x, y, f"{name}\n{value:g}", ha="center", va="center", fontsize=11)
    ax.text(45, 72.5, f"IoU = {intersection_over_union(p, t).item():g}", ha="center", va="center", fontsize=11)
    return figure


def suppression() -> Figure:
    """The worked example of NMS: all boxes, those of enough confidence, and those that stay."""
    rows = numbers(EXAMPLES["nms"].options["input"])
    candidates = np.flatnonzero(rows[:, 4] > THRESHOLD)
    some = rows[candidates]
    chosen = candidates[non_maximum_suppression(some[:, :4], some[:, 4], some[:, 5].astype(np.int64), THRESHOLD)]
    figure, axes = panels(3, (7.7, 2.4), (14, 6, 210, 184))
    for ax, visible in zip(axes, (np.arange(len(rows)), candidates, chosen), strict=True):
        for index in visible:
            color = INK if rows[index, 5] == 1 else WRONG
            draw_box(ax, rows[index, :4], color, f"{rows[index, 4]:g}")
    return figure


def precision_over_recall() -> Figure:
    """The worked example of AP: the curve, its envelope with the eleven points, and the area."""
    options = EXAMPLES["average-precision"].options
    found, objects = numbers(options["input"]), numbers(options["target"])
    found = found[np.argsort(-found[:, 5], kind="stable")]
    detections, targets = (ImageBoxes(rows[:, 0].astype(np.int64), rows[:, 1:5]) for rows in (found, objects))
    precision, recall = precision_and_recall(find_true_positives(detections, targets, THRESHOLD), len(objects))
    envelope = precision_envelope(precision)
    levels = [np.max(envelope[recall >= level], initial=0) for level in ELEVEN_RECALLS]
    figure, axes = grid(1, 2, (7.7, 3.2))
    for ax in axes:
        ax.plot(recall, precision, color=MUTED, linewidth=1.2, marker="o", markersize=4)
        edges = np.concatenate([[0], recall])
        ax.stairs(envelope, edges, baseline=None, color=RIGHT, linewidth=2)
        ax.set(xlim=(-0.04, 1.04), ylim=(-0.05, 1.09), xlabel="R", ylabel="P")
    axes[0].plot(ELEVEN_RECALLS, levels, color=WRONG, linestyle="none", marker="o", markersize=5, zorder=3)
    axes[0].set_title(f"{np.mean(levels):.4f}")
    steps = np.diff(recall, prepend=0)
    axes[1].stairs(envelope, np.concatenate([[0], recall]), fill=True, color=RIGHT, alpha=0.28)
    axes[1].set_title(f"{(steps * envelope).sum():.4f}")
    return figure


def cell() -> Figure:
    """The worked example of YOLO v2: the grid and the cell; the anchors around it; the boxes with their best scores."""
    options = EXAMPLES["yolo-v2"].options
    rows, anchors = numbers(options["input"]), numbers(str(options["anchors"]).replace(";", "/"))
    row, column = (int(word) - 1 for word in str(options["cell"]).split())
    grid_cell = Cell(row, column, 13, 32)
    boxes = corners(decode_v2(rows[:, :4], grid_cell, anchors))
    scores = v2_scores(rows[:, 4:-1], rows[:, -1])
    corner = np.array([column, row]) * grid_cell.side
    middle = corner + grid_cell.side / 2
    figure, axes = panels(2, (7.7, 3.9), (-4, -4, 420, 420))
    for ax in axes:
        for line in np.arange(grid_cell.cells + 1) * grid_cell.side:
            ax.plot((line, line), (0, 416), color=LINE, linewidth=0.8, zorder=0)
            ax.plot((0, 416), (line, line), color=LINE, linewidth=0.8, zorder=0)
        fill_box(ax, np.concatenate([corner, corner + grid_cell.side]), WRONG)
    for anchor, box, score in zip(anchors, boxes, scores, strict=True):
        draw_box(axes[0], np.concatenate([middle - anchor / 2, middle + anchor / 2]), MUTED, style="dashed")
        draw_box(axes[1], box, RIGHT, f"{score.max():.2f}  ({score.argmax() + 1})")
        axes[1].plot(*(box[:2] + box[2:]) / 2, color=RIGHT, marker="o", markersize=3)
    return figure


FIGURES: dict[str, Callable[[], Figure]] = {
    "detection-iou.svg": overlap,
    "detection-cell.svg": cell,
    "detection-nms.svg": suppression,
    "detection-curve.svg": precision_over_recall,
}
