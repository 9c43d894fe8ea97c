"""One word for one thing in the Korean documents: the glossary's, and none of its variants."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted(
    [
        ROOT / "README.ko.md",
        *(ROOT / "docs").glob("*.ko.md"),
        *(ROOT / "docs").glob("*.ko.ipynb"),
        *(ROOT / "docs" / "book" / "ko").glob("*.md"),
    ]
)
VARIANTS = {
    "에포크": "에폭",
    "임곗값|임계치|문턱값": "임계값",
    "과적합|오버피팅": "과대적합",
    "(?<!디)[컨콘]볼루션": "합성곱",
    "특징 맵|피처 ?맵": "특징맵",
    "히트 맵": "히트맵",
    "전결합|밀집 계층|레이어|(?<![가-힣0-9])층(?=[은는이가을를과와의에도으, .])": "계층",
    "(?<![가-힣])창(?=[은이을과의에도으])": "윈도우",
    "굽힘": "비선형성",
    "(?<![가-힣])시험": "테스트",
    "화소": "픽셀",
    "라벨": "레이블",
    "학습율|러닝 ?레이트": "학습률",
    "(?<!하이퍼)파라미터|모수": "매개변수",
    "그래디언트(?! 클리핑)|그레이디언트|경사도": "기울기",
    "네트워크(?!에(?:$| 연결))|뉴럴": "신경망",
    "경계 ?상자": "바운딩 박스",
    "옵티마이저|최적화기": "최적화 방법",
    "조각 (?:하나|열 개)": "단일 크롭, 10-크롭",
}
QUOTED = re.compile(r"^```.*?^```$|^> .*?$|`[^`\n]*`|“[^”\n]*”|\"[^\"\n]*\"|\]\([^)\s]*\)", re.DOTALL | re.MULTILINE)
SOURCE = re.compile(r"^강의:.*?(?:\n\n|\Z)", re.DOTALL | re.MULTILINE)
SLIDE = re.compile(r"^\|[^|\n]*\||^## .*$", re.MULTILINE)


def prose(document: Path) -> str:
    """What a document says itself: without code, what it quotes, and slides in their own words."""
    text = document.read_text(encoding="utf-8")
    if document.suffix == ".ipynb":
        text = "\n".join("".join(c["source"]) for c in json.loads(text)["cells"] if c["cell_type"] == "markdown")
    for quotation in (SOURCE, QUOTED):
        text = quotation.sub(lambda found: "\n" * found[0].count("\n"), text)
    return SLIDE.sub("", text) if document.name == "slides.ko.md" else text


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_korean_document_has_the_glossary_s_word(document: Path) -> None:
    found = [
        f"{document.name}:{number}: {match[0]} -> {word}: {line.strip()[:60]}"
        for number, line in enumerate(prose(document).split("\n"), 1)
        for variant, word in VARIANTS.items()
        for match in re.finditer(variant, line)
    ]
    assert not found, "\n".join(found)


def test_what_a_document_quotes_is_not_its_own_word(tmp_path: Path) -> None:
    document = tmp_path / "slides.ko.md"
    document.write_text(
        '에폭 "에포크" `에포크`\n\n```\n에포크\n```\n\n## 레이어\n\n| 레이어 | 계층 | 에포크 |\n', encoding="utf-8"
    )
    assert prose(document).split() == ["에폭", "계층", "|", "에포크", "|"]
