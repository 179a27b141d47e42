"""Settings: what wins over what, and a wrong value is named (RUN-1, CLI-6)."""

from __future__ import annotations

import copy
import os
import re
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from lineal.config import (
    Settings,
    acting_user,
    default_entity,
    environment_variables,
    load,
    setting_names,
    sources,
)
from lineal.errors import Invalid, Unavailable


def write_settings(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


# --- what wins ---


def test_arguments_win_over_settings_over_environment_over_files(home: Path) -> None:
    write_settings(home / "settings", "[default]\nproject = file\n")
    environ = {"LINEAL_HOME": str(home)}
    assert load(environ=environ).project == "file"
    environ["WANDB_PROJECT"] = "wandb"
    assert load(environ=environ).project == "wandb"
    environ["LINEAL_PROJECT"] = "environment"
    assert load(environ=environ).project == "environment"
    assert load(base=Settings(project="object"), environ=environ).project == "object"
    assert load(base={"project": "dict"}, environ=environ).project == "dict"
    explicit = {"project": "argument"}
    assert load(explicit, base=Settings(project="object"), environ=environ).project == "argument"


def test_file_of_the_working_folder_wins_over_that_of_the_home(home: Path) -> None:
    write_settings(home / "settings", "[default]\nproject = home\nentity = ana\n")
    write_settings(Path(".lineal"), "[default]\nproject = here\n")
    loaded = load(environ={"LINEAL_HOME": str(home)})
    assert (loaded.project, loaded.entity) == ("here", "ana")


def test_settings_file_is_looked_for_in_the_home_that_is_used(tmp_path: Path) -> None:
    write_settings(tmp_path / "other" / "settings", "[default]\nproject = other\n")
    assert load({"home": tmp_path / "other"}).project == "other"


def test_argument_none_counts_as_not_given() -> None:
    assert load({"project": None}, environ={"LINEAL_PROJECT": "p"}).project == "p"


def test_empty_variable_counts_as_not_given() -> None:
    environ = {"LINEAL_PROJECT": "", "WANDB_PROJECT": "p"}
    assert load(environ=environ).project == "p"


def test_home_is_never_that_of_wandb() -> None:
    assert load(environ={"WANDB_HOME": "/wandb"}).home == "~/.lineal"
    assert environment_variables("home") == ["LINEAL_HOME"]


@pytest.mark.parametrize("name", setting_names())
def test_every_setting_says_what_it_means_and_reads_both_prefixes(name: str) -> None:
    assert Settings.__dataclass_fields__[name].metadata["meaning"]
    variables = environment_variables(name)
    assert variables[0].startswith("LINEAL_")
    assert name == "home" or any(variable.startswith("WANDB_") for variable in variables)


def test_the_strongest_place_that_says_a_setting_is_its_source(home: Path) -> None:
    write_settings(home / "settings", "[default]\nproject = p\nentity = e\nstrict = true\n")
    write_settings(Path(".lineal"), "[default]\nproject = q\nentity = f\n")
    environ = {"LINEAL_HOME": str(home), "LINEAL_ENTITY": "", "WANDB_ENTITY": "g"}
    assert sources(environ) == {
        "home": "$LINEAL_HOME",
        "entity": "$WANDB_ENTITY",
        "project": str(Path(".lineal").absolute()),
        "strict": str(home / "settings"),
    }


def test_a_file_that_is_not_read_is_no_source(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(home / "empty"))
    write_settings(home / "settings", "[default]\nproject = p\n")
    write_settings(Path(".lineal"), f"[default]\nhome = {home}\n")
    assert load(environ={}).project is None
    assert sources({}) == {"home": str(Path(".lineal").absolute())}


def test_short_and_long_variables_of_wandb_are_read() -> None:
    assert load(environ={"WANDB_NAME": "n"}).run_name == "n"
    assert load(environ={"WANDB_RUN_NAME": "long", "WANDB_NAME": "short"}).run_name == "long"
    assert load(environ={"WANDB_RUN_ID": "r1"}).run_id == "r1"
    assert load(environ={"WANDB_TAGS": "a, b,,c "}).run_tags == ("a", "b", "c")


# --- values ---


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("online", "online"),
        ("run", "online"),
        ("shared", "shared"),
        ("offline", "offline"),
        ("dryrun", "offline"),
        ("OFFLINE", "offline"),
        ("disabled", "disabled"),
    ],
)
def test_old_spellings_of_modes_are_understood(text: str, mode: str) -> None:
    assert load({"mode": text}, environ={}).mode == mode


