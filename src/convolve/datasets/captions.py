"""Captions: sentences that people wrote of each image, several or one."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import cast, final

import numpy as np

from convolve.datasets.images import DIGEST_BYTES
from convolve.datasets.sentences import Words, words_of
from convolve.errors import shorten
from convolve.values import Flags, GroundTruthFindings, Indices, Pixels, Placement, Remark, Targets

_LETTERS = 60
"""Of a caption under a small image."""


@final
@dataclass(frozen=True, eq=False)
class CaptionTargets:
    """The sentences of each of N examples, as words; of each as many as there are."""

    sentences: tuple[tuple[Words, ...], ...]

    def __len__(self) -> int:
        return len(self.sentences)

    def to(self, device: str) -> tuple[tuple[Words, ...], ...]:
        """The sentences: only the task knows the indices of words."""
        del device
        return self.sentences


@final
@dataclass(frozen=True, eq=False)
class Captions:
    """A `GroundTruth`: the ``texts`` of each of N images. Words that occur fewer than ``min_count`` times in them are
    not learned.
    """

    texts: tuple[tuple[str, ...], ...]
    min_count: int = 1
    classes = ()

    @cached_property
    def sentences(self) -> tuple[tuple[Words, ...], ...]:
        """The words of each caption, without captions that have none."""
        return tuple(tuple(filter(None, map(words_of, each))) for each in self.texts)

    @property
    def covers(self) -> Flags:
        """(N,) which images have a caption with a word in it."""
        return np.array([bool(each) for each in self.sentences], dtype=bool)

    @property
    def counts(self) -> Counter[str]:
        """How often each word occurs."""
        return Counter(word for each in self.sentences for sentence in each for word in sentence)

    @property
    def findings(self) -> GroundTruthFindings:
        """How many captions and words there are; images that have fewer captions than there are texts, since some are
        empty, and those with the same caption twice.
        """
        sentences = [sentence for each in self.sentences for sentence in each]
        lengths, counts = sorted(map(len, sentences)) or [0], self.counts
        numbers = sorted(map(len, self.sentences)) or [0]
        facts = {
            "captions": f"{len(sentences):,}, {numbers[0]:,} to {numbers[-1]:,} per image",
            "words": f"{lengths[0]:,} to {lengths[-1]:,} per caption (median {lengths[len(lengths) // 2]:,})",
            "vocabulary": f"{len(counts):,} words, {sum(count == 1 for count in counts.values()):,} of them once",
        }
        empty = [index for index, each in enumerate(self.texts) if len(each) > len(self.sentences[index])]
        twice = [index for index, each in enumerate(self.sentences) if len(set(each)) < len(each)]
        kinds = (
            (empty, "an empty caption", "write one, or remove the line"),
            (twice, "the same caption twice", "remove one, which counts twice"),
        )
        remarks = [
            Remark(f"{len(found):,} image{'s have' if len(found) > 1 else ' has'} {what}", tuple(found), remedy)
            for found, what, remedy in kinds
            if found
        ]
        return GroundTruthFindings(facts=facts, remarks=tuple(remarks))

    def __len__(self) -> int:
        return len(self.texts)

    def presence(self) -> Flags:
        """(N, 0): there are no classes."""
        return np.zeros((len(self), 0), dtype=bool)

    def digest(self, index: int) -> bytes:
        """BLAKE2b of an image's captions."""
        return hashlib.blake2b("\n".join(self.texts[index]).encode(), digest_size=DIGEST_BYTES).digest()

    def take(self, indices: Indices) -> Captions:
        """Those of some images, in the order asked."""
        return replace(self, texts=tuple(self.texts[index] for index in indices.tolist()))

    def with_classes(self, names: Sequence[str]) -> Captions:
        """Itself."""
        del names
        return self

    def targets(self, indices: Indices, placement: Placement) -> CaptionTargets:
        """The sentences, wherever the pixels are moved."""
        del placement
        return CaptionTargets(tuple(self.sentences[index] for index in indices.tolist()))

    def draw(self, images: Pixels, targets: Targets) -> tuple[Pixels, list[str]]:
        """The images as they are, and the first caption of each."""
        found = cast(CaptionTargets, targets).sentences
        return images, [shorten(" ".join(each[0]), _LETTERS) for each in found]
