"""Write docs/claims.md and docs/claims.ko.md from what was found of the claims.

``python tools/write_claims_page.py`` writes the pages; with ``--check`` it only compares, and exits with 1 if one is
out of date. Findings are those in src/convolve/experiments/measured, which `convolve claims --out FOLDER` writes.
"""

from __future__ import annotations

import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from convolve.experiments.catalog import CLAIMS
from convolve.experiments.claim import Claim
from convolve.experiments.findings import Finding, Verdict, Word, published_finding, verdict
from convolve.progress import format_duration

KOREAN = tomllib.loads(Path(__file__).with_name("claims_korean.toml").read_text(encoding="utf-8"))
"""The sentence, the method and the effect of each claim in Korean."""
DOCS = Path(__file__).parents[1] / "docs"
PAGES = {"en": DOCS / "claims.md", "ko": DOCS / "claims.ko.md"}
_COMMANDS = """```console
$ convolve claims
$ convolve claims padding --out claims
```
"""
_VERDICTS: dict[Word, str] = {"supported": "지지됨", "refuted": "반박됨", "undecided": "결정되지 않음"}
_ENGLISH_HEAD = """# The lectures' claims, tried

[한국어](claims.ko.md)

The lectures say that one thing is better, faster or smaller than another. Each such sentence is an experiment here.
What would support it and what would refute it was written down before the experiment was run: the effect is
measured with several seeds, and where the whole 95 % confidence interval of its mean (Student's t) is at or above
one bound, the claim is supported; below the other, refuted; else undecided. A refuted claim is refuted at this
size, on these data, with these networks: small ones, so that two cores can train them. An undecided one has an
effect that is too small for so few seeds. [A chapter](book/en/claims.md) calculates a verdict by hand, and says how to
write a claim of your own.

Nine experiments were changed after a first run and repeated, with the same bounds: their networks had been given
different learning rates, or too few epochs to learn (`all_filter_sizes`, `augmentation`, `batch_norm_overfitting`,
`dropout`, `gap_overfitting`, `ingredients`, `mlp_parameters`, `more_filters`, `transfer`).

The first command lists all claims with their verdicts, the second tries one. `--quick` tries one with one seed on
scikit-learn's digits, without a verdict; `--seeds 5` makes the interval narrower.
"""
_KOREAN_HEAD = """# 강의의 주장을 실험으로

[English](claims.md)

강의는 어떤 것이 다른 것보다 더 좋거나 빠르거나 작다고 말합니다. 여기서는 그런 문장 하나하나가 실험입니다. 무엇이 그
주장을 지지하고 무엇이 반박하는지를 실험 전에 적어 두었습니다. 여러 시드로 효과를 재어, 평균의 95 % 신뢰
구간(스튜던트 t) 전체가 한 경계 이상이면 지지된 것이고, 다른 경계보다 낮으면 반박된 것이며, 그 밖에는 결정되지 않은
것입니다. 반박된 주장은 이 크기, 이 데이터, 이 신경망에서 반박된 것입니다. 두 코어로 학습할 수 있도록 작은 신경망을
썼습니다. [주장 장](book/ko/claims.md)은 판정을 손으로 계산하고, 나의 주장을 쓰는 방법을 알려 줍니다.

실험 아홉 개는 한 번 실행한 뒤 경계는 그대로 두고 고쳐서 다시 실행했습니다. 비교하는 신경망의 학습률이 서로
달랐거나, 학습하기에 에폭이 너무 적었습니다(`all_filter_sizes`, `augmentation`, `batch_norm_overfitting`,
`dropout`, `gap_overfitting`, `ingredients`, `mlp_parameters`, `more_filters`, `transfer`).

첫 명령은 모든 주장과 판정을 보여 주고, 둘째 명령은 하나를 실험합니다. `--quick`은 scikit-learn의 숫자 이미지로 시드
하나만 실험하며 판정은 하지 않습니다. `--seeds 5`를 주면 구간이 좁아집니다.
"""


