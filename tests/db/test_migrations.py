"""The migrations make exactly the tables that the code expects."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, insert, select, text
from tests.db.made_anew import alembic, tables, tables_of_migrations
from tests.gc.databases import Databases

import lineal
from lineal.config import Settings
from lineal.core.access import Actor, Role
from lineal.core.trials import SweepKey
from lineal.db import migrations
from lineal.db.blobs import IS_LOST
from lineal.db.engine import Database
from lineal.db.schema import blobs, collections, entities, metadata, projects
from lineal.db.schema import sweeps as sweeps_table
from lineal.errors import Unavailable
from lineal.service.instance import Instance, open_instance
from lineal.service.sweep import trials

OWNER = Actor("ana", Role.OWNER)


def test_migrated_database_equals_the_schema(instance: Instance) -> None:
    with instance.database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        assert compare_metadata(context, metadata) == []


@contextmanager
def made_by(database: Database, revision: str) -> Iterator[Connection]:
    """Make the tables as an older Lineal did; yields the transaction that does."""
    config = alembic()
    with database.writing() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        yield connection


def test_a_new_database_is_made_as_the_migrations_leave_it(instance: Instance, home: Path) -> None:
    """After a new migration, `python -m tests.db.made_anew` writes down what it adds."""
    assert tables(home / "lineal.db") == tables_of_migrations()


def test_head_is_the_newest_script() -> None:
    assert ScriptDirectory.from_config(alembic()).get_current_head() == migrations.HEAD


def test_a_grid_of_an_older_lineal_goes_on_where_it_was(settings: Settings, home: Path) -> None:
    home.mkdir(exist_ok=True)
    database = Database(f"sqlite:///{home / 'lineal.db'}")
    now = datetime(2026, 1, 1, tzinfo=UTC)
    with made_by(database, "0005") as connection:
        connection.execute(insert(entities).values(id=1, name="ana", created_at=now))
        connection.execute(insert(projects).values(id=1, entity_id=1, name="p", created_at=now))
        connection.execute(
            insert(sweeps_table).values(
                id=1, project_id=1, sweep_id="old", name="old", state="running", next_number=2,
                document={"method": "grid", "parameters": {"a": {"values": [1, 2, 3]}}},
                created_by="ana", created_at=now, updated_at=now,
            )
        )  # fmt: skip
    database.close()
    instance = open_instance(settings)
    try:
        agent = trials.join(instance, OWNER, SweepKey(1), name="one", host="here")
        trial = trials.next_trial(instance, OWNER, SweepKey(1), agent).trial
        assert trial is not None
        assert (trial.number, trial.parameters) == (2, {"a": 3})
        assert trials.propose(instance, OWNER, SweepKey(1)) is None
    finally:
        instance.close()


def test_collections_of_an_older_lineal_have_no_display_name(home: Path) -> None:
    home.mkdir(exist_ok=True)
    database = Database(f"sqlite:///{home / 'lineal.db'}")
    with made_by(database, "0009") as connection:
        connection.execute(text("INSERT INTO entities (id, name, created_at) VALUES (1, 'ana', 0)"))
        connection.execute(
            text("INSERT INTO projects (id, entity_id, name, created_at) VALUES (1, 1, 'p', 0)")
        )
        connection.execute(
            text(
                "INSERT INTO collections (project_id, name, type, kind, created_at, updated_at) "
                "VALUES (1, 'photos', 'dataset', 'sequence', 0, 0)"
            )
        )
    migrations.migrate(database)
    with database.reading() as connection:
        found = connection.execute(select(collections.c.name, collections.c.display_name)).all()
    database.close()
    assert found == [("photos", None)]


def test_moves_of_an_older_lineal_tell_which_of_them_somebody_asked_for(
    databases: Databases,
) -> None:
    url = databases.unmigrated()
    database = Database(url)
    made = "created_at, updated_at) VALUES (1, 1, "
    moves = [  # alias, before, after, when
        ("latest", None, 0, 10),
        ("latest", 0, 1, 20),
        ("prod", None, 1, 21),
        ("latest", 1, 2, 30),
        ("latest", 2, None, 40),  # all three deleted
        ("prod", 1, None, 40),
        ("latest", None, 0, 50),  # v0 restored alone
        ("latest", 0, 2, 60),  # the others too
        ("prod", None, 1, 60),
        ("latest", 2, None, 70),  # taken off by hand
        ("latest", None, 0, 80),  # and put somewhere else
    ]
    with made_by(database, "0011") as connection:
        for statement in (
            "INSERT INTO entities (id, name, created_at) VALUES (1, 'ana', 0)",
            "INSERT INTO projects (id, entity_id, name, created_at) VALUES (1, 1, 'p', 0)",
            f"INSERT INTO collections (id, project_id, name, type, kind, {made}"
            "'photos', 'dataset', 'sequence', 0, 0)",
            "INSERT INTO deletions (id, what, reason, deleted_by, deleted_at, restored_at) "
            "VALUES (1, 'photos', 'user', 'ana', 40, 60)",
        ):
            connection.execute(text(statement))
        for alias, before, after, moment in moves:
            connection.execute(
                text(
                    "INSERT INTO alias_moves (collection_id, alias, before_number, after_number, "
                    "moved_by, moved_at) VALUES (1, :alias, :before, :after, 'ana', :moment)"
                ),
                {"alias": alias, "before": before, "after": after, "moment": moment},
            )
    migrations.migrate(database)
    with database.reading() as connection:
        found = connection.execute(
            text("SELECT moved_at, asked_for FROM alias_moves ORDER BY id")
        ).all()
    database.close()
    databases.drop(url)
    asked = [moment for moment, asked_for in found if asked_for]
    assert asked == [10, 20, 21, 30, 70, 80]


def test_bytes_that_an_older_lineal_found_lost_are_told_from_those_that_were_never_sent(
    databases: Databases,
) -> None:
    url = databases.unmigrated()
    database = Database(url)
    with made_by(database, "0012") as connection:
        for statement in (
            "INSERT INTO entities (id, name, created_at) VALUES (1, 'ana', 0)",
            "INSERT INTO projects (id, entity_id, name, created_at) VALUES (1, 1, 'p', 0)",
            "INSERT INTO collections (id, project_id, name, type, kind, created_at, updated_at) "
            "VALUES (1, 1, 'photos', 'dataset', 'sequence', 0, 0)",
            "INSERT INTO blobs (id, digest, size_bytes, state, stored_at) VALUES "
            "(1, 'kept', 1, 'stored', 7), (2, 'lost', 1, 'awaited', NULL), "
            "(3, 'never sent', 1, 'awaited', NULL)",
            "INSERT INTO segments (id, digest, first_path, entry_count, size_bytes) VALUES "
            "(1, 'logged', 'a', 2, 2), (2, 'begun', 'b', 1, 1)",
            "INSERT INTO segment_blobs (segment_id, blob_id) VALUES (1, 1), (1, 2), (2, 3)",
            "INSERT INTO manifests (id, digest, entry_count, size_bytes) VALUES "
            "(1, 'logged', 2, 2), (2, 'begun', 1, 1)",
            "INSERT INTO manifest_segments (manifest_id, position, segment_id) VALUES "
            "(1, 0, 1), (2, 0, 2)",
            "INSERT INTO versions (collection_id, manifest_id, digest, size_bytes, entry_count, "
            "metadata, created_by, created_at, updated_at) "
            "VALUES (1, 1, 'logged', 2, 2, '{}', 'ana', 0, 0)",
        ):
            connection.execute(text(statement))
    migrations.migrate(database)
    with database.reading() as connection:
        lost = connection.execute(select(blobs.c.digest).where(IS_LOST)).scalars().all()
    database.close()
    databases.drop(url)
    assert lost == ["lost"]


def test_a_database_of_a_newer_lineal_is_left_alone(
    instance: Instance, settings: Settings, home: Path
) -> None:
    instance.close()
    with sqlite3.connect(home / "lineal.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'from-the-future'")
    connection.close()
    with pytest.raises(Unavailable, match="upgrade Lineal"):
        open_instance(settings)


def test_nothing_of_alembic_is_loaded_to_make_or_to_open_a_database(home: Path) -> None:
    code = (
        "import sys; from lineal.config import load; "
        "from lineal.service.instance import open_instance; open_instance(load()).close(); "
        "sys.exit('alembic' in sys.modules or 'psycopg' in sys.modules)"
    )
    environment = os.environ | {"LINEAL_HOME": str(home)}
    for _ in range(2):
        assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0


def test_a_database_is_made_from_an_archive_but_not_migrated(home: Path, tmp_path: Path) -> None:
    archive = shutil.make_archive(
        str(tmp_path / "lineal"), "zip", Path(lineal.__file__).parents[1], "lineal"
    )

    def list_projects() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", "import lineal; print(list(lineal.Api().projects()))"],
            env={**os.environ, "PYTHONPATH": archive},
            capture_output=True,
            text=True,
            check=False,
        )

    assert list_projects().stdout == "[]\n"
    with sqlite3.connect(home / "lineal.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    connection.close()
    assert "Unavailable: Lineal is run from an archive" in list_projects().stderr
