"""Each test starts with nothing shared in this process, and is quiet."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lineal.client import exit as process_exit
from lineal.client import session, term
from lineal.client.artifact import adding
from lineal.config import load


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
