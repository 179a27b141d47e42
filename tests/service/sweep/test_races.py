"""What is said of a trial while another connection changes it (PostgreSQL)."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lineal.core.trials import TrialProgress
from lineal.db import sweeps as sweeps_db
from lineal.service.instance import Instance
from lineal.service.sweep import handout, trials
from tests.conftest import MovableClock
from tests.gc.databases import PostgresDatabases, open_on
from tests.gc.test_races import PATIENCE, is_waiting, wait_until
from tests.service.sweep.conftest import OWNER, RANDOM, ask, join, make


@pytest.fixture
def instance(
    postgres: PostgresDatabases, tmp_path: Path, clock: MovableClock
) -> Iterator[Instance]:
    url = postgres.fresh()
    opened = open_on(url, tmp_path / "home", clock)
    yield opened
    opened.close()
    postgres.drop(url)


def test_a_run_that_loses_its_trial_as_it_reports_leaves_nothing_to_the_next_run(
    instance: Instance,
) -> None:
    sweep = make(instance, RANDOM)
    trial = ask(instance, sweep, join(instance, sweep)).trial
    assert trial is not None
    progress = TrialProgress(logged=3, best=0.5, at={})
    with ThreadPoolExecutor(1) as threads:
        with instance.database.writing() as connection:
            sweeps_db.lock(connection, sweep.key)
            handout.put_back(connection, sweeps_db.trial(connection, trial.key), None)
            report = threads.submit(
                trials.report, instance, OWNER, trial.key, trial.run_id, progress
            )
            wait_until(lambda: is_waiting(instance))
        answer = report.result(PATIENCE)
    assert not answer.goes_on
    with instance.database.reading() as connection:
        assert sweeps_db.trial(connection, trial.key).progress is None
