"""`convolve scratch proposals`: the steps are those of the search, and its page plays them over the photograph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import convolve
from convolve.from_scratch.traces.trace import Step, Trace
from convolve.metrics.boxes import intersection_over_union
from convolve.verbs.scratch import WorkedCalculation
from tests.test_cli import Command

pytest.importorskip("skimage")


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    """A red and a blue rectangle on gray, 240x150."""
    pixels = np.full((150, 240, 3), 128, np.uint8)
    pixels[30:90, 20:100] = (200, 20, 20)
    pixels[30:90, 100:200] = (20, 20, 200)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(monkeypatch, capsys)


def trace_of(photograph: Path) -> Trace:
    found = convolve.scratch("proposals", input=str(photograph))
    assert isinstance(found, WorkedCalculation)
    return found.trace


def phase_of(trace: Trace, title: str) -> tuple[Step, ...]:
    return next(phase.steps for phase in trace.phases if phase.title == title)


def test_the_rectangles_are_found_and_the_whole_image_comes_last(photograph: Path) -> None:
    trace = trace_of(photograph)
    regions, keys, _ = (np.array(grid.values) for grid in trace.grids)
    first, merges = phase_of(trace, "First regions"), phase_of(trace, "Merge")
    assert (len(merges), len(regions)) == (len(first) - 1, 2 * len(first) - 1)
    assert regions[: len(first), 0].sum() == 240 * 150
    assert regions[-1].tolist() == [240 * 150, 0, 0, 240, 150]
    rectangles = np.array([[20.0, 30, 100, 90], [100, 30, 200, 90], [20, 30, 200, 90]])
    assert (intersection_over_union(rectangles, regions[:, 1:]).max(axis=1) > 0.85).all()
    assert keys[:, 0].tolist() == list(range(len(regions), 0, -1))
    order = phase_of(trace, "Order the boxes")
    values = [step.outputs[1][1] for step in order]
    assert values == sorted(values)
    proposals = sum(step.equations[1].startswith("proposal") for step in order)
    assert proposals == len({tuple(row) for row in regions[:, 1:].tolist()}) < len(order)


def test_each_sum_is_that_of_its_terms_and_the_greatest_is_merged(photograph: Path) -> None:
    trace = trace_of(photograph)
    sums: dict[str, float] = {}
    for step in trace.steps:
        if step.equations[0].startswith("s["):
            name, value, _ = step.equations[0].replace(" is", " =").split(" = ")
            assert float(value) == sums[name] == max(sums.values())
            merged = {int(number) for number in name[2:-1].split(",")}
            assert step.title.endswith("{1} and {0}".format(*name[2:-1].split(",")))
            sums = {key: each for key, each in sums.items() if not merged & set(map(int, key[2:-1].split(",")))}
        for text in step.equations:
            if text.startswith("s[") and " + " in text:
                name, terms, total = text.split(" = ")
                assert sum(map(float, terms.split(" + "))) == pytest.approx(float(total), abs=2.5e-4)
                sums[name] = float(total)
    assert not sums


def test_a_photograph_of_many_regions_starts_from_ten_at_most(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (30, 40, 1)).astype(np.uint8).repeat(10, 0).repeat(10, 1)
    Image.fromarray(noise[:, :, 0]).save(tmp_path / "noise.png")
    regions = next(phase for phase in trace_of(tmp_path / "noise.png").phases if phase.title == "First regions").steps
    assert 1 < len(regions) <= 10


def test_a_flat_photograph_is_one_region(tmp_path: Path) -> None:
    Image.new("L", (1, 1)).save(tmp_path / "dot.png")
    trace = trace_of(tmp_path / "dot.png")
    assert [phase.title for phase in trace.phases] == ["First regions", "Order the boxes"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "proposals needs a photograph; name one with --input."),
        (("--input", "nowhere.png"), "nowhere.png cannot be read"),
        (("--input", "photo.png", "--kernel", "1"), "proposals does not take kernel; omit --kernel."),
    ],
)
def test_mistakes_in_one_sentence(
    words: tuple[str, ...], sentence: str, photograph: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photograph.parent)
    done = command("scratch", "proposals", *words)
    assert done.code == 2
    assert sentence in done.err
