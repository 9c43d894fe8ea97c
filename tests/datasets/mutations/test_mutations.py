"""Never silently wrong: a mutated dataset is read as it is, or refused with a sentence that names the obstacle.

``python -m tests.datasets.mutations`` judges more of them, and prints what fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.datasets.mutations.registry import MUTATIONS
from tests.datasets.mutations.runner import LAYOUTS, Example, build, check, draw_example, fast_folder, run, shrink
from tests.datasets.mutations.strategies import mutated_cases

EXAMPLES = 60
"""Of each layout; all together take half a minute of one core."""
bounded = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    report_multiple_bugs=False,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with fast_folder() as found:
        yield found


class BrokenPromiseError(AssertionError):
    """A dataset that is read as something else, or refused without a word that helps."""


@pytest.mark.parametrize("layout", LAYOUTS)
def test_never_silently_wrong(layout: str, folder: Path) -> None:
    @bounded
    @given(st.data())
    def holds(data: st.DataObject) -> None:
        case, applied = data.draw(mutated_cases(layout))
        outcome = check(case, folder)
        if not outcome.right:
            raise BrokenPromiseError(f"{layout} + {' + '.join(applied)}: {outcome.kind}: {outcome.detail}")

    holds()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_examples_are_the_same_in_each_run(layout: str) -> None:
    for seed in "abc":
        first, second = (build(draw_example(layout, seed)) for _ in range(2))
        assert first[1] == second[1]
        assert first[0].render() == second[0].render()


def test_every_mutation_fits_a_layout_and_can_be_written(folder: Path) -> None:
    fitting: set[str] = set()
    for layout in LAYOUTS:
        for name in MUTATIONS:
            if MUTATIONS[name].fits(LAYOUTS[layout](2)):
                fitting.add(name)
                check(build(Example(layout, 2, (name,), "a"))[0], folder)
    if {"parquet", "dicom"} <= set(LAYOUTS):
        assert fitting == set(MUTATIONS)


def test_paths_stay_below_the_root_and_apart() -> None:
    for layout in LAYOUTS:
        for seed in range(40):
            case, applied = build(draw_example(layout, str(seed)))
            files = set(case.render())
            assert all(path and not path.startswith(("/", "./", "../")) for path in files), applied
            assert all(sample.path in files for sample in case.samples if sample.path and sample.exists), applied


def test_failures_become_small(folder: Path) -> None:
    """Whatever is refused for any words is a failure of this kind, with or without the other mutations."""
    example = Example("folders", 3, ("clutter", "damaged file", "no suffix"), "1")
    found = run(example, folder)
    small = shrink(found, folder)
    assert small.outcome.kind == found.outcome.kind
    assert len(small.example.mutations) <= len(example.mutations)
    assert small.example.count == 1
