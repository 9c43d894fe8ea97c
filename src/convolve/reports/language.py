"""Pages in other languages: a catalog of sentences for each, whose keys are the English ones.

A key has `#` for each number, or cell such as `x[1,2]`, that a sentence mentions; its translation has them in the same
order, or as `#1`, `#2` where the order differs. A sentence without an entry of its own is translated clause by clause;
what has no words, such as a formula, is the same in every language.
"""

from __future__ import annotations

import functools
import importlib.resources
import re

from convolve.choices import Language
from convolve.untrusted.documents import parse_toml

CATALOGS = {"ko": "korean.toml"}
_CELL = r"[^\W\d_][\w'̂]*\[[\d,]+\]"
_NUMBER = r"[-−]?\d+(?:\.\d+)?(?:e[-−]?\d+)?"
_VALUE = re.compile(rf"{_CELL}(?: = {_NUMBER})?|{_NUMBER}")
_PLACEHOLDER = re.compile(r"#(\d?)")
_CLAUSES = re.compile(r"(: |, |; )")
_SYMBOLS = re.compile(r"\b(?:max|min|exp|log|tanh|relu|rms|IoU|p_obj|arccos)\b|[\d#]+x[\dxspf#]+")
_WORD = re.compile(r"[A-Za-z]{3,}")
_NAME = re.compile(r"\b[a-z]{3,}(?=\[)")


@functools.cache
def catalog(language: Language) -> dict[str, str]:
    """The translation of each English sentence; none for English itself."""
    if language not in CATALOGS:
        return {}
    file = importlib.resources.files("convolve.reports") / CATALOGS[language]
    return {key: str(value) for key, value in parse_toml(file.read_text(encoding="utf-8")).items()}


def translate(text: str, language: Language) -> str:
    """A sentence in a language; a clause that the catalog lacks stays English (tests find those)."""
    entries = catalog(language)
    if not entries:
        return text
    whole = _entry(text, entries)
    if whole is None:
        clauses = _CLAUSES.split(text)
        whole = "".join(clause if (found := _entry(clause, entries)) is None else found for clause in clauses)
    return _NAME.sub(lambda name: entries.get(name[0], name[0]), whole)


def missing_clauses(text: str, language: Language) -> list[str]:
    """The clauses of a sentence, as keys, that a language's catalog lacks."""
    entries = catalog(language)
    if _entry(text, entries) is not None:
        return []
    return [_VALUE.sub("#", clause) for clause in _CLAUSES.split(text) if _entry(clause, entries) is None]


def _entry(clause: str, entries: dict[str, str]) -> str | None:
    """A clause's translation with its numbers, or itself where it has no words; None if the catalog lacks it."""
    values = _VALUE.findall(clause)
    translation = entries.get(_VALUE.sub("#", clause))
    if translation is None:
        return None if _WORD.search(_SYMBOLS.sub("", _VALUE.sub("#", clause))) else clause
    rest = iter(values)
    return _PLACEHOLDER.sub(lambda at: values[int(at[1]) - 1] if at[1] else next(rest, "#"), translation)
