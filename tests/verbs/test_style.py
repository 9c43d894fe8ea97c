"""`convolve style`: from two files to a third."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

import convolve
from convolve.errors import ConvolveError, DataError, NetworkError, OptionError, WeightsError
from convolve.marks import has_mark
from convolve.progress import Progress
from convolve.verbs import style as command
from convolve.verbs.style import Optimization, Style, Stylized, render


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A gray gradient, and red and green tiles."""
    folder = tmp_path_factory.mktemp("photos")
    gradient = np.linspace(60, 200, 48 * 64).reshape(48, 64).astype(np.uint8)
    tiles = np.random.default_rng(0).integers(0, 2, (10, 10))[:, :, None] * np.array([200, -200, 0]) + [20, 220, 20]
    content, style = folder / "content.png", folder / "painting.png"
    Image.fromarray(gradient).convert("RGB").save(content)
    Image.fromarray(tiles.astype(np.uint8).repeat(6, 0).repeat(6, 1)).save(style)
    return content, style


def stylize(photos: tuple[Path, Path], run: Path, out: Path, **options: Any) -> Stylized:
    usual: dict[str, Any] = {"network": str(run), "steps": 10, "threads": 1, "progress": False}
    return convolve.style(*photos, out=out, **{**usual, **options})


def pixels(path: Path) -> Any:
    return np.asarray(Image.open(path)).astype(int)


def test_the_image_takes_the_style_on_and_says_what_was_done(
    photos: tuple[Path, Path], shapes_run: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new folder" / "made.png"
    few, more = (stylize(photos, shapes_run, out, steps=steps, style_weight=1000.0) for steps in (1, 15))
    assert few.loss is not None
    assert more.loss is not None
    assert more.loss < few.loss / 2
    assert (more.width, more.height, more.out) == (64, 48, out)
    assert more.content_layers
    assert has_mark(out)
    assert pixels(out).shape == (48, 64, 3)
    blue = pixels(out)[:, :, 2].mean()
    assert blue < pixels(out)[:, :, :2].mean() - 5  # the style has red and green alone
    again = stylize(photos, shapes_run, tmp_path / "again.png", steps=15, style_weight=1000.0)
    np.testing.assert_array_equal(pixels(again.out), pixels(out))
    assert json.loads(json.dumps(more.as_json()))["loss"] == more.loss
    assert more._repr_html_().startswith('<img src="data:image/')
    console = Console(width=150)
    with console.capture() as written:
        for part in render(more):
            console.print(part)
    assert f"{more.loss:.4g}" in written.get()
    assert "64x48" in written.get()


def test_size_noise_color_and_mask(photos: tuple[Path, Path], shapes_run: Path, tmp_path: Path) -> None:
    larger = stylize(photos, shapes_run, tmp_path / "larger.jpg", size=96, steps=2)
    assert (larger.width, larger.height) == (96, 72)
    noise = [
        stylize(photos, shapes_run, tmp_path / f"noise{seed}.png", start="noise", seed=seed, steps=1).out
        for seed in (0, 1)
    ]
    assert np.abs(pixels(noise[0]) - pixels(noise[1])).mean() > 5
    gray = pixels(stylize(photos, shapes_run, tmp_path / "gray.png", keep_color=True).out)
    assert np.ptp(gray, axis=2).max() <= 1  # the content has no color
    assert np.abs(gray - pixels(photos[0])).max() > 5
    mask = Image.new("L", (64, 48))
    mask.paste(255, (32, 0, 64, 48))
    mask.save(tmp_path / "mask.png")
    masked = pixels(stylize(photos, shapes_run, tmp_path / "masked.png", mask=tmp_path / "mask.png").out)
    np.testing.assert_array_equal(masked[:, :32], pixels(photos[0])[:, :32])
    assert np.abs(masked[:, 32:] - pixels(photos[0])[:, 32:]).max() > 5


def test_the_file_is_written_on_the_way(
    photos: tuple[Path, Path], shapes_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "_SECONDS_BETWEEN_FILES", 0)
    out = tmp_path / "made.png"
    seen: list[tuple[int, int, Any]] = []

    def listen(event: object) -> None:
        if isinstance(event, Progress):
            seen.append((event.done, event.total, pixels(out) if out.exists() else None))

    options = Style(photos[0], str(photos[1]), out=out, network=(str(shapes_run),), optimization=Optimization(steps=15))
    command.run(options, listen)
    assert [(done, total) for done, total, _ in seen] == [(5, 15), (10, 15), (15, 15)]
    assert seen[0][2] is None
    assert np.abs(seen[1][2] - seen[2][2]).max() > 0
    assert np.abs(pixels(out) - seen[2][2]).max() > 0


def test_what_cannot_be_done_is_said_in_a_sentence(photos: tuple[Path, Path], shapes_run: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.png"
    Image.new("RGB", (4, 4)).save(mine)
    narrow = tmp_path / "narrow.png"
    Image.new("L", (4, 40)).save(narrow)
    small = r"narrow\.png has 6x64 pixels at the coarsest size, and .* needs \d+ on a side"
    with pytest.raises(OptionError, match=small):
        stylize((photos[0], narrow), shapes_run, tmp_path / "made.png")
    cases: tuple[tuple[type[ConvolveError], str, dict[str, Any]], ...] = (
        (OptionError, r"made\.gif is neither \.png nor \.jpg", {"out": tmp_path / "made.gif"}),
        (DataError, r"mine\.png exists, and is no image that convolve wrote", {"out": mine}),
        (OptionError, "steps cannot be 0; it must be a number from 1", {"steps": 0}),
        (OptionError, "has no layer 'stage9' in a stage", {"style_layers": ("stage9",)}),
        (OptionError, r"narrow\.png has 4x40 pixels, which is not the shape of the content's 64x48", {"mask": narrow}),
        (NetworkError, "no network named 'nothing'", {"network": "nothing"}),
        (WeightsError, r"weights of vgg19 are not on this machine .*give --network the folder", {"network": "vgg19"}),
        (OptionError, "Maps of one network are compared", {"network": ("vgg19", "vgg16")}),
        (OptionError, "takes one pass; omit --steps", {"network": "some.onnx"}),
        (ConvolveError, "does not exist", {"network": "some.onnx", "steps": 200, "threads": None}),
    )
    for error, match, options in cases:
        with pytest.raises(error, match=match):
            stylize(photos, shapes_run, **{"out": tmp_path / "made.png", **options})
    assert not (tmp_path / "made.png").exists()
