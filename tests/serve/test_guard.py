"""Who may ask, and how many at once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from convolve.errors import OptionError
from convolve.serve.command import Serve, check_options
from convolve.serve.guard import LOOPBACK, Guard, Where
from tests.serve.conftest import PORT, TOKEN, ConnectTo, png


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "LOCALHOST:8000", "[::1]:8000", "localhost"])
def test_the_servers_own_names(client: TestClient, host: str) -> None:
    assert client.get("/v2", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8000", "127.0.0.1:9000", "localhost.evil.example", "", ":8000", "[::1]x:8000"],
)
def test_any_other_name_is_refused(client: TestClient, host: str) -> None:
    answer = client.get("/v2", headers={"host": host})
    assert answer.status_code == 421


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9000"},
        {"origin": "https://127.0.0.1:8000"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_a_page_of_another_site_is_refused(client: TestClient, headers: dict[str, str]) -> None:
    assert client.post("/predict/colors", content=png((255, 0, 0)), headers=headers).status_code == 403
    own = {"origin": f"http://127.0.0.1:{PORT}", "sec-fetch-site": "same-origin"}
    assert client.post("/predict/colors", content=png((255, 0, 0)), headers=own).status_code == 200


def test_the_token(connect_to: ConnectTo, served_folder: Path) -> None:
    client = connect_to(served_folder, all_paths=True)
    assert client.get("/v2").status_code == 401
    assert client.get("/v2", headers={"authorization": "Bearer another"}).status_code == 401
    assert client.get("/v2", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200


def test_every_answer_tells_the_browser_what_it_may_do(client: TestClient) -> None:
    for answer in (client.get("/v2"), client.get("/nothing"), client.get("/v2", headers={"host": "evil.example"})):
        assert answer.headers["content-security-policy"].startswith("default-src 'self'")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_no_more_at_once_than_allowed() -> None:
    entered, leave = asyncio.Event(), asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        entered.set()
        await leave.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def ask(guard: Guard) -> int:
        statuses: list[int] = []

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        async def receive() -> Message:
            return {"type": "http.request", "body": b""}

        headers = [(b"host", b"localhost")]
        await guard({"type": "http", "method": "GET", "path": "/", "headers": headers}, receive, send)
        return statuses[0]

    async def both() -> tuple[int, int, int]:
        guard = Guard(slow, Where(LOOPBACK, PORT), TOKEN, all_paths=False, most=1)
        first = asyncio.create_task(ask(guard))
        await entered.wait()
        second = await ask(guard)
        leave.set()
        return await first, second, await ask(guard)

    assert asyncio.run(both()) == (200, 503, 200)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"host": "0.0.0.0"}, "add --token"),  # noqa: S104 - which is what is refused
        ({"host": "example.org"}, "add --token"),
        ({"token": "short"}, "too short"),
        ({"port": 65536}, "port cannot be 65536"),
    ],
)
def test_options_that_are_not_safe(options: dict[str, object], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        check_options(Serve(**options))  # type: ignore[arg-type]
