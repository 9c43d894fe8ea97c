"""`convolve scratch`: the lectures' numbers, on the command line and in Python; mistakes in one sentence."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import convolve
from convolve.from_scratch.traces.examples import EXAMPLES
from convolve.from_scratch.traces.trace import Trace
from convolve.verbs.scratch import ExampleList, WorkedCalculation
from tests.test_cli import Command

NUMBERS = {
    "size": {"O": "10 11"},
    "size-odd": {"O": "2 2"},
    "layer": {"O": "32 32 10", "P": "750 10 760", "M": "768000"},
    "layer-stack": {"O": "5 5 1 / 3 3 1 / 1 1 1", "P": "9 1 10 / 9 1 10 / 9 1 10", "R": "3 3 / 5 5 / 7 7"},
    "layer-inception": {"O": "14 14 48", "M": "112896000"},
    "layer-reduced": {"M": "1505280 / 3763200", "Σ": "26944 5268480 157952", "J": "1 1 / 1 1"},
    "layer-reduced-28": {"M": "2408448 / 10035200", "O": "28 28 16 / 28 28 32"},
    "layer-dense": {"P": "51380224 1024 51381248", "R": "7 7", "B": "4096 205524992"},
    "mask": {"y": "4 3 4 / 2 4 3 / 2 3 4"},
    "padding": {"y": "7 12 10 2 / 4 15 16 10 / 10 6 15 6 / 8 10 4 3"},
    "stride": {"y": "15 17 15 / 17 15 17 / 15 17 15"},
    "channels": {"y": "-25"},
    "edges": {"y": "0 300 300 0 / 0 300 300 0 / 0 300 300 0"},
    "border": {
        "y": "5 13 14 23 25 20 / 10 23 23 30 30 24 / 11 24 26 28 29 23 / 15 22 22 27 30 24 / 21 29 23 33 33 26 / "
        "16 23 16 24 20 15"
    },
    "dilation": {"y": "13 14 23 / 4 13 14 / 23 4 13"},
    "groups": {
        "y1": "-3",
        "y2": "13",
        "dw1": "1 2 / 3 4",
        "dw2": "50 60 / 70 80",
        "dx1": "1 0 / 0 -1",
        "dx2": "0 10 / 10 0",
    },
    "convolution-backward": {
        "y": "4 3 4 / 2 4 3 / 2 3 4",
        "dw": "111 111 111 / 100 111 11 / 100 10 11",
        "dx": "1 0 1 0 0 / 0 11 0 10 0 / 1 0 111 0 100 / 0 10 0 110 0 / 0 0 100 0 100",
    },
    "transposed": {
        "O": "5 5",
        "y": "1 0 3 0 2 / 0 2 0 4 0 / 4 0 10 0 6 / 0 6 0 8 0 / 3 0 7 0 4",
        "dw": "10 10 10 / 10 10 10 / 10 10 10",
        "dx": "6 6 / 6 6",
    },
    "transposed-padding": {
        "O": "3 3",
        "y": "2 0 4 / 0 10 0 / 6 0 8",
        "dw": "4 7 3 / 6 10 4 / 2 3 1",
        "dx": "3 3 / 3 3",
    },
    "gap": {"y": "0.8889 1.7778 1.1111 0.7778 0.8889 0.3333", "dx3": "3 3 3 / 3 3 3 / 3 3 3"},
    "sequence": {"y": "65 117 190", "dw": "421 742 1174", "dx": "3 35 363 630 1300"},
    "max-pool": {"y": "6 8 / 3 4", "dx": "0 0 0 0 / 0 10 0 20 / 30 0 0 0 / 0 0 0 40"},
    "min-pool": {"y": "1 2 / 1 0", "dx": "10 0 20 0 / 0 0 0 0 / 0 0 0 40 / 30 0 0 0"},
    "average-pool": {
        "y": "3.25 5.25 / 2 2",
        "dx": "2.5 2.5 5 5 / 2.5 2.5 5 5 / 7.5 7.5 10 10 / 7.5 7.5 10 10",
    },
    "overlap": {"y": "9 9 / 9 9", "dx": "0 0 0 0 0 / 0 0 0 0 0 / 0 0 4 0 0 / 0 0 0 0 0 / 0 0 0 0 0"},
    "affine": {
        "y": "15 22 35 / 21 24 39",
        "dw": "1 3 6 / 2 4 8",
        "dx": "1 2 / -2 7",
        "db": "1 1 2",
    },
    "maxout": {"y": "2 3 / 9 0", "dz1": "0 10 / 0 1000", "dz2": "1 0 / 100 0", "dx": "2 9 / 200 900", "db2": "101 0"},
    "relu": {"y": "0 0 0 1 2", "dx": "0 0 0 5 5"},
    "sigmoid": {"y": "0 0.1192 0.5 0.8808 1", "dx": "0 0.105 0.25 0.105 0"},
    "dropout": {"y": "2 0 6 / 0 10 12", "dx": "2 0 2 / 0 4 4"},
    "batchnorm": {"μ": "3 30", "σ²": "3.5 350", "dβ": "2 0"},
    "batchnorm-graph": {
        "s": "1.8708 18.7083",
        "dr": "1 -20",
        "dσ²": "-0.0764 0.0015",
        "dμ": "-1.0690 0",
        "dx": "0.3436 -0.0153 / -0.2291 0.0993 / -0.2673 0.0229 / 0.1527 -0.1069",
    },
    "batchnorm-table": {"μ": "4.7 6.6 3.8 4.4 4.7 4.3 5.9 4.8 4.9 4.1"},
    "layernorm-table": {"μ": "4.1 / 3.9 / 3.9 / 5.3 / 5.2 / 4.9 / 4.8 / 6.6 / 5 / 4.5"},
    "layernorm": {"μ": "3 / 30", "σ²": "3.5 / 350", "dβ": "1 1 0 0"},
    "lrn": {"q": "7 7 7 7 7 3 3 / 11.05 11.05 11.0525 11.0425 27.0025 18.0025 18.0025"},
    "lrn-caffe": {"q": "2 2 2 2 2 1.2 1.2 / 2.81 2.81 2.8105 2.8085 6.0005 4.2005 4.2005"},
    "softmax": {
        "p": "0.13 0.869 0.001 / 0.0252 0.9239 0.0508 / 0.4247 0.5732 0.0021",
        "ℓ": "2.0404 / 0.0791 / 6.1565",
        "dx": "-0.29 0.2897 0.0003 / 0.0084 -0.0254 0.0169 / 0.1416 0.1911 -0.3326",
    },
    "hinge": {
        "m": "0 2.9 0 / 0 0 0 / 6.3 6.6 0",
        "ℓ": "2.9 / 0 / 12.9",
        "L": "5.2667",
        "dx": "-0.3333 0.3333 0 / 0 0 0 / 0.3333 0.3333 -0.6667",
    },
    "l1": {"a": "0 2 / 3 1", "L": "1.5", "dx": "0 -0.25 / 0.25 -0.25"},
    "l2": {"a": "0 4 / 9 1", "L": "3.5", "dx": "0 -1 / 1.5 -0.5"},
    "bowl": {"f": "0.0133 / 0.3092 / 0.0479 / 0.0238 / 0.0007 / 0.0243 / 0.0590 / 0.1336"},
    "saddle": {"f": "-0.0132 / -0.0023 / -1.2085 / -4.1281 / -3.9654 / -4.1011 / -14.3523 / -5.2309"},
    "ten-layers": {},
    "cam": {"S": "4.1111 / 5.8889", "M": "0 7 0 / 17 5 5 / 16 0 3", "mean": "5.8889"},
    "confusion": {"precision": "1 0.9", "recall": "0.9 1", "accuracy": "0.9474", "TN": "90 90"},
    "iou": {"TP": "900", "FP": "1100", "FN": "1600", "IoU": "0.25"},
    "nms": {"rank": "1 / 2 / 1 / 2 / 3 / 4 / 0", "stays": "1 / 0 / 1 / 0 / 0 / 1 / 0"},
    "precision-recall": {"P": "1 / 1 / 1 / 1 / 1 / 1 / 1 / 1 / 1", "AP": "0.9", "AP11": "0.9091"},
    "average-precision": {
        "hit": "1 / 1 / 0 / 1 / 0 / 1",
        "E": "1 / 1 / 0.75 / 0.75 / 0.6667 / 0.6667",
        "p": "1 1 1 1 1 0.75 0.75 0.6667 0.6667 0 0",
        "AP11": "0.7121",
        "AP": "0.6833",
    },
    "yolo-v1": {"b": "166.4 211.2 112 286.72 / 160 236.8 161.28 71.68", "stays": "1 0 0 0 / 0 0 0 0"},
    "yolo-v2": {
        "b": "177.5947 204.842 41.4701 233.2312 / 173.6178 213.382 179.0377 173.6129",
        "c'": "0.8113 0.0271 0.1482 0.0134 / 0.0152 0.7499 0.2044 0.0306",
        "stays": "1 0 0 0 / 0 1 0 0",
    },
    "yolo-v3": {
        "c'": "0.8909 0.2142 0.5987 0.1192 / 0.1824 0.9168 0.7503 0.31",
        "stays": "1 0 0 0 / 0 1 1 0",
    },
}

STAMPED = "y[2,1] = 0, y[2,2] = 2, y[2,3] = 0, y[3,1] = 1, y[3,2] = 0, y[3,3] = 1"


def trace_of(operation: Any = None, **options: Any) -> Trace:
    """The trace of `convolve.scratch`."""
    result = convolve.scratch(operation, **options, progress=False)
    assert isinstance(result, WorkedCalculation)
    return result.trace


def grid(rows: str) -> list[list[float]]:
    return [[float(value) for value in row.split()] for row in rows.split("/")]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(monkeypatch, capsys)


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_give_the_lectures_numbers(name: str) -> None:
    trace = trace_of(example=name)
    grids = {each.name: [list(row) for row in each.values] for each in trace.grids if each.result}
    for letter, rows in NUMBERS[name].items():
        np.testing.assert_allclose(grids[letter], grid(rows), atol=6e-5, err_msg=letter)


@pytest.mark.parametrize(
    ("example", "equation"),
    [
        ("mask", "1 + 0 + 1 + 0 + 1 + 0 + 0 + 0 + 1 = 4"),
        ("channels", "308 - 498 + 164 + 1 = -25"),
        ("sequence", "1 + 20 + 400 = 421"),
        ("max-pool", "x[2,2] = 6 is the largest: it gets δ = 10"),
        ("average-pool", "δ/m = 10 / 4 = 2.5 to each of the 4"),
        ("overlap", "dx[3,3] = 3 + 1 = 4"),
        ("size", "(31 + 2·2 - 5) / 3 + 1 = 11"),
        ("size-odd", "(7 + 2·0 - 3) / 3 + 1 = 2.3333, rounded down: 2"),
        ("softmax", "max(3.2, 5.1, -1.7) = 5.1"),
        ("softmax", "3.2 - 5.1 = -1.9"),
        ("softmax", "0.1496 + 1 + 0.0011 = 1.1507"),
        ("softmax", "0.1496 / 1.1507 = 0.13"),
        ("softmax", "log(1.1507) - (-1.9) = 2.0404"),
        ("hinge", "(2.9 + 0 + 12.9) / 3 = 5.2667"),
        ("batchnorm-table", "(3 + 8 + 6 + 3 + 2 + 1 + 9 + 5 + 3 + 7) / 10 = 4.7"),
        ("layernorm-table", "(3 + 4 + 2 + 1 + 9 + 5 + 6 + 2 + 1 + 8) / 10 = 4.1"),
        ("lrn", "2 + 0.0001 · (0 + 10000 + 40000) = 7"),
        ("maxout", "→ dz1[2,1] = 0, dz2[2,1] = 100"),
        ("dropout", "5·1 / 0.5 = 10"),
        ("layer", "(5·5·3 + 1)·10 = 760"),
        ("layer-inception", "(14·14·48) · (5·5·480) = 112896000 = 112.9 M"),
        ("layer-reduced", "multiply-adds: 1505280 + 3763200 = 5268480 = 5.3 M"),
        ("layer-reduced-28", "multiply-adds: 2408448 + 10035200 = 12443648 = 12.4 M"),
        ("layer-dense", "weights: 7·7·1024·1024 = 51380224 = 51.4 M"),
        ("layer-stack", "rows: 5 + (3 - 1)·1 = 7; J = 1·1 = 1"),
        ("transposed", "y[3,3] = 6 + 4 = 10"),
        ("transposed-padding", "5 - 2·1 = 3"),
        ("gap", "→ " + ", ".join(f"dx3[{i},{j}] = 3" for i in (1, 2, 3) for j in (1, 2, 3))),
        ("transposed", f"→ y[1,1] = 1, y[1,2] = 0, y[1,3] = 1, {STAMPED}"),
        ("gap", "(3 + 2 + 0 - 1 + 1 + 1 + 1 + 0 + 1) / 9 = 0.8889"),
        ("gap", "δ/m = 27 / 9 = 3 to each of the 9"),
        ("cam", "1 + 15 + 0 + 1 + 0 + 0 = 17"),
        ("confusion", "90 / (90 + 0) = 1 = 100 %"),
        ("confusion", "90 / (90 + 10) = 0.9 = 90 %"),
        ("bowl", "v = 0.9·(0.07, -0.4) - 0.1·(-0.693, 3.2) = (0.1323, -0.68)"),
        ("batchnorm-graph", "ds[2] = -(-20) / 18.7083² = 0.0571"),
        ("iou", "900 / (900 + 1100 + 1600) = 900 / 3600 = 0.25"),
        ("nms", "0.9 ≥ 0.75 ≥ 0.6 ≥ 0.55: boxes 1, 2, 5, 6"),
        ("nms", "IoU = 4545 / (5500 + 5341 - 4545) = 0.7219"),
        ("nms", "0.55 is the highest confidence of class 1 that is left: box 6 stays"),
        ("precision-recall", "R = 9 / 10 = 0.9"),
        ("average-precision", "0.7269 > 0.5, object 1 is found by detection 1 already: false positive"),
        ("average-precision", "(1 + 1 + 1 + 1 + 1 + 0.75 + 0.75 + 0.6667 + 0.6667 + 0 + 0) / 11 = 0.7121"),
        ("yolo-v1", "0.8²·448 = 286.72"),
        ("yolo-v2", "102·exp(-0.9) = 41.4701"),
        ("yolo-v3", "1 / (1 + exp(-2.4)) = 0.9168"),
    ],
)
def test_the_console_shows_the_equations(example: str, equation: str, command: Command) -> None:
    left = command("scratch", "--example", example)
    assert left.code == 0
    assert equation in [line.strip() for line in left.out.splitlines()]


def test_window_and_products_are_laid_out_as_on_the_slide(command: Command) -> None:
    words = ("--input", "1 2; 3 4", "--kernel", "1,0;0,-1")
    lines = [line.strip() for line in command("scratch", "conv2d", *words).out.splitlines()]
    index = lines.index("y[1,1]")
    assert [line.split() for line in lines[index + 1 : index + 4]] == [
        ["1·1", "2·0"],
        ["3·0", "4·(-1)"],
        ["1", "+", "0", "+", "0", "-", "4", "=", "-3"],
    ]


def test_numbers_may_begin_with_a_minus(command: Command) -> None:
    left = command("scratch", "conv1d", "--input", "-1 0 9", "--kernel", "-1 1", "--bias", "-2", "--json")
    assert json.loads(left.out)["grids"][-1]["values"] == [[-1, 7]]


def test_examples_are_listed_and_may_be_changed(command: Command) -> None:
    left = command("scratch")
    assert left.code == 0
    assert all(name in left.out for name in EXAMPLES)
    pooling = convolve.scratch("pool")
    assert isinstance(pooling, ExampleList)
    assert set(pooling.examples) == {"max-pool", "min-pool", "average-pool", "overlap"}
    assert set(json.loads(command("scratch", "--json").out)["examples"]) == set(EXAMPLES)
    changed = trace_of(example="stride", stride=1)
    assert len(changed.grids[2].values) == 5
    assert len(trace_of(example="max-pool", backward=False).phases) == 1


def test_thresholds_decide_which_boxes_stay() -> None:
    def stays(**options: Any) -> list[float]:
        grids = {each.name: each.values for each in trace_of(example="nms", **options).grids}
        return [row[0] for row in grids["stays"]]

    assert stays(iou_threshold=0.7) == [1, 0, 1, 1, 1, 1, 0]  # only 0.7219 is above
    assert stays(confidence=0.1) == [1, 0, 1, 0, 0, 1, 1]
    assert stays(confidence=0.9) == [0] * 7  # which must be above
    assert len(trace_of(example="nms", confidence=0.9).phases) == 3  # and none is suppressed
    wide = trace_of(example="average-precision", iou_threshold=0.8)
    assert next(each.values for each in wide.grids if each.name == "hit") == ((1,), (1,), (0,), (1,), (0,), (0,))


def test_options_of_yolo_have_the_published_defaults() -> None:
    def box(**options: Any) -> list[float]:
        trace = trace_of("yolo", input="0 0 0 0 0 0", cell="1 2", **options)
        return [round(value, 3) for value in next(each.values[0] for each in trace.grids if each.name == "b")]

    assert box() == [64, 0, 0, 0]
    assert box(kind="v2") == [48, 16, round(1.3221 * 32, 3), round(1.73145 * 32, 3)]
    assert box(kind="v3") == [48, 16, 116, 90]
    assert box(kind="v3", stride=8, anchors="10 13") == [12, 4, 10, 13]
    wide = trace_of("yolo", input="0 0 1 1 1 1", cell="1 1", size=2, stride=10)
    assert next(each.values[0] for each in wide.grids if each.name == "b") == (0, 0, 20, 20)


def test_json_contains_the_trace(command: Command, tmp_path: Path) -> None:
    words = ("--input", "1 2 3", "--kernel", "1 -1", "--backward", "--page", tmp_path / "page.html", "--json")
    result: dict[str, Any] = json.loads(command("scratch", "conv1d", *words).out)
    assert result["page"] == str(tmp_path / "page.html")
    assert [phase["title"].partition(":")[0] for phase in result["phases"]] == ["Forward", "Backward", "Backward"]
    step = result["phases"][0]["steps"][1]
    assert step["equations"] == ["2 - 3 = -1"]
    assert step["outputs"] == [[["y", 0, 1], -1]]
    assert ["x", 0, 2] in step["inputs"]


def test_numbers_from_files(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("1,2\n3,4\n")
    np.save(tmp_path / "w.npy", np.array([[1, 0], [0, 1]], np.int16))
    trace = trace_of("conv2d", input=tmp_path / "x.csv", kernel=tmp_path / "w.npy")
    assert trace.grids[-1].values == ((5.0,),)
    np.save(tmp_path / "filters.npy", np.ones((2, 1, 2, 2)))
    trace = trace_of("conv2d", input="1 2/3 4", kernel=tmp_path / "filters.npy")
    assert [each.values for each in trace.grids if each.result] == [((10.0,),), ((10.0,),)]


def test_a_photograph_is_filtered(command: Command, tmp_path: Path) -> None:
    Image.fromarray(np.full((600, 900, 3), 77, np.uint8)).save(tmp_path / "gray.png")
    left = command("scratch", "filters", "--input", tmp_path / "gray.png", "--page", tmp_path / "page.html")
    assert left.code == 0
    assert "sharpen" in left.out
    assert "0 -1 0 / -1 5 -1 / 0 -1 0" in left.out
    result = convolve.scratch("filters", input=str(tmp_path / "gray.png")).as_json()["images"]
    assert result[0]["size"] == (320, 480)
    assert [each["value_range"] for each in result[3:6]] == [(0, 0), (0, 0), (77, 77)]
    assert (tmp_path / "page.html").read_text().count("<img") == 8


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--example", "maks"), "Unknown example 'maks'"),
        (("pool", "--example", "mask"), "The example mask computes conv2d, not pool"),
        (("conv3d",), "conv3d"),
        (("conv2d", "--kernel", "1"), "give them with --input"),
        (("--input", "1"), "The input needs an operation"),
        (("conv2d", "--input", "1 2;3"), "rows or channels of different lengths"),
        (("conv2d", "--input", "1 x;3 4", "--kernel", "1"), "has 'x', which is not a number"),
        (("conv2d", "--input", "1 nan", "--kernel", "1"), "contains NaN or infinity"),
        (("conv2d", "--input", " ", "--kernel", "1"), "input is empty"),
        (("conv2d", "--input", "1 2"), "conv2d needs a kernel"),
        (("affine", "--input", "1 2"), "affine needs its weights"),
        (("conv2d", "--input", "1 2", "--kernel", "1 2 3"), "does not fit into 2"),
        (("conv2d", "--input", "1 2|3 4", "--kernel", "1"), "kernel has 1 channels and the input 2"),
        (("conv2d", "--input", "1 2", "--kernel", "1", "--bias", "1 2"), "The bias has 2 values for 1 filters"),
        (("conv2d", "--input", "1 2", "--kernel", "1", "--stride", "0"), "stride is 0; it must be from 1 to 4096"),
        (("conv2d", "--input", "1 2", "--kernel", "1", "--padding", "-1"), "padding is -1; it must be from 0 to 4096"),
        (("conv2d", "--input", "1", "--kernel", "1", "--padding", "4000"), "the limit is 20,000"),
        (
            ("conv2d", "--input", "1", "--kernel", "1", "--padding", "400000"),
            "padding is 400000; it must",
        ),
        (("conv2d", "--input", "1 2", "--kernel", "1", "--delta", "1"), "add --backward"),
        (("conv2d", "--input", "1 2", "--kernel", "1", "--delta", "1", "--backward"), "delta has 1x1x1"),
        (("conv2d", "--input", "1 2", "--kernel", "1", "--size", "2"), "conv2d does not take size"),
        (("pool", "--input", "1 2"), "does not fit into 1"),
        (("pool", "--input", "1 2", "--kind", "relu"), "pool has no kind relu; choose one of max, min, average"),
        (("pool", "--input", "1 2/3 4", "--delta", "1 2", "--backward"), "delta has 1x1x2"),
        (("activation", "--input", "1 2", "--kind", "max"), "activation has no kind max; choose one of sigmoid"),
        (("activation", "--input", "1 2", "--delta", "1", "--backward"), "delta has 1x1"),
        (("affine", "--input", "1 2", "--kernel", "1"), "x has 2 columns and w 1 rows"),
        (("affine", "--input", "1 | 2", "--kernel", "1"), "one matrix of rows and columns"),
        (("affine", "--input", "1", "--kernel", "1", "--bias", "1 2"), "bias has 2 values"),
        (("affine", "--input", "1", "--kernel", "1", "--delta", "1 2", "--backward"), "delta has 1x2"),
        (("batchnorm", "--input", "1 2", "--kernel", "1"), "γ has 1 values for 2 features"),
        (("batchnorm", "--input", "1 2", "--delta", "1", "--backward"), "delta has 1x1 values and the output 1x2"),
        (
            ("conv2d", "--input", "1|2", "--kernel", "1|2", "--groups", "2"),
            "2 channels and 1 filters do not divide into 2 equal",
        ),
        (
            ("conv2d", "--input", "1|2", "--kernel", "1|2||3|4", "--groups", "2"),
            "with groups = 2 the kernel needs 1",
        ),
        (("conv2d", "--input", "1", "--kernel", "1||1 2"), "kernel has filters of different shapes"),
        (("conv2d", "--input", "1", "--kernel", "1", "--groups", "0"), "groups is 0"),
        (("size", "--input", "7 7"), "size needs the window's rows and columns"),
        (("size", "--input", "7", "--kernel", "3 3"), "input must be two whole numbers"),
        (("size", "--input", "7 7", "--kernel", "3 2.5"), "kernel must be two whole numbers"),
        (("size", "--input", "2 2", "--kernel", "3 3"), "does not fit into 2"),
        (("maxout", "--input", "1 2"), "maxout needs the weights of its pieces"),
        (("maxout", "--input", "1 2", "--kernel", "1|2"), "x has 2 columns and each piece 1 rows"),
        (
            ("maxout", "--input", "1", "--kernel", "1|2", "--bias", "1 2"),
            "The bias is 1x2; give one row of 1 for each of the 2 pieces",
        ),
        (("dropout", "--input", "1 2"), "dropout needs its mask"),
        (("dropout", "--input", "1 2", "--kernel", "1"), "The mask has 1x1 values and the input 1x2"),
        (("dropout", "--input", "1 2", "--kernel", "1 2"), "The mask may contain only 1 (keep) and 0 (drop)"),
        (("dropout", "--input", "1 2", "--kernel", "1 0", "--probability", "1"), "probability is 1; it must be"),
        (("layernorm", "--input", "1 2", "--bias", "1"), "β has 1 values for 2 features"),
        (("lrn", "--input", "1 2", "--kind", "max"), "lrn has no kind max; choose one of paper, caffe"),
        (("lrn", "--input", "1 2", "--size", "4"), "4 channels has no center"),
        (("hinge", "--input", "1 2"), "hinge needs the true class of each row"),
        (("softmax", "--input", "1 2", "--target", "3"), "target is class 3, but the 2 scores are of classes 1 to 2"),
        (("softmax", "--input", "1 2", "--target", "0"), "target is class 0, but"),
        (("softmax", "--input", "1 2", "--target", "1.5"), "must consist of whole numbers"),
        (("softmax", "--input", "1 2", "--target", "1 2"), "target has 2 classes for 1 rows"),
        (("softmax", "--input", "1 2", "--target", "1", "--delta", "1"), "softmax does not take delta"),
        (("softmax", "--input", " ".join(["1"] * 200)), "This would write out 40,000 terms"),
        (("hinge", "--input", "1 2|3 4", "--target", "1"), "one matrix of rows and columns"),
        (("l2", "--input", "1e200", "--target", "1"), "input contains a number beyond 1e+50"),
        (("l1", "--input", "1 2"), "l1 needs a target of the input's shape"),
        (("l2", "--input", "1 2", "--target", "1"), "target has 1x1 values and the input 1x2"),
        (("layer", "--input", "7 7"), "layer needs the layers, such as '3x3 3x3'"),
        (("layer", "--input", "7 7 3 1", "--kernel", "3x3"), "input must be two or three whole numbers"),
        (("layer", "--input", "7 0", "--kernel", "3x3"), "input must be two or three whole numbers"),
        (("layer", "--input", "7 7", "--kernel", "3x3 5"), "'5' is not a layer; write 3x3"),
        (("layer", "--input", "7 7", "--kernel", " "), "kernel names no layer; write some"),
        (("layer", "--input", "7 7", "--kernel", "3x3s0"), "a stride of 0; each must be at least 1"),
        (("layer", "--input", "7 7", "--kernel", "fc0"), "each must be at least 1"),
        (("layer", "--input", "7 7", "--kernel", "pool2x2x3"), "is a pooling, which has no filters; write pool2x2"),
        (("layer", "--input", "7 7", "--kernel", "9x9"), "A window of 9"),
        (("layer", "--input", "7 7", "--kernel", "3x999999"), "with numbers up to 100,000"),
        (("transposed-conv", "--input", "1"), "transposed-conv needs a kernel"),
        (("transposed-conv", "--input", "1|2", "--kernel", "1"), "kernel has 1 channels and the input 2"),
        (("transposed-conv", "--input", "1", "--kernel", "1 2", "--padding", "1"), "cuts off all of the 1x2 output"),
        (("transposed-conv", "--input", "1", "--kernel", "1", "--bias", "1 2"), "The bias has 2 values for 1 filters"),
        (("transposed-conv", "--input", "1", "--kernel", "1", "--groups", "1"), "does not take groups"),
        (("transposed-conv", "--input", "1 2; 3 4", "--kernel", "1", "--stride", "4000"), "the limit is 20,000"),
        (("transposed-conv", "--input", "1", "--kernel", "1", "--delta", "1 2", "--backward"), "delta has 1x1x2"),
        (("gap", "--input", "1 2", "--delta", "1 2", "--backward"), "delta has 1x2"),
        (("gap", "--input", "axes.npy"), "input has 4 axes"),
        (("batchnorm", "--input", "1 2", "--kind", "max"), "batchnorm has no kind max; choose one of formula, graph"),
        (("cam", "--input", "1|2"), "cam needs the weights, one class per row"),
        (("cam", "--input", "1|2", "--kernel", "1"), "There are 2 maps and rows of 1 weights"),
        (("cam", "--input", "1|2", "--kernel", "1 2", "--target", "2"), "target is class 2, but there are weights for"),
        (("cam", "--input", "1|2", "--kernel", "1 2", "--target", "1 2"), "target must be one whole number"),
        (("confusion", "--input", "1 2"), "as many rows as columns; this one is 1x2"),
        (("confusion", "--input", "1 -2; 3 4"), "whole numbers of at least 0"),
        (("confusion", "--input", "0 0; 0 0"), "not all of them 0"),
        (("confusion", "--input", "0.5 1; 0 0"), "whole numbers of at least 0"),
        (("confusion", "--input", "1", "--kind", "paper"), "choose one of lecture, scikit-learn"),
        (("optimizer", "--input", "1"), "input must be two numbers"),
        (("optimizer", "--learning-rate", "0"), "learning-rate is 0; it must be above 0"),
        (("optimizer", "--learning-rate", "nan"), "learning-rate is nan"),
        (("optimizer", "--steps", "0"), "steps is 0"),
        (("optimizer", "--steps", "4000"), "20,000"),
        (("optimizer", "--kind", "max"), "optimizer has no kind max; choose one of bowl, saddle"),
        (("optimizer", "--optimizer", "sdg"), "sdg"),
        (("init", "--input", "10 10"), "input must be three whole numbers"),
        (("init", "--input", "10 10 51"), "at most 50 layers"),
        (("init", "--input", "1 1001 1"), "at most 50 layers"),
        (("init", "--seed", "-1"), "seed is -1"),
        (("iou", "--input", "0 0 9 9"), "iou needs the boxes of the ground truth"),
        (
            ("iou", "--input", "0 0 9", "--target", "0 0 9 9"),
            "input has rows of 3; each must be left top right bottom.",
        ),
        (("iou", "--input", "9 0 9 9", "--target", "0 0 9 9"), "Box 1 of the input is 9 0 9 9, which has no area"),
        (("iou", "--input", "0 0 1e-200 1e-200", "--target", "0 0 9 9"), "0 0 1e-200 1e-200, which has no area"),
        (
            ("iou", "--input", "0 0 9 9", "--target", "0 0 9 9; 0 5 9 1"),
            "Box 2 of target is 0 5 9 1, which has no area",
        ),
        (("iou", "--input", "0 0 9 9", "--target", "0 0 9 9", "--confidence", "0.5"), "iou does not take confidence"),
        (("nms", "--input", "0 0 9 9"), "each must be left top right bottom confidence, or left top right bottom con"),
        (("nms", "--input", "0 0 9 9 0.5 1.5"), "class must be whole numbers; one is 1.5"),
        (("nms", "--input", "0 0 9 9 0.5 1e20"), "class must be whole numbers; one is too large"),
        (("nms", "--input", "0 0 9 9 0.5", "--iou-threshold", "1.5"), "iou-threshold is 1.5; it must be from 0 to 1"),
        (("nms", "--input", "0 0 9 9 0.5", "--confidence", "nan"), "confidence is nan; it must be from 0 to 1"),
        (("nms", "--input", "0 0 9 9 0.5", "--target", "1"), "nms does not take target; omit --target"),
        (("l1", "--input", "1", "--target", "1", "--iou-threshold", "1"), "omit --iou-threshold"),
        (("nms", "--input", "many.npy"), "This would write out 22,500 terms"),
        (("average-precision", "--input", "0.9 1"), "average-precision needs the number of objects"),
        (("average-precision", "--input", "1 0 0 9 9 0.9"), "needs the image and box of each object"),
        (("average-precision", "--input", "0.9 1", "--target", "0"), "target must be one whole number of at least 1"),
        (("average-precision", "--input", "0.9 1", "--target", "1 2"), "target must be one whole number of at least 1"),
        (("average-precision", "--input", "0.9 2", "--target", "5"), "says 1 for a true positive and 0 for a false"),
        (("average-precision", "--input", "0.9 1; 0.8 1", "--target", "1"), "There are 2 true positives and 1 objects"),
        (
            ("average-precision", "--input", "0.9 1", "--target", "1", "--iou-threshold", "0.4"),
            "The input says what is right; omit --iou-threshold",
        ),
        (
            ("average-precision", "--input", "1 0 0 9 9 0.9", "--target", "0 0 9 9"),
            "target has rows of 4; each must be",
        ),
        (("average-precision", "--input", "1.5 0 0 9 9 0.9", "--target", "1 0 0 9 9"), "image must be whole numbers"),
        (("yolo", "--input", "0 0 1 1 1 1"), "yolo needs the row and column of its cell"),
        (("yolo", "--input", "0 0 1 1 1", "--cell", "1 1"), "A row has 5 numbers; give t_x t_y t_w t_h"),
        (("yolo", "--input", "0 0 1 1 1 1", "--cell", "1"), "cell must be two whole numbers"),
        (("yolo", "--input", "0 0 1 1 1 1", "--cell", "1 1.5"), "cell must be whole numbers"),
        (("yolo", "--input", "0 0 1 1 1 1", "--cell", "8 1"), "row 8, column 1; both must be from 1 to 7"),
        (("yolo", "--input", "0 0 1 1 1 1", "--cell", "0 1"), "row 0, column 1; both must be from 1 to 7"),
        (("yolo", "--input", "0 0 1 1 1 1", "--cell", "1 1", "--kind", "max"), "choose one of v1, v2, v3"),
        (("yolo", "--input", "0 0 1 1 1 1", "--cell", "1 1", "--anchors", "1 1"), "yolo v1 has no anchors"),
        (("yolo", "--input", "0 0 1 1 1 1; 0 0 1 1 2 1", "--cell", "1 1"), "the same class probabilities"),
        (
            ("yolo", "--kind", "v2", "--input", "0 0 999 1 1 1", "--cell", "1 1"),
            "A number beyond ±300 makes exp overflow",
        ),
        (
            ("yolo", "--kind", "v2", "--input", "0 0 1 1 1 1", "--cell", "1 1", "--anchors", "0 1"),
            "Give 1 anchors, one for each box",
        ),
        (
            ("yolo", "--kind", "v3", "--input", "0 0 1 1 1 1;" * 4, "--cell", "1 1"),
            "yolo v3 has 3 published anchors for 4 rows; give --anchors",
        ),
        (("conv2d", "--input", "nowhere.csv", "--kernel", "1"), "nowhere.csv cannot be read"),
        (("filters",), "filters needs a photograph"),
        (("filters", "--input", "nowhere.png"), "nowhere.png cannot be read"),
        (("filters", "--input", "words.npy"), "words.npy is not a"),
        (("filters", "--input", "tiny.png"), "smaller than the 3x3 filters"),
        (("pool", "--input", "words.npy"), "words.npy does not contain a matrix"),
        (("pool", "--input", "broken.npy"), "broken.npy does not contain a matrix"),
        (("pool", "--input", "pickled.npy"), "pickled.npy does not contain a matrix"),
        (("pool", "--input", "large.npy"), "the limit is 20,000"),
        (("conv1d", "--input", "axes.npy", "--kernel", "1"), "one matrix of rows and columns"),
        (("pool", "--input", "axes.npy"), "input has 4 axes"),
    ],
)
def test_mistakes_are_one_sentence(
    words: tuple[str, ...], sentence: str, command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("words.npy", np.array(["one", "two"]))
    np.save("pickled.npy", np.array([{}, []], dtype=object))
    np.save("large.npy", np.zeros((300, 300)))
    np.save("axes.npy", np.zeros((1, 1, 2, 2)))
    np.save("many.npy", np.tile([0, 0, 9, 9, 0.5], (150, 1)))
    Path("broken.npy").write_bytes(b"\x93NUMPY")
    Image.new("L", (2, 2)).save("tiny.png")
    assert sentence in command.refused("scratch", *words)


def test_it_never_needs_torch_and_from_scratch_stays_importable() -> None:
    code = """
import sys
import convolve.from_scratch.pooling
import convolve
assert convolve.scratch("pool", input="1 2/3 4").trace.grids[-1].values == ((4.0,),)
assert convolve.from_scratch.pooling.max_pool_forward
assert not {"torch", "cv2", "matplotlib"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
