"""The pages of the claims: up to date, and whole in both languages."""

from __future__ import annotations

import re

import pytest

from convolve.experiments.catalog import CLAIMS
from convolve.experiments.findings import published_finding
from tests.test_korean import VARIANTS
from tools import write_claims_page


@pytest.mark.parametrize("language", ["en", "ko"])
def test_pages_are_what_was_found(language: str) -> None:
    written = write_claims_page.PAGES[language].read_text(encoding="utf-8")
    assert written == write_claims_page.page(language), "run python tools/write_claims_page.py"
    sections = re.findall(r"^## (.+)$", written, re.MULTILINE)
    assert sections == [name.replace("_", " ") for name in CLAIMS if published_finding(name)]


def test_every_claim_is_told_in_korean() -> None:
    assert set(write_claims_page.KOREAN) == set(CLAIMS)
    for name, texts in write_claims_page.KOREAN.items():
        assert set(texts) == {"sentence", "method", "effect"}, name
        assert texts["sentence"].endswith("니다.")
        assert texts["method"].endswith((".", "?"))
        for variant, word in VARIANTS.items():
            found = [text for text in texts.values() if re.search(variant, text)]
            assert not found, f"{name}: {word}"
