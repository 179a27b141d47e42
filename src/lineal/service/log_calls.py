"""What a log call asks for besides content: kept with its draft, and done once there is a version.

For `artifacts`, within its transactions.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import Connection

from lineal.core import names
from lineal.core.access import Actor
from lineal.core.records import DraftSpec, RunKey, VersionId, VersionRecord
from lineal.db import aliases as aliases_db
from lineal.db import drafts as drafts_db
from lineal.db import lineage as lineage_db
from lineal.db import versions as versions_db
from lineal.db.drafts import Asked

if TYPE_CHECKING:
    from lineal.db.rows import DraftRow


class LogCall(NamedTuple):
    """To which collection, for which run, what it asks for, by whom and when."""

    collection_id: int
    run_id: RunKey | None
    asked: Asked
    actor: Actor
    now: datetime


def asked_by(draft: DraftSpec) -> Asked:
    return Asked(
        description=draft.description,
        metadata=draft.metadata,
        aliases=draft.aliases,
        tags=draft.tags,
        history_step=draft.history_step,
        sources=sorted({*draft.sources, *(() if draft.base is None else (draft.base,))}),
        on_unchanged=draft.on_unchanged,
        is_final=draft.is_final,
        base=draft.base,
        on_latest=draft.on_latest,
        ttl_seconds=draft.ttl_seconds,
        number=draft.number,
        as_of=None if draft.as_of is None else draft.as_of.isoformat(),
        is_elsewhere=draft.is_elsewhere,
    )


def united(call: LogCall, parts: Sequence[DraftRow]) -> LogCall:
    """Add the aliases, tags and sources that contributions ask for, each once, and their TTL.

    Where the call itself asks for no TTL it is the longest of those that contributions ask for, as
    nobody's part may go before its time.
    """
    every = [call.asked, *map(drafts_db.asked, parts)]
    asked = call.asked._replace(
        aliases=list(dict.fromkeys(alias for each in every for alias in each.aliases)),
        tags=list(dict.fromkeys(tag for each in every for tag in each.tags)),
        sources=list(dict.fromkeys(source for each in every for source in each.sources)),
        ttl_seconds=_longest(call.asked.ttl_seconds, [part.ttl_seconds for part in every]),
    )
    return call._replace(asked=asked)


def _longest(own: int | None, every: Sequence[int | None]) -> int | None:
    asked = [seconds for seconds in every if seconds is not None]
    if own is not None or not asked:
        return own
    from lineal.core.retention import NEVER_SECONDS  # 5 ms that few runs need

    return NEVER_SECONDS if NEVER_SECONDS in asked else max(asked)


def carry_out(
    connection: Connection,
    call: LogCall,
    version_id: int,
    membership: versions_db.Membership | None = None,
) -> VersionRecord:
    """Give a version its aliases, tags, edge to the run, and new metadata; return it.

    membership: that of a version just made, None for one that was there.
    """
    asked, now = call.asked, call.now
    is_new = membership is not None
    if membership is None:
        membership = versions_db.live_membership(connection, call.collection_id, version_id)
        assert membership is not None
    aliases = _aliases_to_put(connection, call, membership, is_new=is_new)
    aliases_db.put(
        connection, call.collection_id, membership, aliases, actor=call.actor.name, now=now
    )
    versions_db.add_tags(connection, version_id, asked.tags)
    if not is_new and asked.on_unchanged == "update_metadata":
        kept = {
            "metadata": asked.metadata,
            "description": asked.description,
            "ttl_seconds": asked.ttl_seconds,
        }
        changes = {name: value for name, value in kept.items() if value is not None}
        versions_db.change(connection, version_id, changes | {"updated_at": now})
    if call.run_id is not None:
        lineage_db.add_logged(
            connection, call.run_id, VersionId(version_id), now, is_new_version=is_new
        )
    version = versions_db.by_id(connection, version_id)
    assert version is not None
    return version


def _aliases_to_put(
    connection: Connection, call: LogCall, membership: versions_db.Membership, *, is_new: bool
) -> list[str]:
    """Return the aliases of a draft and `latest`; of a copy those that it may take."""
    aliases = list(dict.fromkeys([*call.asked.aliases, names.LATEST]))
    if call.asked.number is None:
        return aliases
    taken = aliases_db.numbers(connection, call.collection_id, aliases)
    if is_new and taken.get(names.LATEST, membership.number) < membership.number:
        del taken[names.LATEST]
    return [alias for alias in aliases if alias not in taken]
