"""The pages that chapters show in frames: every one exists, and the book's own compute what torch does."""

from __future__ import annotations

import base64
import importlib
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from convolve import models
from convolve.from_scratch.convolution import conv2d_forward_naive
from convolve.from_scratch.optimizers import Momentum, Optimizer
from convolve.from_scratch.pooling import average_pool_forward, max_pool_forward
from convolve.from_scratch.traces.examples import EXAMPLES
from convolve.from_scratch.windows import Sliding
from tests.browser import OpenPage

BOOK = Path(__file__).parent.parent / "docs" / "book"
CHAPTERS = sorted(path.name for path in (BOOK / "en").glob("*.md"))
NUMBERS: dict[str, Any] = json.loads((BOOK / "pages" / "lenet5.json").read_text(encoding="utf-8"))
LAYERS = {"c1": "tanh1", "s2": "pool1", "c3": "tanh2", "s4": "pool2", "d5": "tanh3", "d6": "tanh4"}
"""The page's names of layers, and those of the network."""


@pytest.fixture
def players(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BOOK)
    return importlib.import_module("players")


@pytest.fixture
def lenet5() -> nn.Module:
    values = np.frombuffer(base64.b64decode(NUMBERS["weights"]), "<f2").astype(np.float32)
    network = models.create("lenet5_keras", 10, 1, (28, 28))
    own = network.state_dict()
    start = 0
    for name, length in NUMBERS["lengths"]:
        (key,) = (key for key in own if key.endswith(name))
        own[key] = torch.from_numpy(values[start : start + length].copy()).reshape(own[key].shape)
        start += length
    assert start == len(values)
    network.load_state_dict(own)
    return network.eval()


