"""Offline runs and their sync, for tests."""

from __future__ import annotations

from pathlib import Path

import lineal
from lineal.client import session
from lineal.client.offline import sync
from lineal.client.offline.sync_job import Synced
from lineal.config import Settings, load
from lineal.core.records import EdgeKind, PageRequest, Stream


def write_dataset(name: str = "data", text: str = "a", **options) -> lineal.Artifact:
    artifact = lineal.Artifact(name, "dataset", **options)
    with artifact.new_file("a.txt") as file:
        file.write(text)
    return artifact


def folders() -> list[str]:
    return sync.find_folders("lineal")


def target(home: Path):
    return session.open_backend(load({"home": str(home)}))


def synced(home: Path, **options) -> list[Synced]:
    settings: Settings = load({"home": str(home)})
    return sync.sync(folders(), target(home), settings=settings, **options)


def state(home: Path, run_id: str) -> dict:
    """Everything about a run that a second sync must not change."""
    backend = target(home)
    run = backend.run("ana", "p", run_id)
    page = PageRequest()
    return {
        "run": (run.state, run.exit_code, run.config, run.summary, run.tags, run.notes),
        "runtime": run.runtime_seconds,
        "history": list(backend.read_lines(run.key, Stream.HISTORY)),
        "console": list(backend.read_lines(run.key, Stream.CONSOLE)),
        "files": [(f.path, f.digest) for f in backend.run_files(run.key, page).items],
        "logged": [
            (v.path, v.digest, v.aliases, v.tags, v.metadata, v.description)
            for v in backend.versions_of(run.key, EdgeKind.LOGGED, page).items
        ],
        "used": [v.path for v in backend.versions_of(run.key, EdgeKind.USED, page).items],
    }
