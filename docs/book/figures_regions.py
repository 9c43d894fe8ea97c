"""The figures of the chapter on detection that show regions: proposals, pooling, deltas, anchors, and YOLO's grid."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from drawing import arrow, box, matrix, outline, sheet, text
from figures_detection import draw_box, fill_box, panels
from matplotlib.figure import Figure
from plots import grid
from sklearn.datasets import load_sample_image

from convolve.datasets.proposals import sliding_windows
from convolve.datasets.selective_search import selective_search
from convolve.from_scratch.boxes import intersection_over_union
from convolve.layers.box_coding import BoxCoder
from convolve.layers.region_proposals import (
    NEGATIVE,
    POSITIVE,
    ProposalOptions,
    box_edges,
    match_anchors,
    published_anchors,
    shift_anchors,
)
from convolve.layers.roi_pooling import roi_max_pool
from convolve.reports.colors import INK, LINE, MUTED, RIGHT, WRONG

FAMILIES = (
    ("R-CNN", ("2000 boxes", "227 × 227", "conv", "fc", "SVM, box"), 1),
    ("SPP-net", ("2000 boxes", "conv", "6, 3, 2, 1", "fc", "SVM, box"), 2),
    ("Fast R-CNN", ("2000 boxes", "conv", "RoI 7 × 7", "fc", "softmax, box"), 2),
    ("Faster R-CNN", ("conv", "RPN: 300", "RoI 7 × 7", "fc", "softmax, box"), 2),
    ("YOLO", ("conv", "fc", "7 × 7 × 30"), 3),
)
"""Names, the steps after the image, and how many of these are done once for the image."""
FLOWER = np.array([[170.0, 85, 445, 357]])
"""The flower of scikit-learn's photograph, outlined by hand."""
ROWS = "1 0 2 1 0 3 1 0 / 0 4 1 0 2 0 1 2 / 3 1 0 5 1 0 2 0 / 1 2 6 0 1 4 0 1 / 0 1 0 2 7 1 0 3 / 2 0 1 3 0 2 8 0"
REGION = (18.0, 30.0, 76.0, 62.0)
PROPOSAL, TARGET = (40.0, 60.0, 140.0, 160.0), (60.0, 50.0, 180.0, 150.0)
OBJECT = (300.0, 170.0, 539.0, 399.0)
CELL = (18, 26)
IN_ONE_CELL = ((150.0, 100.0, 250.0, 340.0), (180.0, 200.0, 260.0, 280.0))


def families() -> Figure:
    """What each detector does once for the image (blue) and for each region (orange)."""
    wide, tall, step, first = 2.9, 1.1, 3.4, 3.6
    on = sheet(first + 5 * step + 0.1, len(FAMILIES) * 1.7 + 0.1)
    for row, (name, steps, once) in enumerate(FAMILIES):
        top = 0.4 + 1.7 * row
        on.axes.text(0.2, top + tall / 2, name, color=INK, fontsize=9, ha="left", va="center_baseline")
        for column, words in enumerate(steps):
            left = first + step * column
            box(on, (left, top), (wide, tall), RIGHT if column < once else WRONG)
            text(on, (left + wide / 2, top + tall / 2), words, size=8.5)
            if column:
                arrow(on, (left - step + wide, top + tall / 2), (left, top + tall / 2))
    return on.figure


def proposals() -> Figure:
    """The first hundred sliding windows and boxes of selective search: orange, the best of each; blue, the flower."""
    photograph = load_sample_image("flower.jpg")
    size = photograph.shape[0], photograph.shape[1]
    windows = sliding_windows(size)[:100], selective_search(photograph)[:100]
    figure, axes = grid(1, 2, (7.7, 2.9))
    for ax, boxes in zip(axes, windows, strict=True):
        ax.imshow(photograph)
        ax.set_axis_off()
        overlaps = intersection_over_union(boxes, FLOWER)[:, 0]
        for each in boxes:
            draw_box(ax, each, "#ffffff", width=0.5)
        draw_box(ax, FLOWER[0], RIGHT, width=2.4)
        draw_box(ax, boxes[overlaps.argmax()], WRONG, width=2.4)
        ax.set_title(f"IoU {overlaps.max():.2f}")
    return figure


