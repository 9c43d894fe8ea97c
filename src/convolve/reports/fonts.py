"""Which installed fonts a picture's words are set in, so that Korean and other scripts are legible."""

from __future__ import annotations

import functools

from matplotlib import font_manager

_WANTED = (
    *("Noto Sans CJK KR", "Noto Sans KR", "NanumGothic", "NanumBarunGothic", "Malgun Gothic", "Apple SD Gothic Neo"),
    *("Noto Sans CJK JP", "Noto Sans CJK SC", "Hiragino Sans", "PingFang SC", "Microsoft YaHei", "WenQuanYi Zen Hei"),
)
_MISSING = "\N{WHITE SQUARE}"


@functools.cache
def families() -> tuple[str, ...]:
    """Font families in the order in which a glyph is looked for; the first one comes with matplotlib."""
    installed = {font.name for font in font_manager.fontManager.ttflist}
    return ("DejaVu Sans", *(name for name in _WANTED if name in installed))


def legible(text: str, longest: int = 28) -> str:
    """Text on one line that these fonts can show: what they lack becomes a square, what is too long is cut."""
    words = " ".join(text.split())
    shown = "".join(letter if ord(letter) in _letters() else _MISSING for letter in words)
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"


@functools.cache
def _letters() -> frozenset[int]:
    paths = [font_manager.findfont(font_manager.FontProperties(family=[name])) for name in families()]
    return frozenset(letter for path in paths for letter in font_manager.get_font(path).get_charmap() if letter >= 32)
