from __future__ import annotations

import os
import sys
import threading
from argparse import Namespace
from functools import partial
from pathlib import Path

import pytest
import yaml

import lineal
from lineal.client import session
from lineal.errors import Invalid, Unavailable, UsageError


def run_of(run: lineal.Run):
    return run.backend.run(run.entity, run.project, run.id)


def test_a_working_directory_that_was_removed_is_said(tmp_path, monkeypatch):
    (tmp_path / "removed").mkdir()
    monkeypatch.chdir(tmp_path / "removed")
    (tmp_path / "removed").rmdir()
    for call in (lineal.init, lambda: lineal.init(project="p"), lineal.Api):
        with pytest.raises(Unavailable, match="working directory of this process is gone"):
            call()


def test_a_working_directory_that_is_removed_later_is_said_of_what_lies_in_it(
    tmp_path, monkeypatch
):
    (tmp_path / "file").write_text("x")
    run, artifact = lineal.init(project="p"), lineal.Artifact("data", "dataset")
    (tmp_path / "removed").mkdir()
    monkeypatch.chdir(tmp_path / "removed")
    (tmp_path / "removed").rmdir()
    artifact.add_file(tmp_path / "file")
    run.save(tmp_path / "file")
    run.log_artifact(artifact).wait().download(tmp_path / "fetched")
    draft = artifact.new_draft()
    for call in (
        partial(draft.add_file, "file"),
        partial(draft.add_dir, "folder"),
        partial(draft.get_added_local_path_name, "file"),
        artifact.download,
        partial(artifact.download, "folder"),
        partial(artifact.checkout, "folder"),
        partial(run.save, "file"),
        run.log_code,
    ):
        with pytest.raises(Unavailable, match="working directory of this process is gone"):
            call()
    run.finish()


def test_a_run_gets_an_id_a_label_and_the_default_project():
    run = lineal.init()
    assert len(run.id) == 8
    assert "-" in run.name
    assert run.path == f"ana/uncategorized/{run.id}"
    assert run_of(run).state == "running"


@pytest.mark.parametrize("mode", ["online", "offline"])
def test_the_settings_of_a_run_say_what_run_it_is(mode):
    with lineal.init(mode=mode) as run:
        said = dict(run.settings)
    assert [said[name] for name in ("entity", "project", "run_id", "run_name")] == [
        run.entity,
        run.project,
        run.id,
        run.name,
    ]


def test_what_a_run_logs_in_a_work_tree_is_found_by_its_bare_name(monkeypatch, tmp_path):
    tree = tmp_path / "vision"
    (tree / ".git").mkdir(parents=True)
    monkeypatch.chdir(tree)
    with lineal.init() as run:
        artifact = lineal.Artifact("gx", "dataset")
        with artifact.new_file("a.txt") as file:
            file.write("a")
        run.log_artifact(artifact).wait()
    assert run.project == "vision"
    api = lineal.Api()
    assert api.artifact("gx").project == "vision"
    assert api.run(run.id) == api.runs()[0]
    assert api.settings["project"] == "vision"
    lineal.Artifact("copy", "dataset").add_reference("lineal://gx:v0")


def test_explicit_arguments_win_over_settings_which_win_over_the_environment(monkeypatch):
    monkeypatch.setenv("WANDB_PROJECT", "from-environment")
    monkeypatch.setenv("WANDB_RUN_GROUP", "from-environment")
    monkeypatch.setenv("WANDB_JOB_TYPE", "from-environment")
    settings = {"project": "from-settings", "run_group": "from-settings"}
    run = lineal.init(project="explicit", settings=settings)
    assert (run.project, run.group, run.job_type) == (
        "explicit",
        "from-settings",
        "from-environment",
    )


def test_a_misspelt_variable_is_named_once(monkeypatch, capsys):
    monkeypatch.setenv("LINEAL_PROJETC", "vision")
    monkeypatch.setenv("LINEAL_COLOUR", "blue")
    for _ in range(2):
        lineal.init().finish()
    err = capsys.readouterr().err
    told = "LINEAL_PROJETC is no variable of Lineal's and changes nothing; did you mean `LINEAL_"
    assert err.count(told) == 1
    assert "LINEAL_COLOUR" not in err, "the program may read it"


