"""What is where, and how much of it."""

from __future__ import annotations

import os
from contextlib import suppress

from lineal.core import access
from lineal.core.access import Action, Actor
from lineal.core.status import InstanceStatus
from lineal.db import totals
from lineal.files.folders import walk
from lineal.service.instance import Instance


def status(instance: Instance, actor: Actor) -> InstanceStatus:
    """Return paths, sizes and counts of the instance; walks its folders."""
    access.require(actor, Action.ADMINISTER, "the instance")
    home = instance.home
    folders = {
        "blobs": home.blobs,
        "staging": home.staging,
        "spool": home.spool,
        "cache": home.cache,
        "runs": home.runs,
    }
    sizes = {name: _folder_bytes(path) for name, path in folders.items()}
    rest = _folder_bytes(home.root, without=frozenset(folders.values()))
    with instance.database.reading() as connection:
        counts = totals.counts(connection, instance.clock.now())
        blob_bytes, versions_bytes = totals.stored_bytes(connection)
    return InstanceStatus(
        entity=actor.entity,
        paths={"home": home.root, "database": home.database, **folders},
        sizes={
            "home": rest + sum(sizes.values()),
            "database": _database_bytes(home.database),
            **sizes,
        },
        counts=counts,
        blob_bytes=blob_bytes,
        versions_bytes=versions_bytes,
    )


def _database_bytes(path: str) -> int:
    return sum(
        os.path.getsize(path + suffix)
        for suffix in ("", "-wal", "-shm")
        if os.path.exists(path + suffix)
    )


def _folder_bytes(path: str, *, without: frozenset[str] = frozenset()) -> int:
    """Add up all files below a folder; without: paths of folders that are not entered."""
    total = 0
    # other users' copies in a shared home may not be looked at; other processes are at work
    for below, folders, names in walk(path, skipped=lambda _: None):
        if without:
            here = os.path.join(path, below)
            folders[:] = [name for name in folders if os.path.join(here, name) not in without]
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(path, below, name)).st_size
    return total
