"""The home: the folder that holds an embedded instance (STO-1)."""

from __future__ import annotations

import os
from dataclasses import dataclass

from lineal.config import Settings
from lineal.errors import NoSpace, Unavailable
from lineal.files.refusals import refusal

DATABASE, BLOBS = "lineal.db", "blobs"
"""The file and the folder of a home that make it one."""
BUNDLE = "bundle.json"
"""What makes it a bundle, which others may keep like any other files."""
DATABASE_PATH_MOST_BYTES = 500
"""SQLite itself ends at 512, with the names of what it puts beside the database."""


@dataclass(frozen=True)
class Home:
    """The paths of one embedded instance; `lineal status` prints them all."""

    root: str

    @property
    def database(self) -> str:
        return os.path.join(self.root, DATABASE)

    @property
    def blobs(self) -> str:
        return os.path.join(self.root, BLOBS)

    @property
    def staging(self) -> str:
        """Private copies of added files until they are stored; same file system as `blobs`."""
        return os.path.join(self.root, "staging")

    @property
    def spool(self) -> str:
        """Lines logged but not yet in the database; adopted by the next process after a crash."""
        return os.path.join(self.root, "spool")

    @property
    def cache(self) -> str:
        return os.path.join(self.root, "cache")

    @property
    def runs(self) -> str:
        """Working folders of runs (`run.dir`)."""
        return os.path.join(self.root, "runs")

    def create(self) -> None:
        """Make the folders; raises Unavailable naming the variable to set (STO-1).

        A new home is for this user alone: configs, console output and data are in it. One that is
        there keeps its mode. One that has a database gets no folder of blobs: it had one, which
        may come back (`service.instance`).
        """
        length = len(os.fsencode(self.database))
        if length > DATABASE_PATH_MOST_BYTES:
            raise Unavailable(
                f"The path of the database has {length} bytes, and SQLite opens one of at most "
                f"{DATABASE_PATH_MOST_BYTES}: {self.database}. Set LINEAL_HOME to a shorter one"
            )
        for path in (self.root, self.blobs, self.staging, self.spool, self.cache):
            if path == self.blobs and os.path.exists(self.database) and not os.path.lexists(path):
                continue
            try:
                os.makedirs(path, 0o700 if path == self.root else 0o777, exist_ok=True)
            except FileExistsError as error:
                leads = f"a link to {os.path.realpath(path)}, which is not there"
                what = leads if os.path.islink(path) else "a file and not a folder"
                raise Unavailable(
                    f"{path} is {what}. Put that right (is a disk not mounted?), or set "
                    "LINEAL_HOME to another folder"
                ) from error
            except OSError as error:
                raise unwritable(path, error) from error


def unwritable(path: str, error: OSError) -> Unavailable:
    """Say why a file or folder of the home cannot be made."""
    refused = refusal(path, error)
    if isinstance(refused, NoSpace):
        return refused  # to go elsewhere would not make room; and what is written may be a bundle
    return Unavailable(
        f"Cannot write to {path}: {error.strerror}. Set LINEAL_HOME to a folder you may write to"
    )


def home_of(settings: Settings) -> Home:
    """Raises Unavailable where `~` leads nowhere, as for a container's user without a name."""
    home = os.path.expanduser(settings.home)
    if home.startswith("~"):  # in vain: as a path it would be a folder `~…` wherever one works
        raise Unavailable(
            f"{settings.home} is not known: there is no such user, or HOME is not set and user "
            f"{os.getuid()} has no home. "
            "Set LINEAL_HOME to a folder you may write to"
        )
    return Home(os.path.abspath(home))
