"""A run that one process has begun is logged to by others, too (RUN-16)."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from typing import Any

import pytest

import lineal
from lineal.errors import RunNotFoundError, UsageError


def log_in_child(path: str, loss: float) -> tuple[str, int]:
    run = lineal.attach(path)
    run.log({"loss": loss})
    assert lineal.run is run
    return run.path, os.getpid()


@pytest.mark.parametrize("given", ["id", "path"])
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_process_logs_to_the_run_of_another(method: str, given: str) -> None:
    lineal.init(project="other").finish()
    run = lineal.init(project="p")
    with multiprocessing.get_context(method).Pool(1) as pool:
        found, process = pool.apply(log_in_child, [getattr(run, given), 1.0])
        pool.close()
        pool.join()
    run.log({"loss": 2.0})
    run.finish()
    assert (found, process != os.getpid()) == (run.path, True)
    rows = lineal.Api().run(run.path).scan_history()
    assert sorted(row["loss"] for row in rows) == [1.0, 2.0]


def test_the_settings_say_what_the_path_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    path = lineal.init(project="p", id="one").path
    lineal.finish()
    monkeypatch.setenv("LINEAL_PROJECT", "p")
    for given in ("one", "p/one", path):
        attached = lineal.attach(given)
        assert attached.path == path
        attached.finish()


def test_a_run_of_this_process_is_returned() -> None:
    run = lineal.init(project="p")
    other = lineal.init(project="q", reinit="create_new")
    assert lineal.attach(run.id) is lineal.attach(run.path) is lineal.attach(run=run) is run
    assert lineal.attach(run_id=other.path) is other


def test_what_is_no_run_is_said() -> None:
    for wrong in ({}, {"attach_id": "a", "run": lineal.init(project="p")}, {"run_id": "a/b/c/d"}):
        with pytest.raises(UsageError, match=r"path of one|not the path of a run"):
            lineal.attach(**wrong)
    lineal.finish()
    for path in ("p/nothing", "nothing"):
        with pytest.raises(RunNotFoundError, match="/nothing"):
            lineal.attach(path)


def test_in_a_new_home_there_is_no_run() -> None:
    with pytest.raises(RunNotFoundError, match="uncategorized/nothing"):
        lineal.attach("nothing")


def in_child(call: Callable[..., Any], *arguments: Any) -> Any:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found = pool.apply(call, arguments)
        pool.close()
        pool.join()
        return found


def test_of_several_running_ones_the_settings_choose(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [lineal.init(project=p, id="one", reinit="create_new") for p in "pq"]
    with pytest.raises(RunNotFoundError, match="in another project: ana/q/one"):
        in_child(log_in_child, "one", 1.0)
    monkeypatch.setenv("LINEAL_PROJECT", "p")
    assert in_child(log_in_child, "one", 1.0)[0] == runs[0].path
