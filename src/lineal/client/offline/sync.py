"""Bring offline runs to another backend, completely and as often as one likes (CLI-4).

A folder is marked as synced to a place only once the target has confirmed everything, and removed
only when asked.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path

from lineal.client.backend import Backend
from lineal.client.embedded.backend import EmbeddedBackend, open_embedded
from lineal.client.offline import contributing, intents, opening, run_copy, run_folder
from lineal.client.offline.contributing import Waiting
from lineal.client.offline.intents import Finish, Removed
from lineal.client.offline.marks import MARK_FILE, Marks, Where
from lineal.client.offline.run_folder import About
from lineal.client.offline.sync_job import Job, Synced
from lineal.client.run import adopting, spool
from lineal.config import Settings
from lineal.errors import LinealError, NoSpace, Unavailable, UsageError
from lineal.files.refusals import refusal
from lineal.home import home_of


def find_folders(place: str) -> list[str]:
    """Return the folders of offline runs in a folder, the oldest first; or the folder itself.

    One inside of such a folder stands for it: programs know `run.dir`.
    """
    if _is_run(place):
        return [place]
    found = sorted(entry.path for entry in os.scandir(place) if entry.is_dir() and _is_run(entry))
    around = (str(folder) for folder in Path(place).absolute().parents)
    return found or [folder for folder in around if _is_run(folder)][:1]


def _is_run(folder: str | os.PathLike[str]) -> bool:
    return os.path.exists(os.path.join(folder, run_folder.ABOUT_FILE))


def sync(
    folders: Sequence[str],
    target: Backend,
    *,
    settings: Settings,
    entity: str | None = None,
    project: str | None = None,
    run_id: str | None = None,
    again: bool = False,
    clean: bool = False,
    skip_gone: bool = False,
) -> list[Synced]:
    """Copy offline runs to `target`; returns one result per folder and raises for none of them.

    entity, project, run_id: where to put them instead of where they say; each place gets a copy
    of its own. again: also folders that are marked as synced to that place. clean: remove folders
    that are synced completely. skip_gone: go without what the run used, linked or took files over
    from that the target does not have (any more), instead of failing there each time.
    """
    results = [Synced(os.path.abspath(folder)) for folder in folders]
    contributed: list[tuple[Job, list[Waiting]]] = []

    def copy(result: Synced) -> None:
        opening.require_plain(result.folder)
        about = run_folder.read_about(result.folder)
        result.is_empty = not about.run_id
        where = _where(about, target, entity, project, run_id)
        marks = Marks(result.folder, target, where)
        result.was_synced = marks.is_complete and not again
        if not (result.was_synced or result.is_empty):
            up_to = settings.pack_files_up_to
            job = Job(result.folder, about, target, where, marks, result, up_to, skip_gone)
            waiting = _copy(job, settings)
            if waiting:
                contributed.append((job, waiting))
                return
            _complete(job)
        _clean(result, clean)

    def settle(job: Job, waiting: list[Waiting]) -> None:
        contributing.settle(job, waiting)
        _complete(job)
        _clean(job.result, clean)

    # what finishes versions of many last, when all is there that others contributed
    for result in sorted(results, key=lambda each: _finishes(each.folder)):
        _in_turn(result, partial(copy, result))
    for job, waiting in contributed:
        _in_turn(job.result, partial(settle, job, waiting))
    return results


def _finishes(folder: str) -> bool:
    """Tell whether a run finished a version of many; False if its notes cannot be read."""
    try:
        return bool(intents.of_kind(folder, Finish))
    except (LinealError, OSError):
        return False


def _in_turn(result: Synced, call: Callable[[], None]) -> None:
    """Do it while no other process syncs the folder; what goes wrong is kept."""
    with opening.alone_in(result.folder) as is_there:
        if not is_there:  # who synced it meanwhile cleaned up
            result.was_synced = result.is_removed = True
            return
        try:
            call()
        except Exception as error:  # noqa: BLE001 - one broken folder must not stop the others
            result.failures[result.folder] = error


def _complete(job: Job) -> None:
    if not job.result.failures:
        job.marks.complete()


def _clean(result: Synced, clean: bool) -> None:
    if clean and not result.failures:
        _remove(result.folder)
        result.is_removed = True


def _where(
    about: About, target: Backend, entity: str | None, project: str | None, run_id: str | None
) -> Where:
    default = target.entity if about.is_default_entity else about.entity
    return Where(entity or default, project or about.project, run_id or about.run_id)


def _copy(job: Job, settings: Settings) -> list[Waiting]:
    inside = dataclasses.replace(settings, home=job.folder, entity=job.about.entity)
    if adopting.has_writer(home_of(inside).spool):
        # to look into its database might damage it, if it is written on another machine
        raise UsageError(f"The run in {job.folder} is still going on; sync it once it is over")
    with _opened(inside) as source:
        home = source.instance.home
        left = Removed((), adopting.summary_removed(home.spool))
        if left.summary and home.root == job.folder:  # else it stays in the spool there
            intents.note(job.folder, left)
        adopting.adopt(source, home.spool)
        if any(name.endswith(spool.SUFFIX) for name in os.listdir(home.spool)):
            raise Unavailable(f"Some lines of the run in {job.folder} stay in it: see the warning")
        return run_copy.copy(source, job, left)


@contextmanager
def _opened(settings: Settings) -> Iterator[EmbeddedBackend]:
    """Open the instance in a folder; where nothing can be written, a copy of what changes."""
    in_place = _opened_in_place(settings)
    if in_place is not None:
        with closing(in_place):
            yield in_place
        return
    with opening.opened_apart(settings) as source:
        adopting.copy(home_of(settings).spool, source.instance.home.spool)
        yield source


def _opened_in_place(settings: Settings) -> EmbeddedBackend | None:
    """Open it there; None if it may only be read, or SQLite has no room for files of its own."""
    home = home_of(settings)
    if not os.access(home.root, os.W_OK):
        return None
    with ExitStack() as stack:
        try:
            source = open_embedded(settings)
            stack.callback(source.close)
            opening.require_readable(source, home)
        except (NoSpace, Unavailable):
            return None
        stack.pop_all()
    return source


def _remove(folder: str) -> None:
    """Delete a folder, last what says that it is synced: killed half-way, the next one goes on."""
    if os.path.islink(folder):
        raise UsageError(f"{folder} is a link, so it is not deleted; name the folder it leads to")
    if _is_around_us(folder):
        raise UsageError(f"You are in {folder}, so it is not deleted; repeat this from elsewhere")
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=_when_removed)
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                os.unlink(entry.path)
        os.rmdir(folder)
    except OSError as error:
        raise refusal(folder, error) or error from error


def _is_around_us(folder: str) -> bool:
    """Tell whether this process, and likely a shell, would be left in a folder that is gone."""
    try:
        here = os.path.realpath(os.getcwd())
    except FileNotFoundError:
        return False
    return os.path.commonpath([here, os.path.realpath(folder)]) == os.path.realpath(folder)


def _when_removed(entry: os.DirEntry[str]) -> tuple[bool, bool]:
    return entry.name == MARK_FILE, entry.name == run_folder.ABOUT_FILE
