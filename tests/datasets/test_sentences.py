"""Words of sentences, equal to those of the tokenizer that COCO's program runs.

The expected words were made by pycocoevalcap 1.2's `PTBTokenizer` (Stanford CoreNLP 3.4.1); on coco_mini's 795 captions
both agree on every word.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convolve.datasets.sentences import sentence_of, words_of

ENGLISH = {
    "A man's dog isn't on the t-shirt, OK?": "a man 's dog is n't on the t-shirt ok",
    "Two people can't see 1,000 birds at 2:30.": "two people ca n't see 1,000 birds at 2:30",
    "The kids' toys cost $5 & 50% less.": "the kids toys cost $ 5 & 50 % less",
    "I cannot believe it's gonna rain...": "i can not believe it 's gon na rain",
    "A black/white cat; they're asleep -- both.": "a black/white cat they 're asleep both",
    "She's got 3.5 pizzas, hasn't she?": "she 's got 3.5 pizzas has n't she",
    "A man in a 49er's jersey": "a man in a 49er 's jersey",
    "A model kitchen from the 1950s": "a model kitchen from the 1950s",
    "a close-up of a teddy bear , sitting .": "a close-up of a teddy bear sitting",
    "They'll go, we've gone, I'd stay, I'm here.": "they 'll go we 've gone i 'd stay i 'm here",
    "bottles of Coca-Cola and M&M's": "bottles of coca-cola and m&m 's",
}


@pytest.mark.parametrize("sentence", ENGLISH)
def test_english_as_the_penn_treebank(sentence: str) -> None:
    assert " ".join(words_of(sentence)) == ENGLISH[sentence]


def test_korean_at_spaces_and_punctuation() -> None:
    assert words_of("빨간 원이, 파란 사각형의 왼쪽에 있다.") == ("빨간", "원이", "파란", "사각형의", "왼쪽에", "있다")
    decomposed = "\u1107\u1161\u11af"  # as some disks write it
    assert words_of(f"{decomposed}!") == ("발",)


def test_brackets_quotes_and_blank_lines_are_no_words() -> None:
    assert words_of(' (a "cat") … ') == ("a", "cat")
    assert words_of(" .,!? ") == ()


@given(st.lists(st.sampled_from([word for each in ENGLISH.values() for word in each.split()]), min_size=1))
def test_a_sentence_has_the_words_that_it_is_made_of(words: list[str]) -> None:
    text = sentence_of(tuple(words))
    assert sentence_of(words_of(text)) == sentence_of(words_of(sentence_of(words_of(text))))


@pytest.mark.parametrize("sentence", ENGLISH.values())
def test_parted_words_come_together_and_part_again(sentence: str) -> None:
    words = tuple(sentence.split())
    if "can" not in words and "gon" not in words:  # which stay two words
        assert words_of(sentence_of(words)) == words
