"""Every way into the service asks `core.access` before anything else happens."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from lineal import service
from lineal.core.access import Action, Actor
from lineal.core.lineage import LineageQuery
from lineal.core.records import (
    EdgeKind,
    PageRequest,
    RunKey,
    RunPatch,
    RunSpec,
    Stream,
    VersionId,
)
from lineal.errors import NotFound
from lineal.service import history, lineage, lineage_graph, runs, storage, transfers
from lineal.service.instance import Instance
from tests.service.drafts import log

ASKED: dict[Action, dict[str, str]] = {
    Action.WRITE: {
        "artifacts": "begin check_collection commit",
        "catalog": "link_version unlink_version update_collection update_version",
        "history": "append",
        "lineage": "relog use",
        "moving": "move",
        "projects": "project",
        "rewinding": "rewind",
        "run_files": "delete put",
        "runs": "finish heartbeat mark_crashed start update",
        "strays": "remove_surplus",
        "sweep.sweeps": "create set_state update",
        "sweep.trials": "beat enqueue finish join leave next_trial report",
        "ttl": "set_collection_ttl set_version_ttl",
    },
    Action.DELETE: {
        "deletion": "delete_collection delete_project delete_run delete_version",
        "restoring": "restore restore_collection restore_project restore_run restore_version",
        "retention": "delete_selected set_policy",
    },
    Action.ADMINISTER: {
        "gc": "plan sweep",
        "purge": "purge",
        "retention": "protect_aliases set_policy",
        "status": "status",
        "ttl": "set_entity_ttl set_project_ttl",
        "verify": "damage unreadable verify",
    },
}
"""The entrances that ask for more than to read, by module."""


def entrances() -> Iterator[tuple[str, ast.FunctionDef]]:
    """Yield every public function that takes an instance and an actor."""
    for module in pkgutil.walk_packages(service.__path__, "lineal.service."):
        source = inspect.getsource(importlib.import_module(module.name))
        for node in ast.parse(source).body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                parameters = [argument.arg for argument in node.args.args]
                if parameters[:2] == ["instance", "actor"]:
                    yield f"{module.name.removeprefix('lineal.')}.{node.name}", node


def is_guarded(function: ast.FunctionDef) -> bool:
    """Tell whether it asks itself, or hands the actor to a function that does."""
    for call in ast.walk(function):
        if not isinstance(call, ast.Call):
            continue
        if ast.unparse(call.func) == "access.require":
            return True
        handed = [argument.id for argument in call.args if isinstance(argument, ast.Name)]
        if handed[:2] == ["instance", "actor"]:
            return True
    return False


def actions(function: ast.FunctionDef) -> set[Action]:
    """Return what a function names of `Action`."""
    return {
        Action[node.attr]
        for node in ast.walk(function)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "Action"
    }


def test_there_are_entrances_to_look_at() -> None:
    assert len(list(entrances())) > 40


@pytest.mark.parametrize(
    ("name", "function"), [pytest.param(*entrance, id=entrance[0]) for entrance in entrances()]
)
def test_every_entrance_asks_who_may(name: str, function: ast.FunctionDef) -> None:
    assert is_guarded(function), f"{name} never asks `access.require`"


@pytest.mark.parametrize("action", list(ASKED))
def test_what_changes_something_asks_for_more_than_to_read(action: Action) -> None:
    asking = {name for name, function in entrances() if action in actions(function)}
    assert asking == {
        f"service.{module}.{name}"
        for module, names in ASKED[action].items()
        for name in names.split()
    }


@pytest.mark.parametrize(
    "call",
    [
        lambda i, a: transfers.manifest(i, a, VersionId(1)),
        lambda i, a: transfers.locate(i, a, VersionId(1), []),
        lambda i, a: transfers.locate_run_files(i, a, RunKey(1), []),
        lambda i, a: list(history.read(i, a, RunKey(1), Stream.HISTORY)),
        lambda i, a: runs.run_by_key(i, a, RunKey(1)),
        lambda i, a: lineage_graph.graph(i, a, "version:1", LineageQuery()),
        lambda i, a: runs.update(i, a, RunKey(1), RunPatch()),
        lambda i, a: storage.storage(i, a),
        lambda i, a: lineage.runs_of(i, a, VersionId(1), EdgeKind.LOGGED, PageRequest()),
    ],
)
def test_to_a_stranger_nothing_exists(
    instance: Instance, owner: Actor, stranger: Actor, tmp_path: Path, call
) -> None:
    run = runs.start(instance, owner, RunSpec("ana", "vision", "train")).run
    version = log(instance, owner, tmp_path, {"a": b"1"}, run=run.key)
    assert (run.key, version.id) == (1, 1)
    call(instance, owner)
    with pytest.raises(NotFound):
        call(instance, stranger)
