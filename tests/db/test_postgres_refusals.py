"""What PostgreSQL refuses is told by its states, not by words that SQLite has for other things."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Barrier

import pytest
import sqlalchemy
from tests.races import PATIENCE

from lineal.db.engine import Database
from lineal.errors import LinealError, Unavailable
from lineal.service.instance import Instance

_LOCK = "SELECT pg_advisory_xact_lock({})"


def test_of_two_calls_that_wait_for_each_other_one_is_broken_off_and_says_so(
    postgres_instance: Instance,
) -> None:
    both_hold_one = Barrier(2)

    def call(first: int, then: int) -> LinealError | None:
        try:
            with postgres_instance.database.writing() as connection:
                connection.exec_driver_sql(_LOCK.format(first))
                both_hold_one.wait(PATIENCE)
                connection.exec_driver_sql(_LOCK.format(then))
        except LinealError as error:
            return error
        return None

    with ThreadPoolExecutor(2) as threads:
        calls = [threads.submit(call, 1, 2), threads.submit(call, 2, 1)]
        (error,) = [told for each in calls if (told := each.result(PATIENCE)) is not None]
    assert type(error) is Unavailable
    assert "waited for each other" in str(error)
    assert "repeat the call" in str(error)
    assert "LINEAL_BUSY_TIMEOUT" not in str(error)


def test_who_waits_too_long_for_another_connection_is_told_so(postgres_instance: Instance) -> None:
    database = postgres_instance.database
    with database.writing() as holder:
        holder.exec_driver_sql(_LOCK.format(1))
        with (
            pytest.raises(Unavailable, match=r"^Another connection held what is needed"),
            database.writing() as connection,
        ):
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '1ms'; {_LOCK.format(1)}")


def test_a_server_that_does_not_answer_is_no_lock(postgres_instance: Instance) -> None:
    elsewhere = sqlalchemy.make_url(postgres_instance.database.url).set(
        database="locked_full_readonly"
    )
    with (
        closing(Database(elsewhere)) as database,
        pytest.raises(Unavailable, match=r"does not exist\. See whether its server runs"),
        database.reading(),
    ):
        pass
