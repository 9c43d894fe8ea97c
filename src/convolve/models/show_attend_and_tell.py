"""Show, Attend and Tell: for every word an LSTM looks at the positions of the image's map that matter for it.

Xu, Ba, Kiros, Cho, Courville, Salakhutdinov, Zemel, Bengio 2015, "Show, attend and tell: neural image caption
generation with visual attention", sections 3.1 and 4.2 ("soft" attention), equations 1 to 7, 13 and 14.

show_attend_and_tell at 3x224x224: stage1 64x112x112, stage2 128x56x56, stage3 256x28x28, stage4 512x14x14, stage5 512x14x14

The map is that before the last max pooling. The attention is a network of one hidden layer, from each position and the
hidden state to one number, and a softmax over the positions. A gate, one number from the hidden state, scales what is
seen (section 4.2.1). Both initial states are dense layers from the map's mean. Words are scored by the embedding of the
last word, the hidden state and what is seen together (equation 7). `show_attend_and_tell_NAME` reads the map of any
other classifier, as in `show_attend_and_tell_resnet20_cifar`.

Training: the negative log-likelihood of each word, and the doubly stochastic penalty (equation 14).

Deviations: the paper leaves the widths open; embedding, memory and attention have 512 numbers here. The layers of
equation 7 have no tanh between them, as printed; the authors' program has one.
"""  # noqa: E501

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import final

import torch
from torch import Tensor, nn

from convolve.layers.caption_head import CaptionHead, LSTMCell, State, Step
from convolve.layers.description import Series
from convolve.models import vgg
from convolve.models.localization import classifier_after
from convolve.models.network import Card, Network, Variant
from convolve.models.pooled_stages import before_pooling, stages_of

WIDTH = 512
"""Of embeddings, of the LSTM's memory and of the attention's hidden layer."""
DROPOUT = 0.5
_PREFIX = "show_attend_and_tell_"


@final
class Attention(nn.Module):
    """Weights (N, positions), which sum to 1, of projected positions (N, positions, 512) and hidden states (N, 512):
    equations 4 to 6.
    """

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(WIDTH, WIDTH, bias=False)
        self.energy = nn.Linear(WIDTH, 1)

    def forward(self, projected: Tensor, hidden: Tensor) -> Tensor:
        """Of the positions, already projected, and the hidden state."""
        energies: Tensor = self.energy((projected + self.hidden(hidden)[:, None]).tanh())
        return energies.squeeze(2).softmax(1)


@final
class AttentiveTeller(CaptionHead):
    """An LSTM that reads the sentence so far, and at each word a weighted mean of the map's positions.

    Shape: (N, channels, H, W) -> (N, 20, words)
    """

    def __init__(self, channels: int, words: int) -> None:
        super().__init__()
        self.initial_hidden = nn.Linear(channels, WIDTH)
        self.initial_memory = nn.Linear(channels, WIDTH)
        self.positions = nn.Linear(channels, WIDTH)
        self.attention = Attention()
        self.gate = nn.Linear(WIDTH, 1)
        self.words = nn.Embedding(words, WIDTH)
        self.lstm = LSTMCell(WIDTH + channels, WIDTH)
        self.from_hidden = nn.Linear(WIDTH, WIDTH, bias=False)
        self.from_seen = nn.Linear(channels, WIDTH, bias=False)
        self.dropout = nn.Dropout(DROPOUT)
        self.scores = nn.Linear(WIDTH, words)
        nn.init.uniform_(self.words.weight, -0.1, 0.1)

    def begin(self, maps: Tensor) -> State:
        """The initial states, the map's positions, and their share of the attention's hidden layer."""
        positions = maps.flatten(2).transpose(1, 2)
        mean = positions.mean(1)
        states = self.initial_hidden(mean).tanh(), self.initial_memory(mean).tanh()
        return *states, positions, self.positions(positions)

    def step(self, words: Tensor, state: State) -> Step:
        """Look at the map, read the word, and score the next one."""
        hidden, memory, positions, projected = state
        attention = self.attention(projected, hidden)
        seen = self.gate(hidden).sigmoid() * torch.einsum("np,npc->nc", attention, positions)
        word = self.words(words)
        hidden, memory = self.lstm(torch.cat([word, seen], 1), (hidden, memory))
        output = word + self.from_hidden(self.dropout(hidden)) + self.from_seen(seen)
        return Step(self.scores(self.dropout(output)), (hidden, memory, positions, projected), attention)

    def describe(self) -> Series:
        """What is called in turn."""
        first = ("initial_hidden", "initial_memory", "positions", "attention", "gate", "words", "lstm")
        return Series((*first, "from_hidden", "from_seen", "dropout", "scores"))


def family(name: str, find: Callable[[str], Variant]) -> Variant | None:
    """`show_attend_and_tell_resnet18` and the like: any classifier; None for other names. Raises `NetworkError` for a
    network that is no classifier.
    """
    base = classifier_after(_PREFIX, name, find)
    return Variant(_card(name, base), partial(_build, base)) if base else None


def _build(base: Variant, card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    stages = before_pooling(stages_of(base, channels, size))
    return Network(card, stages, AttentiveTeller(list(stages.values())[-1].channels, classes))


def _card(name: str, base: Variant, counts: tuple[int, int] | tuple[None, None] = (None, None)) -> Card:
    return Card(
        name=name,
        title="Show, attend and tell: neural image caption generation with visual attention",
        authors="Xu, Ba, Kiros, Cho, Courville, Salakhutdinov, Zemel, Bengio",
        year=2015,
        venue="ICML 2015",
        address="https://arxiv.org/abs/1502.03044",
        input=base.card.input,
        classes=10_000,
        minimum=base.card.minimum,
        multiple=base.card.multiple,
        own_channels=base.card.own_channels,
        output="text",
        parameters=counts[0],
        macs=counts[1],
        classifier=base.card.name,
    )


_VGG = next(variant for variant in vgg.VARIANTS if variant.card.name == "vgg19")
_CARD = _card("show_attend_and_tell", _VGG, (34_997_586, 19_743_393_792))
VARIANTS = (Variant(replace(_CARD, minimum=16), partial(_build, _VGG)),)  # one pooling fewer
