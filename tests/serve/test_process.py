"""The command itself: a server of its own process, asked by clients that we did not write."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from tests.exports.small_exports import probabilities
from tests.serve.conftest import TOKEN, png

RED = png((255, 0, 0))


@contextmanager
def running(*words: str | Path) -> Iterator[str]:
    """A server on a free port, by its address, until Ctrl-C."""
    command = [sys.executable, "-m", "convolve", "serve", *map(str, words), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout
        lines = iter(process.stdout.readline, "")
        yield next(found[0] for line in lines if (found := re.search(r"http://\S+", line)))
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        assert process.returncode in (0, 130)


@pytest.fixture(scope="module")
def server(served_folder: Path) -> Iterator[str]:
    with running(served_folder) as address:
        yield address


def post(address: str, content: bytes, **headers: str) -> int:
    """The status of an answer."""
    request = urllib.request.Request(address, content, headers)  # noqa: S310 - our own address
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_the_protocols_own_client(server: str) -> None:
    client_module = pytest.importorskip("tritonclient.http")
    client = client_module.InferenceServerClient(server.removeprefix("http://"))
    try:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("colors")
        assert client.get_model_metadata("colors")["platform"] == "openvino"
        pixels = np.broadcast_to(np.array([255, 0, 0], np.uint8), (3, 6, 7, 3)).copy()
        for binary in (True, False):
            tensor = client_module.InferInput("images", pixels.shape, "UINT8")
            tensor.set_data_from_numpy(pixels, binary_data=binary)
            output = client_module.InferRequestedOutput("probabilities", binary_data=binary)
            for outputs in (None, [output]):
                found = client.infer("colors", [tensor], outputs=outputs).as_numpy("probabilities")
                np.testing.assert_allclose(found, [probabilities((255, 0, 0))] * 3, rtol=1e-5)
        blobs = np.array([RED], dtype=np.object_)
        tensor = client_module.InferInput("images", [1], "BYTES")
        tensor.set_data_from_numpy(blobs)
        found = client.infer("colors", [tensor]).as_numpy("probabilities")
        np.testing.assert_allclose(found, [probabilities((255, 0, 0))], rtol=1e-5)
        with pytest.raises(client_module.InferenceServerException, match="no run or export of that name"):
            client.get_model_metadata("nothing")
    finally:
        client.close()


def test_many_clients_at_once(server: str) -> None:
    with ThreadPoolExecutor(50) as pool:
        statuses = list(pool.map(lambda _: post(f"{server}/predict/colors", RED), range(300)))
    assert set(statuses) <= {200, 503}
    assert statuses.count(200) > 0
    assert post(f"{server}/predict/colors", RED) == 200


_WITHOUT_TORCH = """
import sys
from pathlib import Path
from starlette.testclient import TestClient
from convolve.serve.application import application
from convolve.serve.catalog import Catalog
from convolve.serve.job_options import Folders
from convolve.serve.jobs import Jobs

root = Path(sys.argv[1])
with TestClient(application(Catalog(root), Jobs(root), Folders(None, root))) as client:
    assert client.post("/predict/colors", content=bytes.fromhex(sys.argv[2])).json()["label"] == "red"
    assert "torch" not in sys.modules
    assert client.post("/predict/digits", content=bytes.fromhex(sys.argv[2])).status_code == 200
    assert "torch" in sys.modules
"""


def test_torch_is_imported_for_runs_alone(served_folder: Path) -> None:
    subprocess.run([sys.executable, "-c", _WITHOUT_TORCH, str(served_folder), RED.hex()], check=True)


def test_a_server_for_others_asks_for_its_token(served_folder: Path) -> None:
    with running(served_folder, "--host", "0.0.0.0", "--token", TOKEN) as address:  # noqa: S104
        local = address.replace("0.0.0.0", "127.0.0.1")  # noqa: S104
        assert post(f"{local}/predict/colors", RED) == 401
        assert post(f"{local}/predict/colors", RED, Authorization=f"Bearer {TOKEN}") == 200


@pytest.mark.parametrize("kind", ["no folder", "taken port"])
def test_what_cannot_be_served_is_said(server: str, served_folder: Path, kind: str) -> None:
    folder, port = (
        (served_folder / "missing", "0") if kind == "no folder" else (served_folder, server.rpartition(":")[2])
    )
    command = [sys.executable, "-m", "convolve", "serve", str(folder), "--port", port]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert ("is no folder" if kind == "no folder" else "choose another --port") in ended.stderr
