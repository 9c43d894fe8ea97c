"""The words that options take and values hold."""

from typing import Literal

Fit = Literal["crop", "letterbox", "squash"]
Precision = Literal["fp32", "bf16"]
TaskName = Literal["classify", "segment"]
PixelLoss = Literal["cross-entropy", "dice", "focal"]
