"""Fetch a file that a run saved (RUN-28)."""

from __future__ import annotations

import os
from typing import IO, TYPE_CHECKING

from lineal.client.backend import Backend
from lineal.client.public.api import Api
from lineal.client.public.files import File, run_files
from lineal.core import names
from lineal.core.records import RunRecord
from lineal.errors import HostilePath, Invalid

if TYPE_CHECKING:
    from lineal.client.run.run import Run


def restore(
    run: Run, name: str, run_path: str | None, *, replace: bool, root: str | None
) -> IO[str]:
    """Put the file into `root` unless it is there already, and open it; see `Run.restore`."""
    source = run.record
    if run_path is not None:
        source = run.backend.run(*names.run_path(run_path, run.entity, run.project))
    target, is_new = _put(run.backend, source, name, root or run.dir, replace=replace)
    if is_new and root is None:
        run._files.restored(names.entry_path(name), target)
    return _opened(target)


def restore_without_run(name: str, run_path: str, *, replace: bool, root: str | None) -> IO[str]:
    """Do the same while no run is active; without `root` the working directory gets the file."""
    run = Api().run(run_path)
    target, _ = _put(run._backend, run._record, name, root or os.getcwd(), replace=replace)
    return _opened(target)


def _put(
    backend: Backend, run: RunRecord, name: str, folder: str, *, replace: bool
) -> tuple[str, bool]:
    """Return where the file is, and whether it was fetched."""
    target = os.path.join(names.local_path(folder), *_inside(run, name).split("/"))
    is_new = replace or not os.path.exists(target)
    if is_new:
        _file(backend, run, name).write_to(target)
    return target, is_new


def _opened(target: str) -> IO[str]:
    return open(target, encoding="utf-8", errors="surrogateescape")


def _inside(run: RunRecord, name: str) -> str:
    try:
        return names.entry_path(name)
    except HostilePath as error:
        raise HostilePath(
            f"No file of a run is called {name!r}: those of {run.path} "
            "are named by paths inside its folder, such as `checkpoints/best.pt`"
        ) from error


def _file(backend: Backend, run: RunRecord, name: str) -> File:
    found = run_files(backend, run, [name], per_page=1)
    if not found:
        there = [file.name for file in run_files(backend, run)[:20]]
        raise Invalid(
            f"Run {run.path} has no file {name!r}. Files there: {', '.join(there) or 'none'}"
        )
    return found[0]
