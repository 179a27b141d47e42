"""The migrations make exactly the tables that the code expects."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from lineal.config import Settings
from lineal.db import migrations
from lineal.db.schema import metadata
from lineal.errors import Unavailable
from lineal.service.instance import Instance, open_instance


def test_migrated_database_equals_the_schema(instance: Instance) -> None:
    with instance.database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        assert compare_metadata(context, metadata) == []


def test_head_is_the_newest_script() -> None:
    config = Config()
    config.set_main_option("script_location", os.path.dirname(migrations.__file__))
    assert ScriptDirectory.from_config(config).get_current_head() == migrations.HEAD


def test_a_database_of_a_newer_lineal_is_left_alone(
    instance: Instance, settings: Settings, home: Path
) -> None:
    instance.close()
    with sqlite3.connect(home / "lineal.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'from-the-future'")
    connection.close()
    with pytest.raises(Unavailable, match="upgrade Lineal"):
        open_instance(settings)


def test_nothing_of_alembic_is_loaded_for_a_database_that_is_up_to_date(
    instance: Instance, home: Path
) -> None:
    import subprocess
    import sys

    code = (
        "import sys; from lineal.config import load; "
        "from lineal.service.instance import open_instance; open_instance(load()).close(); "
        "sys.exit('alembic' in sys.modules or 'psycopg' in sys.modules)"
    )
    environment = os.environ | {"LINEAL_HOME": str(home)}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0
