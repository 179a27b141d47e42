"""The places, each behind one name; servers are started once and only if a test needs one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lineal.client import process_exit, references, session, term
from tests.references.places import (
    ArtifactPlace,
    AzurePlace,
    FilePlace,
    GcsPlace,
    MemoryPlace,
    Place,
    S3Place,
    WebPlace,
)
from tests.references.servers import Azurite, Web, azure_server, gcs_server, s3_server, web_server


@pytest.fixture(autouse=True)
def fresh_process(clean_environment: None) -> Iterator[None]:
    term.forget_warnings()
    references.opened.cache_clear()
    yield
    process_exit.finish_all(0)
    session.close()
    references.opened.cache_clear()


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    with s3_server() as url:
        yield url


@pytest.fixture
def web() -> Iterator[Web]:
    with web_server() as started:
        yield started


@pytest.fixture(scope="session")
def gcs_url() -> Iterator[str]:
    with gcs_server() as url:
        yield url


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    with azure_server() as started:
        yield started


CLOUDS = ("s3", "s3, versioned", "gcs", "gcs, versioned", "azure", "azure, snapshots")
PLACES = ("file", *CLOUDS, "http", "http, ETags", "memory")


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    if request.param == "file":
        return FilePlace(tmp_path / "place")
    if request.param == "artifact":
        return ArtifactPlace()
    if request.param == "memory":
        return MemoryPlace()
    if request.param.startswith("http"):
        started: Web = request.getfixturevalue("web")
        return WebPlace(started, has_etags="ETags" in request.param)
    keeps_versions = "," in request.param
    if request.param.startswith("azure"):
        started_azurite: Azurite = request.getfixturevalue("azurite")
        return AzurePlace(started_azurite, monkeypatch, keeps_versions=keeps_versions)
    if request.param.startswith("gcs"):
        emulator: str = request.getfixturevalue("gcs_url")
        forbidding: Web = request.getfixturevalue("web")
        return GcsPlace(emulator, forbidding, monkeypatch, keeps_versions=keeps_versions)
    url: str = request.getfixturevalue("s3_url")
    return S3Place(url, monkeypatch, keeps_versions=keeps_versions)


@pytest.fixture(params=[False, True], ids=["s3", "s3, versioned"])
def bucket(request: pytest.FixtureRequest, s3_url: str, monkeypatch: pytest.MonkeyPatch) -> S3Place:
    return S3Place(s3_url, monkeypatch, keeps_versions=request.param)
