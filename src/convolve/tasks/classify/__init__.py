"""Classification: one class per image, or several labels, each present or not."""

from convolve.tasks.classify.evaluation import conclude, evaluate
from convolve.tasks.classify.learning import Classify
from convolve.tasks.classify.lines import shown
from convolve.tasks.classify.page import report
from convolve.tasks.classify.truth import accept, build, measuring, relabel, restore, sampling, truth
from convolve.tasks.task import Kind

__all__ = ["KIND", "Classify"]

KIND = Kind(accept, relabel, truth, sampling, build, restore, measuring, conclude, evaluate, report, shown)
