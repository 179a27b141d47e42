"""What an offline run leaves to `sync`: intents, noted in its folder, in order (RUN-18)."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import asdict, dataclass
from typing import TypeVar

from lineal.client.offline import checked_json
from lineal.errors import IntegrityError
from lineal.files.refusals import room_on

FILE = "intents.jsonl"
"""In the folder of the run: one line for each."""


@dataclass(frozen=True)
class Use:
    """A version of the normal home that the run used."""

    version: str
    digest: str
    alias: str | None


@dataclass(frozen=True)
class Relog:
    """A version of the normal home that the run logged once more."""

    version: str
    digest: str


@dataclass(frozen=True)
class Alias:
    """Aliases that a version of the normal home gets."""

    version: str
    aliases: tuple[str, ...]


@dataclass(frozen=True)
class Link:
    """A collection, as `entity/project/name`, that gets a link to a version of the normal home."""

    version: str
    target: str
    aliases: tuple[str, ...]


@dataclass(frozen=True)
class Source:
    """A version of the normal home that one of the folder, of this digest, took files over from."""

    digest: str
    source: str


@dataclass(frozen=True)
class Anew:
    """A collection, as `entity/project/name`, whose name led to a moved one of the normal home.

    The run made another of that name. A collection that moved only later takes its versions.
    """

    collection: str


@dataclass(frozen=True)
class Finish:
    """A collection, as `entity/project/name`, of which the run finished a version of many."""

    collection: str


@dataclass(frozen=True)
class Removed:
    """Keys that a run which goes on took out of what it had before."""

    config: tuple[str, ...]
    summary: tuple[str, ...]


Intent = Use | Relog | Alias | Link | Source | Anew | Finish | Removed
_KINDS: dict[str, type[Intent]] = {
    "use": Use,
    "relog": Relog,
    "alias": Alias,
    "link": Link,
    "source": Source,
    "anew": Anew,
    "finish": Finish,
    "removed": Removed,
}
Kind = TypeVar("Kind", bound=Intent)


def note(folder: str, intent: Intent) -> None:
    """Append one intent; a single write, so that concurrent ones do not mix.

    Raises NoSpace or Unavailable; nothing is left of what could not be written.
    """
    kind = next(name for name, each in _KINDS.items() if isinstance(intent, each))
    line = (json.dumps({"kind": kind, **asdict(intent)}) + "\n").encode()
    path = os.path.join(folder, FILE)
    with room_on(path):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            written = os.write(descriptor, line)
            if written != len(line):
                os.ftruncate(descriptor, os.fstat(descriptor).st_size - written)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        finally:
            os.close(descriptor)


def read(folder: str) -> list[Intent]:
    """Return what was noted for `sync`, in order; a half-written last line is left out.

    Raises IntegrityError for another line that cannot be read.
    """
    path = os.path.join(folder, FILE)
    try:
        with open(path, "rb") as file:
            lines = file.read().split(b"\n")[:-1]
    except FileNotFoundError:
        return []
    intents: list[Intent] = []
    for number, line in enumerate(lines, 1):
        try:
            intents.append(_intent(json.loads(line)))
        except (ValueError, RecursionError) as error:
            raise IntegrityError(
                f"Line {number} of {path} is damaged: {error}. It says what the run used or "
                "linked; bring the file back from a copy, or take the line out to go without it"
            ) from error
    return intents


def of_kind(folder: str, kind: type[Kind]) -> tuple[Kind, ...]:
    """Return what of one kind was noted; nothing where the notes are no file, but a pipe, say.

    Raises as `read`.
    """
    if not os.path.isfile(os.path.join(folder, FILE)):
        return ()
    return tuple(each for each in read(folder) if isinstance(each, kind))


def _intent(said: object) -> Intent:
    """Raises ValueError for what no offline run notes."""
    if not isinstance(said, dict):
        raise ValueError("it is no JSON object")
    found = dict(said)
    kind = _KINDS.get(str(found.pop("kind", None)))
    if kind is None:
        raise ValueError(f"its kind is {said.get('kind')!r}, not one of {', '.join(_KINDS)}")
    intent = checked_json.read(kind, found)
    for name in ("target", "collection"):
        path = getattr(intent, name, None)
        if path is not None and path.count("/") != 2:
            raise ValueError(f"`{name}` is {path!r}, not `entity/project/name`")
    return intent
