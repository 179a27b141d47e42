"""What one process shares: a backend per home, one worker, the active run.

Ids come from the operating system's randomness, so that neither `fork()` nor a seeded `random`
makes two of them equal (STO-10).
"""

from __future__ import annotations

import atexit
import os
import threading
from typing import TYPE_CHECKING, Any

from lineal.client.backend import Backend
from lineal.client.run import adopting
from lineal.client.transfer import Worker
from lineal.collector import uncollected
from lineal.config import OPENED_WITH, Settings, acting_user, default_entity
from lineal.core import names
from lineal.errors import LinealError
from lineal.home import Home, home_of
from lineal.leaving import left_at_exit
from lineal.startup.stand_ins import SQLALCHEMY, unloaded

if TYPE_CHECKING:
    from lineal.client.run.run import Run
    from lineal.client.sweep.trial import Trial


_Key = tuple[int, str, str, str, tuple[float, ...]]
"""Of a backend: the process, the home, the entity, who acts, and what it keeps of the settings."""


class _Process:
    """The state of this process; forked children keep the object and renew what must be."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.backends: dict[_Key, Backend] = {}
        self.worker = Worker()
        self.runs: list[Run] = []
        """Every run not yet finished, the oldest first."""
        self.end_failed: list[Run] = []
        """Those of them that could not be finished; they are not open any more."""
        self.active: Run | None = None
        """The run of `lineal.run` and `lineal.log`."""
        self.trials: dict[int, Trial] = {}
        """What agents carry out here, by the identity of their thread."""
        self.early_config: Any = None
        """The config that was set before there is a run."""
        self.settings: dict[str, Any] = {}
        """What `setup` said, by name."""
        self.sweeps: dict[str, tuple[str, str]] = {}
        """Entity and project of each sweep made here, by its id."""


_process = _Process()


def open_backend(settings: Settings) -> Backend:
    """Return this process's backend for the settings' home; opened once, and again after a fork.

    Each time, lines that dead processes left behind are moved (see `adopting`): runs go on where
    those were, and are read as they left them, also in a process that had the home open before.
    Raises Invalid for the name of an entity that cannot be, Unavailable when the home cannot be
    written or stays locked for `init_timeout` seconds (RUN-8).
    """
    names.entity_name(default_entity(settings))  # else it would seem to own nothing
    home = home_of(settings)
    key = _key(settings)
    with _process.lock:
        backend = _process.backends.get(key)
        if backend is None:
            backend = _opened(settings)
            _process.backends[key] = backend
        with backend.waiting(settings.init_timeout):
            adopting.adopt(backend, home.spool)
    return backend


def share_backend(settings: Settings, backend: Backend) -> None:
    """Let `open_backend` return this one for these settings: that of an offline run."""
    with _process.lock:
        _process.backends[_key(settings)] = backend


def _key(settings: Settings) -> _Key:
    user = acting_user(settings)
    entity = default_entity(settings)
    kept = tuple(getattr(settings, name) for name in OPENED_WITH)
    return os.getpid(), home_of(settings).root, entity, user, kept


def _is_mine(key: _Key) -> bool:
    """Tell whether a backend is this process's, rather than that of the one it was forked from."""
    return key[0] == os.getpid()


def _opened(settings: Settings) -> Backend:
    # Not where other threads run: one that imports a part of asyncio would load it twice.
    unused = SQLALCHEMY if threading.active_count() == 1 else {}
    with uncollected(), unloaded(unused):
        from lineal.client.embedded.backend import open_embedded  # loads SQLAlchemy: 0.1 s

    return open_embedded(settings)


def worker() -> Worker:
    """Return the process's one background worker."""
    return _process.worker


def flush() -> None:
    """Bring every line logged here, or left by processes that died, to its backend to be read.

    A run that cannot be stored, such as one that was deleted meanwhile, is told; what is read may
    be another's.
    """
    for run in list(_process.runs):
        try:
            run.flush()
        except LinealError as error:
            run.warn_of(error)
    with _process.lock:
        by_home = {key[1]: backend for key, backend in _process.backends.items() if _is_mine(key)}
        for root, backend in by_home.items():
            adopting.adopt(backend, Home(root).spool)


def close() -> None:
    """Close all backends of this process; runs must be finished before."""
    with _process.lock:
        mine = [key for key in _process.backends if _is_mine(key)]
        backends = [_process.backends.pop(key) for key in mine]
    for backend in backends:
        backend.close()


# called last, since what finishes runs is registered later
left_at_exit()
atexit.register(close)


# --- runs ---------------------------------------------------------------------------------------


def active_run() -> Run | None:
    return _process.active


def unfinished_runs() -> list[Run]:
    return list(_process.runs)


def open_runs() -> list[Run]:
    """Return the runs that may be logged to, the newest first; the active run is one of them."""
    with _process.lock:
        return [run for run in reversed(_process.runs) if run not in _process.end_failed]


def latest_run() -> Run | None:
    """Return the newest of the open runs; `init` may have made it without making it active."""
    return next(iter(open_runs()), None)


def run_started(run: Run, *, is_active: bool) -> None:
    with _process.lock:
        _process.runs.append(run)
        if is_active:
            _process.active = run


def run_end_failed(run: Run) -> None:
    """Its end failed: it is not the active run any more, and is tried again at exit."""
    with _process.lock:
        if run not in _process.end_failed:
            _process.end_failed.append(run)
        if _process.active is run:
            _process.active = None


def run_finished(run: Run) -> None:
    with _process.lock:
        if _process.active is run:
            _process.active = None
        for runs in (_process.runs, _process.end_failed):
            if run in runs:
                runs.remove(run)


def trial() -> Trial | None:
    """Return the trial of a sweep that this thread carries out; `init` joins it.

    A thread that is no agent's has part in the trial of its process, if that has one only.
    """
    trials = dict(_process.trials)
    if threading.get_ident() in trials or len(trials) != 1:
        return trials.get(threading.get_ident())
    return next(iter(trials.values()))


def set_trial(trial: Trial | None) -> None:
    """Say what this thread carries out from now on."""
    if trial is None:
        _process.trials.pop(threading.get_ident(), None)
    else:
        _process.trials[threading.get_ident()] = trial


def early_config() -> Any:
    """Return the config that was set before there is a run, as it was given."""
    return _process.early_config


def set_early_config(values: Any) -> None:
    _process.early_config = values


# --- settings -----------------------------------------------------------------------------------


def settings() -> dict[str, Any]:
    """Return the settings that every `init` of this process begins with."""
    return _process.settings


def set_settings(values: dict[str, Any]) -> None:
    _process.settings = values


# --- sweeps -------------------------------------------------------------------------------------


def sweep_made(entity: str, project: str, sweep_id: str) -> None:
    _process.sweeps[sweep_id] = (entity, project)


def place_of_sweep(sweep_id: str) -> tuple[str, str] | None:
    """Return entity and project of a sweep that this process made, None of any other."""
    return _process.sweeps.get(sweep_id)


def _after_fork() -> None:
    """Renew in a child what does not survive a fork."""
    _process.lock = threading.RLock()
    for run in _process.runs:
        run.after_fork()


os.register_at_fork(after_in_child=_after_fork)
