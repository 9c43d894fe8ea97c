"""`convolve claims`: the lectures' claims, tried."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convolve.command import Command
from convolve.errors import ClaimError, Interrupted, OptionError
from convolve.progress import Listener, Message, format_duration

if TYPE_CHECKING:
    from rich.console import RenderableType

    from convolve.experiments.claim import Claim
    from convolve.experiments.findings import Finding, Verdict

_MOST_SEEDS = 100
_FOLDER = Path("runs", "claims")


@dataclass(frozen=True)
class Claims:
    """Try claims of the lectures as experiments, with several seeds; without a name, list all with their verdicts.

    A claim is supported, refuted or undecided by bounds that were set before it was tried.
    """

    names: tuple[str, ...] = ()
    """Claims to try, or all."""
    _: KW_ONLY
    seeds: int = 3
    """Number of seeds; fewer than three give no verdict."""
    minutes: float | None = None
    """Time for each claim; no seed is begun after it."""
    quick: bool = False
    """Try it with one seed on scikit-learn's digits, to see what it does; there is no verdict."""
    out: Path | None = None
    """Folder, by default `runs/claims`, of what is found, of the figures and of the runs; seeds that are there already
    are not tried again."""


@dataclass(frozen=True)
class TriedClaim:
    """A claim, and what was found of it, if anything, with the verdict; ``figure`` is a file."""

    claim: Claim
    finding: Finding | None
    verdict: Verdict | None
    figure: Path | None = None

    def as_json(self) -> dict[str, Any]:
        """`claim`, `number`, `words`, `sentence`, `method`, and if it was tried `finding` and the verdict."""
        claim = self.claim
        found = {
            "claim": claim.name,
            "number": claim.number,
            "words": claim.words,
            "sentence": claim.sentence,
            "method": claim.method,
            "effect_is": f"{claim.effect}, {claim.unit}",
            "supported_from": claim.supported,
            "refuted_below": claim.refuted,
        }
        if self.finding and self.verdict:
            found |= {**self.verdict.as_json(), "finding": self.finding.as_json()}
        return found | ({"figure": str(self.figure)} if self.figure else {})


@dataclass(frozen=True)
class ClaimList:
    """All claims with what was found of them here, or else by those who wrote them."""

    claims: tuple[TriedClaim, ...]

    def as_json(self) -> dict[str, Any]:
        """`claims`: one dictionary each."""
        return {"claims": [claim.as_json() for claim in self.claims]}

    def _repr_html_(self) -> str:
        from convolve.console import to_html

        return to_html(render(self))


@dataclass(frozen=True)
class TriedClaims:
    """The claims that were asked for, tried."""

    claims: tuple[TriedClaim, ...]

    def as_json(self) -> dict[str, Any]:
        """`claims`: one dictionary each."""
        return {"claims": [claim.as_json() for claim in self.claims]}

    def _repr_html_(self) -> str:
        from convolve.console import to_html

        return to_html(render(self))


def run(options: Claims, listener: Listener) -> ClaimList | TriedClaims:
    """List the claims, or try some. Raises `ConvolveError`."""
    from convolve.experiments.catalog import CLAIMS, find

    if not options.names:
        if options != Claims(out=options.out):
            raise OptionError("--seeds, --minutes and --quick are for claims that are tried; name some, or 'all'.")
        return ClaimList(tuple(_last_found(claim, options.out or _FOLDER) for claim in CLAIMS.values()))
    if not 1 <= options.seeds <= _MOST_SEEDS:
        raise OptionError(f"seeds cannot be {options.seeds}; it must be a number from 1 to {_MOST_SEEDS}.")
    if options.minutes is not None and not options.minutes > 0:
        raise OptionError(f"minutes cannot be {options.minutes}; it must be a number above 0.")
    claims = tuple(CLAIMS.values()) if options.names == ("all",) else tuple(map(find, dict.fromkeys(options.names)))
    return TriedClaims(tuple(_try(claim, options, listener) for claim in claims))


def _last_found(claim: Claim, folder: Path) -> TriedClaim:
    from convolve.experiments.findings import file_of, published_finding, read_finding, verdict

    finding = read_finding(file_of(folder, claim.name, quick=False)) or published_finding(claim.name)
    return TriedClaim(claim, finding, verdict(claim, finding) if finding else None)