def test_the_project_is_named_after_the_work_tree(tmp_path, monkeypatch):
    tree = tmp_path / "my project"
    (tree / ".git").mkdir(parents=True)
    (tree / "sub").mkdir()
    monkeypatch.chdir(tree / "sub")
    run = lineal.init(settings={"program": str(tree / "sub" / "train.py"), "disable_git": True})
    assert run.project == "my_project"


@pytest.mark.parametrize("bad", ["a/b", "a:b", "x" * 65, "a%b"])
@pytest.mark.parametrize("mode", ["online", "offline"])
def test_a_run_id_that_breaks_the_rules_is_refused(bad, mode):
    with pytest.raises(UsageError):
        lineal.init(id=bad, mode=mode)
    assert lineal.run is None


@pytest.mark.parametrize("mode", ["online", "offline"])
@pytest.mark.parametrize(
    "wrong",
    [
        {"project": "a/b"},
        {"project": "x" * 129},
        {"config": {"a": 1}, "config_include_keys": ["a"], "config_exclude_keys": ["a"]},
    ],
)
def test_arguments_that_wandb_calls_wrong_usage_are_wrong_usage_here(wrong, mode):
    with pytest.raises(UsageError):
        lineal.init(**wrong, mode=mode)
    assert lineal.run is None


def test_the_active_run_is_a_module_attribute_and_module_functions_forward_to_it():
    assert lineal.run is None
    run = lineal.init(config={"lr": 0.1})
    assert lineal.run is run
    lineal.log({"loss": 1.0})
    assert lineal.config.lr == 0.1
    assert lineal.summary["loss"] == 1.0
    lineal.finish()
    assert lineal.run is None


def test_teardown_finishes_all_runs():
    runs = [lineal.init(), lineal.init(reinit="create_new")]
    lineal.teardown()
    assert [lineal.Api().run(run.path).state for run in runs] == ["finished", "finished"]
    assert lineal.run is None


def test_module_functions_say_that_there_is_no_run():
    for call in (lambda: lineal.log({}), lambda: lineal.use_artifact("x"), lambda: lineal.config.a):
        with pytest.raises(UsageError, match="no active run"):
            call()
    with pytest.raises(UsageError):
        lineal.summary["loss"] = 1
    assert [bool(lineal.config), bool(lineal.summary)] == [True, True]  # which is no use of them


def test_a_block_in_a_generator_that_is_left_by_break_finishes_the_run():
    def epochs():
        with lineal.init(id="a") as run:
            for epoch in range(9):
                run.log({"epoch": epoch})
                yield epoch

    for epoch in epochs():
        if epoch == 2:
            break
    run = lineal.Api().run("uncategorized/a")
    assert (run.state, run.summary["epoch"]) == ("finished", 2)


def test_a_block_finishes_the_run_and_an_exception_in_it_fails_the_run():
    with lineal.init() as good:
        pass
    assert run_of(good).state == "finished"
    with pytest.raises(ZeroDivisionError), lineal.init() as bad:
        _ = 1 / 0
    assert (run_of(bad).state, run_of(bad).exit_code) == ("failed", 1)
    with pytest.raises(KeyboardInterrupt), lineal.init() as interrupted:
        raise KeyboardInterrupt
    assert (run_of(interrupted).state, run_of(interrupted).exit_code) == ("failed", 255)
    with pytest.raises(SystemExit), lineal.init() as left:
        raise SystemExit(3)
    assert run_of(left).exit_code == 3


def test_finish_with_an_exit_code_fails_the_run_and_twice_does_nothing():
    run = lineal.init()
    run.finish(exit_code=7)
    run.finish()
    assert (run_of(run).state, run_of(run).exit_code) == ("failed", 7)


# --- setup --------------------------------------------------------------------------------------


