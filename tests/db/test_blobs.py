from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection, select
from tests.service.drafts import Files, draft, send

from lineal.core.access import Actor
from lineal.db import blobs as blobs_db
from lineal.db import manifests as manifests_db
from lineal.db.engine import plain
from lineal.db.schema import drafts
from lineal.service import artifacts
from lineal.service.instance import Instance

FILES: Files = {f"{number:04}": b"%d" % number for number in range(4_000)}


def steps(connection: Connection, work: Callable[[], object]) -> int:
    """Return how many hundreds of steps SQLite takes for some work."""
    count = 0

    def more() -> None:
        nonlocal count
        count += 1

    plain(connection).set_progress_handler(more, 100)
    try:
        work()
    finally:
        plain(connection).set_progress_handler(None, 100)
    return count


def test_what_a_version_has_is_not_looked_through_again(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    spec, segments = draft(FILES)
    begun = artifacts.begin(instance, owner, spec, segments)
    send(instance, owner, begun.draft, FILES, tmp_path, in_pack=True)

    def looks() -> int:
        with instance.database.reading() as connection:
            manifest = connection.execute(select(drafts.c.manifest_id)).scalar_one()
            return steps(
                connection,
                lambda: (
                    blobs_db.awaited(connection, manifest),
                    manifests_db.manifest_totals(connection, manifest),
                ),
            )

    before = looks()
    artifacts.commit(instance, owner, begun.draft)
    assert before > len(FILES) / 100
    assert looks() < before / 50
