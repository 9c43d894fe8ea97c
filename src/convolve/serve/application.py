"""The server's addresses, and what each of them does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import convolve
from convolve import processor
from convolve.errors import ConvolveError
from convolve.exports.engine import INPUT
from convolve.serve.batching import BusyError
from convolve.serve.bodies import Bodies, image_of
from convolve.serve.catalog import Catalog
from convolve.serve.inference_protocol import LENGTH_HEADER, build_response, parse_request
from convolve.serve.job_options import Folders
from convolve.serve.job_routes import job_routes
from convolve.serve.jobs import Jobs
from convolve.serve.openapi import document
from convolve.serve.problems import ProblemError, answer_problem
from convolve.serve.served_models import Query, ServedExport, ServedModel
from convolve.untrusted.documents import parse_json

if TYPE_CHECKING:
    from convolve.tasks.task import Prediction

_SERVER: Final = {"name": "convolve", "version": convolve.__version__, "extensions": ["binary_tensor_data"]}
_IMAGE_TYPES: Final = {".jpg": "image/jpeg", ".png": "image/png"}
_PLATFORMS: Final = {"export": "openvino", "run": "pytorch"}


def application(catalog: Catalog, jobs: Jobs, folders: Folders) -> Starlette:
    """The routes over the runs and exports of a catalog, and over jobs, which may name files in some folders."""
    bodies = Bodies()
    routes = [
        *job_routes(jobs, folders, bodies),
        Route("/v2", _static(_SERVER)),
        Route("/v2/health/live", _static({"live": True})),
        Route("/v2/health/ready", _static({"ready": True})),
        Route("/v2/models", _models),
        Route("/v2/models/{name}", _metadata),
        Route("/v2/models/{name}/ready", _ready),
        Route("/v2/models/{name}/infer", _infer, methods=["POST"]),
        Route("/v2/models/{name}/versions/{version}", _metadata),
        Route("/v2/models/{name}/versions/{version}/ready", _ready),
        Route("/v2/models/{name}/versions/{version}/infer", _infer, methods=["POST"]),
        Route("/predict/{name}", _predict, methods=["POST"]),
        Route("/openapi.json", _static(document())),
    ]
    kinds: tuple[type[Exception], ...] = (ProblemError, ConvolveError, HTTPException, Exception)
    app = Starlette(routes=routes, exception_handlers=dict.fromkeys(kinds, answer_problem))
    app.state.catalog = catalog
    app.state.bodies = bodies
    app.state.decoders = CapacityLimiter(processor.CORES)
    return app


def _static(content: Mapping[str, Any]) -> Any:
    async def answer(request: Request) -> Response:
        del request
        return JSONResponse(content)

    return answer


async def _models(request: Request) -> Response:
    """The names of all runs and exports."""
    entries = await to_thread.run_sync(_catalog(request).entries)
    return JSONResponse({"models": [{"name": each.name, "kind": each.kind} for each in entries]})


async def _metadata(request: Request) -> Response:
    """What a network takes and gives."""
    name = _name(request)
    entry = await to_thread.run_sync(_catalog(request).find, name)
    model = await to_thread.run_sync(_catalog(request).open, name)
    found: dict[str, Any] = {"name": name, "versions": ["1"], "platform": _PLATFORMS[entry.kind]}
    found |= {"inputs": [], "outputs": [], "parameters": {"task": model.task}}
    if isinstance(model, ServedExport):
        channels = model.card.input.channels
        found["inputs"] = [{"name": INPUT, "datatype": "UINT8", "shape": [-1, -1, -1, channels]}]
        found["outputs"] = model.outputs()
    return JSONResponse(found)


async def _ready(request: Request) -> Response:
    """Opens the network, so that the first question need not wait for it."""
    name = _name(request)
    await to_thread.run_sync(_catalog(request).open, name)
    return JSONResponse({"name": name, "ready": True})


async def _infer(request: Request) -> Response:
    """Tensors to tensors."""
    name = _name(request)
    model = await to_thread.run_sync(_catalog(request).open, name)
    if not isinstance(model, ServedExport):
        sentence = f"{name} is a run, which has no tensors to offer; export it, or ask /predict/{name}."
        raise ProblemError(HTTPStatus.BAD_REQUEST, sentence)
    length = request.headers.get(LENGTH_HEADER)
    async with _bodies(request).read(request) as body:
        content, headers = await to_thread.run_sync(_answer_tensors, model, name, body, length)
    return Response(content, headers=headers)


def _answer_tensors(model: ServedExport, name: str, body: bytes, length: str | None) -> tuple[bytes, dict[str, str]]:
    inference = parse_request(body, length, model.card.input.channels)
    return build_response(name, inference, model.infer(np.ascontiguousarray(inference.images)))


async def _predict(request: Request) -> Response:
    """An image to what the network says of it: JSON, or with `Accept: image/*` the image with that drawn in."""
    model = await to_thread.run_sync(_catalog(request).open, _name(request))
    options = _options(request.query_params)
    async with _bodies(request).read(request) as body:
        name, blob = await image_of(request, body)
        if not request.headers.get("accept", "").startswith("image/"):
            answer = await _ask(request, model, partial(model.query, blob, name, options, None))
            return JSONResponse(answer.as_json())
        with TemporaryDirectory() as folder:
            answer = await _ask(request, model, partial(model.query, blob, name, options, Path(folder)))
            drawn = Path(answer.overlay)
            return Response(drawn.read_bytes(), media_type=_IMAGE_TYPES[drawn.suffix])


async def _ask(request: Request, model: ServedModel, ask: Callable[[], Query]) -> Prediction:
    """The answer to a question, which reads its image in a thread."""
    query = await to_thread.run_sync(ask, limiter=request.app.state.decoders)
    try:
        return await asyncio.wrap_future(model.batcher.submit(query))
    except BusyError:
        sentence = "Too many images wait for this network; try again in a moment."
        raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, sentence) from None


def _options(query: Mapping[str, str]) -> dict[str, object]:
    """Numbers, and true and false, as JSON writes them; anything else is text."""
    found: dict[str, object] = {}
    for name, text in query.items():
        try:
            found[name] = parse_json(text)
        except ValueError:
            found[name] = text
    return found


def _bodies(request: Request) -> Bodies:
    found: Bodies = request.app.state.bodies
    return found


def _catalog(request: Request) -> Catalog:
    found: Catalog = request.app.state.catalog
    return found


def _name(request: Request) -> str:
    name: str = request.path_params["name"]
    return name
