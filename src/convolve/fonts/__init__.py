"""The fonts of figures, sheets and pages: Korean is legible on every machine, whatever is installed there.

Glyphs come from matplotlib's DejaVu Sans and from Convolve Gothic, a subset of NanumGothic in this folder (see its
`README.md`). Installed fonts are used only for characters that both lack, such as Chinese ones.
"""

from __future__ import annotations

import base64
import functools
import io
import unicodedata
from pathlib import Path
from typing import Final

from PIL import ImageFont

FAMILY: Final = "Convolve Gothic"
PATH: Final = Path(__file__).parent / "ConvolveGothic-Regular.ttf"
_INSTALLED: Final = (
    *("Noto Sans CJK KR", "Noto Sans CJK JP", "Noto Sans CJK SC", "Apple SD Gothic Neo", "Malgun Gothic"),
    *("Hiragino Sans", "PingFang SC", "Microsoft YaHei", "WenQuanYi Zen Hei"),
)
_MISSING: Final = "\N{WHITE SQUARE}"
_ELLIPSIS: Final = "..."
"""Three periods, since Korean fonts center the single character."""
_HANGUL: Final = ((0x1100, 0x11FF), (0x3130, 0x318F), (0xA960, 0xA97F), (0xAC00, 0xD7FF))

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@functools.cache
def figure_families() -> tuple[str, ...]:
    """The font families of matplotlib figures, in the order in which glyphs are looked for; registers the bundled one.

    The first two come with matplotlib and with this package, so that a figure is the same on every machine.
    """
    from matplotlib.font_manager import fontManager

    if FAMILY not in {entry.name for entry in fontManager.ttflist}:
        fontManager.addfont(PATH)
    return ("DejaVu Sans", FAMILY, *_installed())


def plot_label(text: str, longest: int = 28) -> str:
    """Text for a figure on one line: a character that no font has becomes a square, a long text ends in an ellipsis.

    ``longest`` counts characters. Decomposed Hangul, as in file names of macOS, is composed.
    """
    words = unicodedata.normalize("NFC", " ".join(text.split()))
    label = "".join(letter if ord(letter) in _figure_characters() else _MISSING for letter in words)
    return label if len(label) <= longest else label[: longest - 1] + "…"


def pillow_font(text: str, size: int) -> Font:
    """The font in which Pillow draws a text, ``size`` pixels high: for ASCII Pillow's own, otherwise the first of the
    bundled, matplotlib's and the installed ones that has all its characters, or the most of them.
    """
    if text.isascii():
        return ImageFont.load_default(size)
    from matplotlib import get_data_path

    wanted = {ord(letter) for letter in text}
    own = (str(PATH), str(Path(get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")))
    path = next((path for path in own if wanted <= _characters(path)), None)
    if path is None:
        path = max((*own, *_installed().values()), key=lambda path: len(wanted & _characters(path)))
    return ImageFont.truetype(path, size)


def ellipsize(text: str, font: Font, width: int) -> str:
    """The text, ending in an ellipsis where it would be wider than ``width`` pixels."""
    if font.getlength(text) <= width:
        return text
    ends = range(len(text), -1, -1)
    end = next((end for end in ends if font.getlength(text[:end].rstrip() + _ELLIPSIS) <= width), 0)
    return text[:end].rstrip() + _ELLIPSIS


def embedded_font_css(text: str) -> str:
    """A CSS rule `@font-face` that brings along the glyphs of the Hangul in ``text`` and no others; empty without any.

    The font is named by `FAMILY`, is used for Hangul only, and is the same to the byte for the same characters.
    """
    letters = {ord(letter) for letter in set(text) if _is_hangul(letter)}
    if not letters:
        return ""
    from fontTools import subset

    # Browsers compose conjoining jamo, so the syllables that these make up belong to the text too.
    letters |= {ord(letter) for letter in set(unicodedata.normalize("NFC", text)) if _is_hangul(letter)}
    options = subset.Options(flavor="woff", hinting=False, layout_features=[], name_IDs=[0, 1, 2, 4, 6, 13])
    with subset.load_font(str(PATH), options) as font:
        subsetter = subset.Subsetter(options)
        subsetter.populate(unicodes=letters)
        subsetter.subset(font)
        written = io.BytesIO()
        subset.save_font(font, written, options)
    data = base64.b64encode(written.getvalue()).decode()
    blocks = ",".join(f"U+{first:X}-{last:X}" for first, last in _HANGUL)
    source = f'url(data:font/woff;base64,{data}) format("woff")'
    return f'@font-face {{ font-family: "{FAMILY}"; src: {source}; unicode-range: {blocks}; }}'


def _is_hangul(letter: str) -> bool:
    return any(first <= ord(letter) <= last for first, last in _HANGUL)


@functools.cache
def _installed() -> dict[str, str]:
    """The path of each known family that is installed here, for scripts that no bundled font has."""
    from matplotlib.font_manager import fontManager

    found = {entry.name: entry.fname for entry in fontManager.ttflist if entry.weight == 400}
    # matplotlib's list may be older than the disk.
    return {name: found[name] for name in _INSTALLED if name in found and Path(found[name]).is_file()}


@functools.cache
def _characters(path: str) -> frozenset[int]:
    from matplotlib.font_manager import get_font

    return frozenset(get_font(path).get_charmap())


@functools.cache
def _figure_characters() -> frozenset[int]:
    from matplotlib.font_manager import FontProperties, findfont

    paths = [findfont(FontProperties(family=[family])) for family in figure_families()]
    return frozenset(letter for path in paths for letter in _characters(str(path)) if letter >= 32)
