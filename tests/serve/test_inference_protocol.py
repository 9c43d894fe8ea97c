"""The Open Inference Protocol: what is documented, and what its own client makes of it in test_process.py."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from convolve.serve.inference_protocol import LENGTH_HEADER, parse_request
from convolve.serve.problems import ProblemError
from tests.exports.small_exports import probabilities
from tests.serve.conftest import png

INFER = "/v2/models/colors/infer"
PIXELS = np.broadcast_to(np.array([[255, 0, 0], [0, 0, 255]], np.uint8)[:, None, None], (2, 4, 5, 3))
EXPECTED = np.stack([probabilities((255, 0, 0)), probabilities((0, 0, 255))])


def tensor(**changes: Any) -> dict[str, Any]:
    """The two images as JSON."""
    return {"name": "images", "datatype": "UINT8", "shape": [2, 4, 5, 3], "data": PIXELS.ravel().tolist()} | changes


def test_the_server_describes_itself(client: TestClient) -> None:
    assert client.get("/v2").json()["extensions"] == ["binary_tensor_data"]
    for address in ("/v2/health/live", "/v2/health/ready", "/v2/models/colors/ready", "/v2/models/digits/ready"):
        assert client.get(address).status_code == 200
    names = [each["name"] for each in client.get("/v2/models").json()["models"]]
    assert names == ["colors", "digits", "shop.boxes"]


def test_a_model_describes_its_tensors(client: TestClient) -> None:
    found = client.get("/v2/models/colors/versions/1").json()
    assert found["inputs"] == [{"name": "images", "datatype": "UINT8", "shape": [-1, -1, -1, 3]}]
    assert found["outputs"] == [{"name": "probabilities", "datatype": "FP32", "shape": [-1, 3]}]
    assert found["parameters"] == {"task": "classify"}
    outputs = {each["name"]: each["datatype"] for each in client.get("/v2/models/shop.boxes").json()["outputs"]}
    assert outputs == {"boxes": "FP32", "scores": "FP32", "classes": "INT64", "image": "INT64"}


@pytest.mark.parametrize("data", [PIXELS.ravel().tolist(), PIXELS.tolist()], ids=["flat", "nested"])
def test_numbers_as_json(client: TestClient, data: list[Any]) -> None:
    answer = client.post(INFER, json={"id": "7", "inputs": [tensor(data=data)]}).json()
    assert (answer["model_name"], answer["id"]) == ("colors", "7")
    (output,) = answer["outputs"]
    assert (output["datatype"], output["shape"]) == ("FP32", [2, 3])
    np.testing.assert_allclose(np.reshape(output["data"], (2, 3)), EXPECTED, rtol=1e-5)


def test_raw_bytes_in_and_out(client: TestClient) -> None:
    described = tensor(parameters={"binary_data_size": PIXELS.size})
    del described["data"]
    wanted = [{"name": "probabilities", "parameters": {"binary_data": True}}]
    header = json.dumps({"inputs": [described], "outputs": wanted}).encode()
    answer = client.post(INFER, content=header + PIXELS.tobytes(), headers={LENGTH_HEADER: str(len(header))})
    length = int(answer.headers[LENGTH_HEADER])
    (output,) = json.loads(answer.content[:length])["outputs"]
    assert output["parameters"] == {"binary_data_size": 24}
    found = np.frombuffer(answer.content[length:], np.float32).reshape(output["shape"])
    np.testing.assert_allclose(found, EXPECTED, rtol=1e-5)


def test_image_files_as_bytes(client: TestClient) -> None:
    texts = [base64.b64encode(png(color)).decode() for color in ((255, 0, 0), (0, 0, 255))]
    answer = client.post(INFER, json={"inputs": [tensor(datatype="BYTES", shape=[2], data=texts)]}).json()
    np.testing.assert_allclose(np.reshape(answer["outputs"][0]["data"], (2, 3)), EXPECTED, rtol=1e-5)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"inputs": []}, "list of one tensor"),
        ({"inputs": [tensor(name="x")]}, "the input is images"),
        ({"inputs": [tensor(shape=[2, 4, 5])]}, "must be UINT8 of shape"),
        ({"inputs": [tensor(shape=[2, 4, 5, 1])]}, "must be UINT8 of shape"),
        ({"inputs": [tensor(shape=[2, 4, 6, 3])]}, "as many numbers"),
        ({"inputs": [tensor(shape=[0, 4, 5, 3])]}, "whole numbers from 1"),
        ({"inputs": [tensor(shape=[10**6, 10**6, 1, 3])]}, "send fewer images"),
        ({"inputs": [tensor(datatype="FP32")]}, "must be UINT8"),
        ({"inputs": [tensor(data=[256] * 120)]}, "from 0 to 255"),
        ({"inputs": [tensor(data=[0.5] * 120)]}, "from 0 to 255"),
        ({"inputs": [tensor(data=[[1], [2, 3]])]}, "from 0 to 255"),
        ({"inputs": [tensor(data="text")]}, "from 0 to 255"),
        ({"inputs": [tensor(parameters={"binary_data_size": 9})]}, "must be 0"),
        ({"inputs": [tensor(datatype="BYTES", shape=[1], data=["?"])]}, "must be base64"),
        ({"inputs": [tensor(datatype="BYTES", shape=[2], data=["aaaa"])]}, "as many elements"),
        ({"inputs": [tensor()], "outputs": [{"name": "boxes"}]}, "the outputs are probabilities"),
        ({"inputs": [tensor()], "outputs": 3}, "outputs must be a list"),
        ({"inputs": [tensor()], "id": 7}, "id must be text"),
        ([1], "must be a JSON object"),
    ],
)
def test_what_is_wrong_is_said(client: TestClient, document: object, words: str) -> None:
    answer = client.post(INFER, json=document)
    assert answer.status_code == 400
    assert words in answer.json()["detail"]


def test_images_of_two_sizes_are_no_tensor(client: TestClient) -> None:
    texts = [base64.b64encode(png((0, 0, 0), size)).decode() for size in ((4, 4), (5, 5))]
    answer = client.post(INFER, json={"inputs": [tensor(datatype="BYTES", shape=[2], data=texts)]})
    assert "different sizes" in answer.json()["detail"]


def test_a_run_has_no_tensors(client: TestClient) -> None:
    answer = client.post("/v2/models/digits/infer", json={"inputs": [tensor()]})
    assert (
        answer.json()["detail"] == "digits is a run, which has no tensors to offer; export it, or ask /predict/digits."
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["inputs", "outputs", "name", "shape", "datatype", "data", "parameters", "binary_data_size", "id"]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=12,
)
INPUT = st.fixed_dictionaries(
    {"name": st.just("images"), "datatype": st.sampled_from(["UINT8", "BYTES"]), "shape": JSON, "data": JSON},
    optional={"parameters": JSON},
)


@given(
    st.one_of(
        st.binary(max_size=60),
        JSON.map(lambda document: json.dumps(document).encode()),
        INPUT.map(lambda one: json.dumps({"inputs": [one]}).encode()),
    ),
    st.none() | st.text(max_size=3) | st.integers(0, 80).map(str),
)
def test_any_body_is_a_request_or_refused_in_a_sentence(body: bytes, length: str | None) -> None:
    try:
        request = parse_request(body, length, 3)
    except ProblemError as error:
        assert str(error).endswith(".")  # noqa: PT017 - one of two outcomes that are right
    else:
        assert request.images.dtype == np.uint8
