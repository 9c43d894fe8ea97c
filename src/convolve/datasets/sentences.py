"""Words of a sentence: lower case, without punctuation.

English is cut as the Penn Treebank has it, and the signs that COCO's program drops are dropped (Chen et al. 2015,
"Microsoft COCO captions: data collection and evaluation server", section 3.1). Languages that write spaces, such as
Korean, are cut at these and at punctuation; particles stay with their words.
"""

from __future__ import annotations

import re
from unicodedata import normalize

Words = tuple[str, ...]

_TOKEN = re.compile(
    r"[^\W_]+(?:[-'/&][^\W_]+|(?<=\d)[.,:](?=\d)[^\W_]+)*"  # words, also a t-shirt, 1,000 and 2:30
    r"|[$%&#@+=*]"
)
_PARTS = re.compile(r"(.+)(n't|'s|'m|'d|'re|'ve|'ll)")
_TWO_WORDS = {"cannot": ("can", "not"), "gonna": ("gon", "na"), "gotta": ("got", "ta"), "wanna": ("wan", "na")}
_SIGNS = str.maketrans({"\N{RIGHT SINGLE QUOTATION MARK}": "'", "\N{LEFT SINGLE QUOTATION MARK}": "'"})


def words_of(sentence: str) -> Words:
    """The words of a sentence, in order; none of what holds nothing but punctuation.

    >>> words_of("A man's dog isn't on the t-shirt, OK?")
    ('a', 'man', "'s", 'dog', 'is', "n't", 'on', 'the', 't-shirt', 'ok')
    """
    found: list[str] = []
    for token in _TOKEN.findall(normalize("NFC", sentence).translate(_SIGNS).lower()):
        if token in _TWO_WORDS:
            found.extend(_TWO_WORDS[token])
        elif parts := _PARTS.fullmatch(token):
            found.extend(parts.groups())
        else:
            found.append(token)
    return tuple(found)


def sentence_of(words: Words) -> str:
    """The words as a text: those that `words_of` parted are together again.

    >>> sentence_of(("a", "man", "'s", "dog", "is", "n't", "here"))
    "a man's dog isn't here"
    """
    text = ""
    for word in words:
        joined = not text or word == "n't" or word.startswith("'")
        text += word if joined else f" {word}"
    return text