def _try(claim: Claim, options: Claims, listener: Listener) -> TriedClaim:
    from convolve.experiments.figure import claim_figure
    from convolve.experiments.findings import Finding, file_of, read_finding, verdict, write_finding
    from convolve.reports.figure_file import write_figure

    for sentence in _introduction(claim):
        listener(Message(sentence))
    folder = options.out or _FOLDER
    file = file_of(folder, claim.name, quick=options.quick)
    finding = read_finding(file)
    if finding:
        listener(Message(f"Seeds found before are in {file}; delete it to try them again."))
    wanted = 1 if options.quick or claim.exact else options.seeds
    limit = None if options.minutes is None else time.monotonic() + 60 * options.minutes
    for seed in range(len(finding.seeds) if finding else 0, wanted):
        if limit is not None and time.monotonic() > limit:
            listener(Message(f"The time is over after {seed} of {wanted} seeds."))
            break
        try:
            finding = _add_seed(claim, seed, finding, options, listener)
        except Interrupted as error:
            kept = f"The seeds before it are in {file}, and the same" if finding else "The same"
            raise Interrupted(f"Stopped in seed {seed} of {claim.name}. {kept} command goes on from there.") from error
        write_finding(file, finding)
    if not isinstance(finding, Finding):
        raise ClaimError(f"No seed of {claim.name} was tried; give more --minutes.")
    figure = file.with_suffix(".png")
    write_figure(figure, claim_figure(claim, finding), claim.name)
    return TriedClaim(claim, finding, verdict(claim, finding), figure)


def _introduction(claim: Claim) -> Iterator[str]:
    yield f"{claim.number}. {claim.sentence} ({claim.words})"
    yield claim.method
    bounds = f"refuted below {claim.refuted:g}, supported from {claim.supported:g} on"
    yield f"Measured: {claim.effect} ({claim.unit}); {bounds}."


def _add_seed(claim: Claim, seed: int, finding: Finding | None, options: Claims, listener: Listener) -> Finding:
    from convolve.experiments.findings import Finding, Seed
    from convolve.experiments.trial import Trial
    from convolve.runtime import describe_machine

    began = time.monotonic()
    trial = Trial(seed, (options.out or _FOLDER) / "runs" / claim.name, listener, quick=options.quick)
    outcome = claim.measure(trial)
    new = Seed(seed, time.monotonic() - began, outcome)
    facts = describe_machine()
    machine = f"{facts['processor']}, {facts['cores']} cores, torch {facts['torch']}"
    earlier = finding.seeds if finding else ()
    date = dt.datetime.now().astimezone().date().isoformat()
    return Finding(claim.name, options.quick, machine, date, trial.recipes, (*earlier, new))


def render(result: ClaimList | TriedClaims) -> Iterator[RenderableType]:
    """The list, or for each claim that was tried its values, its effect and the verdict."""
    if isinstance(result, ClaimList):
        yield _list_table(result)
        yield "convolve claims NAME tries one; --quick in about a minute, without a verdict."
        return
    for claim in result.claims:
        yield from _tried(claim)


def _list_table(result: ClaimList) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    table = Table("", "name", "claim", "verdict", "effect", "seeds", "time", box=None, header_style="bold")
    for one in result.claims:
        word, effect, seeds, seconds = "not tried", "", "", ""
        if one.finding and one.verdict:
            word, effect = one.verdict.word, _effect(one.verdict, one.claim.unit)
            seeds, seconds = str(len(one.finding.seeds)), format_duration(one.finding.seconds)
        cells = (str(one.claim.number), one.claim.name, one.claim.sentence, word, effect, seeds, seconds)
        table.add_row(*map(Text, cells))
    return table


def _tried(one: TriedClaim) -> Iterator[RenderableType]:
    from rich.table import Table
    from rich.text import Text

    finding, found = one.finding, one.verdict
    if finding is None or found is None:
        return
    table = Table(one.claim.value, "mean", *(f"seed {seed.seed}" for seed in finding.seeds), box=None)
    for name in finding.seeds[0].outcome.values:
        numbers = [seed.outcome.values[name] for seed in finding.seeds]
        table.add_row(Text(name), f"{sum(numbers) / len(numbers):.4g}", *(f"{number:.4g}" for number in numbers))
    yield table
    word = "no verdict: it was tried quickly" if finding.quick else found.word
    yield Text(f"{one.claim.name}: {word}; {one.claim.effect}: {_effect(found, one.claim.unit)}")
    yield Text(f"time    {format_duration(finding.seconds)}, {finding.machine}")
    yield Text(f"figure  {one.figure}")


def _effect(found: Verdict, unit: str) -> str:
    import math

    spread = f" ± {found.half_width:.2g}" if 0 < found.half_width < math.inf else ""
    return f"{found.mean:.3g}{spread} {unit}"


COMMAND = Command(Claims, run, render)
