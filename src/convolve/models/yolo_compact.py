"""A detector."""

from __future__ import annotations

from collections import OrderedDict
from functools import partial

from torch import nn

from convolve.layers.initializers import he_normal
from convolve.layers.yolo_compact import CompactHead
from convolve.models.network import Card, Network, Stage, Variant
from convolve.models.resnet import basic

TABLES = {  # stages of stride 2, 4, 8, 16, 32: channels and residual blocks; then the head's width
    "yolo_compact": (((32, 0), (48, 1), (96, 2), (160, 2), (224, 2)), 96),
}

def build(rows, width, card, classes, channels, size):
    del size
    stages = {}
    for number, (outputs, count) in enumerate(rows, 1):
        layers = OrderedDict()
        if count == 0:
            layers["conv"] = nn.Sequential(nn.Conv2d(channels, outputs, 3, 2, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))
        for index in range(1, count + 1):
            layers[f"block{index}"] = basic(channels if index == 1 else outputs, outputs, 2 if index == 1 else 1)
        stages[f"stage{number}"] = Stage(nn.Sequential(layers).apply(he_normal), outputs, 2**number)
        channels = outputs
    inputs = ("stage3", "stage4", "stage5")
    head = CompactHead(classes, {name: stages[name].channels for name in inputs}, 8, width)
    return Network(card, stages, head, head_inputs=inputs)

def card(name):
    return Card(name, "", "", 2021, "", "", (3, 320, 320), 20, 32, output="boxes")
