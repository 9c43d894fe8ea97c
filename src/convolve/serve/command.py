"""`convolve serve`: the networks of a folder of runs and exports over HTTP."""

from __future__ import annotations

import ipaddress
import secrets
import socket
from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from convolve.command import Command
from convolve.errors import DataError, OptionError
from convolve.progress import Listener, Message

if TYPE_CHECKING:
    from rich.console import RenderableType

_SHORTEST_TOKEN: Final = 16
_TOKEN_BYTES: Final = 24
_BACKLOG: Final = 2048


@dataclass(frozen=True)
class Serve:
    """Answer questions about images over HTTP, by the runs and exports of a folder, and run commands for clients."""

    runs: Path = Path("runs")
    """Folder of runs and exports; those in folders below it are found too. Jobs write into it and nowhere else."""
    _: KW_ONLY
    data: Path | None = None
    """Folder of images that jobs may use, besides that of the runs."""
    port: int = 8000
    """Port to listen at; 0 for any that is free."""
    host: str = "127.0.0.1"
    """Address to listen at. Any but this machine's own needs a token."""
    token: str | None = None
    """What clients must send as `Authorization: Bearer TOKEN`, 16 characters or more; a new one for each start unless
    given. On this machine only jobs need it."""


@dataclass(frozen=True)
class Served:
    """The address at which there was a server."""

    address: str

    def as_json(self) -> dict[str, Any]:
        """The address."""
        return {"address": self.address}


def run(options: Serve, listener: Listener) -> Served:
    """Serve until Ctrl-C. Raises `DataError` where there is no such folder, and `OptionError` for an address that
    cannot be listened at.
    """
    check_options(options)
    try:
        import uvicorn
    except ImportError:
        raise OptionError("The server needs Starlette and uvicorn; pip install 'convolve[serve]'.") from None
    from convolve.serve.application import application
    from convolve.serve.catalog import Catalog
    from convolve.serve.guard import LOOPBACK, Guard, Where
    from convolve.serve.job_options import Folders
    from convolve.serve.jobs import Jobs

    for folder in filter(None, (options.runs, options.data)):
        if not folder.is_dir():
            raise DataError(f"{folder} is no folder; give one that there is.")
    catalog = Catalog(options.runs.resolve())
    folders = Folders(options.data.resolve() if options.data else None, catalog.root)
    token = options.token or secrets.token_urlsafe(_TOKEN_BYTES)
    with _listen(options) as listening:
        port = listening.getsockname()[1]
        address = f"http://{f'[{options.host}]' if ':' in options.host else options.host}:{port}"
        hosts = LOOPBACK if is_loopback(options.host) else (*LOOPBACK, options.host, socket.gethostname().casefold())
        jobs = Jobs(catalog.root)
        where, all_paths = Where(hosts, port), not is_loopback(options.host)
        app = Guard(application(catalog, jobs, folders), where, token, all_paths=all_paths)
        listener(Message(f"{len(catalog.entries())} runs and exports of {options.runs}"))
        listener(Message(f"{address}   (Ctrl-C ends it; jobs go on)"))
        if options.token is None:
            listener(Message(f"token for jobs: {token}"))
        config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False)
        try:
            uvicorn.Server(config).run(sockets=[listening])
        finally:
            jobs.close()
    return Served(address)


def check_options(options: Serve) -> None:
    """Raise `OptionError` for a port that there is not, and for an address that others can reach without a token."""
    if not 0 <= options.port < 2**16:
        raise OptionError(f"port cannot be {options.port}; it must be a whole number from 0 to 65535.")
    if options.token is not None and len(options.token) < _SHORTEST_TOKEN:
        suggestion = secrets.token_urlsafe(_TOKEN_BYTES)
        raise OptionError(f"The token is too short to be safe; take a longer one, such as {suggestion}.")
    if not is_loopback(options.host) and options.token is None:
        raise OptionError(f"Others can reach {options.host}; add --token, which they must know.")


def render(result: Served) -> Iterator[RenderableType]:
    """A line."""
    yield f"{result.address} is closed."


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.casefold() == "localhost"


def _listen(options: Serve) -> socket.socket:
    try:
        (family, kind, protocol, _, where), *_ = socket.getaddrinfo(options.host, options.port, type=socket.SOCK_STREAM)
        listening = socket.socket(family, kind, protocol)  # by the protocol asyncio knows that it need not wait (Nagle)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(where)
        listening.listen(_BACKLOG)  # from now on clients wait rather than being refused
    except OSError as error:
        reason = error.strerror or str(error)
        raise OptionError(
            f"{options.host} port {options.port} cannot be listened at ({reason}); choose another --port or --host."
        ) from error
    return listening


COMMAND = Command(Serve, run, render, needs_torch=False)
