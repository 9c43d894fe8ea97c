"""`convolve export --int8`: what is tried, what is kept, and what is said of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import convolve
from convolve.errors import ExportError
from convolve.exports.card import ExportCard, read_card
from convolve.interop.openvino import CompiledNetwork, quantization_errors
from convolve.verbs.export import quantization
from convolve.verbs.export.console import card_lines
from convolve.verbs.export.quantization import Attempt, most_sensitive

pytest.importorskip("openvino")
pytest.importorskip("nncf")


class Never:
    """An evaluation that nobody looks at."""

    split, images, metrics = "validation", 1, {"accuracy": 1.0}

    def as_json(self) -> dict[str, Any]:
        return {}

    def to_console(self) -> Iterator[str]:
        yield ""


def attempt(drop: float = 0.0, class_drop: float = 0.0, int8: float = 1.0) -> Attempt:
    return Attempt((), Never(), drop, "cat", class_drop, {1: (2.0, int8), 16: (20.0, 10.0)})


@pytest.mark.parametrize(
    ("tried", "obstacle"),
    [
        (attempt(1.0, 3.0), ""),
        (attempt(100 * (0.58 - 0.57)), ""),  # 1.0000000000000009
        (attempt(-2.0), ""),
        (attempt(1.01), "it may fall by 1 at most"),
        (attempt(0.5, 3.01), "a class may fall by 3 at most"),
        (attempt(0.5, 1.0, int8=1.95), "it must be 1.05 times as fast"),
        (attempt(math.nan), "the metric is undefined on these images"),
    ],
)
def test_what_is_in_the_way(tried: Attempt, obstacle: str) -> None:
    assert tried.obstacle(1.0) == obstacle


def test_the_most_sensitive_layers_are_left_in_float_first() -> None:
    errors = {f"layer {number}": error for number, error in enumerate([1.0, 5.0, 0.1, 3.0, *[0.01] * 16])}
    assert list(most_sensitive(errors)) == [
        ("layer 1",),
        ("layer 1", "layer 3"),
        ("layer 1", "layer 3", "layer 0", "layer 2", "layer 4"),
    ]
    assert list(most_sensitive({"a": 1.0, "b": 2.0})) == [("b",)]
    assert list(most_sensitive({"a": 1.0})) == []
    assert list(most_sensitive({})) == []


def times(baseline: float, int8: float) -> Callable[..., list[list[float]]]:
    """Of `seconds_in_turn`, with a slow round that must not count."""

    def measured(functions: Sequence[Any], images: Any, most_rounds: int) -> list[list[float]]:
        del images, most_rounds
        return [[baseline, int8], [9 * baseline, 99 * int8]][: len(functions)]

    return measured


def export_int8(run: Path, out: Path) -> ExportCard:
    convolve.export(str(run), out=str(out), threads=1, int8=True, progress=False)
    assert {path.name for path in out.iterdir()} == {"network.xml", "network.bin", "card.json", "README.md"}
    return read_card(out)


def is_quantized(folder: Path) -> bool:
    return "FakeQuantize" in (folder / "network.xml").read_text(encoding="utf-8")


def test_kept_where_it_is_faster_and_accurate(
    shapes_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantization, "seconds_in_turn", times(0.002, 0.001))
    monkeypatch.setattr(quantization, "_class_drops", lambda *_: iter([("a b", -1.0), ("ünï", 2.5)]))
    card = export_int8(shapes_run, tmp_path / "out")
    assert card.precision == "int8"
    assert is_quantized(tmp_path / "out")
    found = card.quantization
    assert (found["kept"], found["gain"], found["left_in_float"]) == (True, 2.0, [])
    assert (found["class"], found["class_drop"]) == ("ünï", 2.5)
    assert found["milliseconds"][0] == {"batch": 1, "baseline": 2.0, "int8": 1.0}
    assert len(found["attempts"]) == 1
    assert (
        "that of ünï falls by 2.50; one image takes 1.00 ms, in fp32 2.00 ms, 2.00 times as fast; kept"
        in (found["reason"])
    )
    line = next(line for line in card_lines(card) if line.startswith("int8"))
    assert "; kept (1 attempt, " in line


def test_one_attempt_where_it_is_not_faster(shapes_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantization, "seconds_in_turn", times(0.00104, 0.001))
    card = export_int8(shapes_run, tmp_path / "out")
    assert card.precision == "fp32"
    assert not is_quantized(tmp_path / "out")
    assert len(card.quantization["attempts"]) == 1
    assert card.quantization["reason"].endswith("; not kept, it must be 1.05 times as fast")


def test_more_and_more_sensitive_layers_stay_in_float(
    shapes_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors: dict[str, float] = {}

    def measured(*arguments: Any) -> dict[str, float]:
        errors.update(own(*arguments))
        return errors

    own = quantization_errors
    monkeypatch.setattr(quantization, "quantization_errors", measured)
    monkeypatch.setattr(quantization, "seconds_in_turn", times(0.002, 0.001))
    monkeypatch.setattr(quantization, "_class_drops", lambda *_: iter([("꽃", 4.0)]))
    card = export_int8(shapes_run, tmp_path / "out")
    assert card.precision == "fp32"
    assert not is_quantized(tmp_path / "out")
    left = [found["left_in_float"] for found in card.quantization["attempts"]]
    assert left == [[], *map(list, most_sensitive(errors))]
    assert left[1][0] == max(errors, key=lambda name: errors[name])
    assert card.quantization["reason"].startswith(f"{len(left[-1])} most sensitive layer")
    assert card.quantization["reason"].endswith("; not kept, a class may fall by 3 at most")


def test_a_network_that_the_processor_refuses_is_said_and_the_next_is_tried(
    shapes_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[Path] = []

    def compiled(path: Path, precision: Any, threads: int) -> CompiledNetwork:
        if not refused:
            refused.append(path)
            raise ExportError("OpenVINO cannot run the network on this processor: no implementation.")
        return CompiledNetwork(path, precision, threads)

    monkeypatch.setattr(quantization, "CompiledNetwork", compiled)
    monkeypatch.setattr(quantization, "seconds_in_turn", times(0.002, 0.001))
    monkeypatch.setattr(quantization, "_class_drops", lambda *_: iter([]))
    card = export_int8(shapes_run, tmp_path / "out")
    first, second = card.quantization["attempts"]
    assert (first["kept"], first["left_in_float"]) == (False, [])
    assert first["reason"].endswith("no implementation.")
    assert second["kept"]
    assert card.quantization["left_in_float"] == second["left_in_float"] != []
