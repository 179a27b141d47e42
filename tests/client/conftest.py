"""Each test of the SDK starts with nothing shared and finishes what it left open."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lineal.client import process_exit, session, term


@pytest.fixture(autouse=True)
def fresh_process(clean_environment: None) -> Iterator[None]:
    term.forget_warnings()
    yield
    process_exit.finish_all(0)
    session.close()
    session.set_settings({})
    term.configure(quiet=False, silent=False)
