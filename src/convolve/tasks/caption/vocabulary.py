"""The words that a network knows, and sentences as their indices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

import torch
from torch import Tensor

from convolve.datasets.captions import Captions
from convolve.datasets.sentences import Words
from convolve.errors import DataError
from convolve.layers.caption_head import END, START, UNKNOWN

_SPECIAL = ("<start>", "<unknown>", "<end>")
"""At the indices `START`, `UNKNOWN` and `END`."""


@final
@dataclass(frozen=True)
class Vocabulary:
    """``words`` by index, those that are none first, then the most frequent ones."""

    words: tuple[str, ...]

    @cached_property
    def indices(self) -> Mapping[str, int]:
        """The index of each word."""
        return {word: index for index, word in enumerate(self.words)}

    def encode(self, sentence: Words) -> list[int]:
        """The index of each word; `UNKNOWN` for those that are not in the vocabulary."""
        return [self.indices.get(word, UNKNOWN) for word in sentence]

    def decode(self, indices: Iterable[int]) -> Words:
        """The words up to the end of the sentence."""
        found: list[str] = []
        for index in indices:
            if index == END:
                break
            found.append(self.words[index])
        return tuple(found)


def find_vocabulary(captions: Captions) -> Vocabulary:
    """The words that occur at least `Captions.min_count` times. Raises `DataError` where none does."""
    frequent = [(word, count) for word, count in captions.counts.items() if count >= captions.min_count]
    if not frequent:
        raise DataError(
            f"No word occurs {captions.min_count} times in the training captions; choose a lower --min-count."
        )
    ordered = sorted(frequent, key=lambda each: (-each[1], each[0]))
    return Vocabulary((*_SPECIAL, *(word for word, _ in ordered)))


def parse_vocabulary(words: Any) -> Vocabulary:
    """From what a run's state holds. Raises `ValueError`."""
    known = isinstance(words, list) and all(isinstance(word, str) for word in words)
    if not known or tuple(words[:3]) != _SPECIAL or len(set(words)) != len(words):
        raise ValueError("its vocabulary is none")
    return Vocabulary(tuple(words))


@final
@dataclass(frozen=True, eq=False)
class EncodedSentences:
    """M sentences of N images, the longest first: ``inputs`` (M, T) begin with the start, ``targets`` (M, T) end
    in the end; beyond a sentence both are `START`, which is no target. The image of each is its owner in ``owners``
    (M,).
    """

    inputs: Tensor
    targets: Tensor
    owners: Tensor
    images: int

    @property
    def counted(self) -> Tensor:
        """(M, T) whether there is a word, or the end."""
        return self.targets != START

    @property
    def lengths(self) -> Tensor:
        """(M,) the words of each, the end with them."""
        return self.counted.sum(1)

    def mean_by_image(self, values: Tensor) -> Tensor:
        """(N,) the mean over the words of each image's sentences, of values (M, T) that are 0 beyond them."""
        totals, counts = (
            values.new_zeros(self.images).index_add(0, self.owners, each.to(values).sum(1))
            for each in (values, self.counted)
        )
        return totals / counts


def encode_sentences(vocabulary: Vocabulary, sentences: Sequence[Sequence[Words]], device: str) -> EncodedSentences:
    """All sentences of some images, each of which has one at least."""
    found = [(vocabulary.encode(sentence), index) for index, each in enumerate(sentences) for sentence in each]
    found.sort(key=lambda one: -len(one[0]))
    rows, owners = [row for row, _ in found], [index for _, index in found]
    inputs = torch.full((len(rows), max(map(len, rows)) + 1), START)
    targets = inputs.clone()
    for number, row in enumerate(rows):
        inputs[number, 1 : len(row) + 1] = torch.tensor(row)
        targets[number, : len(row) + 1] = torch.tensor([*row, END])
    return EncodedSentences(inputs.to(device), targets.to(device), torch.tensor(owners).to(device), len(sentences))
