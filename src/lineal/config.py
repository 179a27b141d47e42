"""Every setting once: name, type, default, environment variables, meaning.

Explicit arguments win over a `Settings` object, which wins over the environment, which wins
over settings files (RUN-1). For each setting `LINEAL_X` is read first and `WANDB_X` where ours
is absent (CLI-6). `docs/reference/settings.md` is checked against this table by a test.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lineal import setting_values, settings_file, wandb_settings
from lineal.errors import Invalid, Unavailable
from lineal.nearest import did_you_mean
from lineal.setting_values import Mode

WITH_INSTANCE: tuple[Mode, ...] = ("online", "shared")
"""Modes in which a run goes into the instance as it happens."""

A_CENTURY_DAYS = 36_500
"""Longer than anybody keeps anything, and short enough to count back from now."""
A_CENTURY_SECONDS = A_CENTURY_DAYS * 86_400
LONGEST_BUSY_SECONDS = 2_000_000
"""SQLite counts the milliseconds it waits in 32 bits."""
LARGEST_PACKED = 1 << 30
"""Bytes; a packed file is read whole."""


def setting(
    default: Any,
    meaning: str,
    *env: str,
    is_path: bool = False,
    within: tuple[float, float] | None = None,
) -> Any:
    """Declare a setting; `env` names its variables without prefix, by default its own name.

    is_path: `~` at its beginning is somebody's home. within: of a number, the least and the most.
    """
    about = {"meaning": meaning, "env": env, "is_path": is_path, "within": within}
    return field(default=default, metadata=about)


@dataclass(frozen=True, kw_only=True, init=False)
class Settings:
    """The settings of one process; immutable, so that threads and forks may share it.

    Raises Invalid for a name that no setting has; those that only W&B knows are taken, and mean
    nothing.
    """

    def __init__(self, **values: Any) -> None:
        """Remember what was said, so that a value equal to its default still wins (RUN-1)."""
        ours = _ours(values)
        for one in dataclasses.fields(self):
            object.__setattr__(self, one.name, ours.get(one.name, one.default))
        object.__setattr__(self, "_given", frozenset(ours))
        object.__setattr__(self, "_only_wandb", wandb_settings.only_wandb(values))

    if not TYPE_CHECKING:  # type checkers see by themselves which settings there are

        def __getattr__(self, name: str) -> Any:
            """Read a setting by W&B's name; one that only W&B has is as it was given, or None."""
            ours = wandb_settings.our_name(name)
            if ours in setting_names() and not name.startswith("__"):
                return getattr(self, ours)
            return wandb_settings.read(name, self.__dict__.get("_only_wandb", {}), self)

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        """Yield names and values, so that `dict(settings)` has them all."""
        return iter([(name, getattr(self, name)) for name in setting_names()])

    def model_dump(self, *, exclude_unset: bool = False) -> dict[str, Any]:
        """Return the settings as a dict, all or those that were said."""
        given: frozenset[str] = self.__dict__["_given"]
        return {name: value for name, value in self if name in given or not exclude_unset}

    def copy(self, *, update: Mapping[str, Any] | None = None) -> Settings:
        """Return settings that differ from these in what is given."""
        only_wandb: dict[str, Any] = self.__dict__["_only_wandb"]
        return Settings(**{**only_wandb, **self.model_dump(exclude_unset=True), **(update or {})})

    model_copy = copy

    # where things are
    home: str = setting(
        "~/.lineal", "Folder of the embedded instance: database, bytes, cache", is_path=True
    )
    dir: str | None = setting(
        None, "Parent folder of offline runs; default `./lineal`", is_path=True
    )
    artifact_dir: str = setting(
        "./artifacts", "Parent folder of downloads without `root`", is_path=True
    )
    cache_dir: str | None = setting(
        None, "Folder of the digest cache; default inside `home`", is_path=True
    )
    data_dir: str | None = setting(
        None,
        "Files are staged in its folder `lineal-staging`; default inside `home`",
        is_path=True,
    )

    pack_files_up_to: int = setting(
        131_072,
        "Bytes up to which files, of 100 or more in an artifact and of 4 or more that a run stores "
        "at once, are kept together in packs; 0: never",
        within=(0, LARGEST_PACKED),
    )

    # who and what
    entity: str | None = setting(None, "User or team that owns new projects; default your login")
    project: str | None = setting(None, "Project; default the git root's name or `uncategorized`")
    run_id: str | None = setting(None, "Id of the run to start or resume", "RUN_ID")
    run_name: str | None = setting(None, "Label of the run", "RUN_NAME", "NAME")
    run_notes: str | None = setting(None, "Free text about the run", "RUN_NOTES", "NOTES")
    run_tags: tuple[str, ...] | None = setting(
        None, "Tags, separated by commas", "RUN_TAGS", "TAGS"
    )
    run_group: str | None = setting(None, "Group of runs that belong together", "RUN_GROUP")
    run_job_type: str | None = setting(
        None, "What the run does: `train`, `evaluate` …", "RUN_JOB_TYPE", "JOB_TYPE"
    )
    username: str | None = setting(None, "Who acts, if not the login name")
    sweep_id: str | None = setting(None, "Sweep that the run belongs to")

    # how a run behaves
    mode: str = setting(
        "online",
        "`online`, `offline`, `disabled`, or `shared`: online, in a run of several processes",
    )
    resume: str | None = setting(None, "`allow`, `must`, `never` or `auto`")
    resume_from: str | None = setting(None, "`id?_step=N`: the run to take back to a step")
    fork_from: str | None = setting(None, "`id?_step=N`: the run to share the history of")
    reinit: str = setting(
        "default",
        "While a run is active `init` does `return_previous`, `finish_previous` or `create_new`; "
        "default: the first in scripts, the second in notebooks",
    )
    strict: bool = setting(False, "Taken as W&B has it; changes nothing")
    quiet: bool = setting(False, "Print only warnings and errors")
    silent: bool = setting(False, "Print nothing")
    raise_on_failed_artifacts: bool = setting(
        True, "`finish()` raises when an artifact could not be stored"
    )

    # what a run captures; each can be switched off alone (RUN-30)
    console: str = setting("wrap", "`wrap` keeps the console output, `off` does not")
    disable_git: bool = setting(False, "Do not record commit, remote and diff")
    disable_code: bool = setting(False, "Never save source code; wins over `save_code`")
    save_code: bool = setting(False, "Save the main script or notebook with the run")
    code_dir: str | None = setting(
        None, "Log this folder as a code artifact at `init`", is_path=True
    )
    disable_requirements: bool = setting(False, "Do not record installed packages")
    disable_machine_info: bool = setting(
        False, "Do not record host, OS, Python and GPU", "X_DISABLE_MACHINE_INFO"
    )
    disable_meta: bool = setting(
        False, "Do not record program, arguments and folder", "X_DISABLE_META"
    )
    sync_tensorboard: bool = setting(
        False, "Log what PyTorch and tensorboardX write for TensorBoard"
    )
    program: str | None = setting(None, "Main script, where it cannot be found out", is_path=True)
    git_root: str | None = setting(None, "Work tree to take the commit from", is_path=True)
    git_commit: str | None = setting(None, "Commit to record in the place of what git says")
    git_remote_url: str | None = setting(None, "Remote to record in the place of what git says")
    host: str | None = setting(None, "Name of the machine to record in the place of its own")
    ignore_globs: tuple[str, ...] = setting((), "Run files never saved, separated by commas")
    config_paths: tuple[str, ...] = setting(
        (), "YAML files merged into `config` at `init`", is_path=True
    )

    # limits
    init_timeout: float = setting(
        90.0,
        "Seconds `init` waits for a busy instance (RUN-8)",
        within=(0, LONGEST_BUSY_SECONDS),
    )
    busy_timeout: float = setting(
        120.0,
        "Seconds a writer waits for the database's write lock",
        within=(0, LONGEST_BUSY_SECONDS),
    )
    finish_timeout: float = setting(
        0.0,
        "Seconds `finish()` waits for artifacts that are being stored; `0`: until they are. The "
        "end of the process waits for the rest",
        within=(0, A_CENTURY_SECONDS),
    )
    finish_timeout_raises: bool = setting(
        False, "`finish()` raises when `finish_timeout` is over, instead of printing it"
    )
    heartbeat_seconds: float = setting(
        30.0, "Seconds between heartbeats (RUN-9)", within=(0, A_CENTURY_SECONDS)
    )
    crashed_after_seconds: float = setting(
        300.0,
        "Silence after which a run counts as crashed",
        within=(0, A_CENTURY_SECONDS),
    )
    reference_timeout: float = setting(
        60.0,
        "Seconds a store that a reference leads to may be silent before it counts as down",
        within=(0, A_CENTURY_SECONDS),
    )
    draft_ttl_hours: float = setting(
        72.0, "Hours an unfinished upload can be resumed (SEM-13)", within=(0, A_CENTURY_DAYS * 24)
    )
    agent_disable_flapping: bool = setting(
        False,
        "Agents go on where 3 trials failed in their first minute, or all of the first (SWP-9)",
    )
    agent_max_initial_failures: int = setting(
        5,
        "Agents give up when so many trials failed and none succeeded (SWP-9)",
        within=(1, 1_000_000_000),
    )
    trial_lease_seconds: float = setting(
        60.0,
        "Silence of an agent after which its trial is handed out again",
        within=(0, A_CENTURY_SECONDS),
    )
    undo_days: float = setting(
        7.0,
        "Days a deletion can be undone; `0`: at once for good (DEL-7)",
        within=(0, A_CENTURY_DAYS),
    )
    auto_gc: bool = setting(True, "Free space at the end of runs, once a day for two seconds")


