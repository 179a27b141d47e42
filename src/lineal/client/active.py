"""What `lineal` itself does with the active run: most functions forward to it (RUN-7)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any, Concatenate, NamedTuple, ParamSpec, TypeVar

from lineal.client import process_exit, session
from lineal.client.init import init
from lineal.client.run.run import Run
from lineal.config import Settings, load, said, settled
from lineal.errors import UsageError

if TYPE_CHECKING:
    from lineal.client.artifact.artifact import Artifact

P = ParamSpec("P")
T = TypeVar("T")


class _BeforeInit:
    """Stands for `lineal.config` and `lineal.summary` while there is no run."""

    def __init__(self, name: str) -> None:
        object.__setattr__(self, "_name", name)

    def _refuse(self, *_: Any) -> Any:
        raise _no_run(self._name)

    def __getattr__(self, key: str) -> Any:
        if key.startswith("__"):
            raise AttributeError(key)
        raise _no_run(self._name)

    __setattr__ = __getitem__ = __setitem__ = __contains__ = __iter__ = __len__ = _refuse

    def __bool__(self) -> bool:
        """Be true, as that of W&B is: scripts ask `if wandb.config`, and none is used by that."""
        return True


def active(name: str) -> Any:
    """Return `lineal.run`, `lineal.config` or `lineal.summary`."""
    run = session.active_run()
    if name == "run":
        return run
    if run is not None:
        return getattr(run, name)
    early = session.early_config() if name == "config" else None
    return _BeforeInit(name) if early is None else early


def set_config(values: Any) -> None:
    """Carry out `lineal.config = values`: the active run takes them, else the next one."""
    run = session.active_run()
    if run is None:
        session.set_early_config(values)
    else:
        run.config = values


def set_summary(values: Any) -> None:
    """Carry out `lineal.summary = values`. Raises UsageError without an active run."""
    run = session.active_run()
    if run is None:
        raise _no_run("summary")
    run.summary = values


def _no_run(what: str) -> UsageError:
    beside = session.latest_run()
    if beside is None:
        instead = f"call `lineal.init()` before `lineal.{what}`"
    else:
        instead = (
            f'`{beside.path}` was made beside, by reinit="create_new": '
            f"use `{what}` of what `init` returned"
        )
    return UsageError(f"There is no active run; {instead}")


def _forward(name: str, method: Callable[Concatenate[Run, P], T]) -> Callable[P, T]:
    """Make a function that calls the method of the active run.

    By its name, and not that of the function: others put their own in the place of methods.
    """

    @functools.wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        run = session.active_run()
        if run is None:
            raise _no_run(name)
        found: Callable[P, T] = getattr(run, name)
        return found(*args, **kwargs)

    return call


log = _forward("log", Run.log)
define_metric = _forward("define_metric", Run.define_metric)
alert = _forward("alert", Run.alert)
save = _forward("save", Run.save)
use_artifact = _forward("use_artifact", Run.use_artifact)
upsert_artifact = _forward("upsert_artifact", Run.upsert_artifact)
finish_artifact = _forward("finish_artifact", Run.finish_artifact)
link_artifact = _forward("link_artifact", Run.link_artifact)
log_model = _forward("log_model", Run.log_model)
use_model = _forward("use_model", Run.use_model)
link_model = _forward("link_model", Run.link_model)
log_code = _forward("log_code", Run.log_code)
mark_preempting = _forward("mark_preempting", Run.mark_preempting)
watch = _forward("watch", Run.watch)
unwatch = _forward("unwatch", Run.unwatch)


@functools.wraps(Run.log_artifact)
def log_artifact(*args: Any, **kwargs: Any) -> Artifact:
    """See `Run.log_artifact`; without an active run, one is made for it and finished (SEED-6)."""
    run = session.active_run()
    if run is not None:
        return run.log_artifact(*args, **kwargs)
    if session.latest_run() is not None:
        raise _no_run("log_artifact")
    with init(job_type="auto") as automatic:
        return automatic.log_artifact(*args, **kwargs)


@functools.wraps(Run.restore)
def restore(
    name: str, run_path: str | None = None, replace: bool = False, root: str | None = None
) -> IO[str] | None:
    """See `Run.restore`; without an active run, `run_path` says whose file it is (RUN-28)."""
    run = session.active_run()
    if run is not None:
        return run.restore(name, run_path, replace=replace, root=root)
    if run_path is None:
        raise UsageError(
            "There is no active run; call `lineal.init()` before `lineal.restore`, or say whose "
            "file it is: restore(name, run_path='project/run_id')"
        )
    from lineal.client.run import restoring  # few scripts restore files

    return restoring.restore_without_run(name, run_path, replace=replace, root=root)


def finish(exit_code: int | None = None, quiet: bool | None = None) -> None:
    """Finish the active run; nothing happens when there is none."""
    run = session.active_run()
    if run is not None:
        run.finish(exit_code=exit_code, quiet=quiet)


join = finish
"""W&B's old name of it."""


def ensure_configured() -> None:
    """Do nothing: there is no account, and so no key to look for."""


def login(*_: Any, **__: Any) -> bool:
    """Return True: data stays on this machine, and nobody needs an account."""
    return True


class Setup(NamedTuple):
    """What the runs of this process begin with."""

    settings: Settings


def setup(settings: Settings | dict[str, Any] | None = None) -> Setup:
    """Add settings that each `init` of this process begins with, until `teardown`.

    Returns all that are in force, as `.settings`.
    """
    told = {**session.settings(), **said(settings)}
    in_force = load(base=told)
    session.set_settings(settled(told))
    return Setup(in_force)


def require(*_: Any, **__: Any) -> None:
    """Do nothing: W&B's trial features, `core` and `service`, have no counterpart here."""


def teardown(exit_code: int | None = None) -> None:
    """Finish all runs of this process, close its backends and forget what `setup` said."""
    process_exit.finish_all(exit_code)
    session.close()
    session.set_settings({})
