"""What the tests of `Api` share: runs in one project, and an artifact that one of them made."""

from __future__ import annotations

import pytest

from lineal.client.artifact.artifact import Artifact
from lineal.client.backend import Backend
from lineal.client.public.api import Api
from lineal.core.records import RunRecord, RunSpec


@pytest.fixture
def api() -> Api:
    return Api({"project": "vision"})


@pytest.fixture
def backend(api: Api) -> Backend:
    return api._backend


def start(backend: Backend, run_id: str, project: str = "vision", **said: object) -> RunRecord:
    spec = RunSpec(entity="ana", project=project, run_id=run_id, **said)  # type: ignore[arg-type]  # what the test says
    return backend.start_run(spec).run


def log(
    api: Api,
    run: str,
    name: str,
    text: str,
    *,
    type: str = "dataset",
    aliases: list[str] | None = None,
    tags: list[str] | None = None,
) -> Artifact:
    draft = Artifact(name, type)
    draft.add_bytes(text.encode(), "data.txt")
    return api.run(run).log_artifact(draft, aliases=aliases, tags=tags)


@pytest.fixture
def data(api: Api, backend: Backend) -> Artifact:
    start(backend, "make")
    return log(api, "make", "data", "one", aliases=["prod"])
