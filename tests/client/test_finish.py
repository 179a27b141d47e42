"""What `finish` does: it waits, names what failed, and says in which state the run ended."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

import lineal
from lineal.client import session
from lineal.errors import ArtifactsFailed, Gone, Invalid


@pytest.mark.parametrize("code", ["1", [1], 1.5, 2**31])
def test_what_is_no_exit_code_leaves_the_run_to_be_finished(code):
    run = lineal.init()
    with pytest.raises((TypeError, Invalid), match=r"whole number|32 bits"):
        run.finish(exit_code=code)
    run.finish(exit_code=3)
    assert lineal.Api().run(run.path).exit_code == 3


def test_what_is_no_exit_code_is_not_that_of_the_next_call():
    run = lineal.init()
    with pytest.raises(Invalid, match="32 bits"):
        run.finish(exit_code=2**40)
    run.finish()
    assert lineal.Api().run(run.path).state == "finished"


def test_finish_names_every_artifact_that_failed():
    run = lineal.init()
    for name in ("one", "two"):
        Path(f"{name}.txt").write_text(name)
        artifact = lineal.Artifact(name, "dataset")
        artifact.add_file(f"{name}.txt", policy="immutable")
        Path(f"{name}.txt").unlink()
        run.log_artifact(artifact)
    with pytest.raises(ArtifactsFailed, match=r"(?s)one.*two") as failed:
        run.finish()
    assert set(failed.value.failures) == {"one", "two"}
    stored = run.backend.run_by_key(run.record.key)
    assert (stored.state, stored.exit_code) == ("failed", 1)
    assert lineal.run is None


def test_what_could_not_be_stored_is_said_while_the_run_goes_on(capsys):
    run = lineal.init()
    run._stop_ticks()  # it happens below, when it is known what has failed by then
    for name in ("lost", "waited-for"):
        Path("f.txt").write_text(name)
        artifact = lineal.Artifact(name, "dataset")
        artifact.add_file("f.txt", policy="immutable")
        Path("f.txt").unlink()
        run.log_artifact(artifact)
    with pytest.raises(FileNotFoundError):
        artifact.wait()  # the second; the first failed before
    for _ in range(2):
        run._tick()
    said = capsys.readouterr().err
    assert said.count("artifact lost was not stored: ") == 1
    assert "waited-for was not stored" not in said
    with pytest.raises(ArtifactsFailed):
        run.finish()


def test_failed_artifacts_only_warn_when_told_so(capsys):
    run = lineal.init(settings={"raise_on_failed_artifacts": False})
    Path("a.txt").write_text("a")
    artifact = lineal.Artifact("one", "dataset")
    artifact.add_file("a.txt", policy="immutable")
    Path("a.txt").unlink()
    run.log_artifact(artifact)
    run.finish()
    assert "one" in capsys.readouterr().err
    assert run.backend.run_by_key(run.record.key).state == "failed"


def test_a_run_says_that_it_is_alive_while_its_end_takes_long():
    run = lineal.init(settings={"heartbeat_seconds": 0.0})
    held = threading.Event()
    session.worker().submit(held.wait)
    run.log_artifact(lineal.Artifact("one", "dataset"))
    ending = threading.Thread(target=run.finish)
    ending.start()
    try:
        seen = set()
        until = time.monotonic() + 20
        while len(seen) < 3 and time.monotonic() < until:
            seen.add(run.backend.run_by_key(run.record.key).heartbeat_at)
            time.sleep(0.05)
    finally:
        held.set()
        ending.join()
    assert len(seen) == 3
    assert run.backend.run_by_key(run.record.key).state == "finished"


def test_heartbeats_and_lines_reach_the_backend_while_the_run_goes_on():
    run = lineal.init(settings={"heartbeat_seconds": 0.0})
    before = run.backend.run_by_key(run.record.key)
    run.log({"x": 1})
    until = time.monotonic() + 20
    while time.monotonic() < until:
        now = run.backend.run_by_key(run.record.key)
        if now.history_count == 1 and now.heartbeat_at > before.heartbeat_at and now.summary:
            break
        time.sleep(0.05)
    assert now.history_count == 1
    assert now.heartbeat_at > before.heartbeat_at
    assert now.summary["x"] == 1
    assert now.metadata


def test_values_that_could_not_be_stored_are_stored_once_they_can():
    run = lineal.init(config={"lr": 1}, settings={"git_commit": "c0ffee"})
    run.summary.update({"best": 0.1, "gone": 1})
    as_it_was = lineal.Api().run(run.path)
    run._collected.result()
    run._store_surroundings()
    as_it_was.delete()
    run.config.update({"lr": 2}, allow_val_change=True)
    run.summary["best"] = 0.5
    del run.summary["gone"]
    with pytest.raises(Gone):
        run.flush()
    lineal.Api().restore(run.path)
    run.finish()
    found = lineal.Api().run(run.path)
    assert (found.config, found.summary) == ({"lr": 2}, {"best": 0.5})
    assert found.metadata["git"]["commit"] == "c0ffee"


def test_the_last_words_name_the_state_that_a_run_ended_in(capsys):
    with lineal.init(name="stopped") as run:
        lineal.Api().run(run.path).stop()
    run = lineal.init(name="moved on")
    run.mark_preempting()
    run.finish(exit_code=1)
    lineal.init(name="wrong").finish(exit_code=3)
    said = capsys.readouterr().err
    for words in ("stopped killed", "moved on preempted", "wrong failed with exit code 3"):
        assert f"run {words}; see" in said
