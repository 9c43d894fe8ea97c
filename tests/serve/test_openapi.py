"""The description of the server against its routes."""

from __future__ import annotations

import re
from pathlib import Path

from starlette.routing import Route
from starlette.testclient import TestClient

from convolve.serve.application import application
from convolve.serve.catalog import Catalog
from convolve.serve.job_options import Folders
from convolve.serve.jobs import Jobs


def test_all_addresses_are_described(client: TestClient, tmp_path: Path) -> None:
    document = client.get("/openapi.json").json()
    described = {
        (path, method.upper()) for path, item in document["paths"].items() for method in item if method != "parameters"
    }
    jobs = Jobs(tmp_path)
    routes = application(Catalog(tmp_path), jobs, Folders(None, tmp_path)).routes
    jobs.close()
    there = {
        (route.path, method)
        for route in routes
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
        if "/versions/" not in route.path and route.path != "/openapi.json"
    }
    assert described == there


def test_every_parameter_of_a_path_is_described(client: TestClient) -> None:
    for path, item in client.get("/openapi.json").json()["paths"].items():
        assert re.findall(r"\{(\w+)\}", path) == [each["name"] for each in item.get("parameters", [])]
