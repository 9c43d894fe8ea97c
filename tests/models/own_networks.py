"""The lectures' networks in the words of a text, and networks of blocks."""

from __future__ import annotations

from typing import Final

LENET5 = (
    "conv 6 5 same tanh | pool 2 average | conv 16 5 tanh | pool 2 average | flatten | dense 120 tanh | dense 84 tanh"
)
SIMPLE = "conv 8 3 same relu | pool 2 | conv 16 3 relu | pool 2 | conv 16 3 relu | flatten | dense 64 sigmoid"
FLOWERS = "conv 16 3 same relu | pool 2 | conv 32 3 same relu | pool 2 | conv 64 3 same relu | pool 2 | flatten"
_SQUEEZE = "conv 32 2 sigmoid{norm} | conv 64 2 sigmoid{norm} | conv 128 2 stride 2 sigmoid{norm}"
_TWICE = f"{_SQUEEZE} | {_SQUEEZE} | flatten | dense 128 sigmoid | dense 10"
TYPICAL = """
    conv 64 7 same relu | pool 2 | conv 128 3 same relu | conv 128 3 same relu | pool 2
    conv 256 3 same relu | conv 256 3 same relu | pool 2
    flatten | dense 128 relu | dropout 0.5 | dense 64 relu | dropout 0.5 | dense 10 softmax
"""
LECTURES: Final = {
    "lenet5_keras": f"{LENET5} | dense 10 softmax",
    "simple_cnn": f"{SIMPLE} | dense 10",
    "flowers_cnn": f"{FLOWERS} | dense 128 relu | dense 5",
    "flowers_cnn_dropout": f"{FLOWERS} | dropout 0.2 | dense 128 relu | dense 5",
    "batchnorm_cnn": _TWICE.format(norm=" | norm batch"),
    "batchnorm_cnn_plain": _TWICE.format(norm=""),
    "typical_cnn": TYPICAL,
}
"""By the names of `models.keras_lectures`, as Keras would list them."""

RESIDUAL = """
title = "A small residual network"
input = "3x32x32"

[[block]]
layers = "conv 16 3 same nobias | norm batch | relu"

[[block]]
repeat = 3
residual = "conv 16 3 same nobias | norm batch | relu | conv 16 3 same nobias | norm batch"
then = "relu"

[[block]]
residual = "conv 32 3 stride 2 pad 1 nobias | norm batch | relu | conv 32 3 same nobias | norm batch"
shortcut = "conv 32 1 stride 2 nobias | norm batch"
then = "relu"

[[block]]
layers = "gap | dense classes"
"""
INCEPTION = """
[[block]]
layers = "conv 8 3 relu"

[[block]]
branches = ["conv 4 1 relu", "conv 2 1 relu | conv 6 3 same relu", "pool 3 stride 1 same | conv 3 1", ""]

[[block]]
layers = "pool 2 | gap | dense 5"
"""
NESTED = """
[[block]]
layers = "conv 8 3 same"

[[block]]
residual = [
  { branches = ["conv 4 1", "conv 4 1 | conv 4 3 same"] },
  { layers = "conv 8 1" },
]
then = "relu"

[[block]]
branches = ["", "gap | conv 2 1 relu | conv 8 1 sigmoid"]
join = "multiply"

[[block]]
layers = "pool 2 | flatten | dense classes"
"""
