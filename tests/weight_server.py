"""A server on this machine that offers files of weights."""

from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import Tensor

from convolve.interop.official_files import OfficialFile

STATE = {"a.weight": torch.arange(6.0)}


@contextmanager
def offer(root: Path, patch: pytest.MonkeyPatch) -> Iterator[tuple[Path, str]]:
    """A folder in ``root`` that a server offers, and its address. Torch's cache is an empty folder there, and fetching
    is allowed.
    """
    folder = root / "site"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Nothing."""

        def translate_path(self, path: str) -> str:
            return str(folder / path.lstrip("/"))

    patch.setenv("CONVOLVE_OFFLINE", "0")
    patch.setenv("TORCH_HOME", str(root / "torch"))
    patch.delenv("CONVOLVE_WEIGHTS", raising=False)
    patch.delenv("CONVOLVE_MIRRORS", raising=False)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def published(folder: Path, address: str, state: Mapping[str, Tensor] = STATE) -> OfficialFile:
    """A file of the folder, with its hash in its name."""
    torch.save(dict(state), folder / "draft")
    digest = hashlib.sha256((folder / "draft").read_bytes()).hexdigest()
    path = (folder / "draft").rename(folder / f"net-{digest[:8]}.pth")
    return OfficialFile(path.name, f"{address}/{path.name}")
