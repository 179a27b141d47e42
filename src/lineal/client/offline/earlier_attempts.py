"""What offline runs of one id left beside each other, so that the next goes on with it (RUN-18).

Each attempt has a folder of its own, and only `sync` makes one run of them.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from lineal.client import term
from lineal.client.backend import Backend
from lineal.client.offline import intents, opening, run_folder
from lineal.client.offline.intents import Removed
from lineal.client.offline.marks import MARK_FILE
from lineal.client.offline.run_folder import About
from lineal.client.run import adopting
from lineal.client.run.summary import is_number
from lineal.config import Settings
from lineal.core.records import RunRecord, RunSpec
from lineal.errors import LinealError, NotFound, UsageError
from lineal.home import home_of


def goes_on_from(
    settings: Settings, folder: str, spec: RunSpec, at_home: RunRecord | None
) -> RunRecord | None:
    """Return the run of the spec as it is by now, at home and in the folders beside this one.

    None if it is nowhere. What was synced is at home, and counts once.
    """
    found = at_home
    for other in _beside(folder, spec, is_at_home=at_home is not None):
        with _opened(settings, other) as attempt:
            if attempt is not None:
                found = _joined(_without(found, attempt.removed), attempt.run)
    return found


class Attempt(NamedTuple):
    """One of the runs that go on as one, and who has it."""

    backend: Backend
    run: RunRecord
    removed: tuple[Removed, ...] = ()
    """What it took out of what it went on from."""


def attempts(
    settings: Settings, folder: str, run: RunSpec | About, *, is_at_home: bool
) -> Iterator[Attempt]:
    """Yield what the folders beside this one hold of a run, the latest first.

    Each is open until the next is asked for. What was synced is left out if the run is at home.
    """
    for other in reversed(_beside(folder, run, is_at_home=is_at_home)):
        with _opened(settings, other) as attempt:
            if attempt is not None:
                yield attempt


def _beside(folder: str, run: RunSpec | About, *, is_at_home: bool) -> list[str]:
    """Return the folders of earlier attempts, the oldest first."""
    parent = os.path.dirname(folder)
    found = []
    for name in sorted(os.listdir(parent)):
        other = os.path.join(parent, name)
        if not name.startswith(run_folder.FOLDER_PREFIX) or other == folder:
            continue
        if _says(other) != (run.entity, run.project, run.run_id):
            continue
        if not (is_at_home and os.path.exists(os.path.join(other, MARK_FILE))):
            found.append(other)
    return found


def _says(folder: str) -> tuple[str, str, str] | None:
    try:
        about = run_folder.read_about(folder)
    except NotFound:
        return None
    return about.entity, about.project, about.run_id


@contextmanager
def _opened(settings: Settings, folder: str) -> Iterator[Attempt | None]:
    """Open the run that a folder holds, and write nothing there; None if it cannot be read."""
    about = run_folder.read_about(folder)
    inside = dataclasses.replace(settings, home=folder, entity=about.entity)
    with ExitStack() as stack:
        attempt = None
        try:
            source = stack.enter_context(opening.opened_apart(inside))
            spool = source.instance.home.spool
            removed = intents.of_kind(folder, Removed)
            try:
                adopting.copy(home_of(inside).spool, spool)
                removed += (Removed((), adopting.summary_removed(spool)),)
                adopting.adopt(source, spool)
            except UsageError:
                pass  # another process still writes to it: what has left its hands counts
            run = source.run(about.entity, about.project, about.run_id)
            attempt = Attempt(source, run, removed)
        except (LinealError, OSError) as error:
            term.warn_once(
                f"{folder} cannot be read, so the run goes on without what is there: {error}",
                key=folder,
            )
        yield attempt


def _without(run: RunRecord | None, removed: Iterable[Removed]) -> RunRecord | None:
    """Return a run without the keys that a later attempt took out of it."""
    if run is None:
        return None
    config, summary = dict(run.config), dict(run.summary)
    for each in removed:
        for key in each.config:
            config.pop(key, None)
        for key in each.summary:
            summary.pop(key, None)
    return run._replace(config=config, summary=summary)


def _joined(earlier: RunRecord | None, later: RunRecord) -> RunRecord:
    """Return two attempts of a run, of which the later went on where the earlier ended, as one."""
    if earlier is None:
        return later
    runtime = later.summary.get("_runtime")  # of all attempts
    known = runtime if is_number(runtime) else later.runtime_seconds
    return later._replace(
        last_step=max(earlier.last_step, later.last_step),
        history_count=earlier.history_count + later.history_count,
        config={**earlier.config, **later.config},
        summary={**earlier.summary, **later.summary},
        runtime_seconds=max(earlier.runtime_seconds, known),
    )
