"""`lineal run diff`: what two runs did differently."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any

import typer

from lineal.cli import changes, completing, output
from lineal.cli.changes import Changes
from lineal.cli.connect import Connection, connect
from lineal.cli.options import Json
from lineal.client.capture.git import DIFF_FILE
from lineal.client.pages import BULK_PAGE_SIZE, all_of
from lineal.client.run.surroundings import REQUIREMENTS_FILE
from lineal.client.values import flat
from lineal.core.records import EdgeKind, JsonObject, RunRecord

_LEFT_OUT = frozenset({"startedAt", "host", "program"})
"""Of the metadata: what differs for every run, and what the run itself says."""

_run = partial(typer.Argument, autocompletion=completing.runs)
BeforeRun = Annotated[str, _run(metavar="BEFORE", help="`[[entity/]project/]run_id`")]
AfterRun = Annotated[str, _run(metavar="AFTER", help="The same, of what to compare it with")]


def diff(before: BeforeRun, after: AfterRun, json: Json = False) -> None:
    """Compare two runs: configuration, results, code, packages, machine and artifacts used.

    \b
    Example:
      lineal run diff vision/abcd1234 vision/wxyz5678
    """
    connection = connect()
    a, b = connection.run(before), connection.run(after)
    old, new = _parts(connection, a), _parts(connection, b)
    found = {part: changes.between(old[part], new[part]) for part in old if part in new}
    if json:
        parts = {part: changes.as_json(each) for part, each in found.items()}
        output.as_json({"before": a.path, "after": b.path} | parts)
        return
    output.data(f"{a.path} ({output.cell(a.name)}) → {b.path} ({output.cell(b.name)})", bold=True)
    _print(found)


def _print(found: Mapping[str, Changes]) -> None:
    for part, each in found.items():
        changes.show(part, each)
    alike = [part for part, each in found.items() if each.is_empty]
    if alike:
        output.data(f"same: {', '.join(alike)}")


def _parts(connection: Connection, run: RunRecord) -> dict[str, JsonObject]:
    """Return what is compared of a run, by what it is called."""
    files = {
        file.path: file.digest
        for file in all_of(partial(connection.backend.run_files, run.key), size=BULK_PAGE_SIZE)
        if file.path in (DIFF_FILE, REQUIREMENTS_FILE)
    }
    about = {
        "state": str(run.state),
        "job_type": run.job_type,
        "group": run.group,
        "sweep": run.sweep_id,
        "tags": sorted(run.tags),
        "notes": run.notes,
        "user": run.user,
        "host": run.host,
        "program": run.program,
        "commit": run.git_commit,
        "uncommitted": files.get(DIFF_FILE),
    }
    parts = {
        "run": {name: value for name, value in about.items() if value not in (None, [])},
        "config": flat(_public(run.config)),
        "summary": flat(_public(run.summary)),
        "machine": flat({k: v for k, v in run.metadata.items() if k not in _LEFT_OUT}),
        "used": _used(connection, run),
    }
    if REQUIREMENTS_FILE in files:  # else it was switched off, and nobody knows
        parts["packages"] = _packages(connection, run)
    return parts


def _public(values: JsonObject) -> JsonObject:
    return {key: value for key, value in values.items() if not key.startswith("_")}


def _packages(connection: Connection, run: RunRecord) -> dict[str, Any]:
    """Return name → version of the packages that were installed."""
    with tempfile.TemporaryDirectory() as folder:
        target = os.path.join(folder, REQUIREMENTS_FILE)
        connection.public_run(run).file(REQUIREMENTS_FILE).write_to(target)
        with open(target, encoding="utf-8", errors="replace") as file:
            parted = [line.strip().partition("==") for line in file]
    return {name: version for name, _, version in parted if name}


def _used(connection: Connection, run: RunRecord) -> dict[str, Any]:
    """Return the versions of each artifact that a run used."""
    listed = partial(connection.backend.versions_of, run.key, EdgeKind.USED, with_metadata=False)
    numbers: dict[str, list[int]] = {}
    for version in all_of(listed, size=BULK_PAGE_SIZE):
        artifact = f"{version.entity}/{version.project}/{version.collection}"
        numbers.setdefault(artifact, []).append(version.number)
    return {
        artifact: ", ".join(f"v{number}" for number in sorted(found))
        for artifact, found in numbers.items()
    }
