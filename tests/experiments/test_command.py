"""`convolve claims`: the list, claims that are tried, and what is said of wrong options."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import convolve
from convolve.errors import ConvolveError, Interrupted
from convolve.experiments import catalog, command
from convolve.experiments.claim import Outcome
from convolve.experiments.claims import pooling_and_shift
from convolve.experiments.command import ClaimList, TriedClaims
from convolve.experiments.findings import SEEDS, read_finding
from convolve.experiments.inspection import shift_images
from convolve.experiments.trial import Trial
from convolve.progress import Message, Progress

WITHOUT_NAME = "--seeds, --minutes and --quick are for claims that are tried; name some, or 'all'."


def test_all_claims_are_listed_with_what_was_found_here(tmp_path: Path) -> None:
    listed = convolve.claims(out=tmp_path, progress=False)
    assert isinstance(listed, ClaimList)
    assert len(listed.claims) > 50
    tried = convolve.claims("padding", out=tmp_path, progress=False)
    assert isinstance(tried, TriedClaims)
    (one,) = tried.claims
    assert one.finding
    assert one.verdict
    assert one.verdict.word == "supported"
    assert one.verdict.mean == 4.0
    found = {claim.claim.name: claim for claim in convolve.claims(out=tmp_path, progress=False).claims}
    assert found["padding"].finding == one.finding
    assert "padding" in found["padding"].claim.sentence
    assert json.loads(json.dumps(listed.as_json()))["claims"][0]["claim"] == "relu_speed"
    assert "supported" in listed._repr_html_() or "not tried" in listed._repr_html_()


def test_seeds_that_were_found_are_not_tried_again(tmp_path: Path) -> None:
    messages: list[str] = []

    def listen(event: Message | Progress) -> None:
        if isinstance(event, Message):
            messages.append(event.text)

    first = command.run(command.Claims(("initialization",), seeds=1, out=tmp_path), listen)
    assert not any("found before" in text for text in messages)
    second = command.run(command.Claims(("initialization",), seeds=SEEDS, out=tmp_path), listen)
    assert any("found before" in text for text in messages)
    (one,), (three,) = first.claims, second.claims
    assert one.finding
    assert three.finding
    assert three.finding.seeds[:1] == one.finding.seeds
    assert [seed.seed for seed in three.finding.seeds] == [0, 1, 2]
    assert one.verdict
    assert one.verdict.word == "undecided"
    assert three.verdict
    assert three.verdict.word == "supported"


def test_a_claim_is_tried_by_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pooling_and_shift, "EPOCHS", 2)
    (one,) = convolve.claims("pooling_and_shift", quick=True, out=tmp_path, progress=False).claims
    assert one.finding
    assert one.figure
    assert one.figure.stat().st_size > 1000
    values = one.finding.seeds[0].outcome.values
    assert values["pooling, shifted"] > values["pooling, in place"]
    assert one.finding.recipes["pooling"]["data"] == "digits"
    assert one.finding.recipes["strides"]["epochs"] == 2
    text = "".join(str(part) for part in command.render(TriedClaims((one,))))
    assert "no verdict: it was tried quickly" in text


def test_a_claim_that_is_stopped_keeps_the_seeds_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(trial: Trial) -> Outcome:
        if trial.seed == 1:
            raise Interrupted("Stopped in epoch 1; continue with: convolve train --resume x")
        return Outcome(1.0, {"a": 1.0})

    claim = replace(catalog.CLAIMS["initialization"], measure=measure)
    monkeypatch.setitem(catalog.CLAIMS, "initialization", claim)
    with pytest.raises(Interrupted, match=r"^Stopped in seed 1 of initialization\. The seeds before .* goes on"):
        convolve.claims("initialization", out=tmp_path, progress=False)
    found = read_finding(tmp_path / "initialization.json")
    assert found
    assert [seed.seed for seed in found.seeds] == [0]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"names": ("lern",)}, "There is no claim named 'lern'. Did you mean lrn?"),
        ({"names": ("xyz",)}, "There is no claim named 'xyz'. `convolve claims` lists them."),
        ({"names": ("padding",), "seeds": 0}, "seeds cannot be 0; it must be a number from 1 to 100."),
        ({"names": ("padding",), "minutes": 0.0}, "minutes cannot be 0.0; it must be a number above 0."),
        ({"names": ("padding",), "minutes": float("nan")}, "minutes cannot be nan; it must be a number above 0."),
        ({"seeds": 0}, WITHOUT_NAME),
        ({"quick": True}, WITHOUT_NAME),
        ({"minutes": 5.0}, WITHOUT_NAME),
    ],
)
def test_wrong_options_are_named(options: dict[str, object], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(ConvolveError) as error:
        convolve.claims(out=tmp_path, progress=False, **options)  # type: ignore[arg-type]
    assert str(error.value) == sentence
    assert not list(tmp_path.iterdir())


def test_a_shift_moves_pixels_and_fills_what_comes_in() -> None:
    images = np.arange(1, 13, dtype=np.float32).reshape(1, 3, 4, 1)
    fill = np.array([-5], np.float32)
    assert shift_images(images, 0, 0, fill).tolist() == images.tolist()
    down = shift_images(images, 1, 0, fill)[0, :, :, 0]
    assert down.tolist() == [[-5] * 4, [1, 2, 3, 4], [5, 6, 7, 8]]
    up = shift_images(images, -2, 0, fill)[0, :, :, 0]
    assert up.tolist() == [[9, 10, 11, 12], [-5] * 4, [-5] * 4]
    right = shift_images(images, 0, 1, fill)[0, :, :, 0]
    assert right[0].tolist() == [-5, 1, 2, 3]
    left = shift_images(images, 0, -3, fill)[0, :, :, 0]
    assert left[1].tolist() == [8, -5, -5, -5]
