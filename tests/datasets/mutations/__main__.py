"""``python -m tests.datasets.mutations --examples 10000 --seed 0``: judge mutated datasets and print what fails.

Failures are grouped by layout and mutations, the most frequent first, each with the smallest tree that reproduces it;
``--keep FOLDER`` writes these trees. The exit code is 1 if there is any.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.datasets.mutations.case import Case, write
from tests.datasets.mutations.judge import READ, REFUSED
from tests.datasets.mutations.runner import (
    LAYOUTS,
    Failure,
    build,
    draw_example,
    fast_folder,
    known_failure,
    run,
    shrink,
)

Key = tuple[str, tuple[str, ...], str]
_LISTED = 12  # files of a tree that are printed


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.datasets.mutations", description=__doc__)
    parser.add_argument("--examples", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--layout", choices=sorted(LAYOUTS), action="append")
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args(arguments)
    layouts = options.layout or list(LAYOUTS)
    found: dict[Key, Failure] = {}
    counts: Counter[Key] = Counter()
    outcomes: Counter[str] = Counter()
    refusals: Counter[str] = Counter()
    shares: dict[str, Counter[str]] = {layout: Counter() for layout in layouts}
    start = time.perf_counter()
    with fast_folder() as folder:
        for number in range(options.examples):
            layout = layouts[number % len(layouts)]
            result = run(draw_example(layout, f"{options.seed}.{number}"), folder)
            outcomes[result.outcome.kind] += 1
            shares[layout][result.outcome.kind] += 1
            if result.outcome.kind == REFUSED and len(result.applied) == 1:
                refusals[result.applied[0]] += 1
            if not result.outcome.right:
                known = known_failure(result, list(found.values())) or shrink(result, folder)
                found.setdefault(known.key, known)
                counts[known.key] += 1
    seconds = time.perf_counter() - start
    for number, (key, count) in enumerate(counts.most_common(), start=1):
        _print_failure(number, found[key], count)
        if options.keep:
            _keep(options.keep / f"{number:03}", found[key], count)
    _print_kinds(counts)
    _print_totals(outcomes, refusals, seconds)
    _print_shares(shares)
    return int(bool(counts))


def _print_failure(number: int, failure: Failure, count: int) -> None:
    layout, applied, kind = failure.key
    print(f"{number:3}  {count:5}x  {kind}: {layout} + {' + '.join(applied) or 'nothing'}")  # noqa: T201
    print(f"             {failure.outcome.detail}")  # noqa: T201
    print(f"             {_tree(build(failure.example)[0])}")  # noqa: T201


def _print_kinds(counts: Counter[Key]) -> None:
    """The same failures by their kind and the mutations, whatever these chose and whatever the layout."""
    totals: Counter[tuple[str, str]] = Counter()
    layouts: dict[tuple[str, str], set[str]] = {}
    for (layout, applied, kind), count in counts.items():
        group = kind, " + ".join(one.partition(":")[0] for one in applied)
        totals[group] += count
        layouts.setdefault(group, set()).add(layout)
    print("\nby kind and mutations:")  # noqa: T201
    for group, count in totals.most_common():
        print(f"  {count:5}x  {group[0]}: {group[1]}  [{', '.join(sorted(layouts[group]))}]")  # noqa: T201


def _tree(case: Case) -> str:
    paths = sorted([*case.render(), *(f"{folder}/" for folder in case.folders), *(f"{path} ->" for path in case.links)])
    rest = f" and {len(paths) - _LISTED} more" if len(paths) > _LISTED else ""
    return ", ".join(paths[:_LISTED]) + rest


def _keep(folder: Path, failure: Failure, count: int) -> None:
    layout, applied, kind = failure.key
    write(build(failure.example)[0], folder / "data")
    lines = [f"layout: {layout}", f"mutations: {' + '.join(applied)}", f"failure: {kind}", failure.outcome.detail]
    (folder / "why.txt").write_text("\n".join([*lines, f"examples: {count}", str(failure.example)]) + "\n")


def _print_totals(outcomes: Counter[str], refusals: Counter[str], seconds: float) -> None:
    total = sum(outcomes.values())
    print(f"\n{total} examples in {seconds:.0f} s, {total / seconds:.0f} a second")  # noqa: T201
    for kind, count in outcomes.most_common():
        print(f"  {count:6}  {100 * count / total:5.1f} %  {kind}")  # noqa: T201
    wrong = total - outcomes[READ] - outcomes[REFUSED]
    print(f"  {wrong:6}  {100 * wrong / total:5.1f} %  failures in all")  # noqa: T201
    print("single mutations that are refused with a sentence, the most frequent:")  # noqa: T201
    for name, count in refusals.most_common(25):
        print(f"  {count:6}  {name}")  # noqa: T201


def _print_shares(shares: Mapping[str, Counter[str]]) -> None:
    """A layout whose examples are nearly all refused is not tested."""
    print("refused of the examples of each layout:")  # noqa: T201
    for layout, kinds in sorted(shares.items(), key=lambda pair: -pair[1][REFUSED] / max(pair[1].total(), 1)):
        print(f"  {100 * kinds[REFUSED] / max(kinds.total(), 1):5.1f} %  {layout}")  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
