"""An image posted as it is or in a form, and what comes back."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.requests import Request
from starlette.testclient import TestClient
from starlette.types import Message

import convolve
from convolve.serve import bodies
from convolve.serve.problems import ProblemError
from tests.exports.small_exports import probabilities
from tests.serve.conftest import ConnectTo, png

RED, GREEN = (255, 0, 0), (0, 255, 0)


def test_an_image_is_classified_as_on_the_command_line(client: TestClient, served_folder: Path, tmp_path: Path) -> None:
    image = tmp_path / "red.png"
    image.write_bytes(png(RED))
    (expected,) = convolve.predict(served_folder / "colors", images=(str(image),), progress=False).predictions
    answer = client.post("/predict/colors", content=image.read_bytes()).json()
    assert answer == json.loads(json.dumps({**expected.as_json(), "image": "image"}))
    assert answer["label"] == "red"
    np.testing.assert_allclose(dict(answer["classes"])["red"], probabilities(RED)[0], rtol=1e-5)


def test_a_form_brings_the_name_of_its_file(client: TestClient) -> None:
    answer = client.post("/predict/colors", files={"any": ("leaf.png", png(GREEN), "image/png")}).json()
    assert (answer["image"], answer["label"]) == ("leaf.png", "green")


def test_a_run_answers_too(client: TestClient) -> None:
    answer = client.post("/predict/digits", content=png((0, 0, 0), (8, 8))).json()
    assert len(answer["classes"]) == 3
    assert answer["label"] in "0123456789"


def test_an_export_below_another_folder_finds_boxes(client: TestClient) -> None:
    answer = client.post("/predict/shop.boxes", content=png((200, 150, 0), (20, 10))).json()
    assert [each["class"] for each in answer["detections"]] == ["left", "right"]
    assert answer["detections"][0]["box"] == [0, 0, 10, 10]


def test_options_of_the_task_are_in_the_query(client: TestClient) -> None:
    answer = client.post("/predict/colors?top=1&threshold=0.999999", content=png(RED)).json()
    assert (answer["label"], len(answer["classes"])) == ("unsure", 1)


@pytest.mark.parametrize(
    ("query", "word"),
    [("top=none", "top"), ("colour=1", "colour"), ("threshold=2", "threshold"), ("nms=soft", "nms")],
)
def test_wrong_options_are_named(client: TestClient, query: str, word: str) -> None:
    answer = client.post(f"/predict/colors?{query}", content=png(RED))
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert word in answer.json()["detail"]


def test_an_option_that_writes_files_is_refused(client: TestClient, tmp_path: Path) -> None:
    answer = client.post(f"/predict/shop.boxes?out={tmp_path / 'out'}", content=png(RED))
    assert answer.status_code == 400
    assert answer.json()["detail"] == "out names a file, and the server reads and writes none; leave it out."
    assert not (tmp_path / "out").exists()


def test_the_answer_may_be_a_drawing(client: TestClient) -> None:
    answer = client.post("/predict/shop.boxes", content=png((200, 150, 0), (20, 10)), headers={"accept": "image/*"})
    assert answer.headers["content-type"] == "image/jpeg"
    drawn = Image.open(io.BytesIO(answer.content))
    assert drawn.width == 2 * drawn.height  # a small image is drawn larger
    refused = client.post("/predict/colors", content=png(RED), headers={"accept": "image/*"})
    assert (
        refused.json()["detail"] == "The task classify draws nothing; ask for its answer with Accept: application/json."
    )


@pytest.mark.parametrize("content", [b"", b"no image", png(RED)[:40]])
def test_what_is_no_image_is_refused(client: TestClient, content: bytes) -> None:
    answer = client.post("/predict/colors", content=content)
    assert answer.status_code == 400
    assert answer.json()["detail"].endswith(".")


@pytest.mark.parametrize(
    "files", [{}, {"a": ("a.png", png(RED)), "b": ("b.png", png(RED))}], ids=["no file", "two files"]
)
def test_a_form_holds_one_image(client: TestClient, files: dict[str, tuple[str, bytes]]) -> None:
    headers = {} if files else {"content-type": "multipart/form-data; boundary=x"}
    answer = client.post("/predict/colors", files=files, headers=headers)
    assert (answer.status_code, answer.json()["detail"]) == (400, "The form must hold one image file and nothing else.")


def test_a_body_is_counted_while_it_is_read(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "MOST_BYTES", 1000)
    parts = (b"x" * 400 for _ in range(3))  # no length is announced
    assert client.post("/predict/colors", content=parts).status_code == 413
    assert client.post("/predict/colors", content=b"x" * 1001).status_code == 413
    assert client.post("/predict/colors", content=png(RED)).status_code == 200


def test_bodies_share_the_memory(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "MOST_TOGETHER", 10)
    answer = client.post("/predict/colors", content=png(RED))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    monkeypatch.setattr(bodies, "MOST_TOGETHER", 10_000)
    for _ in range(200):  # 100 bytes each, which are given back
        assert client.post("/predict/colors", content=png(RED)).status_code == 200


def test_a_slow_body_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "MOST_SECONDS", 0.02)

    async def never() -> Message:
        await asyncio.sleep(60)
        raise AssertionError

    async def read() -> None:
        async with bodies.Bodies().read(Request({"type": "http", "headers": []}, never)):
            pass

    with pytest.raises(ProblemError, match="send it faster") as caught:
        asyncio.run(read())
    assert caught.value.status == 408


def test_a_network_that_restores_answers_with_an_image(tmp_path: Path, connect_to: ConnectTo) -> None:
    random = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for number in range(4):
        pixels = random.integers(0, 255, (48, 48, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{number}.png")
    options = {"task": "restore", "network": "espcn_x2", "size": 24, "epochs": 1, "threads": 1, "progress": False}
    convolve.train(str(tmp_path / "photos"), out=tmp_path / "runs" / "larger", **options)  # type: ignore[arg-type]
    client = connect_to(tmp_path / "runs")
    refused = client.post("/predict/larger", content=png(RED, (20, 10)))
    assert refused.json()["detail"] == "This network answers with an image; ask for it with Accept: image/*."
    answer = client.post("/predict/larger", content=png(RED, (20, 10)), headers={"accept": "image/*"})
    assert Image.open(io.BytesIO(answer.content)).size == (40, 20)
