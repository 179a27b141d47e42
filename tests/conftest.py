"""Fixtures for every room: a real instance in a temporary home, its owner, a clock to move."""

from __future__ import annotations

import inspect
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from lineal.blobs.store import BlobStore
from lineal.client import unseen
from lineal.config import Settings, load
from lineal.core.access import Actor, Role
from lineal.core.digest import Key
from lineal.service.instance import Instance, open_instance
from tests.gc.databases import (
    Databases,
    PostgresDatabases,
    SqliteDatabases,
    memory,
    open_on,
    postgres_server,
)


def pytest_configure() -> None:
    """Let signals end what tests start, also where `nohup` or a shell's `&` had them ignored."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


class MovableClock:
    def __init__(self) -> None:
        self.moment = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        self.moment += timedelta(microseconds=1)  # so that moments order as calls do
        return self.moment

    def move(self, **by: float) -> None:
        self.moment += timedelta(**by)


def stored_blobs(store: BlobStore) -> list[tuple[Key, int]]:
    """Return all blobs in a store and their sizes, in any order."""
    return [(file.key, file.size) for file in store.walk() if file.key is not None]


def open_below(folder: str | Path) -> list[str]:
    """Return what this process has open of a folder."""
    found = []
    for descriptor in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # that of the list itself
            found.append(os.readlink(f"/proc/self/fd/{descriptor}"))
    return [path for path in found if path.startswith(str(folder))]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test sees the settings of whoever runs it, nor leaves anything outside its folder."""
    for name in list(os.environ):
        if name.startswith(("LINEAL_", "WANDB_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("LINEAL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USER", "ana")
    # what the test before had mapped is deleted by now, and its inodes may be those of new files
    monkeypatch.setattr(unseen._seen, "at", float("-inf"))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)


@pytest.fixture
def on_disk(tmp_path: Path) -> None:
    """Skip a test about what is known of files, where they lie in memory and nothing is."""
    if not unseen.shows_changes(str(tmp_path)):
        pytest.skip(f"{tmp_path} is in memory; choose a disk with --basetemp")


@pytest.fixture
def deep() -> Iterator[str]:
    """A path with more folders than functions may call each other, which are fewer than usual."""
    before, frames = sys.getrecursionlimit(), 150
    sys.setrecursionlimit(len(inspect.stack()) + frames)
    yield "d/" * 2 * frames
    sys.setrecursionlimit(before)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def settings(home: Path) -> Settings:
    return load({"home": str(home)})


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def owner() -> Actor:
    return Actor("ana", Role.OWNER)


@pytest.fixture
def stranger() -> Actor:
    return Actor("eve", Role.NONE)


@pytest.fixture
def instance(settings: Settings, clock: MovableClock) -> Iterator[Instance]:
    opened = open_instance(settings, clock=clock)
    yield opened
    opened.close()


@pytest.fixture
def backend(instance: Instance, owner: Actor):  # type: ignore[no-untyped-def]  # keeps SDK imports out of tests of lower rooms
    from lineal.client.embedded.backend import EmbeddedBackend

    return EmbeddedBackend(instance, owner)


@pytest.fixture
def statements() -> Iterator[list[str]]:
    """What is sent to the databases, as it is sent."""
    sent: list[str] = []

    def note(*executed: Any) -> None:
        sent.append(executed[2])

    event.listen(Engine, "before_cursor_execute", note)
    yield sent
    event.remove(Engine, "before_cursor_execute", note)


@pytest.fixture(scope="session")
def sqlite() -> Iterator[SqliteDatabases]:
    with tempfile.TemporaryDirectory(prefix="lineal-sqlite-", dir=memory()) as folder:
        yield SqliteDatabases(Path(folder))


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresDatabases]:
    with postgres_server() as url:
        yield PostgresDatabases(url)


@pytest.fixture
def postgres_instance(
    postgres: PostgresDatabases, tmp_path: Path, clock: MovableClock
) -> Iterator[Instance]:
    url = postgres.fresh()
    opened = open_on(url, tmp_path / "home", clock)
    yield opened
    opened.close()
    postgres.drop(url)


@pytest.fixture(params=["sqlite", "postgres"])
def databases(request: pytest.FixtureRequest) -> Databases:
    found: Databases = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def url(databases: Databases) -> Iterator[str]:
    made = databases.fresh()
    yield made
    databases.drop(made)
