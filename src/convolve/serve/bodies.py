"""The bodies of requests, counted while they are read, and the image in one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final, final

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from convolve.serve.problems import ProblemError

MOST_BYTES: Final = 2**26
"""Of a body: an image of 64 MiB, or a batch of tensors."""
MOST_SECONDS: Final = 30.0
"""From the first byte of a body to the last."""
MOST_TOGETHER: Final = 2**29
"""Bytes of all bodies that are held at once."""
_MULTIPART: Final = "multipart/form-data"
_FORM: Final = "The form must hold one image file and nothing else."


@final
class Bodies:
    """Reads bodies, all of which together take `MOST_TOGETHER` bytes at most."""

    def __init__(self) -> None:
        self._held = 0

    @asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[bytes]:
        """All of a body, which counts until the end of the block. Raises `ProblemError` where it is too long, takes too
        long to come, or comes when others take the memory.
        """
        announced = request.headers.get("content-length", "0")
        if not announced.isdecimal() or int(announced) > MOST_BYTES:
            raise _too_long()
        parts: list[bytes] = []
        count = 0
        try:
            async with asyncio.timeout(MOST_SECONDS):
                async for part in request.stream():
                    count += len(part)
                    self._held += len(part)
                    if count > MOST_BYTES:
                        raise _too_long()
                    if self._held > MOST_TOGETHER:
                        sentence = "Too many large bodies come at once; try again in a moment."
                        raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, sentence)
                    parts.append(part)
            yield b"".join(parts)
        except TimeoutError:
            sentence = f"The body took more than {MOST_SECONDS:.0f} seconds; send it faster, or less of it."
            raise ProblemError(HTTPStatus.REQUEST_TIMEOUT, sentence) from None
        except ClientDisconnect:
            sentence = "The connection was closed in the middle of the body; send it again."
            raise ProblemError(HTTPStatus.BAD_REQUEST, sentence) from None
        finally:
            self._held -= count


async def image_of(request: Request, body: bytes) -> tuple[str, bytes]:
    """The name and the bytes of the one image that a body brings: all of it, or the file of a form. Raises
    `ProblemError`.
    """
    if not request.headers.get("content-type", "").startswith(_MULTIPART):
        if not body:
            raise ProblemError(HTTPStatus.BAD_REQUEST, "The body is empty; send the bytes of an image.")
        return "image", body

    async def whole() -> AsyncGenerator[bytes, None]:
        yield body

    try:
        form = await MultiPartParser(request.headers, whole(), max_files=1, max_fields=0).parse()
    except (MultiPartException, KeyError, ValueError):
        raise ProblemError(HTTPStatus.BAD_REQUEST, _FORM) from None
    try:
        files = [part for part in form.values() if isinstance(part, UploadFile)]
        if len(files) != 1:
            raise ProblemError(HTTPStatus.BAD_REQUEST, _FORM)
        return files[0].filename or "image", await files[0].read()
    finally:
        await form.close()


def _too_long() -> ProblemError:
    sentence = f"The body is longer than {MOST_BYTES // 2**20} MiB; make the image smaller, or send fewer at once."
    return ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, sentence)
