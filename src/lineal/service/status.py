"""What is where, and how much of it."""

from __future__ import annotations

import os
from contextlib import suppress

from lineal.core import access
from lineal.core.access import Action, Actor
from lineal.core.records import InstanceStatus
from lineal.db import totals
from lineal.files.folders import walk
from lineal.service.instance import Instance


def status(instance: Instance, actor: Actor) -> InstanceStatus:
    """Return paths, sizes and counts of the instance; walks its folders."""
    access.require(actor, Action.ADMINISTER, "the instance")
    home = instance.home
    paths = {
        "home": home.root,
        "database": home.database,
        "blobs": home.blobs,
        "staging": home.staging,
        "spool": home.spool,
        "cache": home.cache,
        "runs": home.runs,
    }
    with instance.database.reading() as connection:
        counts = totals.counts(connection, instance.clock.now())
        blob_bytes, versions_bytes = totals.stored_bytes(connection)
    return InstanceStatus(
        entity=actor.entity,
        paths=paths,
        sizes={name: _size(path) for name, path in paths.items()},
        counts=counts,
        blob_bytes=blob_bytes,
        versions_bytes=versions_bytes,
    )


def _size(path: str) -> int:
    if os.path.isfile(path):
        return sum(
            os.path.getsize(path + suffix)
            for suffix in ("", "-wal", "-shm")
            if os.path.exists(path + suffix)
        )
    total = 0
    # other users' copies in a shared home may not be looked at; other processes are at work
    for below, _, names in walk(path, skipped=lambda _: None):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(path, below, name)).st_size
    return total
