"""What offline runs of one id left beside each other, so that the next goes on with it (RUN-18).

Each attempt has a folder of its own, and only `sync` makes one run of them.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator

from lineal.client import term
from lineal.client.offline import opening, run_folder
from lineal.client.offline.marks import MARK_FILE
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
    for other in _beside(folder):
        if _says(other) != (spec.entity, spec.project, spec.run_id):
            continue
        if at_home is not None and os.path.exists(os.path.join(other, MARK_FILE)):
            continue
        attempt = _run_in(settings, other)
        found = found if attempt is None else _joined(found, attempt)
    return found


def _beside(folder: str) -> Iterator[str]:
    parent = os.path.dirname(folder)
    for name in sorted(os.listdir(parent)):
        other = os.path.join(parent, name)
        if name.startswith(run_folder.FOLDER_PREFIX) and other != folder:
            yield other


def _says(folder: str) -> tuple[str, str, str] | None:
    try:
        about = run_folder.read_about(folder)
    except NotFound:
        return None
    return about.entity, about.project, about.run_id


def _run_in(settings: Settings, folder: str) -> RunRecord | None:
    """Return the run that a folder holds, and write nothing there; None if it cannot be read."""
    about = run_folder.read_about(folder)
    inside = dataclasses.replace(settings, home=folder, entity=about.entity)
    try:
        with opening.opened_apart(inside) as source:
            spool = source.instance.home.spool
            try:
                adopting.copy(home_of(inside).spool, spool)
                adopting.adopt(source, spool)
            except UsageError:
                pass  # another process still writes to it: what has left its hands counts
            return source.run(about.entity, about.project, about.run_id)
    except (LinealError, OSError) as error:
        term.warning(f"{folder} cannot be read, so the run goes on without what is there: {error}")
        return None


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
