"""A trial that is a program of its own, in any language: started, watched, ended."""

from __future__ import annotations

import glob
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from datetime import UTC, datetime
from types import FrameType
from typing import Any

from lineal.client import term
from lineal.client.exit_code import INTERRUPTED
from lineal.client.run import adopting
from lineal.client.run.config_files import with_all_numbers
from lineal.client.sweep import command
from lineal.client.sweep.trial import Trial
from lineal.config import Settings
from lineal.core.records import RunState
from lineal.core.trials import SweepRecord, TrialState
from lineal.errors import Invalid, RunNotFoundError
from lineal.files.temporary import TemporaryFolder
from lineal.home import home_of

LOOK_SECONDS = 0.1
"""How often an agent looks whether its program has ended."""
GRACE_SECONDS = 15.0
"""What a program gets to end by itself before it is told to, and again before it is killed."""


class Program:
    """Carries out trials by starting the sweep's program."""

    def __init__(
        self,
        sweep: SweepRecord,
        settings: Settings,
        *,
        forward_signals: bool,
        term_timeout: float | None,
    ) -> None:
        """term_timeout: seconds that a program gets to end after a signal was passed on to it."""
        if not (sweep.document.get("program") or sweep.document.get("command")):
            raise Invalid(
                f"Sweep {sweep.path} has no `program`, so its agent needs a function: "
                "agent(sweep_id, function)"
            )
        self._sweep = sweep
        self._settings = settings
        self._forward_signals = forward_signals
        self._term_timeout = term_timeout

    def __call__(self, trial: Trial) -> TrialState:
        with closing(TemporaryFolder("lineal-trial-")) as folder:
            parameters = os.path.join(folder.path, "parameters.yaml")
            _write_parameters(parameters, trial)
            arguments = command.build(self._sweep.document, trial.parameters, folder.path)
            began = time.monotonic()
            try:
                code = self._run(arguments, self._environment(trial, parameters), folder, trial)
            except BaseException:  # Ctrl-C, which has ended the program by now
                self._end_run(trial, INTERRUPTED, time.monotonic() - began)
                raise
        self._end_run(trial, code, time.monotonic() - began)
        if trial.ended is not None:
            return trial.ended
        number = trial.signalled
        if number is not None and code in (-number, 128 + number, -signal.SIGKILL):
            return TrialState.QUEUED  # the signal ended it, which says nothing of the trial
        return TrialState.FINISHED if code == 0 else TrialState.FAILED

    def _environment(self, trial: Trial, parameters: str) -> dict[str, str]:
        sweep = self._sweep
        own = {
            "SWEEP_ID": sweep.sweep_id,
            "PROJECT": sweep.project,
            "ENTITY": sweep.entity,
            "RUN_ID": trial.record.run_id,
            "SWEEP_PARAM_PATH": parameters,
        }
        environment = dict(os.environ)
        for prefix in ("LINEAL_", "WANDB_"):
            environment.update({prefix + name: value for name, value in own.items()})
        # the whole path tells `init` that an agent is behind this
        environment["LINEAL_SWEEP_ID"] = sweep.path
        environment["LINEAL_HOME"] = os.path.abspath(os.path.expanduser(self._settings.home))
        return environment

    def _run(
        self,
        arguments: list[str],
        environment: dict[str, str],
        folder: TemporaryFolder,
        trial: Trial,
    ) -> int:
        # it outlives an agent that is killed, and may read its parameters later
        inherited = () if folder.lock is None else (folder.lock,)
        passes_on = self._forward_signals
        with _Signals(trial, passes_on=passes_on, timeout=self._term_timeout) as signals:
            try:
                process = subprocess.Popen(
                    arguments, env=environment, start_new_session=True, pass_fds=inherited
                )
            except (OSError, ValueError) as error:  # a NUL among the arguments
                reason = error.strerror if isinstance(error, OSError) else error
                term.error(f"Cannot start {arguments[0]}: {reason}")
                return 127
            try:
                signals.go_to(process)
                code = _code_of(process, trial, signals)
            except BaseException:
                _end(process)
                raise
            return _end(process) if code is None else code

    def _end_run(self, trial: Trial, code: int, seconds: float) -> None:
        """End the run of a program that was killed, or never ended it; seconds: what it took.

        What the program logged last may still lie in the spool, and counts.
        """
        backend, sweep = trial._backend, self._sweep
        try:
            run = backend.run(sweep.entity, sweep.project, trial.record.run_id)
        except RunNotFoundError:
            return  # a program that does not use Lineal
        if run.state in (RunState.RUNNING, RunState.PREEMPTING, RunState.CRASHED):
            adopting.adopt(backend, home_of(self._settings).spool)
            since = (datetime.now(UTC) - run.created_at).total_seconds()
            backend.finish_run(run.key, 0 if trial.ended else code, min(seconds, max(since, 0.0)))