def test_settings_of_setup_hold_for_each_init_until_teardown(monkeypatch):
    monkeypatch.setenv("LINEAL_PROJECT", "of-environment")
    lineal.setup(settings=lineal.Settings(project="common", run_group="night"))
    in_force = lineal.setup({"reinit": "create_new"}).settings
    assert (in_force.project, in_force.reinit, in_force.mode) == ("common", "create_new", "online")
    first, second = lineal.init(), lineal.init(project="own", settings={"run_group": "day"})
    assert (first.project, first.group) == ("common", "night")
    assert (second.project, second.group) == ("own", "day")
    lineal.teardown()
    assert lineal.init().project == "of-environment"


def test_the_home_that_setup_says_is_the_same_after_a_change_of_folder(tmp_path, monkeypatch):
    lineal.setup({"home": "relative"})
    monkeypatch.chdir(tmp_path)
    lineal.init().finish()
    assert (tmp_path / "work" / "relative" / "lineal.db").is_file()


def test_setup_refuses_what_init_refuses():
    with pytest.raises(Invalid, match="No setting is called `projekt`; did you mean `project`"):
        lineal.setup({"projekt": "p"})
    with pytest.raises(TypeError, match="settings must be a Settings object or a dict"):
        lineal.setup(5)
    lineal.setup()
    assert lineal.init().project == "uncategorized"


# --- config -------------------------------------------------------------------------------------


def test_config_is_taken_from_namespace_yaml_and_defaults_file():
    Path("config-defaults.yaml").write_text("lr: {desc: rate, value: 0.5}\nbatch: 8\n")
    run = lineal.init(config=Namespace(lr=0.1, epochs=2))
    assert run.config.as_dict() == {"lr": 0.1, "batch": 8, "epochs": 2}
    run.finish()
    Path("config-defaults.yaml").unlink()
    Path("mine.yaml").write_text("a: 1\n")
    assert lineal.init(config="mine.yaml").config.a == 1


@pytest.mark.parametrize("allow", [None, True])
def test_defaults_change_nothing_of_a_run_that_goes_on_or_is_forked(allow):
    Path("config-defaults.yaml").write_text("lr: 0.5\n")
    with lineal.init(id="a", config={"--lr": 0.1}) as run:
        run.log({"x": 1})
    Path("config-defaults.yaml").write_text("lr: 0.5\nbatch: 8\n")
    with lineal.init(id="a", resume="must", allow_val_change=allow) as run:
        assert run.config.as_dict() == {"lr": 0.1, "batch": 8}
    with lineal.init(fork_from="a?_step=0", allow_val_change=allow) as run:
        assert run.config.as_dict() == {"lr": 0.1, "batch": 8}
    with lineal.init(resume_from="a?_step=0", allow_val_change=allow) as run:
        assert run.config.as_dict() == {"lr": 0.1, "batch": 8}
    with lineal.init(fork_from="a?_step=0", config={"lr": 1}) as run:
        assert run.config.lr == 1


def test_a_number_with_an_exponent_is_a_number_in_yaml():
    Path("mine.yaml").write_text("{a: 1e-5, b: -1E3, c: '1e5', d: 1e, e: {f: [.5e+1]}}")
    values = {"a": 1e-5, "b": -1000.0, "c": "1e5", "d": "1e", "e": {"f": [5.0]}}
    with lineal.init(config="mine.yaml") as run:
        assert run.config.as_dict() == values
    lineal.Api().run(run.path).file("config.yaml").download(root="saved").close()
    assert yaml.safe_load(Path("saved/config.yaml").read_text())["a"] == {"value": 1e-5}
    assert lineal.init(config="saved/config.yaml").config.as_dict() == values


def test_config_keys_can_be_included_or_excluded():
    values = {"a": 1, "b": 2}
    run = lineal.init(config=values, config_include_keys=["a"], reinit="create_new")
    assert run.config.as_dict() == {"a": 1}
    run = lineal.init(config=values, config_exclude_keys=["a"], reinit="create_new")
    assert run.config.as_dict() == {"b": 2}
    flags = {"--lr": 1, "--lr-min": 2}
    run = lineal.init(config=flags, config_include_keys="lr-min", reinit="create_new")
    assert run.config.as_dict() == {"lr-min": 2}
    run = lineal.init(config=flags, config_exclude_keys=["--lr"], reinit="create_new")
    assert run.config.as_dict() == {"lr-min": 2}


