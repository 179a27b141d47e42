"""The folder of an offline run: its name, what it says of itself, and what is left to `sync`."""

from __future__ import annotations

import errno
import itertools
import json
import os
from dataclasses import asdict, dataclass
from datetime import datetime

from lineal.client.offline import fields
from lineal.config import Settings
from lineal.errors import IntegrityError, NotFound, Unavailable
from lineal.files.refusals import room_on
from lineal.files.writing import write_whole

DEFAULT_PARENT = "lineal"
FOLDER_PREFIX = "offline-run-"
ABOUT_FILE = "offline.json"
INTENTS_FILE = "intents.jsonl"
"""One line each for what `sync` is to do on the other side, in order."""
METADATA_KEY = "offline"
"""In the metadata of the run: the folder it came from, so that a second sync knows its own."""


@dataclass(frozen=True)
class About:
    """What the folder says of itself."""

    uid: str
    entity: str
    is_default_entity: bool
    """Nobody asked for this entity; on another machine the owner there takes its place."""
    project: str = ""
    run_id: str = ""
    resume: str | None = None
    """What `init` asked for, to be applied by `sync` (RUN-18)."""
    rewind_step: int | None = None
    """The step that `resume_from` named; `sync` takes the run back to it first (RUN-19)."""
    made_name: str | None = None
    """What it is called if nobody gave it a name, else empty; None of folders that do not say."""


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


def new_folder(settings: Settings, run_id: str, started_at: datetime) -> str:
    """Make the folder of an offline run; raises Unavailable naming the variable to set.

    Names are in the order of making, as far as the clock goes: the next attempt of a run goes on
    with the last one, and `sync` brings them home in turn.
    """
    parent = os.path.abspath(settings.dir or DEFAULT_PARENT)
    moment = started_at.astimezone().strftime("%Y%m%d_%H%M%S")
    name = f"{FOLDER_PREFIX}{moment}-{run_id}"
    for further in itertools.chain([""], (f"-{count:03}" for count in itertools.count(2))):
        folder = os.path.join(parent, name + further)
        try:
            os.makedirs(folder)
        except FileExistsError:
            continue
        except OSError as error:
            raise Unavailable(
                f"Cannot make {folder}: {error.strerror}. Set LINEAL_DIR to a folder you may "
                "write to"
            ) from error
        return folder
    raise AssertionError


def write_about(folder: str, about: About) -> None:
    write_whole(os.path.join(folder, ABOUT_FILE), json.dumps(asdict(about)).encode())


def read_about(folder: str) -> About:
    """Raises NotFound unless the folder is one of an offline run."""
    try:
        with open(os.path.join(folder, ABOUT_FILE), encoding="utf-8") as file:
            return fields.read(About, json.load(file))
    except (OSError, ValueError, RecursionError) as error:
        raise NotFound(f"{folder} is not the folder of an offline run: {error}") from error


def read_intents(folder: str) -> list[Intent]:
    """Return what was noted for `sync`, in order; a half-written last line is left out.

    Raises IntegrityError for another line that cannot be read.
    """
    path = os.path.join(folder, INTENTS_FILE)
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


def _intent(said: object) -> Intent:
    """Raises ValueError for what no offline run notes."""
    if not isinstance(said, dict):
        raise ValueError("it is no JSON object")
    found = dict(said)
    kind = _KINDS.get(str(found.pop("kind", None)))
    if kind is None:
        raise ValueError(f"its kind is {said.get('kind')!r}, not one of {', '.join(_KINDS)}")
    intent = fields.read(kind, found)
    for name in ("target", "collection"):
        path = getattr(intent, name, None)
        if path is not None and path.count("/") != 2:
            raise ValueError(f"`{name}` is {path!r}, not `entity/project/name`")
    return intent


def note(folder: str, intent: Intent) -> None:
    """Append one intent; a single write, so that concurrent ones do not mix.

    Raises NoSpace or Unavailable; nothing is left of what could not be written.
    """
    kind = next(name for name, each in _KINDS.items() if isinstance(intent, each))
    line = (json.dumps({"kind": kind, **asdict(intent)}) + "\n").encode()
    path = os.path.join(folder, INTENTS_FILE)
    with room_on(path):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            written = os.write(descriptor, line)
            if written != len(line):
                os.ftruncate(descriptor, os.fstat(descriptor).st_size - written)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        finally:
            os.close(descriptor)
