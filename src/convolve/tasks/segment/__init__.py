"""Segmentation: the class of every pixel."""

from convolve.tasks.segment.evaluation import conclude, evaluate
from convolve.tasks.segment.learning import Segment
from convolve.tasks.segment.lines import shown
from convolve.tasks.segment.page import report
from convolve.tasks.segment.truth import accept, build, measuring, relabel, restore, sampling, truth
from convolve.tasks.task import Kind

__all__ = ["KIND", "Segment"]

KIND = Kind(accept, relabel, truth, sampling, build, restore, measuring, conclude, evaluate, report, shown)