def pooling() -> Figure:
    """A region on a map, as it lies and rounded to cells; its four bins, which overlap; and their maxima."""
    values = np.array([row.split() for row in ROWS.split("/")], np.float64)
    region = torch.tensor([(0.0, *REGION)])
    pooled = roi_max_pool(torch.from_numpy(values).float()[None, None], region, 2, 1 / 16)[0, 0]
    on = sheet(13, 7)
    matrix(on, (0.5, 0.5), values, {(row, column): RIGHT for row in range(2, 5) for column in range(1, 6)})
    left, top, right, bottom = (edge / 16 + 0.5 for edge in REGION)
    outline(on, (left, top), (right - left, bottom - top), WRONG)
    for row, column in np.ndindex(2, 2):
        outline(on, (0.5 + 1 + 2 * column, 0.5 + 2 + row), (3, 2), INK)
    text(on, (9.5, 3.5), "→", size=15)
    matrix(on, (10.5, 2.5), pooled.numpy(), {(row, column): RIGHT for row in range(2) for column in range(2)})
    return on.figure


def deltas() -> Figure:
    """A proposal (dashed) and its target, the shift of the center, and the box that predicted deltas make (orange)."""
    proposal, target = torch.tensor([PROPOSAL]), torch.tensor([TARGET])
    coder = BoxCoder()
    shift = coder.encode(proposal, target)[0]
    decoded = coder.decode(proposal, torch.tensor([[0.2, -0.1, 0.1, 0.0]]))[0].numpy()
    figure, (ax,) = panels(1, (4.6, 3.6), (25, 35, 195, 175))
    draw_box(ax, np.array(PROPOSAL), MUTED, style="dashed")
    draw_box(ax, np.array(TARGET), RIGHT)
    draw_box(ax, decoded, WRONG)
    way = {"arrowstyle": "-|>", "color": INK, "linewidth": 1.1, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", xy=(120, 100), xytext=(90, 110), arrowprops=way)
    ax.text(
        105, 118, f"{shift[0]:.1f} · 100, {shift[1]:.1f} · 100".replace("-", "\N{MINUS SIGN}"), fontsize=9, ha="center"
    )
    ax.text(120, 44, f"100 · exp {shift[2]:.4f} = 120", fontsize=9, ha="center", color=RIGHT)
    ax.text(90, 170, "100", fontsize=9, ha="center", color=MUTED)
    return figure


def anchors() -> Figure:
    """The nine anchors of a cell of an image of 800 by 600, three by ratio: positive, negative and ignored ones."""
    everything = shift_anchors(published_anchors(), (38, 50), 16)
    labels = match_anchors(everything, torch.tensor([OBJECT]), (600, 800), ProposalOptions()).labels
    first = (CELL[0] * 50 + CELL[1]) * 9
    target = box_edges(torch.tensor([OBJECT]), 1)[0].numpy()
    colors = {POSITIVE: RIGHT, NEGATIVE: WRONG}
    figure, axes = panels(3, (7.7, 2.3), (-6, -64, 806, 656))
    for number, ax in enumerate(axes):
        draw_box(ax, np.array([0, 0, 800, 600]), LINE)
        fill_box(ax, target, INK)
        for index in range(first + 3 * number, first + 3 * number + 3):
            edges = box_edges(everything[index], 1).numpy()
            overlap = intersection_over_union(edges[None], target[None]).item()
            color = colors.get(int(labels[index]), MUTED)
            draw_box(ax, edges, color, f"{overlap:.2f}", "dashed" if color == MUTED else "solid")
    return figure


def owner() -> Figure:
    """Two objects whose centers are in the same cell of YOLO's grid, and that cell, nearer."""
    figure, axes = panels(2, (7.7, 3.9), (-4, -4, 452, 452))
    axes[1].set(xlim=(188, 260), ylim=(260, 188))
    for ax in axes:
        for line in np.arange(8) * 64:
            ax.plot((line, line), (0, 448), color=LINE, linewidth=0.8, zorder=0)
            ax.plot((0, 448), (line, line), color=LINE, linewidth=0.8, zorder=0)
        fill_box(ax, np.array([192, 192, 256, 256]), WRONG)
        for corners, color, style in zip(IN_ONE_CELL, (RIGHT, MUTED), ("solid", "dashed"), strict=True):
            edges = np.array(corners)
            center = (edges[:2] + edges[2:]) / 2
            draw_box(ax, edges, color, style=style)
            ax.plot(*center, color=color, marker="o", markersize=5)
            if ax is axes[1]:
                fractions = ", ".join(f"{coordinate % 64 / 64:g}" for coordinate in center)
                ax.text(center[0] + 2, center[1] - 2, fractions, fontsize=9, color=color)
    return figure


FIGURES: dict[str, Callable[[], Figure]] = {
    "detection-families.svg": families,
    "detection-proposals.png": proposals,
    "detection-pooling.svg": pooling,
    "detection-deltas.svg": deltas,
    "detection-anchors.svg": anchors,
    "detection-owner.svg": owner,
}
