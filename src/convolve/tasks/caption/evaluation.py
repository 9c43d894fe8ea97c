"""How good captions are: BLEU and CIDEr, and how many of them the network has learned by heart."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, cast, final

import numpy as np
import torch
from torch import Tensor

from convolve.datasets.captions import Captions, CaptionTargets
from convolve.datasets.sentences import Words, sentence_of
from convolve.metrics.captions import bleu, cider, mean
from convolve.tasks.caption.vocabulary import Vocabulary, encode_sentences
from convolve.tasks.info import finite_or_none
from convolve.training.evaluation import evaluation_mode
from convolve.values import Batch

if TYPE_CHECKING:
    from rich.console import RenderableType

    from convolve.tasks.caption.task import Caption
    from convolve.tasks.task import EvaluationData

_SAMPLE = 100
"""Training images whose captions are measured, at most, to compare with others."""
_DIGEST_BYTES = 8


@dataclass(frozen=True)
class EvaluatedCaption:
    """An image's name and index in the dataset, the ``caption`` written for it with the logarithm of its probability,
    what people wrote, its CIDEr, and whether the same words are a caption of the training split.
    """

    name: str
    index: int
    caption: str
    log_probability: float
    references: tuple[str, ...]
    cider: float
    repeated: bool


@dataclass(frozen=True)
class Evaluation:
    """The ``metrics`` of a split, and some of them on ``training`` images; ``each`` has the images. ``written`` and
    ``expected`` say how often the most frequent words occur in what was written, and in what people wrote.
    """

    split: str
    metrics: Mapping[str, float]
    training: Mapping[str, float]
    written: Mapping[str, int]
    expected: Mapping[str, int]
    each: tuple[EvaluatedCaption, ...]

    @property
    def images(self) -> int:
        """How many images were evaluated."""
        return len(self.each)

    def as_json(self) -> dict[str, Any]:
        """Plain numbers, lists and text; an undefined metric is null."""
        return {
            "split": self.split,
            "images": self.images,
            "metrics": {name: finite_or_none(value) for name, value in self.metrics.items()},
            "training": {name: finite_or_none(value) for name, value in self.training.items()},
            "each": [asdict(one) for one in self.each],
        }

    def to_console(self) -> Iterator[RenderableType]:
        """The metrics, next to those of training images, and how much is repeated."""
        from convolve.tasks.caption.report import console_output

        yield from console_output(self)


@final
class GreedyEvaluator:
    """Gathers sentences of indices and what people wrote."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._written: list[Words] = []
        self._references: list[Sequence[Words]] = []

    def add(self, predictions: Tensor, batch: Batch) -> None:
        """(N, 20) indices of words of a batch."""
        self._written += [self._vocabulary.decode(row) for row in predictions.tolist()]
        self._references += cast(CaptionTargets, batch.targets).sentences

    def metrics(self) -> dict[str, float]:
        """BLEU and CIDEr."""
        return sentence_metrics(self._written, self._references)


def sentence_metrics(written: Sequence[Words], references: Sequence[Sequence[Words]]) -> dict[str, float]:
    """BLEU-4 to BLEU-1 and CIDEr."""
    scores = bleu(written, references)
    found = {f"bleu{size}": scores[size - 1] for size in (4, 3, 2, 1)}
    return {**found, "cider": mean(cider(written, references))}


@dataclass(eq=False)
class _Written:
    """What a task writes for images of the dataset, by index, and of all words that people wrote the sum of their
    negative log-likelihoods, how many there are and how many are unknown.
    """

    indices: list[int] = field(default_factory=list)
    sentences: list[Words] = field(default_factory=list)
    log_probabilities: list[float] = field(default_factory=list)
    references: list[Sequence[Words]] = field(default_factory=list)
    likelihood: float = 0.0
    words: int = 0
    unknown: int = 0


def evaluate(task: Caption, data: EvaluationData) -> Evaluation:
    """Write a caption for each image, and compare it with those of people."""
    found = _write(task, data, len(data.indices))
    captions = cast(Captions, data.dataset.ground_truths["captions"])
    similar = cider(found.sentences, found.references)
    each = tuple(
        EvaluatedCaption(
            data.dataset.images.name(index),
            index,
            sentence_of(sentence),
            log_probability,
            captions.texts[index],
            score,
            digest(sentence) in task.digests,
        )
        for index, sentence, log_probability, score in zip(
            found.indices, found.sentences, found.log_probabilities, similar, strict=True
        )
    )
    metrics = sentence_metrics(found.sentences, found.references) | {
        "perplexity": math.exp(min(found.likelihood / found.words, 700)),
        "repeated": float(np.mean([one.repeated for one in each])),
        "unknown": found.unknown / found.words,
    }
    written = Counter(word for sentence in found.sentences for word in sentence)
    expected = Counter(word for known in found.references for sentence in known for word in sentence)
    return Evaluation(data.split, metrics, task.training, written, expected, each)


def evaluate_training(task: Caption, data: EvaluationData) -> dict[str, float]:
    """BLEU and CIDEr of the first images of the training split, and how many they are."""
    found = _write(task, data, _SAMPLE)
    repeated = float(np.mean([digest(sentence) in task.digests for sentence in found.sentences]))
    return {**sentence_metrics(found.sentences, found.references), "repeated": repeated, "images": len(found.sentences)}


def digest(sentence: Words) -> str:
    """16 hexadecimal digits of a sentence's words."""
    return hashlib.blake2b(" ".join(sentence).encode(), digest_size=_DIGEST_BYTES).hexdigest()


def _write(task: Caption, data: EvaluationData, most: int) -> _Written:
    """For the first images, ``most`` of them, as long as there are any."""
    found = _Written()
    with evaluation_mode(task.network), closing(data.batches.epoch(0)) as batches:
        for batch in batches:
            count = most - len(found.indices)
            sentences = cast(CaptionTargets, batch.targets).sentences[:count]
            with torch.inference_mode(), data.runtime.arithmetic():
                maps = task.maps(data.runtime.images(batch.images[:count]))
                encoded = encode_sentences(task.vocabulary, sentences, data.runtime.device)
                found.likelihood += float(task.negative_log_likelihoods(maps, encoded)[0].sum())
                written = [task.head.search(each[None], task.beam) for each in maps]
            found.words += int(encoded.counted.sum())
            known = task.vocabulary.indices
            found.unknown += sum(word not in known for each in sentences for one in each for word in one)
            found.indices.extend(batch.indices[:count].tolist())
            found.sentences.extend(task.vocabulary.decode(one.words) for one in written)
            found.log_probabilities.extend(one.log_probability for one in written)
            found.references.extend(sentences)
            if len(found.indices) >= most:
                break
    return found