@pytest.mark.parametrize(
    ("text", "value"), [("1", True), ("TRUE", True), ("on", True), ("0", False), ("no", False)]
)
def test_booleans_are_read_from_text(text: str, value: bool) -> None:
    assert load(environ={"LINEAL_QUIET": text}).quiet is value


@pytest.mark.parametrize(
    ("given", "value"),
    [(True, "auto"), ("must", "must"), ("ALLOW", "allow"), (False, None), ("never", "never")],
)
def test_resume_takes_booleans_and_words(given: Any, value: str | None) -> None:
    assert load({"resume": given}, environ={}).resume == value


@pytest.mark.parametrize(
    ("given", "value"),
    [(True, "finish_previous"), (False, "return_previous"), ("create_new", "create_new")],
)
def test_reinit_takes_deprecated_booleans(given: Any, value: str) -> None:
    assert load({"reinit": given}, environ={}).reinit == value


@pytest.mark.parametrize(
    ("given", "value"),
    [("OFF", "off"), (False, "off"), ("wrap", "wrap"), ("redirect", "wrap"), ("auto", "wrap")],
)
def test_console_is_kept_or_not(given: Any, value: str) -> None:
    assert load({"console": given}, environ={}).console == value


def test_paths_may_be_path_objects(tmp_path: Path) -> None:
    assert load({"dir": tmp_path}, environ={}).dir == str(tmp_path)


def test_a_member_of_an_enum_of_texts_is_its_text() -> None:
    word = Enum("word", {"A": "sweep", "B": "must"}, type=str)
    given = load({"project": word.A, "run_tags": [word.A], "resume": word.B})
    assert (given.project, given.run_tags, given.resume) == ("sweep", ("sweep",), "must")


def test_a_tilde_at_the_beginning_of_any_path_is_the_users_home(tmp_path: Path) -> None:
    paths = ["dir", "artifact_dir", "cache_dir", "data_dir", "code_dir", "program", "git_root"]
    loaded = load(dict.fromkeys(paths, "~/x"), environ={})
    assert {getattr(loaded, name) for name in paths} == {os.path.expanduser("~/x")}
    several = load(environ={"WANDB_CONFIG_PATHS": "~/a.yaml,b.yaml"})
    assert several.config_paths == (os.path.expanduser("~/a.yaml"), "b.yaml")
    assert load({"project": "~x"}, environ={}).project == "~x"


