"""Show and Tell: an image's features are the first word that an LSTM reads.

Vinyals, Toshev, Bengio, Erhan 2015, "Show and tell: a neural image caption generator", section 3, equations 4 to 12 and
figure 3.

show_and_tell at 3x224x224: stage1 64x112x112, stage2 192x56x56, stage3 320x28x28, stage4 608x14x14, stage5 1024x7x7

The features are the last map's average, which a dense layer embeds as words are. At every step the LSTM reads a word's
embedding, and its hidden state scores the next word. Embeddings and memory have 512 numbers (section 4.3.1).
`show_and_tell_NAME` reads the map of any other classifier, as in `show_and_tell_resnet18`.

Training: the mean negative log-likelihood of each word, dropout, the encoder from ImageNet (section 4.3.1).

Deviations: the hidden state is o * tanh(c), as in LSTMs everywhere, instead of o * c (equation 8); gates and scores
have biases. The paper does not say how many words its vocabulary has, nor where dropout is; here 10,000, and before the
scores.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import final

from torch import Tensor, nn

from convolve.layers.caption_head import CaptionHead, LSTMCell, State, Step
from convolve.layers.description import Series
from convolve.models import bn_inception
from convolve.models.localization import classifier_after
from convolve.models.network import Card, Network, Variant
from convolve.models.pooled_stages import stages_of

WIDTH = 512
"""Of embeddings and of the LSTM's memory."""
DROPOUT = 0.5
_PREFIX = "show_and_tell_"


@final
class Teller(CaptionHead):
    """An LSTM that reads the image first, then the sentence so far.

    Shape: (N, channels, H, W) -> (N, 20, words)
    """

    def __init__(self, channels: int, words: int) -> None:
        super().__init__()
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.image = nn.Linear(channels, WIDTH, bias=False)
        self.words = nn.Embedding(words, WIDTH)
        self.lstm = LSTMCell(WIDTH, WIDTH)
        self.dropout = nn.Dropout(DROPOUT)
        self.scores = nn.Linear(WIDTH, words)
        nn.init.uniform_(self.words.weight, -0.1, 0.1)

    def begin(self, maps: Tensor) -> State:
        """The LSTM after the image (equation 10)."""
        image = self.image(self.pool(maps))
        empty = image.new_zeros(len(maps), WIDTH)
        state: State = self.lstm(image, (empty, empty))
        return state

    def step(self, words: Tensor, state: State) -> Step:
        """The LSTM after a word (equations 11 and 12); it attends to nothing."""
        hidden, memory = self.lstm(self.words(words), (state[0], state[1]))
        return Step(self.scores(self.dropout(hidden)), (hidden, memory), hidden[:, :0])

    def describe(self) -> Series:
        """What is called in turn."""
        return Series(("pool", "image", "words", "lstm", "dropout", "scores"))


def name_for(classifier: str) -> str:
    """The name of a classifier's network for captions."""
    return f"{_PREFIX}{classifier}"


def family(name: str, find: Callable[[str], Variant]) -> Variant | None:
    """`show_and_tell_resnet18` and the like: any classifier; None for other names. Raises `NetworkError` for a network
    that is no classifier.
    """
    base = classifier_after(_PREFIX, name, find)
    return Variant(_card(name, base), partial(_build, base)) if base else None


def _build(base: Variant, card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    stages = stages_of(base, channels, size)
    return Network(card, stages, Teller(list(stages.values())[-1].channels, classes))


def _card(name: str, base: Variant, counts: tuple[int, int] | tuple[None, None] = (None, None)) -> Card:
    return Card(
        name=name,
        title="Show and tell: a neural image caption generator",
        authors="Vinyals, Toshev, Bengio, Erhan",
        year=2015,
        venue="CVPR 2015",
        address="https://arxiv.org/abs/1411.4555",
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


_INCEPTION = next(variant for variant in bn_inception.VARIANTS if variant.card.name == "bn_inception")
_CARD = _card("show_and_tell", _INCEPTION, (23_127_016, 2_094_545_920))
VARIANTS = (Variant(_CARD, partial(_build, _INCEPTION)),)