OPENED_WITH = (
    "busy_timeout",
    "crashed_after_seconds",
    "draft_ttl_hours",
    "pack_files_up_to",
    "trial_lease_seconds",
    "undo_days",
)
"""Settings that an instance keeps from when it is opened."""
_PREFIXES = ("LINEAL_", "WANDB_")
_NO_SETTINGS = frozenset({"LINEAL_DEBUG", "LINEAL_SWEEP_PARAM_PATH"})
"""Variables of ours that the command line reads, or that agents give to programs."""
_NOT_OURS = "WANDB_HOME"
"""Its folder is W&B's: what stands there is no instance of ours."""
_LOGIN_VARIABLES = ("USER", "LOGNAME", "USERNAME")
"""cron sets only the second: what its jobs make belongs where their user looks for it."""
FOLDER_FILE = ".lineal"
"""Settings of the working directory."""
_FOLDERS = ("home", "dir", "artifact_dir", "cache_dir", "data_dir")
"""Settings that are folders: relative ones are made absolute, for the program may go elsewhere."""


def environment_variables(name: str) -> list[str]:
    """Return the variables read for a setting, the strongest first."""
    spellings = _field(name).metadata["env"] or (name.upper(),)
    found = [prefix + spelling for prefix in _PREFIXES for spelling in spellings]
    return [variable for variable in found if variable != _NOT_OURS]