class _Signals:
    """What signals to the agent do to its program while that runs; main thread only.

    Those that would end the agent, Ctrl-C among them, end its program first: it has a session of
    its own, so nobody else does. The trial comes back, as it does from any agent that was killed.
    What is passed on ends the agent once the program has ended.
    """

    def __init__(self, trial: Trial, *, passes_on: bool, timeout: float | None) -> None:
        """timeout: seconds that the program gets to end after the first that is passed on."""
        self._process: subprocess.Popen[bytes] | None = None
        self._early: int | None = None
        """A signal that came while the program was being started; it is raised again then."""
        self._trial = trial
        self._passes_on = passes_on
        self._timeout = timeout
        self._until: float | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> _Signals:
        if threading.current_thread() is not threading.main_thread():
            return self
        passed_on = (signal.SIGINT, signal.SIGTERM) if self._passes_on else ()
        for number in passed_on:
            self._before[number] = signal.signal(number, self._pass_on)
        for number in (signal.SIGTERM, signal.SIGHUP):
            if number not in passed_on and signal.getsignal(number) is signal.SIG_DFL:
                self._before[number] = signal.signal(number, self._end)
        if not passed_on and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._before[signal.SIGINT] = signal.signal(signal.SIGINT, self._interrupt)
        return self

    def go_to(self, process: subprocess.Popen[bytes]) -> None:
        """Say which program it is, now that it has been started."""
        self._process = process
        if self._early is not None:
            signal.raise_signal(self._early)

    def is_time_up(self) -> bool:
        return self._until is not None and time.monotonic() >= self._until

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._process is None and self._early is not None:
            signal.raise_signal(self._early)

    def _pass_on(self, number: int, _frame: FrameType | None) -> None:
        if self._process is None:
            self._early = number
            return
        self._trial.signalled = number
        if self._timeout is not None and self._until is None:
            self._until = time.monotonic() + self._timeout
        _send(self._process, number)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self._process is None:  # an error now would leave behind what is being started
            self._early = number
            return
        signal.default_int_handler(number, frame)

    def _end(self, number: int, _frame: FrameType | None) -> None:
        if self._process is None:
            self._early = number
            return
        _send(self._process, signal.SIGTERM)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


def _send(process: subprocess.Popen[bytes], number: int) -> None:
    """Send a signal to a program and all that it started."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return


def _code_of(process: subprocess.Popen[bytes], trial: Trial, signals: _Signals) -> int | None:
    """Wait for a program's end and return its code; None if it must be ended.

    One that others do better than hears that at its next `run.log`, and may have a checkpoint to
    write and its run to finish.
    """
    while trial.ended is None:
        with suppress(subprocess.TimeoutExpired):
            return process.wait(LOOK_SECONDS)
        if signals.is_time_up():
            term.warning("The program did not end in the time that it was given, and is killed")
            _send(process, signal.SIGKILL)
            return process.wait()
    if trial.ended is TrialState.STOPPED:
        with suppress(subprocess.TimeoutExpired):
            return process.wait(GRACE_SECONDS)
    return None


def _end(process: subprocess.Popen[bytes]) -> int:
    """End a program and all that it started, by force once they had their time; return its code."""
    _send(process, signal.SIGTERM)
    until = time.monotonic() + GRACE_SECONDS
    try:
        while _is_there(process) and time.monotonic() < until:
            time.sleep(LOOK_SECONDS)
    finally:  # a second Ctrl-C does not wait
        if _is_there(process):
            _send(process, signal.SIGKILL)
    return process.wait()


def _is_there(process: subprocess.Popen[bytes]) -> bool:
    """Say whether a program, or anything that it started and left behind, is still at work."""
    if process.poll() is None:
        return True
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return any(_is_at_work_in(process.pid, path) for path in glob.iglob("/proc/[0-9]*/stat"))


def _is_at_work_in(group: int, path: str) -> bool:
    """Say so of a process of `/proc`; a container without an `init` keeps its dead as zombies."""
    try:
        with open(path, "rb") as file:
            state, _parent, of = file.read().rpartition(b")")[2].split()[:3]
    except (OSError, ValueError):  # it has just ended
        return False
    return int(of) == group and state != b"Z"


def _write_parameters(path: str, trial: Trial) -> None:
    """Write the file that W&B gives to programs: each parameter as `{value: …}`."""
    import yaml  # 15 ms, and few processes are agents

    with open(path, "w", encoding="utf-8") as file:
        parameters = {name: {"value": value} for name, value in trial.parameters.items()}
        yaml.dump(parameters, file, with_all_numbers(yaml.SafeDumper))
    sys.stdout.flush()  # what the agent printed comes before what its program prints
