"""A database whose values are not what its columns are for is recognised before it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import Column, Connection, LargeBinary, Table, Text

from lineal.core.access import Actor
from lineal.core.records import RunSpec, VersionId
from lineal.db import damage
from lineal.db.column_types import Json
from lineal.db.schema import metadata
from lineal.errors import IntegrityError
from lineal.service import catalog, lineage, runs
from lineal.service.instance import Instance
from lineal.service.verify import unreadable, verify
from tests.service.drafts import log

Look = Callable[[Connection], Iterator[tuple[str, str, str]]]
NO_TEXT = "CAST(x'41ff42' AS TEXT)"


class RolledBack(Exception):
    pass


@pytest.fixture
def filled(instance: Instance, owner: Actor, tmp_path: Path) -> Instance:
    run = runs.start(instance, owner, RunSpec("ana", "vision", "train", tags=("night",))).run
    used = log(instance, owner, tmp_path, {"a": b"1"}, tags=("raw",), aliases=("prod",))
    lineage.use(instance, owner, run.key, used.id, alias="prod")
    log(instance, owner, tmp_path, {"a": b"2"}, run=run.key, sources=(used.id,))
    return instance


def found_after(instance: Instance, *statements: str, look: Look = damage.of_values) -> list[str]:
    """Return what is wrong after some statements, none of which stays."""
    found: list[str] = []
    with suppress(RolledBack), instance.database.writing() as connection:
        connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        for statement in statements:
            connection.exec_driver_sql(statement)
        found += [f"{where}: {what}" for _, where, what in look(connection)]
        raise RolledBack
    return found


def columns(instance: Instance) -> dict[Table, list[Column[object]]]:
    """Return the columns of the tables that hold anything, but for the numbers of rows."""
    with instance.database.reading() as connection:
        return {
            table: [column for column in table.c if column.name != "id"]
            for table in metadata.sorted_tables
            if connection.exec_driver_sql(f"SELECT count(*) FROM {table.name}").scalar()
        }


def test_a_value_of_another_type_is_found_in_every_column(filled: Instance, owner: Actor) -> None:
    assert unreadable(filled, owner) is None
    every = columns(filled)
    assert len(every) > 15
    for table, wrong in every.items():
        blob, text = "x'ff'", "'x'"
        values = [
            f"{each.name} = {text if isinstance(each.type, LargeBinary) else blob}"
            for each in wrong
        ]
        found = "\n".join(
            found_after(filled, f"UPDATE OR REPLACE {table.name} SET {', '.join(values)}")
        )
        for each in wrong:
            said = (f"{each.name} is blob", f"{each.name} is text", f"no moment: {each.name}")
            assert any(text in found for text in said), each
    assert unreadable(filled, owner) is None


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("UPDATE versions SET metadata = '[]'", "versions 1: no JSON object: metadata"),
        ("UPDATE runs SET config = '5'", "runs 1: config is integer, not text"),
        ("UPDATE runs SET config = '\"x\"'", "runs 1: no JSON object: config"),
        ("UPDATE projects SET protected_aliases = '{}'", "no JSON array: protected_aliases"),
        ("UPDATE runs SET project_id = 7", "runs: 1 lead to projects that are lost"),
        ("UPDATE entities SET name = '../..'", "entities: Entity '../..'"),
        ("UPDATE collections SET name = 'a/b'", "collections: Artifact name 'a/b'"),
        ("UPDATE runs SET run_id = ''", "runs: Run id ''"),
    ],
)
def test_what_cannot_be_is_said_with_its_place(filled: Instance, damage: str, said: str) -> None:
    assert said in "\n".join(found_after(filled, damage))


def test_a_text_that_is_no_utf_8_is_found_in_every_column(filled: Instance, owner: Actor) -> None:
    with filled.database.writing() as connection:
        connection.exec_driver_sql("UPDATE runs SET name = 'Été', notes = char(1) || char(127)")
    assert unreadable(filled, owner) is None
    for table, every in columns(filled).items():
        texts = [each.name for each in every if isinstance(each.type, (Json, Text))]
        for name in texts:
            damaged = f"UPDATE OR REPLACE {table.name} SET {name} = {NO_TEXT}"
            found = found_after(filled, damaged, look=damage.of_texts)
            assert found, name
            assert all(f"{name} is no UTF-8: b'A\\xffB'" in each for each in found)
    assert unreadable(filled, owner) is None


def test_verify_names_the_text_and_others_say_that_the_database_is_damaged(
    filled: Instance, owner: Actor
) -> None:
    with filled.database.writing() as connection:
        connection.exec_driver_sql(f"UPDATE versions SET description = {NO_TEXT} WHERE id = 1")
    (found,) = verify(filled, owner)
    assert (found.where, found.what) == ("versions 1", "description is no UTF-8: b'A\\xffB'")
    assert unreadable(filled, owner) == found
    with pytest.raises(IntegrityError, match=r"lineal\.db is damaged: Could not decode"):
        catalog.version_by_id(filled, owner, VersionId(1))


def test_a_schema_that_is_no_utf_8_is_said_as_damage(filled: Instance, owner: Actor) -> None:
    with filled.database.writing() as connection:
        connection.exec_driver_sql("PRAGMA writable_schema = ON")
        connection.exec_driver_sql(
            f"UPDATE sqlite_master SET sql = replace(sql, 'REFERENCES', {NO_TEXT})"
            " WHERE name = 'runs'"
        )
    filled.close()
    with pytest.raises(IntegrityError, match=r"lineal\.db is damaged: malformed .*A.xffB"):
        unreadable(filled, owner)
