"""Keeping an alias on what the best run of a sweep logged (SWP-12)."""

from __future__ import annotations

from lineal.core.access import Actor
from lineal.db import aliases as aliases_db
from lineal.db import collections as collections_db
from lineal.db import sweeps as sweeps_db
from lineal.service.sweep.locked import LockedSweep


def put_alias(sweep: LockedSweep, run_id: str, actor: Actor) -> None:
    """Put the sweep's alias on the newest version of its type that the run logged.

    It leaves other versions of this sweep, also where runs log into collections of their own.
    A run that logged none leaves the alias where it is.
    """
    connection, plan, now = sweep.connection, sweep.plan, sweep.now()
    assert plan.best_alias is not None
    found = sweeps_db.logged_by(connection, sweep.row.project_id, run_id, plan.best_type)
    if found is None:
        return
    collection_id, membership = found
    others = set(sweeps_db.aliased(connection, sweep.key, plan.best_alias)) - {collection_id}
    collections_db.lock_all(connection, {collection_id, *others})
    aliases_db.put(
        connection, collection_id, membership, [plan.best_alias], actor=actor.name, now=now
    )
    for other in sorted(others):
        aliases_db.take_off(connection, other, [plan.best_alias], actor=actor.name, now=now)
