"""Fetch a file that a run saved (RUN-28)."""

from __future__ import annotations

import os
import shutil
from typing import IO, TYPE_CHECKING

from lineal.client.backend import Backend
from lineal.core import names
from lineal.core.records import PageRequest, RunFileRecord, RunKey, RunRecord
from lineal.errors import Invalid

if TYPE_CHECKING:
    from lineal.client.run import Run


def restore(
    run: Run, name: str, run_path: str | None, *, replace: bool, root: str | None
) -> IO[str]:
    """Put the file into `root` unless it is there already, and open it; see `Run.restore`."""
    source = run.record
    if run_path is not None:
        source = run.backend.run(*names.run_path(run_path, run.entity, run.project))
    target = os.path.join(root or run.dir, *names.entry_path(name).split("/"))
    if replace or not os.path.exists(target):
        fetch(run.backend, source.key, _file(run.backend, source, name), target)
    return open(target, encoding="utf-8", errors="surrogateescape")


def fetch(backend: Backend, run: RunKey, file: RunFileRecord, target: str) -> None:
    """Write a run file to a local path, which appears by rename."""
    location = backend.locate([file.digest], run=run).get(file.digest)
    if location is None:
        raise Invalid(f"The content of run file {file.path} is not stored any more")
    os.makedirs(os.path.dirname(os.path.abspath(target)), exist_ok=True)
    part = f"{target}.{os.getpid()}.part"
    try:
        with backend.open(location) as source, open(part, "wb") as copy:
            shutil.copyfileobj(source, copy)
        os.replace(part, target)
    finally:
        if os.path.exists(part):
            os.unlink(part)


def _file(backend: Backend, run: RunRecord, name: str) -> RunFileRecord:
    found = backend.run_files(run.key, PageRequest(size=1), names=[name]).items
    if not found:
        there = [file.path for file in backend.run_files(run.key, PageRequest(size=20)).items]
        raise Invalid(
            f"Run {run.entity}/{run.project}/{run.run_id} has no file {name!r}. "
            f"Files there: {', '.join(there) or 'none'}"
        )
    return found[0]
