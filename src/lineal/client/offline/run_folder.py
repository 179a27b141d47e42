"""The folder of an offline run: its name, and what it says of itself."""

from __future__ import annotations

import itertools
import json
import os
from dataclasses import asdict, dataclass
from datetime import datetime

from lineal.client.offline import checked_json
from lineal.config import Settings
from lineal.errors import NotFound, Unavailable
from lineal.files.writing import write_whole

DEFAULT_PARENT = "lineal"
FOLDER_PREFIX = "offline-run-"
ABOUT_FILE = "offline.json"
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
            return checked_json.read(About, json.load(file))
    except (OSError, ValueError, RecursionError) as error:
        raise NotFound(f"{folder} is not the folder of an offline run: {error}") from error
