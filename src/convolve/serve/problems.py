"""Errors of the server, each one sentence with its remedy, as `application/problem+json` (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from convolve.errors import ConvolveError

RETRY_SECONDS = 1


class ProblemError(Exception):
    """An answer that is an error: its HTTP ``status`` and a sentence."""

    def __init__(self, status: HTTPStatus, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


def problem(status: HTTPStatus, sentence: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The response; one that asks to come again later says when."""
    retry = {"Retry-After": str(RETRY_SECONDS)} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}
    document = {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": sentence}
    return JSONResponse(document, status.value, {**retry, **(headers or {})}, media_type="application/problem+json")


async def answer_problem(request: Request, error: Exception) -> Response:
    """A `ProblemError` as it is; what convolve refuses, as a bad request; anything else without its text, which is for
    the log.
    """
    if isinstance(error, ProblemError):
        return problem(error.status, str(error))
    if isinstance(error, ConvolveError):
        return problem(HTTPStatus.BAD_REQUEST, str(error))
    if isinstance(error, HTTPException):
        return problem(HTTPStatus(error.status_code), _sentence(request, error), error.headers)
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "The server failed at this; its log says why.")


def _sentence(request: Request, error: HTTPException) -> str:
    path = request.url.path
    if error.status_code == HTTPStatus.NOT_FOUND:
        return f"There is nothing at {path}; GET /openapi.json lists what there is."
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        return f"{path} does not take {request.method}; GET /openapi.json says what it takes."
    return str(error.detail)
