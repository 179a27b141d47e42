"""What is said of a trial while another connection changes it (PostgreSQL)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lineal.core.records import RunKey, VersionRecord
from lineal.core.trials import TrialProgress, TrialState
from lineal.db import aliases as aliases_db
from lineal.db import collections as collections_db
from lineal.db import sweeps as sweeps_db
from lineal.db import trials as trials_db
from lineal.db import versions as versions_db
from lineal.service import catalog
from lineal.service.instance import Instance
from lineal.service.sweep import handout, trials
from tests.races import PATIENCE, is_waiting, wait_until
from tests.service.drafts import log
from tests.service.sweep.conftest import OWNER, RANDOM, ask, done, join, make, run_of


@pytest.fixture
def instance(postgres_instance: Instance) -> Instance:
    return postgres_instance


def test_the_record_of_a_best_version_that_is_left_says_where_the_alias_was(
    instance: Instance, tmp_path: Path
) -> None:
    sweep = make(instance, RANDOM | {"best_alias": True})
    agent = join(instance, sweep)
    worse, better = ask(instance, sweep, agent), ask(instance, sweep, agent)

    def logged(name: str, content: bytes, run: RunKey | None = None) -> VersionRecord:
        return log(
            instance, OWNER, tmp_path, {"model": content},
            project="p", collection=name, type="model", run=run,
        )  # fmt: skip

    logged("first", b"0", run_of(instance, worse, sweep))
    done(instance, worse, sweep, agent, loss=0.9)
    moved_to = logged("first", b"1")
    logged("second", b"2", run_of(instance, better, sweep, loss=0.1))
    assert better.trial is not None
    found = catalog.collection(instance, OWNER, "ana", "p", "first")
    with ThreadPoolExecutor(1) as threads:
        with instance.database.writing() as connection:
            collections_db.lock(connection, found.id)
            place = versions_db.Membership(moved_to.membership_id, moved_to.number)
            aliases_db.put(
                connection, found.id, place, ["best"], actor="ana", now=instance.clock.now()
            )
            end = threads.submit(
                trials.finish, instance, OWNER, better.trial.key, agent, TrialState.FINISHED
            )
            wait_until(lambda: is_waiting(instance))
        end.result(PATIENCE)
    moves = catalog.alias_history(instance, OWNER, found.id, "best")
    assert [(move.before, move.after) for move in moves] == [
        (None, "v0"),
        ("v0", "v1"),
        ("v1", None),
    ]


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
            handout.put_back(connection, trials_db.by_key(connection, trial.key), None)
            report = threads.submit(
                trials.report, instance, OWNER, trial.key, trial.run_id, progress
            )
            wait_until(lambda: is_waiting(instance))
        answer = report.result(PATIENCE)
    assert not answer.goes_on
    with instance.database.reading() as connection:
        assert trials_db.by_key(connection, trial.key).progress is None
