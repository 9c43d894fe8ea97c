"""Jobs: asked for, followed, stopped, and found again by another server."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from convolve.serve.application import application
from convolve.serve.catalog import Catalog
from convolve.serve.guard import LOOPBACK, Guard, Where
from convolve.serve.job_options import Folders
from convolve.serve.jobs import EVENTS, FOLDER, PROCESS, Jobs
from tests.serve.conftest import PORT, TOKEN

TRAINING = {"data": "digits", "network": "lenet5_keras", "size": 16, "epochs": 1, "seed": 1, "threads": 1}
HEADERS = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "runs").mkdir()
    (tmp_path / "photos").mkdir()
    (tmp_path / "secret.csv").write_text("secret")
    return tmp_path


@pytest.fixture
def serve(root: Path) -> Iterator[Callable[[], TestClient]]:
    """A new server over the same folder each time."""
    opened: list[Jobs] = []

    def new() -> TestClient:
        jobs = Jobs(root / "runs")
        opened.append(jobs)
        app = application(Catalog(root / "runs"), jobs, Folders(root / "photos", root / "runs"))
        return TestClient(
            Guard(app, Where(LOOPBACK, PORT), TOKEN, all_paths=False), f"http://localhost:{PORT}", headers=HEADERS
        )

    yield new
    for jobs in opened:
        jobs.close()


def wait(client: TestClient, address: str, *states: str) -> dict[str, Any]:
    """The job as soon as it is in one of some states."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        job: dict[str, Any] = client.get(address).json()
        if job["state"] in states:
            return job
        time.sleep(0.1)
    raise AssertionError(job)


def ask(client: TestClient, verb: str, **options: object) -> str:
    answer = client.post("/jobs", json={"command": verb, "options": options})
    assert answer.status_code == 202, answer.json()
    return answer.headers["location"]


def events(client: TestClient, address: str, **headers: str) -> list[tuple[int, dict[str, Any]]]:
    """All events until the job has ended, with their ids."""
    text = client.get(f"{address}/events", headers=headers).text
    parts = [dict(line.split(": ", 1) for line in part.splitlines()) for part in text.split("\n\n") if "data: " in part]
    return [(int(part["id"]), json.loads(part["data"])) for part in parts]


def test_a_training_is_followed_to_its_end(serve: Callable[[], TestClient], root: Path) -> None:
    client = serve()
    address = ask(client, "train", **TRAINING, out="first")
    found = events(client, address)
    assert [number for number, _ in found] == list(range(1, len(found) + 1))
    kinds = [event["event"] for _, event in found]
    assert (kinds[0], kinds[-1]) == ("started", "done")
    assert {"message", "progress"} <= set(kinds)
    assert found[-1][1]["result"]["run"] == str(root / "runs" / "first")
    half = len(found) // 2
    assert events(client, address, **{"last-event-id": str(half)}) == found[half:]
    assert client.get(address).json()["state"] == "done"
    assert "first" in [each["name"] for each in client.get("/v2/models").json()["models"]]


def test_a_training_that_is_stopped_goes_on_where_it_was(serve: Callable[[], TestClient], root: Path) -> None:
    client = serve()
    address = ask(client, "train", **{**TRAINING, "epochs": 500}, out="long")
    deadline = time.monotonic() + 60
    while not any("training" in str(event.get("work")) for event in _logged(root)):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert client.delete(address).status_code == 202
    stopped = wait(client, address, "stopped", "failed")
    assert "convolve train --resume" in stopped["last"]["text"]
    resumed = ask(client, "train", resume="long")
    deadline = time.monotonic() + 60
    while not any("training" in str(event.get("work")) for event in _logged(root)[-1:]):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    client.delete(resumed)
    assert wait(client, resumed, "stopped", "failed")["state"] == "stopped"


