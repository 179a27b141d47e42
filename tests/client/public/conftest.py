"""What the tests of `Api` share: runs in one project, and an artifact that one of them made."""

from __future__ import annotations

import pytest

from lineal.client.artifact.artifact import Artifact
from lineal.client.backend import Backend
from lineal.client.public.api import Api
from lineal.client.public.run import Run
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


@pytest.fixture
def record(backend: Backend) -> RunRecord:
    spec = RunSpec(
        entity="ana",
        project="vision",
        run_id="train",
        name="bold owl",
        job_type="train",
        tags=("a",),
        config={"lr": 0.1, "layers": [1, 2], "_lineal": {"hidden": True}},
    )
    return backend.start_run(spec).run


@pytest.fixture
def run(api: Api, record: RunRecord) -> Run:
    return api.run("train")
