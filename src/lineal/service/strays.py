"""Files in the store that belong to no blob: what killed uploads and lost races left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from lineal.blobs.store import StoredFile
from lineal.core import access
from lineal.core.access import Action, Actor
from lineal.core.digest import Key, of_key
from lineal.core.gc import REPORTED_MOST, Amount, Failure
from lineal.core.records import DraftId
from lineal.db import drafts as drafts_db
from lineal.db import gc as gc_db
from lineal.db.engine import batches
from lineal.files.refusals import why_it_stays
from lineal.service.instance import Instance

BATCH = 2_000
"""Files asked for at once."""
PACK_BATCH = 20_000
"""Of one pack, so that it is opened for writing once."""


@dataclass(frozen=True)
class Strays:
    """What a batch of files holds that is no blob."""

    dead: list[StoredFile]
    """Will never be a blob: their draft is over, or they are older than a draft can get."""
    fresh: list[StoredFile]
    """May still become blobs."""
    foreign: list[StoredFile]
    """Not ours, or damaged and needed."""


@dataclass(frozen=True)
class Totals:
    """How much the store holds that is no blob; see `Strays`."""

    dead: Amount
    fresh: Amount
    foreign: tuple[str, ...]
    """Names, at most REPORTED_MOST."""


def find(instance: Instance, *, expired_by: datetime | None = None) -> Iterator[Strays]:
    """Walk the whole store, batch by batch.

    expired_by: for a plan, count drafts that are expired at this moment as over; to delete their
    files is safe only once they are released.
    """
    for batch in batches(instance.store.walk(), BATCH):
        yield _sorted(instance, batch, expired_by)


def totals(instance: Instance, *, expired_by: datetime) -> Totals:
    """Return how much the whole store holds that is no blob."""
    dead, fresh = Amount(), Amount()
    foreign: list[str] = []
    for found in find(instance, expired_by=expired_by):
        dead += Amount(len(found.dead), sum(file.size for file in found.dead))
        fresh += Amount(len(found.fresh), sum(file.size for file in found.fresh))
        foreign += [file.name for file in found.foreign[: REPORTED_MOST - len(foreign)]]
    return Totals(dead, fresh, tuple(foreign))


def remove_surplus(instance: Instance, actor: Actor, draft_id: DraftId) -> None:
    """Delete what packs of a committed draft brought beside the blobs that were missing.

    As the next sweep would: nothing can be recorded under the draft's nonce any more, so what no
    row tells of is a stray. What cannot be deleted is left to the sweep, as is everything while
    the draft is not committed.
    """
    access.require(actor, Action.WRITE, f"draft {draft_id}")
    with instance.database.reading() as connection:
        draft = drafts_db.by_id(connection, draft_id)
    if draft is None or draft.state != drafts_db.COMMITTED:
        return
    for batch in batches(instance.store.packed(draft.nonce), PACK_BATCH):
        delete(instance, _sorted(instance, batch, None).dead)


def delete(instance: Instance, files: Sequence[StoredFile]) -> tuple[Amount, list[Failure]]:
    """Delete what will never be a blob; returns what is gone, and what is not."""
    failed: dict[str, OSError] = {
        **dict(instance.store.delete([file.key for file in files if file.key is not None])),
        **dict(instance.store.delete_parts([file.name for file in files if file.is_part])),
    }
    gone = [file for file in files if (file.key or file.name) not in failed]
    failures = [Failure(name, why_it_stays(error)) for name, error in failed.items()]
    return Amount(len(gone), sum(file.size for file in gone)), failures


def _sorted(instance: Instance, files: Sequence[StoredFile], expired_by: datetime | None) -> Strays:
    oldest = (instance.clock.now() - instance.draft_ttl).timestamp()
    named = [(file, *_digest_and_nonce(file.key)) for file in files if file.key is not None]
    with instance.database.reading() as connection:
        # in this order: a draft that is found dead has recorded all that it ever will
        torn = {file.nonce for file in files if file.nonce is not None}
        nonces = {nonce for _, _, nonce in named} | torn
        alive = gc_db.nonces(connection, nonces, expired_by=expired_by)
        recorded = gc_db.recorded(connection, (digest for _, digest, _ in named))
        needed = gc_db.recorded_nonces(connection, torn)
    dead: list[StoredFile] = []
    fresh: list[StoredFile] = []
    foreign: list[StoredFile] = []
    for file, digest, nonce in named:
        if (digest, nonce) in recorded:
            continue
        # a nonce that no draft has is that of a file of a run, recorded right after it is written
        is_over = not alive[nonce] if nonce in alive else file.modified_at <= oldest
        (dead if is_over else fresh).append(file)
    for file in files:
        if file.nonce in needed:
            foreign.append(file)  # blobs may be saved from it by hand; `verify` names them
        elif file.is_part:
            (dead if file.modified_at <= oldest else fresh).append(file)
        elif file.key is None:
            foreign.append(file)
    return Strays(dead, fresh, foreign)


def _digest_and_nonce(key: Key) -> tuple[str, str]:
    return of_key(key), key.rpartition("/")[2]
