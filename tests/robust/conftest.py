"""Each test starts with nothing shared in this process, and is quiet."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import lineal
from lineal.client import process_exit, session, term
from lineal.client.artifact import adding
from lineal.client.embedded.backend import EmbeddedBackend
from lineal.config import load
from tests.robust import workers


@pytest.fixture(autouse=True)
def fresh_process(clean_environment: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("LINEAL_PROJECT", "vision")
    for capture in ("GIT", "REQUIREMENTS", "MACHINE_INFO", "META"):
        monkeypatch.setenv(f"LINEAL_DISABLE_{capture}", "true")
    monkeypatch.setenv("LINEAL_CONSOLE", "off")
    term.forget_warnings()
    yield
    adding.adder(load()).unlogged.clear()  # drafts of tests need no warning at exit
    process_exit.finish_all(0)
    session.close()
    term.configure(quiet=False, silent=False)


@pytest.fixture
def run() -> Iterator[lineal.Run]:
    """An active run; afterwards everything that is stored is held against the invariants."""
    started = workers.start()
    yield started
    if not started._is_finished:
        started.finish()
    backend = session.open_backend(load())
    assert isinstance(backend, EmbeddedBackend)
    assert list(backend.verify()) == []