def _logged(root: Path) -> list[dict[str, Any]]:
    """The events of the last job."""
    *_, folder = sorted((root / "runs" / FOLDER).iterdir())
    file = folder / EVENTS
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def test_jobs_wait_for_one_another_and_outlive_the_server(serve: Callable[[], TestClient], root: Path) -> None:
    first = serve()
    running = ask(first, "train", **{**TRAINING, "epochs": 500}, out="a")
    waiting = ask(first, "data", path="digits")
    wait(first, running, "running")
    assert first.get(waiting).json()["state"] == "queued"
    second = serve()  # as after the first one was killed: it knows nothing but the folder
    assert second.get(running).json()["state"] == "running"
    assert [job["state"] for job in second.get("/jobs").json()["jobs"]] == ["queued", "running"]
    process = root / "runs" / FOLDER / running.rpartition("/")[2] / PROCESS
    while not process.exists() or not process.read_text():
        time.sleep(0.05)
    os.kill(int(process.read_text()), signal.SIGKILL)
    assert wait(second, running, "stopped", "failed")["state"] == "stopped"
    assert wait(second, waiting, "done", "failed")["state"] == "done"


def test_a_job_that_waits_is_called_off(serve: Callable[[], TestClient]) -> None:
    client = serve()
    running = ask(client, "train", **{**TRAINING, "epochs": 500}, out="a")
    waiting = ask(client, "data", path="digits")
    client.delete(waiting)
    assert client.get(waiting).json()["state"] == "stopped"
    wait(client, running, "running")
    client.delete(running)
    wait(client, running, "stopped")


def test_a_job_that_fails_says_why(serve: Callable[[], TestClient], root: Path) -> None:
    client = serve()
    job = wait(client, ask(client, "train", data=str(root / "photos")), "failed", "done", "stopped")
    assert job["state"] == "failed"
    assert "photos" in job["last"]["text"]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"command": "fly"}, "choose from data"),
        ({"command": "train", "options": {"colour": 1}}, "colour"),
        ({"command": "train", "options": {"epochs": "many"}}, "epochs cannot be"),
        ({"command": "train", "options": {"data": "../secret.csv"}}, "leads out"),
        ({"command": "train", "options": {"data": "/etc"}}, "leads out"),
        ({"command": "train", "options": {"data": "~/photos"}}, "leads out"),
        ({"command": "train", "options": {"data": "link"}}, "leads out"),
        ({"command": "train", "options": {"out": "/elsewhere/out"}}, "leads out"),
        ({"command": "predict", "options": {"run": "x", "images": ["../secret.csv"]}}, "leads out"),
        ({"command": "predict", "options": {"run": "x", "images": ["a"], "csv": "../out.csv"}}, "leads out"),
        ({"command": "train", "options": {"weights": "/etc/passwd"}}, "leads out"),
        ({"command": 3}, "must be text"),
        ({"verb": "train"}, "A job is"),
        (["train"], "A job is"),
    ],
)
def test_what_cannot_be_a_job_is_said(
    serve: Callable[[], TestClient], root: Path, document: object, words: str
) -> None:
    (root / "photos" / "link").symlink_to(root)
    client = serve()
    answer = client.post("/jobs", json=document)
    assert answer.status_code == 400
    assert words in answer.json()["detail"]
    assert client.get("/jobs").json()["jobs"] == []


def test_a_process_that_cannot_begin_is_a_failure(
    serve: Callable[[], TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("convolve.serve.jobs.sys.executable", "/bin/false")
    client = serve()
    job = wait(client, ask(client, "data", path="digits"), "failed", "done", "stopped")
    assert job["last"]["text"] == "The job could not begin; its output.txt says why."


def test_only_json_with_the_token_makes_a_job(serve: Callable[[], TestClient]) -> None:
    client = serve()
    body = json.dumps({"command": "data", "options": {"path": "digits"}})
    assert client.post("/jobs", content=body, headers={"content-type": "text/plain"}).status_code == 415
    for address in ("/jobs", "/jobs/0000000000000-00000000", "/jobs/0000000000000-00000000/events"):
        assert client.get(address, headers={"authorization": "Bearer guess"}).status_code == 401
    assert client.get("/jobs/0000000000000-00000000").status_code == 404
    assert client.get("/jobs/..%2F..").status_code in (404, 401)


def test_the_queue_is_bounded(serve: Callable[[], TestClient], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("convolve.serve.jobs.MOST_QUEUED", 1)
    client = serve()
    running = ask(client, "train", **{**TRAINING, "epochs": 500}, out="a")
    wait(client, running, "running")
    waiting = ask(client, "data", path="digits")
    answer = client.post("/jobs", json={"command": "data", "options": {"path": "digits"}})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    for address in (waiting, running):
        client.delete(address)
    wait(client, running, "stopped")
