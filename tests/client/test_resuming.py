"""Resuming a run, and forking one (RUN-18, RUN-19)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from logged_rows import history

import lineal
from lineal.errors import Gone, Invalid, NotFound, RunNotFoundError, Unavailable, UsageError


def run_of(run: lineal.Run):
    return run.backend.run(run.entity, run.project, run.id)


# --- resume -------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["online", "offline"])
def test_must_without_an_id_asks_for_one(mode):
    with pytest.raises(UsageError, match=r"pass its id, .* or set LINEAL_RUN_ID"):
        lineal.init(resume="must", mode=mode)
    assert lineal.run is None


def test_an_existing_id_without_resume_is_an_error_naming_the_choices():
    lineal.init(id="a").finish()
    with pytest.raises(UsageError, match="resume"):
        lineal.init(id="a")


def test_resume_table(capsys):
    with pytest.raises(RunNotFoundError):
        lineal.init(id="a", resume="must")
    created = lineal.init(id="a", resume="allow")
    assert not created.resumed
    assert "created" in capsys.readouterr().err
    created.finish()
    resumed = lineal.init(id="a", resume="must")
    assert resumed.resumed
    assert "resumed" in capsys.readouterr().err
    resumed.finish()
    with pytest.raises(UsageError, match="never"):
        lineal.init(id="a", resume="never")
    lineal.init(id="b", resume="never").finish()


def test_resume_goes_on_with_steps_config_summary_and_tags(monkeypatch):
    with lineal.init(id="a", config={"lr": 0.1}, tags=["x"]) as run:
        run.log({"loss": 2.0})
        run.log({"loss": 1.0})
    monkeypatch.setenv("WANDB_RUN_ID", "a")
    monkeypatch.setenv("WANDB_RESUME", "allow")
    with lineal.init(config={"epochs": 3}) as again:
        assert again.step == 2
        assert dict(again.config.items()) == {"lr": 0.1, "epochs": 3}
        assert again.summary["loss"] == 1.0
        assert again.tags == ("x",)
        again.log({"loss": 0.5})
    record = run_of(again)
    assert record.last_step == 2
    assert record.history_count == 3
    assert record.config["epochs"] == 3


def test_resume_refuses_to_change_config_before_it_touches_the_run():
    lineal.init(id="a", config={"lr": 0.1}).finish()
    with pytest.raises(Invalid, match="allow_val_change"):
        lineal.init(id="a", resume="allow", config={"lr": 0.2})
    run = lineal.init(id="a", resume="allow", config={"lr": 0.2}, allow_val_change=True)
    assert run.config.lr == 0.2


def test_allow_warns_when_the_id_exists_in_another_project(capsys):
    lineal.init(id="a", project="one").finish()
    lineal.init(id="a", project="two", resume="allow")
    assert "ana/one/a" in capsys.readouterr().err


def test_a_deleted_id_cannot_be_used_again():
    run = lineal.init(id="a")
    run.finish()
    run.backend.delete_run(run.record.key)
    with pytest.raises(Gone):
        lineal.init(id="a", resume="allow")


def test_auto_resumes_what_did_not_finish_in_this_folder():
    run = lineal.init(resume="auto")
    run.finish(exit_code=1)
    again = lineal.init(resume="auto")
    assert again.id == run.id
    assert again.resumed
    again.finish()
    assert not Path("lineal", "resume.json").exists()
    assert lineal.init(resume="auto").id != run.id


def test_a_note_that_somebody_took_away_keeps_no_run_from_finishing():
    run = lineal.init(resume="auto")
    Path("lineal", "resume.json").unlink()
    run.finish()
    assert lineal.Api().run(run.path).state == "finished"


def die_amid_a_run(**how: str) -> None:
    """Log three rows of a run in a process that ends without a word."""
    options = {"project": "p", "name": "died"} | how
    program = (
        "import os, lineal\n"
        f"run = lineal.init(**{options!r})\n"
        "for loss in (3, 2, 1): run.log({'loss': loss})\n"
        "run.config['lr'], run.summary['best'] = 0.1, 7\n"
        "os._exit(1)\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 1


@pytest.mark.parametrize("how", [{"id": "a", "resume": "must"}, {"resume": "auto"}])
def test_a_run_whose_process_died_goes_on_where_that_was_in_one_that_had_the_home_open(how):
    lineal.init(project="p").finish()
    die_amid_a_run(**({"id": "a"} if "id" in how else how))
    with lineal.init(project="p", **how) as run:
        assert (run.name, run.resumed, run.step) == ("died", True, 3)
        assert (run.config["lr"], run.summary["best"], run.summary["loss"]) == (0.1, 7, 1)
        run.log({"loss": 0})
    assert [row["_step"] for row in history(run)] == [0, 1, 2, 3]


def test_what_a_dead_process_logged_is_read_in_one_that_had_the_home_open():
    lineal.init(project="p").finish()
    api = lineal.Api()
    for number, find in enumerate(
        (
            lambda: api.run("p/r0"),
            lambda: api.runs("p", filters={"name": "r1"})[0],
            lambda: lineal.Api().run("p/r2"),
        )
    ):
        die_amid_a_run(id=f"r{number}")
        read = find()
        assert (read.state, read.summary["best"], len(read.history())) == ("crashed", 7, 3)


@pytest.mark.parametrize("mode", ["online", "offline"])
def test_auto_leaves_a_run_alone_that_still_goes_on(mode, capsys):
    first = lineal.init(resume="auto", mode=mode)
    second = lineal.init(resume="auto", mode=mode, reinit="create_new")
    assert second.id != first.id
    assert f"run {first.id}, which was remembered in this folder, still goes on" in (
        capsys.readouterr().err
    )
    first.finish()  # without it, the note is the one of the second
    second.finish(exit_code=1)
    assert lineal.init(resume="auto", mode=mode).id == second.id


def test_auto_is_forgotten_by_a_run_without_resume(tmp_path, monkeypatch):
    run = lineal.init(resume="auto")
    run.finish(exit_code=1)
    lineal.init().finish()
    assert lineal.init(resume="auto").id != run.id


def test_auto_where_it_cannot_note_the_run_starts_none(monkeypatch):
    Path("file").touch()
    monkeypatch.setenv("LINEAL_DIR", "file")
    for _ in range(2):
        with pytest.raises(Unavailable, match=r"Cannot remember the run .* Set LINEAL_DIR"):
            lineal.init(resume="auto", project="p")
    assert len(lineal.Api().projects()) == 0


def test_a_note_of_another_run_that_cannot_be_removed_keeps_no_run_from_beginning(capsys):
    Path("lineal/resume.json").mkdir(parents=True)  # as little to be removed as in a read-only one
    lineal.init(id="a").finish()
    assert "remembered in" in capsys.readouterr().err
    assert lineal.Api().runs()[0].state == "finished"


def test_a_run_that_cannot_be_noted_does_not_seem_to_go_on():
    Path("lineal/resume.json").mkdir(parents=True)
    with pytest.raises(Unavailable, match=r"remember the run in .*resume\.json: Is a directory"):
        lineal.init(id="a", resume="auto")
    assert lineal.run is None
    assert [(run.id, run.state) for run in lineal.Api().runs()] == [("a", "failed")]


def test_auto_with_an_explicit_id_takes_that_and_says_so(capsys):
    lineal.init(resume="auto", id="one").finish(exit_code=1)
    assert lineal.init(resume="auto", id="two").id == "two"
    assert "not one" in capsys.readouterr().err


def test_in_shared_mode_whoever_comes_later_joins_the_run_and_steps_are_its_own(capsys):
    settings = lineal.Settings(mode="shared", x_primary=False, x_label="node-1")
    first = lineal.init(id="a", mode="shared")
    first.log({"x": 0}, step=5)
    first.log({"x": 1}, step=6)
    second = lineal.init(id="a", settings=settings, reinit="create_new")
    second.log({"y": 0}, step=0)
    second.log({"y": 1}, step=1)
    second.finish()
    first.finish()
    logged = history(first)
    assert sorted(row["x"] for row in logged if "x" in row) == [0, 1]
    assert sorted(row["y"] for row in logged if "y" in row) == [0, 1]
    assert "was ignored" not in capsys.readouterr().err


def test_in_shared_mode_an_explicit_resume_still_counts():
    lineal.init(id="a").finish()
    with pytest.raises(UsageError, match="never"):
        lineal.init(id="a", mode="shared", resume="never")


# --- forking ------------------------------------------------------------------------------------


def test_a_fork_shares_history_and_summary_up_to_the_step():
    with lineal.init(id="parent", config={"lr": 1}) as parent:
        for value in range(5):
            parent.log({"x": value})
    with lineal.init(fork_from="parent?_step=2") as fork:
        assert fork.step == 3
        assert fork.summary["x"] == 2
        assert fork.config.lr == 1
        fork.log({"x": 10})
    assert run_of(fork).history_count == 4
    assert run_of(parent).history_count == 5


def test_the_summary_of_a_fork_is_that_of_the_step_with_metric_definitions():
    with lineal.init(id="parent") as parent:
        parent.define_metric("loss", summary="min")
        for value in (3, 2, 5, 1):
            parent.log({"loss": value})
    with lineal.init(fork_from="parent?_step=2") as fork:
        assert (fork.summary["loss"], "loss" in list(fork.summary)) == ({"min": 2}, False)
        fork.log({"loss": 4})
    assert run_of(fork).summary["loss.min"] == 2


@pytest.mark.parametrize("prefix", ["LINEAL", "WANDB"])
def test_the_environment_may_say_what_is_forked_or_rewound(prefix, monkeypatch):
    with lineal.init(id="parent") as parent:
        for value in range(5):
            parent.log({"x": value})
    monkeypatch.setenv(f"{prefix}_FORK_FROM", "parent?_step=2")
    with lineal.init() as fork:
        assert (fork.id != "parent", fork.step) == (True, 3)
    monkeypatch.delenv(f"{prefix}_FORK_FROM")
    monkeypatch.setenv(f"{prefix}_RESUME_FROM", "parent?_step=1")
    with lineal.init() as rewound:
        assert (rewound.id, rewound.step) == ("parent", 2)


def test_settings_may_say_what_is_forked():
    with lineal.init(id="parent") as parent:
        parent.log({"x": 1})
    with lineal.init(settings=lineal.Settings(fork_from="parent?_step=0")) as fork:
        assert (fork.id != "parent", fork.step) == (True, 1)


def test_a_fork_that_is_not_possible_leaves_no_run_behind():
    with lineal.init(id="parent") as parent:
        parent.log({"x": 1})
    with pytest.raises(Invalid, match="its last step is 0"):
        lineal.init(fork_from="parent?_step=300")
    with pytest.raises(NotFound, match="nobody"):
        lineal.init(fork_from="nobody?_step=0")
    assert [run.id for run in lineal.Api().runs("uncategorized")] == ["parent"]


def test_fork_and_resume_exclude_each_other():
    with pytest.raises(UsageError):
        lineal.init(fork_from="a?_step=1", resume="allow")
    with pytest.raises(Invalid):
        lineal.init(fork_from="a")
