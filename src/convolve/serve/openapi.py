"""The server's description of itself, as OpenAPI 3.1 has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import convolve
from convolve.commands import COMMANDS

_NAME: Final = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
_PROBLEM: Final = {
    "description": "What is wrong, in one sentence with its remedy",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
_OBJECT: Final = {"type": "object"}


def document() -> dict[str, Any]:
    """All addresses with what they take and give."""
    binary = {"type": "string", "format": "binary"}
    image = {
        "image/*": {"schema": binary},
        "multipart/form-data": {"schema": {"type": "object", "properties": {"image": binary}, "required": ["image"]}},
    }
    predict = _operation("What a network says of an image", "Classes, boxes, masks or points, by the task", image)
    predict["description"] = "The options of `convolve predict` that write no file may be in the query: ?threshold=0.5"
    infer = _operation(
        "Tensors through the network of an export",
        "The outputs, as JSON or with raw bytes after it",
        {"application/json": {"schema": _OBJECT}, "application/octet-stream": {"schema": binary}},
    )
    return {
        "openapi": "3.1.0",
        "info": {"title": "convolve", "version": convolve.__version__},
        "paths": {
            "/predict/{name}": {"parameters": [_NAME], "post": predict},
            "/v2": {"get": _operation("The server's name and version", "The metadata")},
            "/v2/health/live": {"get": _operation("Whether the server runs", "live: true")},
            "/v2/health/ready": {"get": _operation("Whether the server takes questions", "ready: true")},
            "/v2/models": {"get": _operation("All runs and exports", "models: their names and kinds")},
            "/v2/models/{name}": {
                "parameters": [_NAME],
                "get": _operation("What a network takes and gives", "Tensors"),
            },
            "/v2/models/{name}/ready": {
                "parameters": [_NAME],
                "get": _operation("Open a network and wait until it is ready", "ready: true"),
            },
            "/v2/models/{name}/infer": {"parameters": [_NAME], "post": infer},
            **_job_paths(),
        },
        "components": {
            "schemas": {"Problem": _problem(), "Job": _job()},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(summary: str, answer: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    content = {"application/json": {"schema": _OBJECT}}
    found: dict[str, Any] = {
        "summary": summary,
        "responses": {"200": {"description": answer, "content": content}, "default": _PROBLEM},
    }
    return found | ({"requestBody": {"required": True, "content": dict(body)}} if body else {})


def _job_paths() -> dict[str, Any]:
    job = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
    body = {"application/json": {"schema": {"$ref": "#/components/schemas/Job"}}}
    add = _operation("Run a command", "The job, whose address is in Location", body)
    add["responses"]["202"] = add["responses"].pop("200")
    stop = _operation("Stop a job as Ctrl-C does", "The job")
    stop["responses"]["202"] = stop["responses"].pop("200")
    events = _operation("What a job reports, as server-sent events", "Events, whose ids are line numbers")
    events["responses"]["200"]["content"] = {"text/event-stream": {"schema": {"type": "string"}}}
    paths: dict[str, dict[str, Any]] = {
        "/jobs": {"get": _operation("All jobs, the last one first", "jobs"), "post": add},
        "/jobs/{id}": {"parameters": [job], "get": _operation("One job", "The job"), "delete": stop},
        "/jobs/{id}/events": {"parameters": [job], "get": events},
    }
    for path in paths.values():
        for operation in path.values():
            if isinstance(operation, dict):
                operation["security"] = [{"token": []}]
    return paths


def _job() -> dict[str, Any]:
    properties = {"command": {"enum": list(COMMANDS)}, "options": {"type": "object"}}
    return {"type": "object", "properties": properties, "required": ["command"]}


def _problem() -> dict[str, Any]:
    texts = {name: {"type": "string"} for name in ("type", "title", "detail")}
    return {"type": "object", "properties": {**texts, "status": {"type": "integer"}}}
