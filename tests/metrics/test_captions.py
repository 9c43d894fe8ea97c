"""BLEU and CIDEr equal to pycocoevalcap's.

The values were made by pycocoevalcap 1.2: `Bleu(4).compute_score` and `Cider().compute_score` of the sentences below.
"""

from __future__ import annotations

import math

import pytest

from convolve.metrics.captions import bleu, cider, mean

REFERENCES = [
    ["a red circle left of a blue square", "a red circle and a blue square", "a round red thing next to a blue box"],
    ["two dogs run on the beach", "two brown dogs run along a beach", "dogs playing by the sea"],
    ["a man rides a wave on a surfboard", "a surfer rides a big wave", "a man is surfing"],
    ["a cat sleeps on a sofa", "a sleeping cat", "the cat is asleep on the sofa"],
    ["a plate of food with a fork"],
]
GOOD = [
    "a red circle left of a blue square",
    "two dogs run on a beach",
    "a man rides a big wave",
    "a cat sleeps on the sofa",
    "a plate of food",
]
MIXED = [
    "a blue circle",
    "a dog on a beach by the sea with a man",
    "a man",
    "the the the the cat",
    "a fork a fork a fork",
]
WRONG = ["nothing", "green trees", "an old car", "three birds in the sky", "people at a table"]
CASES = [
    (
        GOOD,
        [0.9048374179756372, 0.8865559896841402, 0.8455395724930967, 0.7770881327280724],
        [5.156886150529091, 3.2554241845128478, 3.8113612865303796, 3.3189070098929734, 5.6759817886475075],
    ),
    (
        MIXED,
        [0.5429317431510938, 0.38595825564921726, 0.19622933936132328, 2.660738154690858e-05],
        [1.3944034059930897, 0.839722097542545, 1.4227951240935335, 0.854778948924944, 0.6743836818514464],
    ),
    (
        WRONG,
        [0.0524320961088222, 1.435912088780106e-09, 5.131617910149032e-12, 3.648169778597328e-13],
        [0.0, 0.0, 0.0, 0.11309811984981143, 0.0],
    ),
]


@pytest.mark.parametrize(("sentences", "bleus", "ciders"), CASES, ids=["good", "mixed", "wrong"])
def test_values_of_the_program(sentences: list[str], bleus: list[float], ciders: list[float]) -> None:
    candidates = [sentence.split() for sentence in sentences]
    references = [[reference.split() for reference in known] for known in REFERENCES]
    assert bleu(candidates, references) == pytest.approx(bleus, rel=1e-9)
    assert cider(candidates, references) == pytest.approx(ciders, rel=1e-9)


def test_the_same_sentence_scores_one() -> None:
    sentence = ["a", "red", "circle", "left", "of", "a", "blue", "square"]
    assert bleu([sentence], [[sentence]]) == pytest.approx((1, 1, 1, 1), rel=1e-6)


def test_nothing_written_is_worth_nothing() -> None:
    assert bleu([[]], [[["a", "cat"]]])[0] < 1e-9
    assert cider([[], ["a"]], [[["a", "cat"]], [["a"]]])[0] == 0.0
    assert math.isnan(mean([]))
