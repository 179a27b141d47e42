"""A database whose values are not what its columns are for is recognised before it is read."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import Column, LargeBinary, Table

from lineal.core.access import Actor
from lineal.core.records import RunSpec
from lineal.db import damage
from lineal.db.schema import metadata
from lineal.service import lineage, runs
from lineal.service.instance import Instance
from lineal.service.verify import unreadable
from tests.service.drafts import log


class RolledBack(Exception):
    pass


@pytest.fixture
def filled(instance: Instance, owner: Actor, tmp_path: Path) -> Instance:
    run = runs.start(instance, owner, RunSpec("ana", "vision", "train", tags=("night",))).run
    used = log(instance, owner, tmp_path, {"a": b"1"}, tags=("raw",), aliases=("prod",))
    lineage.use(instance, owner, run.key, used.id, alias="prod")
    log(instance, owner, tmp_path, {"a": b"2"}, run=run.key, sources=(used.id,))
    return instance


def found_after(instance: Instance, *statements: str) -> list[str]:
    """Return what is wrong after some statements, none of which stays."""
    found: list[str] = []
    with suppress(RolledBack), instance.database.writing() as connection:
        connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        for statement in statements:
            connection.exec_driver_sql(statement)
        found += [f"{where}: {what}" for _, where, what in damage.of_values(connection)]
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
