"""Two people and a folder to carry a bundle in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.client.bundling import Home

from lineal.client import session


@pytest.fixture(autouse=True)
def closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for capture in ("GIT", "REQUIREMENTS", "MACHINE_INFO", "META"):
        monkeypatch.setenv(f"LINEAL_DISABLE_{capture}", "true")
    monkeypatch.chdir(tmp_path)
    yield
    session.close()


@pytest.fixture
def ana(tmp_path: Path) -> Home:
    return Home(tmp_path / "ana", "ana")


@pytest.fixture
def bob(tmp_path: Path) -> Home:
    return Home(tmp_path / "bob", "bob")
