"""A server without a network: requests go straight into the application."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from convolve.serve.application import application
from convolve.serve.catalog import Catalog
from convolve.serve.guard import LOOPBACK, Guard, Where
from convolve.serve.job_options import Folders
from convolve.serve.jobs import Jobs
from tests.exports.small_exports import classifier, detector

PORT = 8000
TOKEN = "a-token-that-is-long-enough"  # noqa: S105 - opens nothing
ConnectTo = Callable[..., TestClient]


def png(color: tuple[int, int, int], size: tuple[int, int] = (12, 9)) -> bytes:
    """A PNG of one color; its size is width and height."""
    file = io.BytesIO()
    Image.fromarray(np.full((size[1], size[0], 3), color, np.uint8)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="session")
def served_folder(tmp_path_factory: pytest.TempPathFactory, digits_run: Path) -> Path:
    """Two exports, one of them in a folder below, and a run."""
    root = tmp_path_factory.mktemp("served")
    classifier(root / "colors")
    (root / "shop").mkdir()
    detector(root / "shop" / "boxes")
    shutil.copytree(digits_run, root / "digits")
    return root


@pytest.fixture(scope="session")
def connect_to() -> Iterator[ConnectTo]:
    """A client of the guarded application over a folder, with a limit or a token everywhere as a test asks for."""
    opened: list[tuple[TestClient, Jobs]] = []

    def new(runs: Path, *, all_paths: bool = False, most: int = 100) -> TestClient:
        jobs = Jobs(runs)
        routes = application(Catalog(runs), jobs, Folders(None, runs))
        app = Guard(routes, Where(LOOPBACK, PORT), TOKEN, all_paths=all_paths, most=most)
        opened.append((TestClient(app, f"http://127.0.0.1:{PORT}", raise_server_exceptions=False), jobs))
        return opened[-1][0]

    yield new
    for client, jobs in opened:
        client.close()
        jobs.close()


@pytest.fixture
def client(connect_to: ConnectTo, served_folder: Path) -> TestClient:
    """A client of a server over the two exports and the run."""
    return connect_to(served_folder)