@pytest.mark.parametrize(
    ("explicit", "message"),
    [
        ({"projet": "x"}, "No setting is called `projet`; did you mean `project`"),
        ({5: "x"}, "No setting is called `5`"),
        ({"mode": "onlin"}, "Unknown mode `onlin`"),
        ({"resume": "maybe"}, "`resume` cannot be 'maybe'"),
        ({"reinit": "maybe"}, "`reinit` cannot be 'maybe'"),
        ({"console": "none"}, "`console` cannot be 'none'; use `wrap` or `off`"),
        ({"quiet": "perhaps"}, "`quiet` cannot be 'perhaps'"),
        ({"home": 5}, "`home` cannot be 5: expected str, bytes or os.PathLike object, not int"),
        ({"dir": []}, r"`dir` cannot be \[\]: expected str"),
        ({"cache_dir": "a\0b"}, "`cache_dir` cannot be 'a.*b': no path has a NUL"),
        ({"home": "a\ud800"}, "`home` cannot be 'a.*': it is not valid Unicode"),
        ({"config_paths": ["a", "b\0"]}, "`config_paths` cannot be .*: no path has a NUL"),
        ({"init_timeout": "soon"}, "`init_timeout` cannot be 'soon'"),
        ({"undo_days": -5}, "`undo_days` cannot be -5: expected a number from 0 to 36,500"),
        ({"undo_days": "nan"}, "`undo_days` cannot be 'nan': expected a number from 0"),
        ({"heartbeat_seconds": "inf"}, "`heartbeat_seconds` cannot be 'inf'"),
        ({"busy_timeout": 1e9}, "`busy_timeout` cannot be 1000000000.0: .* to 2,000,000"),
        ({"pack_files_up_to": float("inf")}, "`pack_files_up_to` cannot be inf"),
        ({"run_tags": 7}, "`run_tags` cannot be 7"),
    ],
)
def test_wrong_setting_is_named(explicit: dict[str, Any], message: str) -> None:
    with pytest.raises(Invalid, match=message):
        load(explicit, environ={})


def test_the_place_of_a_wrong_setting_is_named(home: Path) -> None:
    environ = {"LINEAL_HOME": str(home), "WANDB_SILENT": "maybe", "LINEAL_MODE": "onlin"}
    with pytest.raises(Invalid, match=r"`silent` cannot be 'maybe': .*; .* from \$WANDB_SILENT$"):
        load({"mode": "online"}, environ=environ)
    with pytest.raises(Invalid, match=r"mode `onlin`.* from \$LINEAL_MODE$"):
        load({"silent": False}, environ=environ)
    with pytest.raises(Invalid, match=r"'maybe': expected true or false$"):
        load({"silent": "maybe", "mode": "online"}, environ=environ)
    write_settings(home / "settings", "[default]\nundo_days = few\n")
    for explicit, variables in (({}, {"LINEAL_HOME": str(home)}), ({"home": home}, {})):
        with pytest.raises(Invalid, match=r"`undo_days` cannot be 'few'.* from .*/home/settings$"):
            load(explicit, environ=variables)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[default]\nprojet = x\n", "did you mean `project`"),
        ("project = x\n", r"Cannot read the settings file .*begin it with \[default\]"),
    ],
)
def test_wrong_settings_file_is_named(home: Path, text: str, message: str) -> None:
    write_settings(home / "settings", text)
    with pytest.raises(Invalid, match=message) as raised:
        load(environ={"LINEAL_HOME": str(home)})
    assert str(home / "settings") in str(raised.value)


@pytest.mark.parametrize("name", setting_names())
def test_every_number_has_a_range_that_holds_its_default(name: str) -> None:
    default = getattr(Settings(), name)
    if isinstance(default, (int, float)) and not isinstance(default, bool):
        assert load({name: str(default)}, environ={}) == Settings(**{name: default})
        with pytest.raises(Invalid, match=f"`{name}` cannot be -1"):
            load({name: -1}, environ={})


def test_a_settings_file_that_is_not_utf8_is_named(home: Path) -> None:
    home.mkdir()
    (home / "settings").write_bytes(b"[default]\nproject = caf\xe9\n")
    with pytest.raises(Invalid, match="not UTF-8") as raised:
        load(environ={"LINEAL_HOME": str(home)})
    assert str(home / "settings") in str(raised.value)


def test_a_mark_of_byte_order_is_no_part_of_a_settings_file(home: Path) -> None:
    write_settings(home / "settings", "\ufeff[default]\nproject = theirs\n")
    assert load(environ={"LINEAL_HOME": str(home)}).project == "theirs"


