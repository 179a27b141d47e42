"""Lists of versions and collections: filtered and ordered in the database, in pages."""

from __future__ import annotations

from sqlalchemy import Connection, select

from lineal.core.records import (
    CollectionQuery,
    CollectionRecord,
    Page,
    PageRequest,
    VersionQuery,
    VersionRecord,
)
from lineal.db import collections as collections_db
from lineal.db import versions as versions_db
from lineal.db.conditions import LIVE_MEMBERSHIP
from lineal.db.fields import (
    FieldSpec,
    document_field,
    label_field,
    moment_field,
    number_field,
    text_field,
)
from lineal.db.filters import compile_filter
from lineal.db.orders import fetch_page, parse_order
from lineal.db.schema import (
    aliases,
    collection_tags,
    collections,
    memberships,
    version_tags,
    versions,
)

VERSION_FIELDS: dict[str, FieldSpec] = {
    "version_index": number_field(memberships.c.number),
    "created_at": moment_field(versions.c.created_at),
    "createdAt": moment_field(versions.c.created_at),
    "updated_at": moment_field(versions.c.updated_at),
    "updatedAt": moment_field(versions.c.updated_at),
    "size": number_field(versions.c.size_bytes),
    "file_count": number_field(versions.c.entry_count),
    "digest": text_field(versions.c.digest),
    "description": text_field(versions.c.description),
    "metadata": document_field(versions.c.metadata),
    "aliases": label_field(aliases.c.alias, aliases.c.membership_id == memberships.c.id),
    "alias": label_field(aliases.c.alias, aliases.c.membership_id == memberships.c.id),
    "tags": label_field(version_tags.c.tag, version_tags.c.version_id == versions.c.id),
    "tag": label_field(version_tags.c.tag, version_tags.c.version_id == versions.c.id),
}
COLLECTION_FIELDS: dict[str, FieldSpec] = {
    "name": text_field(collections.c.name),
    "type": text_field(collections.c.type),
    "description": text_field(collections.c.description),
    "created_at": moment_field(collections.c.created_at),
    "createdAt": moment_field(collections.c.created_at),
    "updated_at": moment_field(collections.c.updated_at),
    "updatedAt": moment_field(collections.c.updated_at),
    "tags": label_field(collection_tags.c.tag, collection_tags.c.collection_id == collections.c.id),
    "tag": label_field(collection_tags.c.tag, collection_tags.c.collection_id == collections.c.id),
}


def versions_page(
    connection: Connection, collection_id: int, query: VersionQuery, page: PageRequest
) -> Page[VersionRecord]:
    """List live versions of a collection; `service.catalog.versions` says which and how."""
    # Of the key alone: where rows are sorted, each that may be on the page is read as a whole.
    wanted = (
        select(memberships.c.id)
        .join(versions, versions.c.id == memberships.c.version_id)
        .where(memberships.c.collection_id == collection_id, LIVE_MEMBERSHIP)
    )
    for tag in query.tags:
        has_tag = select(version_tags.c.tag).where(
            version_tags.c.version_id == versions.c.id, version_tags.c.tag == tag
        )
        wanted = wanted.where(has_tag.exists())
    if query.filters:
        wanted = wanted.where(compile_filter(query.filters, VERSION_FIELDS))
    order = parse_order(query.order or "-version_index", VERSION_FIELDS, memberships.c.id)
    rows, cursor, total = fetch_page(connection, wanted, order, page)
    found = versions_db.by_memberships(
        connection, [row.id for row in rows], with_metadata=query.with_metadata
    )
    return Page(tuple(found[row.id] for row in rows), cursor, total)


def collections_page(
    connection: Connection, project_id: int, query: CollectionQuery, page: PageRequest
) -> Page[CollectionRecord]:
    """List the collections of a project but hidden ones; as `service.catalog.collections`."""
    listing = collections_db.listing().where(
        collections.c.project_id == project_id, collections_db.SHOWN
    )
    if query.type is not None:
        listing = listing.where(collections.c.type == query.type)
    if query.filters:
        listing = listing.where(compile_filter(query.filters, COLLECTION_FIELDS))
    order = parse_order(query.order or "+name", COLLECTION_FIELDS, collections.c.id)
    rows, cursor, total = fetch_page(connection, listing, order, page)
    return Page(tuple(collections_db.records(connection, rows)), cursor, total)
