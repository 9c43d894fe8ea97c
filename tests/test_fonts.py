"""Korean is legible everywhere: in figures, in what Pillow draws and in pages, with no font of the machine."""

from __future__ import annotations

import base64
import io
import re
import unicodedata
from collections.abc import Iterator

import matplotlib as mpl
import numpy as np
import pytest
from fontTools.pens.recordingPen import DecomposingRecordingPen
from fontTools.ttLib import TTFont
from jinja2 import DictLoader, Environment
from matplotlib.font_manager import FontEntry, fontManager
from PIL import ImageFont

from convolve import fonts
from convolve.fonts import FAMILY, PATH, ellipsize, embedded_font_css, figure_families, pillow_font, plot_label
from convolve.reports.assets import render_page
from convolve.reports.drawing import as_png
from convolve.reports.figures import confusion_figure

IN_NO_FONT = "\U0010fffe"


def named(name: str) -> bytes:
    """A confusion matrix of two classes, of which the second has the name."""
    return as_png(confusion_figure(np.eye(2, dtype=np.int64), ["dog", name]))


def embedded(css: str) -> TTFont:
    found = re.search(r"url\(data:font/woff;base64,([^)]*)\)", css)
    assert found
    return TTFont(io.BytesIO(base64.b64decode(found.group(1))))


def family(text: str) -> str | None:
    font = pillow_font(text, 13)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font.getname()[0]


def shape(font: TTFont, letter: str) -> list[tuple[str, tuple[object, ...]]]:
    pen = DecomposingRecordingPen(font.getGlyphSet())
    font.getGlyphSet()[font.getBestCmap()[ord(letter)]].draw(pen)
    return list(pen.value)


@pytest.fixture
def other_machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine on which the Korean family that is looked for first has the shapes of a monospaced font."""
    path = f"{mpl.get_data_path()}/fonts/ttf/DejaVuSansMono.ttf"
    entries = [entry for entry in fontManager.ttflist if str(entry.fname).startswith(mpl.get_data_path())]
    entries += [
        FontEntry(fname=f"{path}{end}", name=name, weight=400)
        for name, end in (("Noto Sans CJK KR", ""), ("Malgun Gothic", ".gone"))
    ]
    caches = (figure_families, fonts._installed, fonts._figure_characters)
    with monkeypatch.context() as patch:
        patch.setattr(fontManager, "ttflist", entries)
        for cached in caches:
            cached.cache_clear()
        yield
    for cached in caches:
        cached.cache_clear()


def test_a_korean_class_is_drawn_with_its_own_glyphs() -> None:
    """matplotlib would draw the same placeholder for every syllable that it lacks, and warn."""
    figures = [named(name) for name in ("고양이", "민들레", "□□□")]
    assert len(set(figures)) == 3
    drawn = {bytes(pillow_font(text, 21).getmask(text)) for text in ("해", "각", IN_NO_FONT)}
    assert len(drawn) == 3


def test_what_is_installed_changes_no_picture(request: pytest.FixtureRequest) -> None:
    before = named("고양이 größe")
    request.getfixturevalue("other_machine")
    assert figure_families() == ("DejaVu Sans", FAMILY, "Noto Sans CJK KR")  # without the font whose file is gone
    assert named("고양이 größe") == before
    assert family("고양이 größe") == FAMILY


def test_registering_twice_changes_nothing() -> None:
    figure_families.cache_clear()
    count = len(fontManager.ttflist)
    assert FAMILY in figure_families()
    assert len([entry for entry in fontManager.ttflist if entry.name == FAMILY]) == 1
    assert len(fontManager.ttflist) - count in {0, 1}


def test_labels_keep_what_the_fonts_have() -> None:
    assert plot_label("größe é ≤ −5") == "größe é ≤ −5"
    assert plot_label(f"{IN_NO_FONT} a\n b") == "□ a b"
    assert plot_label("x" * 40) == "x" * 27 + "…"
    assert plot_label("고양이", 3) == "고양이"
    assert plot_label(unicodedata.normalize("NFD", "고양이"), 3) == "고양이"


def test_pillow_draws_with_the_font_that_has_all_characters() -> None:
    assert family("dog") not in {FAMILY, "DejaVu Sans"}
    assert family("해바라기 −0.3 × größe") == FAMILY
    assert family("č") == "DejaVu Sans"
    assert family(f"꽃{IN_NO_FONT}") == FAMILY


def test_a_long_text_ends_in_an_ellipsis() -> None:
    font = pillow_font("W", 13)
    cut = ellipsize("W" * 90, font, 144)
    assert cut.endswith("W...")
    assert font.getlength(cut) <= 144 < font.getlength("W" + cut)
    assert ellipsize("short", font, 144) == "short"
    assert ellipsize("WWW", font, 1) == "..."


def test_all_syllables_are_there_under_a_name_of_its_own() -> None:
    """The license (section 3) reserves the original's name for the original."""
    font = TTFont(PATH)
    assert set(range(0xAC00, 0xD7A4)) <= font.getBestCmap().keys()
    names = [font["name"].getDebugName(number) or "" for number in (1, 4, 6, 16)]
    assert names[0] == FAMILY
    assert not any("nanum" in name.lower() for name in names)
    assert "SIL OPEN FONT LICENSE" in PATH.with_name("OFL.txt").read_text(encoding="utf-8")


def test_a_page_brings_exactly_the_glyphs_of_its_hangul() -> None:
    css = embedded_font_css("고양이와 dog, größe: 고양이")
    font, whole = embedded(css), TTFont(PATH)
    assert font.getBestCmap().keys() == {ord(letter) for letter in "고양이와"}
    assert all(shape(font, letter) == shape(whole, letter) for letter in "고양이와")
    assert shape(font, "고") != shape(font, "양")
    assert f'font-family: "{FAMILY}"' in css
    assert len(css) < 3000
    assert css == embedded_font_css("dog 이와고양")
    assert embedded_font_css("dog, größe, 猫") == ""


def test_decomposed_hangul_brings_its_syllables() -> None:
    text = unicodedata.normalize("NFD", "한")
    assert embedded(embedded_font_css(text)).getBestCmap().keys() == {ord(letter) for letter in f"한{text}"}


def test_the_font_stands_in_the_head_of_a_page() -> None:
    templates = Environment(loader=DictLoader({"page": "<head></head><p>{{ name }}</p></head>"}), autoescape=True)
    assert render_page(templates, "page", name="dog") == "<head></head><p>dog</p></head>"
    head, _, body = render_page(templates, "page", name="개").partition("</head>")
    assert head.startswith("<head><style>@font-face")
    assert embedded(head).getBestCmap().keys() == {ord("개")}
    assert body == "<p>개</p></head>"