def test_a_settings_file_that_cannot_be_read_does_not_count_as_empty(home: Path) -> None:
    write_settings(home / "settings", "[default]\nproject = theirs\n")
    if os.getuid() != 0:
        (home / "settings").chmod(0)
    else:  # root may read everything but this
        (home / "settings").unlink()
        (home / "settings").symlink_to("/proc/self/mem")
    with pytest.raises(Unavailable, match="Make it readable for this user") as raised:
        load(environ={"LINEAL_HOME": str(home)})
    assert str(home / "settings") in str(raised.value)


@pytest.mark.parametrize(
    "only_wandb",
    [
        {"base_url": "https://api.wandb.ai", "api_key": "k" * 40},
        {"start_method": "thread"},
        {"x_disable_stats": True, "_service_wait": 300},
    ],
)
def test_what_only_wandb_has_changes_nothing(only_wandb: dict[str, Any]) -> None:
    assert Settings(**only_wandb, project="p") == Settings(project="p")
    assert load(base={**only_wandb, "project": "p"}, environ={}).project == "p"


def test_wandbs_names_of_our_settings_are_read() -> None:
    given = Settings(root_dir="runs", _disable_meta=True, x_disable_machine_info=True)
    loaded = load(base=given, environ={})
    assert loaded.dir == os.path.abspath("runs")
    assert (loaded.disable_meta, loaded.disable_machine_info) == (True, True)


@pytest.mark.parametrize("name", ["projcet", "git_remote", "x_save_requirements"])
def test_settings_that_nobody_would_hear_are_refused(name: str) -> None:
    with pytest.raises(Invalid, match=name):
        Settings(**{name: "x"})


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Settings().project = "x"  # type: ignore[misc]  # this is what is tested


def test_settings_are_names_and_values() -> None:
    settings = Settings(project="p", mode="offline")
    assert list(dict(settings)) == setting_names()
    assert settings.model_dump() == dict(settings)
    assert settings.model_dump(exclude_unset=True) == {"project": "p", "mode": "offline"}
    assert Settings(**dict(settings)) == settings


def test_a_copy_of_settings_differs_in_what_is_given() -> None:
    settings = Settings(project="p", entity="ana")
    assert settings.copy() == copy.deepcopy(settings) == settings
    changed = settings.model_copy(update={"project": "q", "root_dir": "runs"})
    assert (changed.project, changed.entity, changed.dir) == ("q", "ana", "runs")
    environ = {"LINEAL_MODE": "offline"}
    assert load(base=changed, environ=environ).mode == "offline"  # which nobody said
    with pytest.raises(Invalid, match="projcet"):
        settings.copy(update={"projcet": "q"})


# --- the home ---


@pytest.mark.parametrize(
    ("given", "user", "entity"),
    [
        (Settings(entity="acme"), "ana", "acme"),
        (Settings(username="Ana Lu"), "ana", "Ana-Lu"),
        (Settings(), "ana", "ana"),
        (Settings(), "DOM\\ana", "DOM-ana"),
        (Settings(), "..", "local"),
    ],
)
def test_owner_is_the_entity_or_the_login_name(
    monkeypatch: pytest.MonkeyPatch, given: Settings, user: str, entity: str
) -> None:
    monkeypatch.setenv("USER", user)
    assert default_entity(given) == entity


