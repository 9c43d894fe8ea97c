"""The addresses of jobs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from convolve.serve.bodies import Bodies
from convolve.serve.job_options import Folders, checked_options
from convolve.serve.jobs import Job, Jobs, follow
from convolve.serve.problems import ProblemError
from convolve.untrusted.documents import parse_json

_SECONDS_BETWEEN_LOOKS: Final = 0.25
_SECONDS_BETWEEN_SIGNS: Final = 15.0


def job_routes(jobs: Jobs, folders: Folders, bodies: Bodies) -> list[Route]:
    """The routes of all jobs, of one, and of its events."""

    async def add(request: Request) -> Response:
        """202 and where the new job is."""
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            raise ProblemError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Send the job as application/json.")
        async with bodies.read(request) as body:
            verb, values = _parse(body)
        options = await to_thread.run_sync(checked_options, verb, values, folders)
        job = await to_thread.run_sync(jobs.add, verb, options)
        return JSONResponse(job.as_json(), HTTPStatus.ACCEPTED, {"Location": f"/jobs/{job.id}"})

    async def list_all(request: Request) -> Response:
        """All jobs, the last one first."""
        del request
        found = await to_thread.run_sync(lambda: [job.as_json() for job in reversed(jobs.all())])
        return JSONResponse({"jobs": found})

    async def show(request: Request) -> Response:
        """One job."""
        job = await _find(jobs, request)
        return JSONResponse(await to_thread.run_sync(job.as_json))

    async def stop(request: Request) -> Response:
        """202; a training ends at its next step."""
        job = await _find(jobs, request)
        await to_thread.run_sync(jobs.stop, job)
        return JSONResponse(await to_thread.run_sync(job.as_json), HTTPStatus.ACCEPTED)

    async def events(request: Request) -> Response:
        """The events as they come; with `Last-Event-ID`, those after it."""
        job = await _find(jobs, request)
        last = request.headers.get("last-event-id", "0")
        if not last.isdecimal() or len(last) > 12:
            raise ProblemError(HTTPStatus.BAD_REQUEST, "Last-Event-ID must be the id of an event.")
        headers = {"Cache-Control": "no-store"}
        return StreamingResponse(_stream(job, int(last)), headers=headers, media_type="text/event-stream")

    return [
        Route("/jobs", list_all),
        Route("/jobs", add, methods=["POST"]),
        Route("/jobs/{id}", show),
        Route("/jobs/{id}", stop, methods=["DELETE"]),
        Route("/jobs/{id}/events", events),
    ]


async def _find(jobs: Jobs, request: Request) -> Job:
    return await to_thread.run_sync(jobs.find, request.path_params["id"])


async def _stream(job: Job, after: int) -> AsyncIterator[str]:
    """Server-sent events, whose ids are the numbers of the log's lines; a comment where nothing happens for long."""
    steps = follow(job, after)
    quiet = 0.0
    while True:
        step = await to_thread.run_sync(partial(next, steps, "end"))
        if step == "end":
            return
        if isinstance(step, tuple):
            number, event = step
            yield f"id: {number}\nevent: {event['event']}\ndata: {json.dumps(event)}\n\n"
            quiet = 0.0
            continue
        await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)
        quiet += _SECONDS_BETWEEN_LOOKS
        if quiet >= _SECONDS_BETWEEN_SIGNS:
            yield ": still there\n\n"
            quiet = 0.0


def _parse(body: bytes) -> tuple[str, dict[str, Any]]:
    try:
        document = parse_json(body)
    except ValueError:
        document = None
    if not isinstance(document, dict) or set(document) - {"command", "options"}:
        raise ProblemError(HTTPStatus.BAD_REQUEST, 'A job is {"command": "train", "options": {"data": "photos"}}.')
    verb, options = document.get("command"), document.get("options", {})
    if not isinstance(verb, str) or not isinstance(options, dict):
        raise ProblemError(HTTPStatus.BAD_REQUEST, "The command must be text, and the options an object.")
    return verb, options
