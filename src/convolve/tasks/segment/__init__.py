"""Segmentation: the class of every pixel."""

from convolve.tasks.segment.answering import answering
from convolve.tasks.segment.console import console_output
from convolve.tasks.segment.evaluation import conclude, evaluate, measured
from convolve.tasks.segment.explaining import explaining
from convolve.tasks.segment.learning import Segment
from convolve.tasks.segment.report import report_sections
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
    report=report_sections,
    shown=console_output,
    marked=marked,
    named=named,
    answering=answering,
    explaining=explaining,
)