def page(language: str) -> str:
    """The page's text."""
    found = [(claim, finding) for claim in CLAIMS.values() if (finding := published_finding(claim.name))]
    verdicts = {claim.name: verdict(claim, finding) for claim, finding in found}
    counts = Counter(one.word for one in verdicts.values())
    parts = [_KOREAN_HEAD if language == "ko" else _ENGLISH_HEAD, _COMMANDS]
    if language == "ko":
        words = ", ".join(f"{_VERDICTS[word]} {counts[word]}개" for word in _VERDICTS)
        parts.append(f"실험한 주장 {len(found)}개: {words}.\n")
        parts.append("\n".join(_korean_table(found, verdicts)) + "\n")
        parts += [_korean_section(claim, finding, verdicts[claim.name]) for claim, finding in found]
        return "\n".join(parts)
    words = ", ".join(f"{counts[word]} {word}" for word in _VERDICTS)
    parts.append(f"{len(found)} claims were tried: {words}.\n")
    parts.append("\n".join(_table(found, verdicts)) + "\n")
    parts += [_section(claim, finding, verdicts[claim.name]) for claim, finding in found]
    return "\n".join(parts)


def _table(found: list[tuple[Claim, Finding]], verdicts: dict[str, Verdict]) -> Iterator[str]:
    yield "| | claim | verdict | effect | seeds | time |"
    yield "|---|---|---|---|---|---|"
    for claim, finding in found:
        one = verdicts[claim.name]
        link = f"[{claim.sentence}](#{claim.name.replace('_', '-')})"
        cells = (claim.number, link, one.word, effect(one, claim), len(finding.seeds), format_duration(finding.seconds))
        yield f"| {' | '.join(map(str, cells))} |"


def _korean_table(found: list[tuple[Claim, Finding]], verdicts: dict[str, Verdict]) -> Iterator[str]:
    yield "| | 주장 | 판정 | 효과 | 시드 | 시간 |"
    yield "|---|---|---|---|---|---|"
    for claim, finding in found:
        one = verdicts[claim.name]
        link = f"[{KOREAN[claim.name]['sentence']}](#{claim.name.replace('_', '-')})"
        cells = (claim.number, link, _VERDICTS[one.word], number(one), len(finding.seeds), korean_time(finding.seconds))
        yield f"| {' | '.join(map(str, cells))} |"


def number(found: Verdict) -> str:
    """The mean effect and its interval."""
    return f"{found.mean:.3g}" + (f" ± {found.half_width:.2g}" if found.half_width else "")


def korean_time(seconds: float) -> str:
    """A length of time: `8초`, `3분 40초`."""
    return format_duration(seconds).replace(" h", "시간").replace(" min", "분").replace(" s", "초")


def effect(found: Verdict, claim: Claim) -> str:
    """The mean effect, its interval and its unit."""
    return f"{number(found)} {claim.unit}"


def _section(claim: Claim, finding: Finding, found: Verdict) -> str:
    seeds = f"{len(finding.seeds)} seeds" if len(finding.seeds) > 1 else "exact"
    took = format_duration(finding.seconds)
    return f"""## {claim.name.replace("_", " ")}

> {claim.words}

**{claim.number}. {claim.sentence}** {claim.method}

Measured: {claim.effect}, in {claim.unit}; refuted below {claim.refuted:g}, supported from {claim.supported:g} on.

**{found.word.capitalize()}**: {effect(found, claim)}
({seeds}, {took}, {finding.machine}, {finding.date}).

![{claim.value} in the experiment on {claim.name.replace("_", " ")}](book/images/claim_{claim.name}.svg)

<!-- cost: {took} -->
```console
$ convolve claims {claim.name}
```
"""


def _korean_section(claim: Claim, finding: Finding, found: Verdict) -> str:
    seeds = f"시드 {len(finding.seeds)}개" if len(finding.seeds) > 1 else "정확한 값"
    took, text = format_duration(finding.seconds), KOREAN[claim.name]
    return f"""## {claim.name.replace("_", " ")}

> {claim.words}

**{claim.number}. {text["sentence"]}** {text["method"]}

잰 것: {text["effect"]}. {claim.refuted:g}보다 작으면 반박되고, {claim.supported:g} 이상이면 지지됩니다.

**{_VERDICTS[found.word]}**: {number(found)}
({seeds}, {korean_time(finding.seconds)}, {finding.machine}, {finding.date}).

![{claim.name.replace("_", " ")} 실험의 결과](book/images/claim_{claim.name}.svg)

<!-- cost: {took} -->
```console
$ convolve claims {claim.name}
```
"""


def main(arguments: list[str]) -> int:
    """Write or compare."""
    for language, path in PAGES.items():
        text = page(language)
        if "--check" not in arguments:
            path.write_text(text, encoding="utf-8")
        elif path.read_text(encoding="utf-8") != text:
            print(f"{path} is out of date; run python tools/write_claims_page.py")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