def layer_values(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """What every layer gives for one image, by its last name."""
    found: dict[str, Tensor] = {}
    names = {module: name.split(".")[-1] for name, module in network.named_modules()}

    def keep(module: nn.Module, inputs: object, output: Tensor) -> None:
        del inputs
        found[names[module]] = output[0]

    hooks = [module.register_forward_hook(keep) for module in names if not list(module.children())]
    with torch.no_grad():
        network(images)
    for hook in hooks:
        hook.remove()
    return found


def test_the_languages_show_the_same_players_and_all_of_them_exist(players: ModuleType) -> None:
    used: set[str] = set()
    for name in CHAPTERS:
        english, korean = (players.names_in((BOOK / language / name).read_text("utf-8")) for language in ("en", "ko"))
        assert english == korean
        used |= set(english)
    assert used == players.PAGES.keys() | players.EXAMPLES.keys()
    assert players.EXAMPLES.keys() <= EXAMPLES.keys()


def test_a_frame_leads_from_the_chapter_to_its_page(players: ModuleType) -> None:
    assert 'src="../../players/mask.html"' in players.frame("mask", "book/en/convolution")
    assert 'src="../../players/mask.ko.html"' in players.frame("mask", "book/ko/convolution")
    assert 'src="../../players/lenet5.html#ko"' in players.frame("lenet5", "book/ko/networks")
    with pytest.raises(ValueError, match="no player nosuch; there are bowl, lenet5, sliding, mask"):
        players.frame("nosuch", "book/en/convolution")


def test_a_written_player_is_the_page_of_the_example(players: ModuleType, tmp_path: Path) -> None:
    players.write(tmp_path / "players", {"mask", "bowl"})
    assert sorted(path.name for path in (tmp_path / "players").iterdir()) == ["bowl.html", "mask.html", "mask.ko.html"]
    assert 'id="player"' in (tmp_path / "players" / "mask.html").read_text("utf-8")


def test_lenet5_computes_in_the_page_what_it_does_in_torch(
    players: ModuleType, lenet5: nn.Module, open_page: OpenPage, tmp_path: Path
) -> None:
    players.write(tmp_path, {"lenet5"})
    page = open_page(tmp_path / "lenet5.html")
    for digit in (0, 5, 8):
        page.get_by_role("button", name=str(digit), exact=True).click()
        values = page.evaluate("values")
        sample = np.array(NUMBERS["samples"][digit], np.float32).reshape(8, 8) / 16
        pixels = cv2.resize(sample, (28, 28), interpolation=cv2.INTER_LINEAR)
        images = torch.from_numpy((pixels - NUMBERS["mean"]) / NUMBERS["std"])[None, None]
        expected = layer_values(lenet5, images)
        np.testing.assert_allclose(np.ravel(values["input"]), images.ravel(), atol=1e-5)
        for own, name in LAYERS.items():
            np.testing.assert_allclose(np.ravel(values[own]), expected[name].ravel(), atol=1e-4)
        np.testing.assert_allclose(values["scores"], expected["dense5"], atol=1e-4)
        np.testing.assert_allclose(values["probabilities"], expected["dense5"].softmax(0), atol=1e-4)
        assert int(np.argmax(values["probabilities"])) == digit


def test_a_clicked_unit_shows_its_sum(
    players: ModuleType, lenet5: nn.Module, open_page: OpenPage, tmp_path: Path
) -> None:
    players.write(tmp_path, {"lenet5"})
    page = open_page(tmp_path / "lenet5.html")
    expected = layer_values(
        lenet5, torch.tensor(page.evaluate("values.input"), dtype=torch.float32).reshape(1, 1, 28, 28)
    )
    panel = page.locator("#panel")
    cases = (
        ("c1", 2, 3, (0, 27), expected["conv1"][2, 0, 27], expected["tanh1"][2, 0, 27]),
        ("s2", 5, 6, (7, 3), expected["pool1"][5, 7, 3], expected["pool1"][5, 7, 3]),
        ("c3", 11, 6, (9, 4), expected["conv2"][11, 9, 4], expected["tanh2"][11, 9, 4]),
        ("s4", 15, 9, (4, 0), expected["pool2"][15, 4, 0], expected["pool2"][15, 4, 0]),
        ("d5", 0, 10, (1, 7), expected["dense3"][67], expected["tanh3"][67]),
        ("d6", 0, 10, (0, 41), expected["dense4"][41], expected["tanh4"][41]),
    )
    for layer, number, scale, (row, column), total, value in cases:
        canvas = page.locator(f'canvas[data-layer="{layer}"]').nth(number)
        canvas.click(position={"x": column * scale + scale / 2, "y": row * scale + scale / 2})
        assert float(panel.get_attribute("data-sum") or "nan") == pytest.approx(float(total), abs=1e-4)
        assert float(panel.get_attribute("data-value") or "nan") == pytest.approx(float(value), abs=1e-4)
    assert page.locator("#panel table").count() == 0
    page.locator('canvas[data-layer="c3"]').nth(0).click(position={"x": 3, "y": 3})
    assert page.locator("#panel table").count() == 12  # a window and a kernel for each of six maps
    page.locator('#scores span[data-digit="4"]').first.click()
    assert float(panel.get_attribute("data-sum") or "nan") == pytest.approx(float(expected["dense5"][4]), abs=1e-4)


def test_the_pages_are_korean_in_korean_chapters(players: ModuleType, chromium: Any, tmp_path: Path) -> None:
    players.write(tmp_path, {"lenet5", "sliding"})
    for name, word in (("lenet5", "지우기"), ("sliding", "스트라이드")):
        page = chromium.new_page()
        page.goto((tmp_path / f"{name}.html").as_uri() + "#ko")
        assert page.get_by_text(word, exact=True).is_visible()
        assert page.locator("html").get_attribute("lang") == "ko"
        page.evaluate("document.fonts.ready")
        assert page.evaluate("[...document.fonts].map((font) => font.status)") == ["loaded"]
        page.close()


def test_a_digit_is_drawn_with_the_pointer(players: ModuleType, open_page: OpenPage, tmp_path: Path) -> None:
    players.write(tmp_path, {"lenet5"})
    page = open_page(tmp_path / "lenet5.html")
    page.get_by_role("button", name="clear").click()
    assert page.evaluate("drawn.every((value) => value === 0)")
    box = page.locator("#draw").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 113, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 113, box["y"] + 180, steps=12)
    page.mouse.up()
    page.mouse.move(box["x"] + 20, box["y"] + 20)
    drawn = np.reshape(page.evaluate("drawn"), (8, 8))
    assert (drawn[1:7, 4] > 0.7).all()
    assert (drawn[:, :2] == 0).all()


