"""Files of official weights: on this machine already, or fetched from where they are published.

`CONVOLVE_WEIGHTS` names folders, separated as in `PATH`, that are searched first by a file's published name.
`CONVOLVE_MIRRORS` holds addresses, separated by spaces, below which a file is asked for before its own address. With
`CONVOLVE_OFFLINE=1` nothing is fetched. Most published names end with the beginning of the file's SHA-256, which is
checked.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue
from threading import Thread

import torch
from torch import Tensor

from convolve.errors import WeightsError
from convolve.progress import Listener, Message, Pace
from convolve.untrusted.files import open_file
from convolve.untrusted.weights import read_safetensors, read_torch

OFFLINE, FOLDERS, SERVERS = "CONVOLVE_OFFLINE", "CONVOLVE_WEIGHTS", "CONVOLVE_MIRRORS"
_ANSWER_SECONDS = 5.0
"""How long it may take at most, all addresses together, until one of them answers."""
_BLOCK = 2**20
_HASHED = re.compile(r"-([0-9a-f]{8,64})\.\w+")


@dataclass(frozen=True)
class OfficialFile:
    """A file by its published ``name`` and ``address``, and the ``repository`` of the Hugging Face hub that it is in,
    if any: such files have the hub's own cache and checksums.
    """

    name: str
    address: str
    repository: str | None = None


def find_file(file: OfficialFile) -> Path | None:
    """Where a file is on this machine: in a folder of `CONVOLVE_WEIGHTS` or in a cache."""
    paths = [folder / file.name for folder in weight_folders()]
    return next((path for path in paths if path.is_file()), None) or _in_hub_cache(file)


def weight_folders() -> tuple[Path, ...]:
    """The folders that are searched, in their order: those of `CONVOLVE_WEIGHTS`, and the cache."""
    named = os.environ.get(FOLDERS, "").split(os.pathsep)
    return (*(Path(folder).expanduser() for folder in named if folder), torch_cache())


def check_file(path: Path) -> None:
    """Raise `WeightsError` where a file is not what its name says."""
    published = _HASHED.search(path.name)
    if published:
        with open_file(path) as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
        if not digest.startswith(published[1]):
            raise WeightsError(f"{path} is damaged: delete it, and the weights are downloaded again.")


def read_state(path: Path) -> Mapping[str, Tensor]:
    """The state dict in an official file. Raises `WeightsError` where the file is not what its name says, `OSError` and
    `ValueError` where it cannot be read.
    """
    check_file(path)
    state: Mapping[str, Tensor] = read_safetensors(path)[0] if path.suffix == ".safetensors" else read_torch(path)
    return state


def fetch_file(file: OfficialFile, listener: Listener, remark: str = "") -> Path:
    """Fetch a file into the cache from the first address that has it. The listener is told the address and the size
    before, with a ``remark``.

    Raises `OSError` where there is no network, or no address has the file as it was published.
    """
    refuse_offline()
    until = time.monotonic() + _ANSWER_SECONDS
    servers = os.environ.get(SERVERS, "").split() if _HASHED.search(file.name) else []
    failed = ""
    for address in [*(f"{server.rstrip('/')}/{file.name}" for server in servers), file.address]:
        try:
            answer = _open(address, max(until - time.monotonic(), 0.5))
            size = int(answer.headers.get("Content-Length") or 0)
            listener(Message(f"Fetching {address} ({f'{size / 1e6:,.0f} MB' if size else 'size not stated'}){remark}."))
            with answer:
                if file.repository and address == file.address:
                    return _fetch_from_hub(file.repository)
                return _save(answer, size, torch_cache() / file.name, listener)
        except (OSError, ValueError, http.client.HTTPException) as error:
            failed = str(getattr(error, "reason", "") or error)
    raise ConnectionError(failed)


def refuse_offline() -> None:
    """Raise `OSError` where nothing may be fetched."""
    if os.environ.get(OFFLINE, "0") not in ("", "0"):
        raise ConnectionError(f"{OFFLINE} is set")


def torch_cache() -> Path:
    """The folder of torch's downloads, which torchvision and timm use too."""
    return Path(torch.hub.get_dir()) / "checkpoints"


def _in_hub_cache(file: OfficialFile) -> Path | None:
    if file.repository is None:
        return None
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(file.repository, file.address.rpartition("/")[2])
    return Path(found) if isinstance(found, str) else None


def _fetch_from_hub(repository: str) -> Path:
    from huggingface_hub import hf_hub_download

    return Path(hf_hub_download(repository, "model.safetensors"))


def _open(address: str, seconds: float) -> http.client.HTTPResponse:
    """The answer of an address, within so many ``seconds``, which also bound the look-up of its name. Raises
    `OSError`.
    """
    if not address.startswith(("http://", "https://")):
        raise ConnectionError(f"{address} does not begin with http:// or https://")
    answers: Queue[http.client.HTTPResponse | Exception] = Queue()

    def ask() -> None:
        try:
            answers.put(urllib.request.urlopen(address, timeout=seconds))  # noqa: S310 - checked above
        except Exception as error:  # noqa: BLE001 - raised by the thread that waits
            if isinstance(error, urllib.error.HTTPError):
                error.close()
            answers.put(error)

    Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=seconds)
    except Empty:
        raise TimeoutError(f"{address} does not answer") from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _save(answer: http.client.HTTPResponse, size: int, path: Path, listener: Listener) -> Path:
    """Write an answer into a file, which appears only when it is complete. Raises `OSError` where it is damaged."""
    path.parent.mkdir(parents=True, exist_ok=True)
    digest, done = hashlib.sha256(), 0
    pace = Pace(listener, "fetch", max(size // _BLOCK, 1), "MiB")
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        draft = Path(folder) / path.name
        with draft.open("wb") as file:
            while block := answer.read(_BLOCK):
                file.write(block)
                digest.update(block)
                done += len(block)
                pace(min(done // _BLOCK, max(size // _BLOCK, 1)))
        published = _HASHED.search(path.name)
        if size and done != size:
            raise ConnectionError(f"the connection ended after {done:,} of {size:,} bytes")
        if published and not digest.hexdigest().startswith(published[1]):
            raise ConnectionError("what was downloaded is damaged: its SHA-256 is not the published one")
        draft.replace(path)
    return path
