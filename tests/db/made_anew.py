"""Write down how the migrations leave an empty SQLite database: `python -m tests.db.made_anew`."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from alembic import command
from alembic.config import Config

from lineal.db import migrations
from lineal.db.engine import Database, sqlite_url

SCRIPTS = Path(migrations.__file__).parent


def alembic() -> Config:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    return config


def tables(path: Path) -> list[str]:
    """Return the statements that a SQLite database says it was made by, in their order."""
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")
        return [statement for (statement,) in found]


def tables_of_migrations() -> list[str]:
    """Return the same of a database that went through all migrations."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "migrated.db")
        database = Database(sqlite_url(str(path)))
        config = alembic()
        with database.writing() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
        database.close()
        return tables(path)


if __name__ == "__main__":
    text = "".join(f"{statement};\n" for statement in tables_of_migrations())
    SCRIPTS.joinpath(migrations.NEW_DATABASE).write_text(text)