@pytest.mark.parametrize(
    ("environment", "entity"),
    [({"LOGNAME": "ana"}, "ana"), ({"USER": "", "LOGNAME": "ana"}, "ana"), ({}, "local")],
)
def test_the_login_name_is_known_in_a_job_of_cron(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], entity: str
) -> None:
    for variable in ("USER", "LOGNAME", "USERNAME"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    assert default_entity(Settings()) == entity


def test_who_acts_is_the_username_or_the_login_name_whoever_the_owner_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("USER", "ana")
    assert acting_user(Settings(entity="acme")) == "ana"
    assert acting_user(Settings(entity="acme", username="Ben Li")) == "Ben-Li"


def test_a_settings_object_wins_over_the_environment_even_with_a_default_value() -> None:
    environment = {"WANDB_MODE": "offline", "LINEAL_PROJECT": "theirs"}
    loaded = load(base=Settings(mode="online"), environ=environment)
    assert (loaded.mode, loaded.project) == ("online", "theirs")


def test_a_path_without_text_counts_as_not_given(tmp_path: Path) -> None:
    environ = {"LINEAL_HOME": str(tmp_path), "LINEAL_CACHE_DIR": "/from/variable"}
    write_settings(tmp_path / "settings", "[default]\ndir = \n")
    loaded = load({"home": "", "cache_dir": ""}, environ=environ)
    assert (loaded.home, loaded.cache_dir, loaded.dir) == (str(tmp_path), "/from/variable", None)
    assert load(base=Settings(cache_dir=""), environ=environ).cache_dir == "/from/variable"


# --- relative folders ---


@pytest.mark.parametrize("name", ["home", "dir", "artifact_dir", "cache_dir", "data_dir"])
def test_the_folder_of_a_variable_is_the_same_after_a_change_of_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(f"LINEAL_{name.upper()}", "mine/../here")
    before = getattr(load(), name)
    monkeypatch.chdir(tmp_path)
    assert getattr(load(), name) == before == str(tmp_path / "work" / "here")


def test_what_is_no_folder_of_ours_is_left_as_it_was_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINEAL_PROGRAM", "train.py")
    monkeypatch.setenv("LINEAL_HOME", "~/mine")
    assert load().program == "train.py"
    assert (os.environ["LINEAL_PROGRAM"], os.environ["LINEAL_HOME"]) == ("train.py", "~/mine")


def test_a_folder_that_an_argument_says_is_below_the_working_directory_of_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load({"dir": "runs"}).dir == str(tmp_path / "work" / "runs")
    monkeypatch.chdir(tmp_path)
    assert load({"dir": "runs"}).dir == str(tmp_path / "runs")


def test_only_the_environment_of_this_process_is_changed(tmp_path: Path) -> None:
    environ = {"LINEAL_HOME": "mine"}
    assert load(environ=environ).home == str(tmp_path / "work" / "mine")
    assert environ == {"LINEAL_HOME": "mine"}


def test_a_relative_folder_of_a_removed_working_directory_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "removed").mkdir()
    monkeypatch.chdir(tmp_path / "removed")
    (tmp_path / "removed").rmdir()
    monkeypatch.setenv("LINEAL_HOME", "mine")
    with pytest.raises(Unavailable, match="working directory of this process is gone"):
        load()


def test_settings_are_read_by_the_names_that_wandb_has_for_them() -> None:
    settings = Settings(root_dir="/runs", x_label="rank 0", base_url="https://example.org")
    assert (settings.root_dir, settings.dir) == ("/runs", "/runs")
    assert (settings.x_label, settings.base_url) == ("rank 0", "https://example.org")
    assert Settings(_disable_stats=True).x_disable_stats is True
    assert Settings(_disable_stats=True)._disable_stats is True
    assert Settings().x_label is Settings().api_key is None
    assert (Settings(mode="offline")._offline, Settings()._offline, Settings()._noop) == (
        *(True, False, False),
    )


@pytest.mark.parametrize(
    ("name", "hint"),
    [("files_dir", "; the run has it, as `run.dir`"), ("nothing", ""), ("_private", "")],
)
def test_a_name_that_is_no_setting_is_no_attribute(name: str, hint: str) -> None:
    with pytest.raises(AttributeError, match=re.escape(f"There is no setting `{name}`{hint}")):
        getattr(Settings(), name)
    settings = Settings(x_label="a", project="p")
    assert copy.deepcopy(settings).x_label == settings.copy(update={"project": "q"}).x_label == "a"
    assert settings.copy(update={"_label": "b", "root_dir": "/runs"}).x_label == "b"
