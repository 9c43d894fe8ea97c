"""Segmentation: the class of every pixel."""

from convolve.tasks.segment.answering import answering
from convolve.tasks.segment.evaluation import conclude, evaluate, measured
from convolve.tasks.segment.explaining import explaining
from convolve.tasks.segment.learning import Segment
from convolve.tasks.segment.lines import shown
from convolve.tasks.segment.page import report
from convolve.tasks.segment.truth import accept, build, examples, marked, named, relabel, restore, sampling
from convolve.tasks.task import Kind

__all__ = ["KIND", "Segment"]

KIND = Kind(
    accept=accept,
    relabel=relabel,
    examples=examples,
    sampling=sampling,
    build=build,
    restore=restore,
    conclude=conclude,
    measured=measured,
    evaluate=evaluate,
    report=report,
    shown=shown,
    marked=marked,
    named=named,
    answering=answering,
    explaining=explaining,
)
