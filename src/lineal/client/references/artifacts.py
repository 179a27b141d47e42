"""References to other artifacts: `lineal://entity/project/name:alias/path` (REF-14).

They are resolved when they are added: the new version takes over the entries, and shares the
stored bytes, so that it stays whole when the other one is deleted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from lineal.client.artifact.base import Base
from lineal.client.backend import Backend
from lineal.client.default_project import default_project
from lineal.client.references.scheme import Found
from lineal.config import Settings, default_entity
from lineal.core import full_names, names
from lineal.core.manifest import Entry
from lineal.core.records import VersionId, VersionRecord
from lineal.errors import Invalid, MissingFile

SCHEMES = ("lineal", "lineal-artifact", "wandb-artifact")
_HEX_ID = re.compile(r"(?:[0-9a-f]{2})+")
_DECODED_ID = re.compile(rb"[A-Za-z]+:(\d+)(?::.*)?", re.DOTALL)
PARTS_MOST = 3
"""`entity/project/name`."""


class Place(NamedTuple):
    """What a URL means: a version, and a file, a folder or all of it."""

    version: str | VersionId
    """`[[entity/]project/]name[:alias]`, or the id that W&B's form holds."""
    path: str


def parse(uri: str) -> Place:
    """Read a URL; W&B's form is `wandb-artifact://<hexadecimal id>/path`."""
    text = uri.partition("://")[2]
    first, _, rest = text.partition("/")
    if _HEX_ID.fullmatch(first) and (decoded := _DECODED_ID.fullmatch(bytes.fromhex(first))):
        return Place(VersionId(int(decoded[1])), rest)
    head, colon, rest = text.partition(":")
    if colon:
        alias, _, path = rest.partition("/")
        return Place(f"{head}:{alias}", path)
    if head.rstrip("/").count("/") >= PARTS_MOST:
        raise Invalid(
            f"{uri} does not say where the artifact's name ends; write "
            "lineal://entity/project/name:alias/path"
        )
    return Place(head.rstrip("/"), "")


def is_fixed(place: Place) -> bool:
    """Tell whether a place means the same version whenever it is asked for."""
    if not isinstance(place.version, str):
        return True
    return names.version_number(place.version.rpartition(":")[2]) is not None


def resolve(place: Place, backend: Backend, settings: Settings) -> VersionRecord:
    """Return the version a place means; raises NotFound if there is none."""
    if not isinstance(place.version, str):
        return backend.version_by_id(place.version)
    entity = default_entity(settings)
    return backend.version(
        full_names.artifact_path(place.version, entity, default_project(settings))
    )


def taken_over(base: Base, path: str, uri: str) -> tuple[bool, Iterator[tuple[str, Entry]]]:
    """Return (whether it is a folder, (relative name, entry) of each file that is meant).

    Raises MissingFile if the artifact has no such file or folder.
    """
    entry = base.get(path) if path else None
    if entry is not None:
        return False, iter([(path.rpartition("/")[2], entry)])
    head = f"{path.rstrip('/')}/" if path else ""
    first = next(base.under(head), None)
    if first is None and head:
        raise MissingFile(f"{uri} leads to no file or folder of that artifact")
    return True, ((each.path.removeprefix(head), each) for each in base.under(head))


def found(name: str, entry: Entry) -> Found:
    return Found(name, entry.ref or "", entry.digest, entry.size, entry.extra)
