"""Forward-only migrations (Alembic), and the tables that all of them together make.

Neither opening an up-to-date database nor making one in SQLite imports Alembic.
Several processes may open a new home at once; the caller holds a lock around `migrate`.
"""

from __future__ import annotations

import os
import pkgutil
import sqlite3

from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from lineal.db.engine import Database, plain
from lineal.errors import Unavailable

HEAD = "0015"
"""Newest revision in `versions/`; a test holds it against the scripts."""
NEW_DATABASE = "new_database.sql"
"""What the scripts make of an empty SQLite database, statement by statement, as they would leave
it; a test holds it against them, and `python -m tests.db.made_anew` writes it."""

_SHOWN_MOST = 3
"""Tables that a message names."""


def revision(database: Database) -> str | None:
    """Return the revision of the database, None if it is new."""
    query = "SELECT version_num FROM alembic_version"
    with database.reading() as connection:
        try:
            if database.is_sqlite:  # not through SQLAlchemy, which loads asyncio for any error
                found = plain(connection).execute(query).fetchone()
                return found[0] if found else None
            return connection.execute(text(query)).scalar()
        except (sqlite3.OperationalError, ProgrammingError) as error:
            if "no such table" in str(error) or "does not exist" in str(error):
                return None
            raise


def require_ours(database: Database) -> None:
    """Raises Unavailable for a SQLite database without a revision that has tables all the same."""
    query = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
    with database.reading() as connection:
        found = [name for (name,) in plain(connection).execute(query)] if database.is_sqlite else []
    if found:
        shown = ", ".join(f"`{name}`" for name in found[:_SHOWN_MOST])
        path = database.url.database
        raise Unavailable(
            f"The database {path} is another program's: it has the tables {shown}, and none of "
            f"Lineal's. A `{os.path.basename(str(path))}-wal` of another database that lay beside "
            "it does that: SQLite takes it for its own. Put the database back from a backup, with "
            "no such file beside it; or set LINEAL_HOME to another folder"
        )


def require_current(database: Database) -> None:
    """Raises Unavailable unless the database, which may only be read here, is at HEAD."""
    present = revision(database)
    if present is None:
        require_ours(database)
    if present != HEAD:
        raise Unavailable(
            f"The database {database.url.database} is of another Lineal (revision {present}, this "
            f"one knows {HEAD}), and its folder may only be read. If that Lineal was newer, "
            "install it; else copy the home to a folder you may write to, and open it there"
        )


def migrate(database: Database) -> None:
    """Bring the database to HEAD, in one transaction; raises Unavailable if it is newer."""
    present = revision(database)
    if present == HEAD:
        return
    if present is None and database.is_sqlite:
        _make_tables(database)
        return
    # Alembic costs 0.13 s to import, and as much again to run through all migrations.
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    scripts = os.path.dirname(__file__)
    if not os.path.isdir(scripts):  # Alembic wants files
        raise Unavailable(
            f"Lineal is run from an archive, and {scripts} must be a folder to migrate the "
            f"database {database.url.database}. Install Lineal, or unpack the archive"
        )
    config = Config()
    config.set_main_option("script_location", scripts)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if present is not None and present not in known:
        raise Unavailable(
            f"The database {database.engine.url.database} was written by a newer Lineal "
            f"(revision {present}, this one knows {HEAD}); upgrade Lineal"
        )
    with database.writing() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _make_tables(database: Database) -> None:
    script = pkgutil.get_data(__name__, NEW_DATABASE)
    assert script is not None
    with database.writing() as connection:
        for statement in script.decode().split(";\n"):
            plain(connection).execute(statement)
        plain(connection).execute("INSERT INTO alembic_version VALUES (?)", [HEAD])
