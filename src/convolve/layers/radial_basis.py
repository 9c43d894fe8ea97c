"""Euclidean radial basis functions as output units.

LeCun, Bottou, Bengio, Haffner 1998, "Gradient-based learning applied to document recognition", equations 7 to 9.
"""

from __future__ import annotations

from typing import final

from torch import Tensor, nn


@final
class RadialBasis(nn.Module):
    """Minus y_i = sum_j (x_j - w_ij)², the squared distance of the units to the fixed code of each class, equation 7.

    The paper's y are penalties, the least being the answer; negated they are scores, and the cross-entropy over their
    softmax is y_correct + log(sum_i exp(-y_i)), the paper's equation 9 without its constant j. ``weight`` (classes,
    features) is a buffer: it is saved, not trained. Distances are taken in float32 also under bfloat16, whose steps
    are larger than the differences that decide.
    """

    weight: Tensor

    def __init__(self, codes: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", codes)

    def forward(self, units: Tensor) -> Tensor:
        """(N, features) to (N, classes) scores, none above 0."""
        return -(units[:, None].float() - self.weight).square().sum(2)
