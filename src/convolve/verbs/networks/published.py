"""Published errors on ImageNet that no card has: single models at their best, and the winners of the challenge.

Errors are per cent. The winners' are those of classification (from 2014 on a column of the localization task) on the
test set, by the organizers' pages of results: image-net.org/challenges/LSVRC/YEAR/results.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

HUMAN: Final = 5.1
"""Top-5 error of one person who had practiced on 500 images; another, with 100, had 12.0 (Russakovsky et al. 2015,
section 6.4)."""


class Errors(NamedTuple):
    """Top-1 and top-5 error; None where the table has none."""

    top1: float | None
    top5: float


SINGLE_MODEL: Final = {
    "googlenet": Errors(None, 7.89),
    "vgg19": Errors(24.4, 7.1),  # the last version of the paper, its Table 5, column E
    "bn_inception": Errors(21.99, 5.81),
    "resnet34": Errors(21.84, 5.71),
    "resnet34_c": Errors(21.53, 5.60),
    "resnet50": Errors(20.74, 5.25),
    "resnet101": Errors(19.87, 4.60),
    "resnet152": Errors(19.38, 4.49),
}
"""He, Zhang, Ren, Sun 2015, Table 4, by name of the network: a single model at its best, with many scales or crops.
The lectures show this table; its other rows are networks that are not in the list."""
SINGLE_MODEL_SOURCE: Final = "He et al. 2015, Table 4: one network at its best, with many scales or crops"


@dataclass(frozen=True)
class Winner:
    """Who won in a year: top-5 error on the test set without other data, and the ``network`` of the list that the entry
    was made of, with its ``depth``, if there is one. ``note`` says what else there is to know.
    """

    year: int
    team: str
    method: str
    top5_error: float
    network: str = ""
    depth: int | None = None
    note: str = ""
    is_convolutional: bool = True


WINNERS: Final = (
    Winner(2010, "NEC-UIUC", "SIFT and LBP features, SVM", 28.19, is_convolutional=False),
    Winner(2011, "XRCE", "Fisher vectors, SVM", 25.77, is_convolutional=False),
    Winner(2012, "SuperVision", "AlexNet, mean of 5", 16.42, "alexnet", 8, "15.3 with other data"),
    Winner(
        *(2013, "Clarifai", "convolutional networks, mean", 11.74),
        note="slides say ZFNet; Clarifai is the company of one of its authors",
    ),
    Winner(2014, "GoogLeNet", "GoogLeNet, mean of 7", 6.66, "googlenet", 22, "second: VGG, 7.33"),
    Winner(2015, "MSRA", "ResNet, mean of 6", 3.57, "resnet152", 152, "two of the six have 152 layers"),
    Winner(
        *(2016, "Trimps-Soushen", "convolutional networks, mean", 2.99),
        note="slides say Inception v4, whose authors report 3.08",
    ),
    Winner(2017, "WMW", "SENet, mean", 2.25, "senet154", 154, "the last year"),
)
