"""How good generated sentences are, next to those that people wrote of the same images: BLEU and CIDEr.

Both are as COCO's program (coco-caption) computes them, down to its small numbers against division by zero.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

Sentence = Sequence[str]
NGrams = Counter[tuple[str, ...]]

LONGEST = 4
"""Words in a row that are compared, at most."""
_TINY, _SMALL = 1e-15, 1e-9
_SIGMA = 6.0
"""CIDEr-D: the standard deviation of the Gaussian by which sentences of other lengths count less."""


def bleu(candidates: Sequence[Sentence], references: Sequence[Sequence[Sentence]]) -> tuple[float, float, float, float]:
    """BLEU-1 to BLEU-4 of a corpus: a sentence of words for each image, and the sentences of people for each.

    Papineni, Roukos, Ward, Zhu 2002, "BLEU: a method for automatic evaluation of machine translation", section 2.3; of
    the references the one of the closest length counts for the brevity penalty, of two the shorter one.

    >>> words = "a red red circle".split(), "a red circle on a blue square".split()
    >>> print(f"{bleu([words[0]], [[words[1]]])[0]:.4f}")  # 3 of 4 words, times exp(1 - 7 / 4)
    0.3543
    """
    correct, guessed, length, reference_length = [0] * LONGEST, [0] * LONGEST, 0, 0
    for candidate, known in zip(candidates, references, strict=True):
        most: NGrams = Counter()
        for reference in known:
            most |= _ngrams(reference)
        for ngram, count in _ngrams(candidate).items():
            correct[len(ngram) - 1] += min(count, most[ngram])
        for size in range(LONGEST):
            guessed[size] += max(0, len(candidate) - size)
        length += len(candidate)
        reference_length += min((abs(len(each) - len(candidate)), len(each)) for each in known)[1]
    ratio = (length + _TINY) / (reference_length + _SMALL)
    penalty = math.exp(1 - 1 / ratio) if ratio < 1 else 1.0
    product, found = 1.0, []
    for size in range(LONGEST):
        product *= (correct[size] + _TINY) / (guessed[size] + _SMALL)
        found.append(product ** (1 / (size + 1)) * penalty)
    return found[0], found[1], found[2], found[3]


def cider(candidates: Sequence[Sentence], references: Sequence[Sequence[Sentence]]) -> list[float]:
    """CIDEr-D of each image; the corpus' is their mean. Words count less the more images' references have them.

    Vedantam, Zitnick, Parikh 2015, "CIDEr: consensus-based image description evaluation", equations 1 to 5: times 10,
    with clipped counts, and with a Gaussian of the difference of lengths. As in COCO's program a sentence's length is
    its number of pairs of words.
    """
    counts = [[_ngrams(reference) for reference in known] for known in references]
    images = Counter(ngram for known in counts for ngram in set().union(*known))
    logarithm = math.log(len(references)) if references else 0.0
    found = []
    for candidate, known in zip(candidates, counts, strict=True):
        own = _Weighted(_ngrams(candidate), images, logarithm)
        total = sum(own.similarity(_Weighted(reference, images, logarithm)) for reference in known)
        found.append(10 * total / LONGEST / len(known))
    return found


class _Weighted:
    """The n-grams of a sentence, each times how telling it is, and their norms by size."""

    def __init__(self, counts: NGrams, images: Counter[tuple[str, ...]], logarithm: float) -> None:
        self.weights = {ngram: count * (logarithm - math.log(max(1, images[ngram]))) for ngram, count in counts.items()}
        self.norms = [
            math.sqrt(sum(weight**2 for ngram, weight in self.weights.items() if len(ngram) == size))
            for size in range(1, LONGEST + 1)
        ]
        self.pairs = sum(count for ngram, count in counts.items() if len(ngram) == 2)

    def similarity(self, reference: _Weighted) -> float:
        """The sum over the sizes of n-grams of the cosine, where what exceeds the reference does not count."""
        sums = [0.0] * LONGEST
        for ngram, weight in self.weights.items():
            other = reference.weights.get(ngram, 0.0)
            sums[len(ngram) - 1] += min(weight, other) * other
        closeness = math.exp(-((self.pairs - reference.pairs) ** 2) / (2 * _SIGMA**2))
        norms = [own * other for own, other in zip(self.norms, reference.norms, strict=True)]
        return closeness * sum(total / norm if norm else total for total, norm in zip(sums, norms, strict=True))


def _ngrams(sentence: Sentence) -> NGrams:
    """How often each row of 1 to 4 words occurs."""
    words = tuple(sentence)
    return Counter(
        words[start : start + size] for size in range(1, LONGEST + 1) for start in range(len(words) - size + 1)
    )


def mean(values: Iterable[float]) -> float:
    """The mean; nan of none."""
    found = list(values)
    return sum(found) / len(found) if found else math.nan
