"""`lineal sync` of what offline runs contributed to versions of many."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.client.syncing import folders, synced, write_dataset

import lineal
from lineal.client import session


def contribute(*, finish: bool = False) -> None:
    with lineal.init(mode="offline", project="p", id="a", group="g") as run:
        run.upsert_artifact(write_dataset("parts"))
        if finish:
            run.finish_artifact(lineal.Artifact("parts", "dataset"))


def test_what_was_not_finished_is_named_and_kept(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    contribute()
    assert "no part of a version that another run finishes" in capsys.readouterr().err
    for _ in range(2):
        (result,) = synced(home, clean=True)
        (failure,) = result.failures.items()
        assert failure[0] == "contribution to ana/p/parts"
        assert "under 'g' was not finished" in str(failure[1])
        assert len(folders()) == 1
    (result,) = synced(home, clean=True, skip_gone=True)
    assert (result.failures, len(result.skipped), folders()) == ({}, 1, [])


def test_what_was_not_finished_comes_home_once_it_is(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contribute()
    synced(home)
    session.close()
    (folder,) = folders()
    monkeypatch.setenv("LINEAL_HOME", os.path.abspath(folder))
    with lineal.init(project="p", id="a", group="g", resume="must") as run:
        run.finish_artifact(lineal.Artifact("parts", "dataset"))
    session.close()
    monkeypatch.setenv("LINEAL_HOME", str(home))
    (result,) = synced(home, clean=True)
    assert (result.failures, folders()) == ({}, [])
    assert list(lineal.Api().artifact("p/parts:v0").manifest.entries) == ["a.txt"]


def test_what_the_run_finished_itself_comes_home_as_ever(home: Path) -> None:
    contribute(finish=True)
    (result,) = synced(home, clean=True)
    assert (result.failures, result.skipped, folders()) == ({}, [], [])
    assert list(lineal.Api().artifact("p/parts:v0").manifest.entries) == ["a.txt"]
