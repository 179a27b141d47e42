"""`lineal run mv`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lineal as wandb
from lineal.client import session


def _world() -> None:
    with wandb.init(project="old", id="r") as run:
        for name in ("own", "shared"):
            artifact = wandb.Artifact(name, "dataset")
            with artifact.new_file("x") as file:
                file.write(name)
            run.log_artifact(artifact)
    with wandb.init(project="old", id="other") as run:
        artifact = wandb.Artifact("shared", "dataset")
        run.log_artifact(artifact)
    session.close()


def test_a_run_and_its_artifacts_are_moved_and_what_stays_is_said(
    lineal: Callable[..., Any],
) -> None:
    _world()
    answer = lineal("run", "mv", "old/r", "new", "--artifacts")
    assert answer.lines == ["Moved run ana/old/r to ana/new/r", "Moved artifact ana/new/own"]
    assert "Stays where it is: ana/old/shared" in answer.err
    assert lineal("run", "show", "old/r", "--json").json["path"] == "ana/new/r"


def test_without_artifacts_only_the_run_is_moved(lineal: Callable[..., Any]) -> None:
    _world()
    assert lineal("run", "mv", "old/r", "ana/new").lines == ["Moved run ana/old/r to ana/new/r"]
    assert "own" in lineal("artifact", "ls", "old").out


def test_a_run_is_not_moved_nowhere_and_not_to_where_it_is(lineal: Callable[..., Any]) -> None:
    _world()
    assert "A project is named as" in lineal("run", "mv", "old/r", "", fails=True).err
    answer = lineal("run", "mv", "old/r", "old")
    assert (answer.out, "is there already" in answer.err) == ("", True)
    assert lineal("run", "show", "old/r", "--json").json["path"] == "ana/old/r"


def test_an_id_that_is_taken_is_said(lineal: Callable[..., Any]) -> None:
    _world()
    with wandb.init(project="new", id="r"):
        pass
    session.close()
    answer = lineal("run", "mv", "old/r", "new", fails=True)
    assert (answer.code, "ana/new/r" in answer.err) == (5, True)


def test_the_public_api_moves_too(capsys: Any) -> None:
    _world()
    run = wandb.Api().run("old/r").move("new", artifacts="move")
    assert run.path == ["ana", "new", "r"]
    assert "ana/old/shared" in capsys.readouterr().err
    assert wandb.Api().run("old/r") == run
    assert wandb.Api().artifact("old/own:latest").project == "new"
    session.close()
