"""The report of a real run in a browser: its script opens images, walks through cells and sorts tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import convolve
from tests.browser import OpenPage
from tests.tasks.segment.small import QUICK, folder

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page


@pytest.fixture
def page(open_page: OpenPage, digits_run: Path) -> Page:
    return open_page(digits_run / "report.html")


@pytest.fixture(scope="module")
def segmentation_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a network that was trained on a few masks."""
    root = tmp_path_factory.mktemp("segmentation")
    convolve.train(str(folder(root / "data", 16)), **QUICK, out=root / "run")
    return root / "run" / "report.html"


def visible_cells(page: Page) -> list[str]:
    """The cell of every image of the gallery that can be seen."""
    cards = page.locator(".gallery figure").all()
    return [str(card.get_attribute("data-cell")) for card in cards if card.is_visible()]


def buttons(page: Page) -> dict[str, Locator]:
    """The matrix's buttons by cell."""
    return {str(button.get_attribute("data-cell")): button for button in page.locator(".matrix button").all()}


def column(page: Page, index: int) -> list[Any]:
    """The values of a column of the class table as it stands, a class's name or a number."""
    values: list[Any] = page.evaluate(
        "index => [...document.querySelectorAll('.figures tbody tr')]"
        ".map(row => row.cells[index].dataset.value ?? row.cells[index].textContent)"
        ".map(value => index ? Number(value) : value)",
        index,
    )
    return values


def test_a_click_on_a_cell_opens_its_images_and_heatmaps_and_no_others(page: Page) -> None:
    held = [str(card.get_attribute("data-cell")) for card in page.locator(".gallery figure").all()]
    found = buttons(page)
    wrong = next(cell for cell in found if cell[0] != cell[-1])
    for cell in (wrong, "3-3"):
        found[cell].click()
        assert visible_cells(page) == [cell] * held.count(cell) != []
        count, true, predicted = found[cell].text_content(), cell[0], cell[-1]
        heading = str(page.locator(".gallery h3").text_content())
        what = "correctly" if true == predicted else f"as {predicted}"
        number = f"{count} image{'' if count == '1' else 's'}"
        assert heading == f"{true} predicted {what}: {number}, {held.count(cell)} shown"
        card = page.locator(f'.gallery figure[data-cell="{cell}"]').first
        heatmaps = card.locator("img.heatmap")
        assert heatmaps.count() == (1 if true == predicted else 2)
        for heatmap in heatmaps.all():
            assert heatmap.is_visible()
            assert heatmap.evaluate("image => image.complete && image.naturalWidth > 0")
        photo = card.locator(".photo").first.evaluate("photo => getComputedStyle(photo, '::before').backgroundImage")
        assert photo.startswith('url("data:image/')


def test_cells_are_blue_or_orange_and_deeper_the_fuller(page: Page) -> None:
    colors = {
        cell: button.evaluate(
            """button => {
                const context = document.createElement('canvas').getContext('2d');
                context.fillStyle = getComputedStyle(button).backgroundColor;
                context.fillRect(0, 0, 1, 1);
                return [...context.getImageData(0, 0, 1, 1).data];
            }"""
        )
        for cell, button in buttons(page).items()
    }
    for cell, (red, _, blue, opacity) in colors.items():
        assert opacity == 255
        assert blue > red + 10 if cell[0] == cell[-1] else red > blue + 10
    depths = {cell: int(str(button.get_attribute("style")).strip("-d:%;")) for cell, button in buttons(page).items()}
    diagonal = sorted((cell for cell in depths if cell[0] == cell[-1]), key=lambda cell: depths[cell])
    assert sum(colors[diagonal[0]][:3]) > sum(colors[diagonal[-1]][:3])


def test_the_most_confused_pair_is_open_at_first(page: Page) -> None:
    pair = page.locator(".pairs button").first
    assert set(visible_cells(page)) == {pair.get_attribute("data-cell")}
    assert pair.get_attribute("aria-pressed") == "true"
    assert page.locator(".gallery h3").text_content()
    page.locator(".pairs button").nth(1).click()
    assert set(visible_cells(page)) == {page.locator(".pairs button").nth(1).get_attribute("data-cell")}
    assert page.locator("[aria-pressed]").count() == 1


@pytest.mark.parametrize("key", [None, "Escape"])
def test_closing_leads_back_to_the_cell(page: Page, key: str | None) -> None:
    button = buttons(page)["5-5"]
    button.click()
    assert page.locator(".gallery").is_visible()
    if key:
        page.keyboard.press(key)
    else:
        page.locator(".gallery .close").click()
    assert not page.locator(".gallery").is_visible()
    assert page.evaluate("document.activeElement.dataset.cell") == "5-5"
    assert page.locator("[aria-pressed]").count() == 0


def test_arrow_keys_walk_through_the_cells(page: Page) -> None:
    start = buttons(page)["5-5"]
    start.focus()
    assert page.locator(".readout").text_content() == f"5 predicted correctly: {start.text_content()} images"
    assert page.locator(".matrix th.lit").all_text_contents() == ["5", "5"]
    found = sorted(int(cell[-1]) for cell in buttons(page) if cell[0] == "5")
    for following in found[found.index(5) + 1 :]:
        page.keyboard.press("ArrowRight")
        assert page.evaluate("document.activeElement.dataset.cell") == f"5-{following}"
    page.keyboard.press("Enter")
    assert set(visible_cells(page)) == {f"5-{found[-1]}"}


def test_headings_sort_the_classes(page: Page) -> None:
    headings = page.locator(".figures thead button")
    names = headings.all_text_contents()
    recall = names.index("Recall")
    before = column(page, recall)
    assert before != sorted(before)
    headings.nth(recall).click()
    assert column(page, recall) == sorted(before)
    assert page.locator(".figures th[aria-sort]").get_attribute("aria-sort") == "ascending"
    headings.nth(recall).click()
    assert column(page, recall) == sorted(before, reverse=True)
    headings.nth(0).click()
    assert column(page, 0) == list("0123456789")
    assert column(page, recall) == before


def test_a_cell_of_pixels_tells_its_number(open_page: OpenPage, segmentation_report: Path) -> None:
    page = open_page(segmentation_report)
    button = next(iter(buttons(page).values()))
    button.click()
    title = str(button.get_attribute("title"))
    assert str(page.locator(".readout").text_content()).endswith(f": {title.partition(',')[0]}")
    assert button.get_attribute("aria-pressed") == "true"
    assert page.locator(".comparisons img").first.evaluate("image => image.naturalWidth > 0")
    headings = page.locator(".figures thead button")
    assert headings.all_text_contents()[:3] == ["Class", "Pixels", "IoU"]
    headings.nth(2).click()
    assert column(page, 2) == sorted(column(page, 2))