def test_a_path_from_config_yaml_that_is_missing_is_named():
    with pytest.raises(FileNotFoundError, match=r"nowhere\.yaml"):
        lineal.init(config="nowhere.yaml")


# --- the package --------------------------------------------------------------------------------


def test_the_submodule_config_does_not_hide_the_config_of_the_run():
    import lineal.config

    run = lineal.init(config={"a": 1})
    assert lineal.config is run.config
    from lineal.config import Settings

    assert lineal.Settings is Settings


def test_a_config_set_on_the_package_goes_to_the_active_run():
    run = lineal.init(config={"lr": 1, "seed": 3})
    lineal.config = {"lr": 0.1, "epochs": 2}
    assert (lineal.config.lr, lineal.config["epochs"], lineal.config.seed) == (0.1, 2, 3)
    run.finish()
    assert run_of(run).config == {"lr": 0.1, "epochs": 2, "seed": 3}


def test_config_that_is_set_before_an_init_that_is_refused_goes_to_the_next() -> None:
    lineal.config = {"lr": 0.1}
    with pytest.raises(Invalid):
        lineal.init(project="a/b")
    with lineal.init(project="p") as run:
        assert run.config.as_dict() == {"lr": 0.1}
    with lineal.init(project="p") as run:
        assert run.config.as_dict() == {}


def test_a_config_set_before_there_is_a_run_goes_to_the_next_one_alone():
    lineal.config = Namespace(lr=0.1, seed=3)
    assert lineal.config.lr == 0.1
    with lineal.init(config={"seed": 4}) as run:
        assert dict(lineal.config) == {"lr": 0.1, "seed": 4}
    assert run_of(run).config == {"lr": 0.1, "seed": 4}
    with lineal.init() as run:
        assert dict(lineal.config) == {}


def test_unknown_names_of_the_package_are_told_with_the_nearest():
    with pytest.raises(AttributeError, match="Artifact"):
        _ = lineal.Artefact  # type: ignore[attr-defined]  # that is the point


def test_login_needs_no_account():
    assert lineal.login(key="x") is True
    lineal.require("core")


def test_quiet_and_silent(capsys):
    lineal.init(settings={"quiet": True}).finish()
    assert capsys.readouterr().err == ""
    os.environ["WANDB_SILENT"] = "true"
    try:
        lineal.init().finish()
    finally:
        del os.environ["WANDB_SILENT"]
    assert capsys.readouterr().err == ""


def test_log_artifact_without_a_run_makes_and_finishes_one():
    Path("train.py").write_text("print(1)\n")
    code = lineal.Artifact(type="code")
    code.add_file("./train.py")
    logged = lineal.log_artifact(code)
    assert lineal.run is None
    assert logged.wait().version == "v0"
    producer = logged.logged_by()
    assert producer is not None
    assert (producer.job_type, producer.state) == ("auto", "finished")


def test_init_works_once_there_may_be_another_thread(monkeypatch):
    monkeypatch.setattr(session, "_process", session._Process())
    threading.stack_size(1 << 46)  # more than there is, so that none can be started
    try:
        with pytest.raises(Unavailable, match=r"`lineal-.*` cannot be started"):
            lineal.init()
    finally:
        threading.stack_size(0)
    with lineal.init() as run:
        run.log_artifact(lineal.Artifact("data", "dataset"))
    assert run_of(run).state == "finished"


def test_a_run_that_cannot_be_begun_has_failed_and_keeps_nothing_that_is_printed(
    monkeypatch, capsys
):
    monkeypatch.setattr(session, "_process", session._Process())
    before = sys.stdout.write
    threading.stack_size(1 << 46)  # more than there is, so that none can be started
    try:
        with pytest.raises(Unavailable, match=r"`lineal-.*` cannot be started"):
            lineal.init(id="a")
    finally:
        threading.stack_size(0)
    assert sys.stdout.write == before
    assert lineal.run is None
    assert lineal.Api().run("uncategorized/a").state == "failed"
