"""Pages in other languages: a catalog of sentences for each, whose keys are the English ones.

A key has `#` for each number, or cell such as `x[1,2]`, that a sentence mentions, and `{}` for each name; its
translation has them in the same order, or as `#1`, `{2}` where the order differs. A text without an entry of its own is
translated sentence by sentence, and a sentence clause by clause; what has no words, such as a formula, is the same in
every language.

`translate_page` translates the texts of a page's HTML, and of the figures in it. What is a name, such as that of a
class or a file, is in an element with HTML's attribute `translate="no"`. Sentences for scripts are in attributes called
`data-text` or `data-text-…`.
"""

from __future__ import annotations

import functools
import html
import importlib.resources
import re
from collections.abc import Mapping, Sequence

from convolve.choices import Language
from convolve.untrusted.documents import parse_toml

CATALOGS: Mapping[str, Sequence[str]] = {"ko": ("korean.toml", "korean_reports.toml")}
_CELL = r"[^\W\d_][\w'̂]*\[[\d,]+\]"
_NUMBER = r"[-−]?\d+(?:[,\u00a0]\d{3}(?!\d))*(?:\.\d+)?(?:e[-−]?\d+)?"
_VALUE = re.compile(rf"{_CELL}(?: = {_NUMBER})?|{_NUMBER}")
_PLACEHOLDER = re.compile(r"(#|\{)(\d?)\}?")
_SEPARATORS = tuple(
    map(re.compile, (r"((?<=[.!])\s+(?=[^\W\d_]))", r"(\.$)", r"(: )", r"(; )", r"(, )", r"( \((?=\w)|\)$)"))
)
"""What parts sentences, and clauses within them, the wider parts first."""
_SYMBOLS = re.compile(r"\b(?:max|min|exp|log|tanh|relu|rms|IoU|p_obj|arccos)\b|[\d#]+x[\dxspf#]+")
_ANY = r"(?:(?![:;.] ).)+?"  # a name, or several
_SPACES = re.compile(r"[ \t\n]+")
_WORD = re.compile(r"[A-Za-z]{3,}")
_NAME = re.compile(r"\b[a-z]{3,}(?=\[)")
_MARKUP = re.compile(r"(<style\b.*?</style>|<script\b.*?</script>|<!--.*?-->|<[^>]*>)", re.DOTALL)
_TAG = re.compile(r"<(/?)([\w-]+)")
_ATTRIBUTE = re.compile(r' (alt|title|aria-label|data-text[\w-]*)="([^"]*)"')
_UNTRANSLATED = ' translate="no"'
_VOID = frozenset({"img", "input", "wbr", "br"})


@functools.cache
def catalog(language: Language) -> dict[str, str]:
    """The translation of each English sentence; none for English itself."""
    folder = importlib.resources.files("convolve.reports")
    files = [(folder / name).read_text(encoding="utf-8") for name in CATALOGS.get(language, ())]
    return {key: str(value) for file in files for key, value in parse_toml(file).items()}


def translate(text: str, language: Language) -> str:
    """A text in a language; a clause that the catalog lacks stays English (tests find those)."""
    entries = catalog(language)
    if not entries:
        return text
    whole = _parts(text, language)[0]
    return _NAME.sub(lambda name: entries.get(name[0], name[0]), whole)


def missing_clauses(text: str, language: Language) -> list[str]:
    """The clauses of a text, as keys, that a language's catalog lacks."""
    return [_VALUE.sub("#", clause) for clause in _parts(text, language)[1]]


def translate_page(page: str, language: Language) -> str:
    """The HTML of an English page in a language. ``page`` writes `<` and `>` as entities outside of markup, as the
    templates do. Its other bytes stay as they are.
    """
    if not catalog(language):
        return page
    parts, untranslated = _MARKUP.split(page), ""
    depth = 0  # of elements called as the untranslated one, within it and with it
    for index, part in enumerate(parts):
        if index % 2 == 0:
            parts[index] = part if depth else _translate_html(part, language)
            continue
        end, name = tag.groups() if (tag := _TAG.match(part)) else ("", "")
        if depth:
            depth += (name == untranslated) * (-1 if end else 0 if part.endswith("/>") else 1)
        elif _UNTRANSLATED not in part:
            parts[index] = _ATTRIBUTE.sub(lambda found: f' {found[1]}="{_translate_html(found[2], language)}"', part)
        elif name not in _VOID:
            untranslated, depth = name, 1
    return "".join(parts).replace('<html lang="en">', f'<html lang="{language}">', 1)


def _translate_html(text: str, language: Language) -> str:
    """A text with entities, between the same spaces."""
    words = text.strip()
    if not words:
        return text
    translation = html.escape(translate(_SPACES.sub(" ", html.unescape(words)), language))
    before, after = text.split(words, 1)
    return before + translation + after


def _parts(text: str, language: Language, level: int = 0) -> tuple[str, list[str]]:
    """A text in a language, parted at the separators from ``level`` on, and the clauses that the catalog lacks."""
    if (whole := _entry(text, language)) is not None:
        return whole, []
    if level == len(_SEPARATORS):
        return text, [text]
    parts = [_parts(part, language, level + 1) for part in _SEPARATORS[level].split(text)]
    return "".join(translation for translation, _ in parts), [clause for _, missing in parts for clause in missing]


def _entry(clause: str, language: Language) -> str | None:
    """A clause's translation with its numbers and names, or itself where it has no words; None if the catalog lacks
    it. Entries begin in lower case where that is not a name; a heading finds them too.
    """
    key = _VALUE.sub("#", clause).replace("\N{NO-BREAK SPACE}", " ")
    entries = catalog(language)
    translation = entries.get(key) or entries.get(key[:1].lower() + key[1:])
    if translation is not None:
        return _fill(translation, _VALUE.findall(clause), ())
    if not _WORD.search(_SYMBOLS.sub("", key)):
        return clause
    for pattern, translation in _patterns(language):
        if match := pattern.fullmatch(clause):
            found = match.groupdict()
            numbers, names = ([found[group] for group in found if group[0] == kind] for kind in "nt")
            return _fill(translation, numbers, names)
    return None


@functools.cache
def _patterns(language: Language) -> tuple[tuple[re.Pattern[str], str], ...]:
    """The entries with names: what matches their sentences, and the translation."""

    def pattern(key: str) -> re.Pattern[str]:
        written = ""
        for index, part in enumerate(re.split(r"(#|\{\})", key)):
            group = {"#": f"(?P<n{index}>{_VALUE.pattern})", "{}": f"(?P<t{index}>{_ANY})"}
            written += group.get(part) or re.escape(part).replace("\\ ", r"[ \u00a0]")
        return re.compile(written)

    return tuple((pattern(key), value) for key, value in catalog(language).items() if "{}" in key)


def _fill(translation: str, numbers: Sequence[str], names: Sequence[str]) -> str:
    """A translation with its numbers and names; a number is not parted from its percent sign."""
    values = {"#": numbers, "{": names}
    rest = {kind: iter(found) for kind, found in values.items()}

    def value(at: re.Match[str]) -> str:
        return values[at[1]][int(at[2]) - 1] if at[2] else next(rest[at[1]], at[0])

    return _PLACEHOLDER.sub(value, translation.replace("# %", "#\N{NO-BREAK SPACE}%"))
