"""`init`: start a run, or resume one, and make it the active run."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from lineal.client import process_exit, session, term
from lineal.client.backend import Backend
from lineal.client.capture import machine, notebook
from lineal.client.default_project import default_project
from lineal.client.run import config as run_config
from lineal.client.run import config_files, resuming, surroundings
from lineal.client.run.resuming import Identity
from lineal.client.run.run import Place, Run
from lineal.config import Settings, default_entity, load, said, unknown_variables
from lineal.core import names
from lineal.core.records import RunSpec, StartedRun
from lineal.errors import Invalid, NotFound, UsageError
from lineal.home import Home, home_of
from lineal.interrupts import deferred

if TYPE_CHECKING:
    from lineal.client.run.forking import Fork
    from lineal.client.sweep.trial import Trial

FILES_FOLDER = "files"
"""`run.dir` in the folder of the run: scripts name theirs by `run.dir.split("/")[-2]`."""


def init(
    entity: str | None = None,
    project: str | None = None,
    dir: str | os.PathLike[str] | None = None,
    id: str | None = None,
    name: str | None = None,
    notes: str | None = None,
    tags: Sequence[str] | str | None = None,
    config: Any = None,
    config_exclude_keys: Sequence[str] | None = None,
    config_include_keys: Sequence[str] | None = None,
    allow_val_change: bool | None = None,
    group: str | None = None,
    job_type: str | None = None,
    mode: str | None = None,
    force: bool | None = None,  # noqa: ARG001 - nobody has to log in
    reinit: str | bool | None = None,
    resume: str | bool | None = None,
    resume_from: str | None = None,
    fork_from: str | None = None,
    save_code: bool | None = None,
    tensorboard: bool | None = None,
    sync_tensorboard: bool | None = None,
    monitor_gym: bool | None = None,
    settings: Settings | dict[str, Any] | None = None,
    anonymous: str | None = None,  # noqa: ARG001 - there are no accounts
) -> Run:
    """Start a run, or resume one, and make it the active run (RUN-1…RUN-15).

    Arguments win over `settings`, then come those of `setup`, the environment and settings files;
    docs/reference/settings.md has the defaults.

    project, entity: where the run belongs. id: unique there, made if left out. name, notes, tags,
    group, job_type: what it is found by. dir: parent folder of offline runs.
    config: dict, argparse namespace, absl flags or a YAML path; config_include_keys or
    config_exclude_keys choose from it. allow_val_change: `config` may be changed later.
    mode: `online`, `offline` (into a folder of its own, for `lineal sync`), `disabled`, or
    `shared`: like `online`, in a run that several processes join, whoever comes first.
    resume: `must`, `allow`, `never` or `auto`; without it an id that exists is an error.
    reinit, while a run is active: `return_previous` (in scripts, with a warning),
    `finish_previous` (in notebooks) or `create_new` beside it.
    fork_from: `id?_step=N`, whose history up to that step a new run shares; resume_from: the
    same, for that run itself (RUN-19). save_code: keep the main script or notebook.
    sync_tensorboard (also: tensorboard): log what is written for TensorBoard by PyTorch and
    tensorboardX, too. monitor_gym: log the videos that Gymnasium's `RecordVideo` makes.
    force, anonymous: W&B's, without effect.

    Raises UsageError (id exists, names of project or run, contradictory arguments),
    RunNotFoundError (`must`), Gone (the id was deleted), Invalid (other names, config), Unavailable
    (home not writable, or busy for `init_timeout` seconds).
    """
    explicit = {
        "entity": entity,
        "project": project,
        "dir": dir,
        "run_id": id,
        "run_name": name,
        "run_notes": notes,
        "run_tags": tags,
        "run_group": group,
        "run_job_type": job_type,
        "mode": mode,
        "reinit": reinit,
        "resume": resume,
        "resume_from": resume_from,
        "fork_from": fork_from,
        "save_code": save_code,
        "sync_tensorboard": tensorboard if sync_tensorboard is None else sync_tensorboard,
    }
    loaded = load(explicit, base={**session.settings(), **said(settings)})
    term.configure(quiet=loaded.quiet, silent=loaded.silent)
    trial = _trial(loaded)
    if trial is not None:
        loaded = trial.settings(loaded)
    fork = _fork(loaded)
    if loaded.mode == "shared" and loaded.resume is None and fork is None:
        loaded = dataclasses.replace(loaded, resume="allow")  # the others may have begun (RUN-35)
    if fork is not None and fork.is_rewind:
        loaded = _rewinding(loaded, fork)
    previous = _previous(loaded, fork, trial)
    if previous is not None:
        return previous
    if monitor_gym:
        _record_videos()
    if loaded.sync_tensorboard:
        _record_tensorboard()
    _warn_of_variables()
    process_exit.install()
    defaults = config_files.defaults(loaded.config_paths)
    early, given = map(run_config.read_config, (session.early_config(), config))
    values = early | run_config.chosen(given, config_include_keys, config_exclude_keys)
    if trial is not None:
        values |= trial.parameters
    if allow_val_change is None:
        allow_val_change = trial is not None or notebook.shell() is not None
    if _finishes_previous(loaded):
        _finish_previous(loaded)  # no sooner: what is refused leaves the active run as it is
    run = _start(loaded, values, defaults, allow_val_change=allow_val_change, fork=fork)
    session.set_early_config(None)  # only now: what was refused may be tried again
    with _failed_with_init(run):
        if trial is not None:
            trial.begin(run)
        if loaded.code_dir and not run.disabled:
            run.log_code(loaded.code_dir)
    return run


def _warn_of_variables() -> None:
    for variable, hint in unknown_variables().items():
        if hint:  # others may be read by the user's own programs
            term.warn_once(f"{variable} is no variable of Lineal's and changes nothing{hint}")


def _record_videos() -> None:
    from lineal.client.capture import gym  # few programs make any

    if not gym.record():
        term.warn_once("monitor_gym=True records nothing: Gymnasium 1.0 is not installed")


def _record_tensorboard() -> None:
    from lineal.client.capture import tensorboard  # few programs write for it

    if not tensorboard.record():
        term.warn_once(
            "sync_tensorboard=True records nothing: neither tensorboard nor tensorboardX is "
            "installed"
        )


def _trial(settings: Settings) -> Trial | None:
    """Return the trial of a sweep that an agent has this process carry out, if one does."""
    if settings.sweep_id is None or "/" not in settings.sweep_id:
        return session.trial()
    from lineal.client.sweep.trial import of_environment  # only the programs of agents

    return session.trial() or of_environment(settings)


def _fork(settings: Settings) -> Fork | None:
    if settings.fork_from is None and settings.resume_from is None:
        return None
    from lineal.client.run import forking  # few runs are forks

    return forking.parse(settings.fork_from, settings.resume_from, settings.resume)


def _rewinding(settings: Settings, target: Fork) -> Settings:
    """Return the settings that go on with the run that is to be rewound."""
    from lineal.client.run import rewinding  # few runs are rewound

    rewinding.check_id(settings.run_id, target)
    return dataclasses.replace(settings, run_id=target.run_id, resume="must")


def _finishes_previous(settings: Settings) -> bool:
    run = session.latest_run()
    is_new_by_default = notebook.shell() is not None or (run is not None and run._is_forked)
    return settings.reinit == "finish_previous" or (
        settings.reinit == "default" and is_new_by_default
    )


def _finish_previous(settings: Settings) -> None:
    """Finish all runs that are open; raises RunNotFoundError before if there is none to resume."""
    runs = session.open_runs()
    if runs and settings.mode != "disabled":
        project = _project(settings)
        if settings.resume == "must" and settings.mode != "offline":
            backend = session.open_backend(settings)
            entity = settings.entity or backend.entity
            backend.run(
                entity, project, resuming.identify(settings, entity, project, backend).run_id
            )
    for each in runs:
        each.finish()  # in a forked child that leaves the run to the parent


def _previous(settings: Settings, fork: Fork | None, trial: Trial | None) -> Run | None:
    """Deal with runs that are open already; return the one that `init` is to return (RUN-6)."""
    run = session.latest_run()
    if run is None or settings.reinit == "create_new" or _finishes_previous(settings):
        return None
    own = None if run._trial is None else run._trial.record.run_id
    if trial is not None and own != trial.record.run_id:
        raise UsageError(
            f"Run {run.path} is active, so trial {trial.record.number} of sweep "
            f"{trial.sweep.path} would log into it; finish it before, or pass "
            'reinit="finish_previous" or reinit="create_new" to init'
        )
    is_rewind = fork is not None and fork.is_rewind
    if settings.resume == "must" and (is_rewind or settings.run_id != run.id):
        intent = "rewind" if is_rewind else "resume"
        raise UsageError(
            f"Cannot {intent} run {settings.run_id}: run {run.path} is active. Finish it, or pass "
            'reinit="finish_previous" or reinit="create_new"'
        )
    term.warning(
        f"init() was called while run {run.path} is active, and returns that run; "
        'pass reinit="finish_previous" or reinit="create_new" for another'
    )
    return run


def _start(
    settings: Settings,
    values: dict[str, Any],
    defaults: dict[str, Any],
    *,
    allow_val_change: bool,
    fork: Fork | None,
) -> Run:
    """Begin a run, which this process has from then on: it is finished if `init` fails after."""
    config, artifacts = run_config.split(run_config.with_defaults(values, defaults))
    is_active = settings.reinit != "create_new"
    if settings.mode == "disabled":
        from lineal.client.run.disabled import DisabledRun  # not for those who log

        disabled = DisabledRun(settings, config)
        disabled.config.update(artifacts)
        session.run_started(disabled, is_active=is_active)
        return disabled
    started_at = datetime.now(UTC)
    call = surroundings.call(settings, started_at)
    opened = _open(settings, started_at, fork)
    backend = opened.backend
    spec = _spec(settings, opened, config, call)
    with opened.starting:
        try:
            with backend.waiting(settings.init_timeout):
                if spec.resume in ("allow", "must") or fork is not None:
                    before = _config_before(opened, spec, fork)
                    wanted = run_config.with_defaults(values, defaults, before)
                    config, artifacts = run_config.split(wanted)
                    spec = spec._replace(config=config or None)
                    if not allow_val_change and (fork is None or fork.is_rewind):
                        run_config.RunConfig(before).update(config, allow_val_change=False)
                started = _started(opened, spec, fork)
        except BaseException:
            if opened.offline_folder is not None:  # it holds no run, and would never be synced
                backend.close()
                shutil.rmtree(opened.offline_folder, ignore_errors=True)
            raise
        with deferred():  # else Ctrl-C may leave a run that goes on and that nobody can finish
            run = _begun(settings, opened, started, call, allow_val_change=allow_val_change)
            session.run_started(run, is_active=is_active)
    with _failed_with_init(run):
        _say_started(run, started)
        if artifacts:
            run.config.update(artifacts)
    return run


def _begun(
    settings: Settings,
    opened: _Opened,
    started: StartedRun,
    call: surroundings.Call,
    *,
    allow_val_change: bool,
) -> Run:
    """Make what the user gets, and let it begin to record."""
    record = started.run
    place = Place(
        spool=opened.home.spool,
        files=os.path.join(opened.home.runs, f"{record.key}-{record.run_id}", FILES_FOLDER),
        offline_folder=opened.offline_folder,
        resume_file=resuming.note_path(settings) if opened.identity.is_auto else None,
    )
    settings = settings.copy(
        update={
            "entity": record.entity,
            "project": record.project,
            "run_id": record.run_id,
            "run_name": record.name,
        }
    )
    if opened.offline_folder is not None:
        # what the run stages and looks up belongs into its folder, too
        settings = settings.copy(update={"home": opened.offline_folder})
    run = Run(opened.backend, settings, started, place, allow_val_change=allow_val_change)
    with _failed_with_init(run):
        _remember(settings, run)
        run.begin(call)
    return run


@contextmanager
def _failed_with_init(run: Run) -> Iterator[None]:
    """End a run that is begun and will be returned to no one: nobody else can."""
    try:
        yield
    except BaseException:
        run.finish(exit_code=1)
        raise


def _started(opened: _Opened, spec: RunSpec, fork: Fork | None) -> StartedRun:
    backend = opened.backend
    if fork is None:
        return backend.start_run(spec)
    if not fork.is_rewind:
        from lineal.client.run import forking  # few runs are forks

        parent = forking.parent_of(backend, spec.entity, spec.project, fork)
        return forking.copy(backend, backend.start_run(spec), parent, fork, spec.config or {})
    if opened.offline_folder is None:
        from lineal.client.run import rewinding  # few runs are rewound

        rewinding.rewind(backend, spec.entity, spec.project, fork)
    return backend.start_run(spec)


class _Opened(NamedTuple):
    """Where a run will be kept, and which one it is."""

    backend: Backend
    home: Home
    entity: str
    project: str
    identity: Identity
    offline_folder: str | None = None
    starting: AbstractContextManager[object] = nullcontext()
    """Held until its spool says that it goes on, so that nobody syncs the folder meanwhile."""


def _project(settings: Settings) -> str:
    """Return where the run belongs; raises UsageError for names that no project or run can have.

    That is what W&B's `init` raises, so scripts catch it.
    """
    try:
        if settings.run_id is not None:
            names.run_id(settings.run_id)
        return names.project_name(default_project(settings))
    except Invalid as error:
        raise UsageError(error.message) from error


def _open(settings: Settings, started_at: datetime, fork: Fork | None) -> _Opened:
    project = _project(settings)
    if settings.mode != "offline":
        backend = session.open_backend(settings)
        entity = settings.entity or backend.entity
        identity = resuming.identify(settings, entity, project, backend)
        return _Opened(backend, home_of(settings), entity, project, identity)
    from lineal.client.offline import backend as offline  # not for those who log online
    from lineal.client.offline import opening, run_folder

    entity = names.entity_name(default_entity(settings))
    identity = resuming.identify(settings, entity, project, None)
    names.run_id(identity.run_id)  # before it becomes part of a path
    folder = run_folder.new_folder(settings, identity.run_id, started_at)
    rewind_step = fork.step if fork is not None and fork.is_rewind else None
    starting = ExitStack()
    try:
        starting.enter_context(opening.alone_in(folder))
        opened = offline.open_offline(settings, folder, rewind_step)
    except BaseException:  # such as a full disk: no run is in the folder
        starting.close()
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return _Opened(opened, Home(folder), entity, project, identity, folder, starting)


def _spec(
    settings: Settings, opened: _Opened, config: dict[str, Any], call: surroundings.Call
) -> RunSpec:
    return RunSpec(
        entity=opened.entity,
        project=opened.project,
        run_id=opened.identity.run_id,
        resume=opened.identity.resume,
        name=settings.run_name,
        notes=settings.run_notes,
        group=settings.run_group,
        job_type=settings.run_job_type,
        tags=settings.run_tags,
        config=config or None,
        sweep_id=settings.sweep_id,
        host=None if settings.disable_machine_info else settings.host or machine.host_name(),
        program=None if settings.disable_meta else call.stored_program,
    )


def _config_before(opened: _Opened, spec: RunSpec, fork: Fork | None) -> dict[str, Any]:
    """Return the config of the run that goes on, or that a new one goes on from."""
    if opened.offline_folder is not None and fork is None:
        from lineal.client.offline.backend import OfflineBackend  # not for those who are online

        if isinstance(opened.backend, OfflineBackend):
            before = opened.backend.run_before(spec)
            return {} if before is None else before.config
    try:
        run = opened.backend.run(spec.entity, spec.project, fork.run_id if fork else spec.run_id)
    except NotFound:
        return {}
    return run.config


def _remember(settings: Settings, run: Run) -> None:
    """Note the run for a later `resume="auto"`; a run without `resume` forgets the note."""
    if run.place.resume_file is not None:
        note = resuming.remembered(run.record, run.place.spool)
        resuming.write(run.place.resume_file, note)
    elif settings.resume is None:
        resuming.forget(resuming.note_path(settings))


def _say_started(run: Run, started: StartedRun) -> None:
    how = f"resumed at step {run.starting_step}" if started.is_resumed else "created"
    where = run.place.offline_folder or run.backend.url.removeprefix("file://")
    term.info(
        f"run {run.name} ({run.id}) {how} in {run.entity}/{run.project}; data is kept in {where}"
    )
    if started.elsewhere:
        term.warning(
            f"There was no run {run.path}, so a new one was created; a run with this id exists "
            f'as {started.elsewhere}. Was that meant? resume="must" never creates'
        )
