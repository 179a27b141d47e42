"""What several benchmarks do with the SDK, in the process that is measured."""

from __future__ import annotations

from typing import Any

import lineal
from benchmarks.child import Stopwatch
from lineal.client import session

PROJECT = "bench"


def started_run() -> Any:
    """Start a run and let it finish looking around itself (git, packages, machine)."""
    run = lineal.init(project=PROJECT)
    session.worker().submit(lambda: None).result()
    return run


def log_file(watch: Stopwatch, path: str, policy: str) -> str:
    with started_run() as run, watch:
        artifact = lineal.Artifact("large", type="model")
        artifact.add_file(path, policy=policy)
        return str(run.log_artifact(artifact).wait().version)


def log_folder(watch: Stopwatch, folder: str) -> str:
    """Add a folder, log it and wait until it is committed."""
    with started_run() as run, watch:
        artifact = lineal.Artifact("small", type="dataset")
        artifact.add_dir(folder)
        return str(run.log_artifact(artifact).wait().version)


def download(watch: Stopwatch, target: str) -> int:
    """Download into a folder that does not exist yet; returns how many entries there are."""
    artifact = lineal.Api().artifact(f"{PROJECT}/small:latest")
    with watch:
        artifact.download(root=target)
    return len(artifact.manifest)
