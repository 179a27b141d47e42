"""Fetch a file that a run saved (RUN-28)."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable
from contextlib import closing
from typing import IO, TYPE_CHECKING

from lineal.client.backend import Backend
from lineal.client.offline.backend import OfflineBackend
from lineal.client.offline.earlier_attempts import Attempt
from lineal.client.public.api import Api
from lineal.client.public.files import run_files
from lineal.config import working_folder
from lineal.core import file_paths, full_names
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
        source = run.backend.run(*full_names.run_path(run_path, run.entity, run.project))
    is_own = source.key == run.record.key
    if is_own:
        run._files.store_saved(_inside(source, name))
    with closing(_attempts(run.backend, source, is_own=is_own)) as attempts:
        target, is_new = _put(attempts, source, name, root or run.dir, replace=replace)
    if is_new and root is None:
        run._files.restored(file_paths.entry_path(name), target)
    return _opened(target)


def restore_without_run(name: str, run_path: str, *, replace: bool, root: str | None) -> IO[str]:
    """Do the same while no run is active; without `root` the working directory gets the file."""
    run = Api().run(run_path)
    own = [Attempt(run._backend, run._record)]
    target, _ = _put(own, run._record, name, root or working_folder(), replace=replace)
    return _opened(target)


def _attempts(backend: Backend, run: RunRecord, *, is_own: bool) -> Generator[Attempt, None, None]:
    """Yield the run, and what it goes on from if it is offline, when that is other runs yet."""
    yield Attempt(backend, run)
    if is_own and isinstance(backend, OfflineBackend):
        yield from backend.earlier_attempts()


def _put(
    attempts: Iterable[Attempt],
    run: RunRecord,
    name: str,
    folder: str,
    *,
    replace: bool,
) -> tuple[str, bool]:
    """Return where the file is, and whether it was fetched, from the first that has it."""
    target = os.path.join(file_paths.local_path(folder), *_inside(run, name).split("/"))
    is_new = replace or not os.path.exists(target)
    if is_new:
        _fetch(attempts, run, name, target)
    return target, is_new


def _opened(target: str) -> IO[str]:
    return open(target, encoding="utf-8", errors="surrogateescape")


def _inside(run: RunRecord, name: str) -> str:
    try:
        return file_paths.entry_path(name)
    except HostilePath as error:
        raise HostilePath(
            f"No file of a run is called {name!r}: those of {run.path} "
            "are named by paths inside its folder, such as `checkpoints/best.pt`"
        ) from error


def _fetch(attempts: Iterable[Attempt], run: RunRecord, name: str, target: str) -> None:
    there: list[str] = []
    for backend, attempt, _ in attempts:
        found = run_files(backend, attempt, [name], per_page=1)
        if found:
            found[0].write_to(target)
            return
        there += [file.name for file in run_files(backend, attempt)[:20]]
    listed = ", ".join(dict.fromkeys(there)) or "none"
    raise Invalid(f"Run {run.path} has no file {name!r}. Files there: {listed}")