def load(
    explicit: Mapping[str, Any] | None = None,
    *,
    base: Settings | Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Merge arguments, a settings object, the environment and files into one `Settings`.

    Values that are None count as not given, and so do paths without text. Relative folders are
    those below the working directory. Raises Invalid for an unknown name (with the nearest valid
    one) or a value of the wrong type (with the variable or file that has it), Unavailable for a
    relative folder where the working directory is gone.
    """
    if environ is None:
        environ = _settled_environment()
    told = {**said(base), **_given(explicit or {})}
    values: dict[str, Any] = {**_from_environment(environ), **told}
    home = _parsed("home", values.get("home", Settings.home))
    values = {**_given(_from_files(home)), **values}
    parsed = {}
    for name, value in values.items():
        try:
            parsed[name] = _parsed(name, value)
        except Invalid as error:
            if name in told:
                raise
            place = _sources(environ, home)[name]
            raise Invalid(f"{error.message}; it comes from {place}") from error
    return dataclasses.replace(Settings(**settled(parsed)))  # as one where every value was said


def settled(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings whose relative folders are absolute: the program may go on in another one.

    Raises Unavailable if the working directory is gone.
    """
    moved = {name: _absolute(values[name]) for name in _FOLDERS if name in values}
    return {**values, **moved}


def _settled_environment() -> Mapping[str, str]:
    """Return the environment, after a change: the variables of relative folders are absolute.

    So they lead to the same folders when this process has gone on in another one, and in the
    processes that it starts there.
    """
    found = _variables_set(os.environ)
    for variable in [found[name] for name in _FOLDERS if name in found]:
        path = os.environ[variable]
        if path != (absolute := _absolute(path)):
            os.environ[variable] = absolute
    return os.environ


def _absolute(path: Any) -> Any:
    text = os.fsdecode(path)
    if text.startswith("~") or os.path.isabs(text):  # `home_of` says where `~` leads nowhere
        return path
    return absolute_path(text)


def sources(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Say where `load` finds each setting that is not left at its default.

    That is `$VARIABLE`, or the path of a file. Raises Invalid for a file that cannot be read.
    """
    environ = os.environ if environ is None else environ
    home = _from_environment(environ).get("home", Settings.home)
    return _sources(environ, home)


def _sources(environ: Mapping[str, str], home: str) -> dict[str, str]:
    in_files = {
        name: os.path.abspath(path) for path in _settings_files(home) for name in _from_file(path)
    }
    variables = _variables_set(environ)
    return in_files | {name: f"${variable}" for name, variable in variables.items()}


def unknown_variables(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return variables that look like ours and that nothing reads, each with what may be meant.

    That is `; did you mean …?`, or nothing.
    """
    environ = os.environ if environ is None else environ
    ours = {variable for variable in environ if variable.startswith(_PREFIXES[0])}
    return {variable: _meant(variable) for variable in sorted(ours - _known() - _NO_SETTINGS)}


@functools.cache
def _meant(variable: str) -> str:
    return did_you_mean(variable, _known(), cutoff=0.8)


def _known() -> set[str]:
    return {variable for _, variables in _all_variables() for variable in variables}


def setting_names() -> list[str]:
    return list(Settings.__dataclass_fields__)


def _field(name: str) -> dataclasses.Field[Any]:
    return Settings.__dataclass_fields__[name]


def _parsed(name: str, value: Any) -> Any:
    return setting_values.parse(_field(name), value)


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in _ours(values).items()
        if value is not None and not (value == "" and _field(name).metadata["is_path"])
    }


def _ours(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values by our names, without what only W&B knows; raises Invalid for others."""
    known = set(setting_names())
    found = {}
    for given, value in values.items():
        name = wandb_settings.our_name(str(given))
        if name in known:
            found[name] = value
        elif not wandb_settings.means_nothing_here(name):
            raise _no_setting(str(given))
    return found


def _no_setting(name: str) -> Invalid:
    return Invalid(f"No setting is called `{name}`{did_you_mean(name, setting_names())}")


def said(settings: Settings | Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what is said by a settings object or a dict of settings, by our names."""
    if settings is None:
        return {}
    if isinstance(settings, Mapping):
        return _given(settings)
    if not isinstance(settings, Settings):
        raise TypeError(
            f"settings must be a Settings object or a dict of settings, not {settings!r}"
        )
    return _given(settings.model_dump(exclude_unset=True))


def _from_environment(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: environ[variable] for name, variable in _variables_set(environ).items()}


def _variables_set(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the strongest variable for each setting that the environment says."""
    ours = {
        variable for variable in environ if variable.startswith(_PREFIXES) and environ.get(variable)
    }
    found = {}
    for name, variables in _all_variables():
        if not ours.isdisjoint(variables):
            found[name] = next(variable for variable in variables if variable in ours)
    return found


@functools.cache
def _all_variables() -> Sequence[tuple[str, Sequence[str]]]:
    return [(name, environment_variables(name)) for name in setting_names()]


def _from_files(home: str) -> dict[str, str]:
    weaker, stronger = _settings_files(home)
    return _from_file(weaker) | _from_file(stronger)


def _settings_files(home: str) -> tuple[str, str]:
    """Return the files of the home and, which is stronger, of the working directory."""
    return os.path.join(os.path.expanduser(home), "settings"), FOLDER_FILE


def _from_file(path: str) -> dict[str, str]:
    found = settings_file.read(path)
    known = set(setting_names())
    for name in found:
        if name not in known:
            raise Invalid(f"{path}: no setting is called `{name}`{did_you_mean(name, known)}")
    return found


def save(values: Mapping[str, str]) -> str:
    """Write settings into `.lineal` of the working directory; returns its path.

    What else is in it stays, comments too. Raises Invalid for a name that is no setting, a value
    of several lines, or a folder in its place; Unavailable where it cannot be written.
    """
    path = os.path.abspath(FOLDER_FILE)
    for name in values:
        if name not in setting_names():
            raise _no_setting(name)
    if os.path.isdir(path):
        raise Invalid(f"{path} is the home of an instance; do this in the folder of your project")
    _from_file(path)  # a file that cannot be read is said before it is changed
    settings_file.change(path, values)
    return path


def working_folder() -> str:
    """Raises Unavailable if somebody removed the one that this process works in."""
    try:
        return os.getcwd()
    except OSError as error:
        raise Unavailable(
            f"The working directory of this process is gone: {error.strerror}. Change to one that "
            "is there"
        ) from error


def absolute_path(path: str) -> str:
    """Return what `os.path.abspath` does; raises Unavailable as `working_folder`."""
    return os.path.normpath(path if os.path.isabs(path) else os.path.join(working_folder(), path))


def default_entity(settings: Settings) -> str:
    """Return the entity that owns what names none: the setting, else who acts."""
    return settings.entity or acting_user(settings)


def acting_user(settings: Settings) -> str:
    """Return who acts, whoever owns what is made: the setting `username`, else the login name."""
    told = (os.environ.get(variable) for variable in _LOGIN_VARIABLES)
    login = settings.username or next(filter(None, told), "local")
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", login).strip("-.") or "local"
