"""Official files come from folders, caches and servers, whole and as published, or not at all."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from convolve.errors import WeightsError
from convolve.interop.official_files import OfficialFile, fetch_file, find_file, read_state
from convolve.progress import Message, Progress, silent
from tests.weight_server import STATE, offer, published


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, str]]:
    """A folder that a server offers, and its address; torch's cache is empty, and fetching is allowed."""
    with offer(tmp_path, monkeypatch) as found:
        yield found


def test_a_file_is_fetched_once_and_the_size_is_said_before(site: tuple[Path, str], tmp_path: Path) -> None:
    file = published(*site)
    said: list[Message | Progress] = []
    assert find_file(file) is None
    path = fetch_file(file, said.append, "; decline so")
    assert path == find_file(file) == tmp_path / "torch" / "hub" / "checkpoints" / file.name
    assert [event.text for event in said if isinstance(event, Message)] == [
        f"Fetching {file.address} (0 MB); decline so."
    ]
    assert torch.equal(read_state(path)["a.weight"], STATE["a.weight"])
    assert list(path.parent.iterdir()) == [path]


def test_what_is_not_as_published_is_not_kept(site: tuple[Path, str], tmp_path: Path) -> None:
    file = published(*site)
    (site[0] / file.name).write_bytes(b"something else")
    with pytest.raises(OSError, match="its SHA-256 is not the published one"):
        fetch_file(file, silent)
    assert not any((tmp_path / "torch" / "hub" / "checkpoints").iterdir())


def test_other_addresses_are_tried_in_their_order(site: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, address = site
    file = published(folder, address)
    for name, content in {"broken": b"something else", "good": (folder / file.name).read_bytes()}.items():
        (folder / name).mkdir()
        (folder / name / file.name).write_bytes(content)
    monkeypatch.setenv("CONVOLVE_MIRRORS", f"ftp://nowhere {address}/absent/ {address}/broken {address}/good")
    said: list[Message | Progress] = []
    fetch_file(file, said.append)
    words = [event.text for event in said if isinstance(event, Message)]
    assert [text.split(" ")[1] for text in words] == [f"{address}/{name}/{file.name}" for name in ("broken", "good")]


def test_a_folder_is_searched_before_the_cache(
    site: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = published(*site)
    fetch_file(file, silent)
    monkeypatch.setenv("CONVOLVE_WEIGHTS", f"{tmp_path / 'gone'}:{site[0]}")
    assert find_file(file) == site[0] / file.name


def test_a_damaged_file_is_named_with_the_remedy(site: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    file = published(*site)
    (site[0] / file.name).write_bytes(b"damaged")
    monkeypatch.setenv("CONVOLVE_WEIGHTS", str(site[0]))
    path = find_file(file)
    assert path is not None
    with pytest.raises(WeightsError, match=rf"{file.name} is damaged: delete it"):
        read_state(path)


def test_nothing_is_fetched_offline(site: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    file = published(*site)
    monkeypatch.setenv("CONVOLVE_OFFLINE", "1")
    monkeypatch.setattr("urllib.request.urlopen", pytest.fail)
    with pytest.raises(OSError, match="CONVOLVE_OFFLINE is set"):
        fetch_file(file, silent)


def test_a_server_that_does_not_answer_is_given_up_soon(
    site: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def hang(*_: object, **__: object) -> None:
        time.sleep(60)

    monkeypatch.setattr("convolve.interop.official_files._ANSWER_SECONDS", 0.1)
    monkeypatch.setattr("urllib.request.urlopen", hang)
    since = time.monotonic()
    with pytest.raises(OSError, match="does not answer"):
        fetch_file(published(*site), silent)
    assert time.monotonic() - since < 5


def test_a_refused_connection_is_an_error_of_the_network(site: tuple[Path, str]) -> None:
    with pytest.raises(OSError, match="refused"):
        fetch_file(OfficialFile("net.pth", "http://127.0.0.1:9/net.pth"), silent)