def test_the_bowl_follows_gradient_descent_with_momentum(
    players: ModuleType, open_page: OpenPage, tmp_path: Path
) -> None:
    players.write(tmp_path, {"bowl"})
    page = open_page(tmp_path / "bowl.html")
    for rate, momentum in ((0.95, 0.0), (0.1, 0.9), (1.1, 0.0)):
        page.locator("#momentum").fill(str(momentum))
        page.locator("#rate").fill(str(rate))
        w, optimizer = {"w": np.array([-7.0, 2.0])}, Optimizer(Momentum(rate, momentum))
        for _ in range(30):
            optimizer.step(w, {"w": w["w"] * np.array([0.1, 2.0])})
        result = page.locator("#result")
        end = [float(value) for value in (result.get_attribute("data-end") or "").split()]
        np.testing.assert_allclose(end, w["w"], rtol=1e-9, atol=1e-12)
        assert ("∞" in result.inner_text()) == (rate > 1)
    assert page.locator("#path circle").count() == 31


def test_a_window_slides_over_numbers_of_one_s_own(players: ModuleType, open_page: OpenPage, tmp_path: Path) -> None:
    players.write(tmp_path, {"sliding"})
    page = open_page(tmp_path / "sliding.html")
    image = np.array([[1.0, 2, 3, 0], [0, 1, 2, 3], [3, 0, 1, 2], [2, 3, 0, 1]])
    kernel = np.array([[2.0, 0, 1], [0, 1, 2], [1, 0, 2]])

    def output() -> Any:
        return json.loads(page.locator("#output").get_attribute("data-values") or "")

    def convolved(stride: int, padding: int) -> list[list[float]]:
        sliding = Sliding(stride=stride, padding=padding)
        found: list[list[float]] = conv2d_forward_naive(image[None], kernel[None, None], np.zeros(1), sliding)[
            0
        ].tolist()
        return found

    assert output() == convolved(1, 1)
    assert page.locator("#formula").inner_text() == "(4 + 2·1 − 3) / 1 + 1 = 4"
    page.get_by_label("input 2, 3").fill("-7.5")
    page.get_by_label("kernel 1, 2").fill("4")
    image[1, 2], kernel[0, 1] = -7.5, 4
    assert output() == convolved(1, 1)
    page.locator("#stride").select_option("2")
    assert output() == convolved(2, 1)
    assert page.locator("#formula").inner_text() == "(4 + 2·1 − 3) / 2 + 1 = 2.5 → 2"
    page.locator("#output td").nth(3).click()
    assert page.locator("#input td.input").count() == 9
    terms, _, total = page.locator("#sum").inner_text().partition(" = ")
    products = [term.replace("−", "-").split("·") for term in terms.split(" + ")]
    assert sum(float(a) * float(b) for a, b in products) == float(total.replace("−", "-")) == convolved(2, 1)[1][1]
    page.locator("#size").select_option("2")
    page.locator("#kind").select_option("max")
    assert output() == max_pool_forward(image[None, None], 2, 2)[0][0, 0].tolist()
    assert page.locator("#kernel").is_hidden()
    page.locator("#kind").select_option("average")
    assert output() == average_pool_forward(image[None, None], 2, 2)[0][0, 0].tolist()
    page.locator("#side").select_option("2")
    page.locator("#size").select_option("3")
    assert output() == []
    assert page.locator("#sum").inner_text() == "The window is larger than the input."
