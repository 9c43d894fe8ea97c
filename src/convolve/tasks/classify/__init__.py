"""Classification: one class per image, or several labels, each present or not."""

from convolve.tasks.classify.answering import answering
from convolve.tasks.classify.console import console_output
from convolve.tasks.classify.evaluation import conclude, evaluate, measured
from convolve.tasks.classify.explaining import explaining
from convolve.tasks.classify.learning import Classify
from convolve.tasks.classify.report import report_sections
from convolve.tasks.classify.truth import accept, build, examples, marked, named, relabel, restore, sampling
from convolve.tasks.task import Kind

__all__ = ["KIND", "Classify"]

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
