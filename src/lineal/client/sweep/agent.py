"""Agents: ask a sweep for trials and carry them out, one after the other (SWP-1, SWP-9).

A trial is a function that calls `init`, or a program in any language. While it runs, the agent
says every second that it does, and hears whether it is to end.
"""

from __future__ import annotations

import os
import shlex
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, SupportsIndex

from lineal.client import session, term
from lineal.client.backend import Backend
from lineal.client.capture import machine
from lineal.client.exit_code import code_of
from lineal.client.sweep.agent_view import AgentView
from lineal.client.sweep.program import Program
from lineal.client.sweep.sweep import find
from lineal.client.sweep.trial import Trial
from lineal.client.values import flat
from lineal.config import Settings, load
from lineal.core import sweeps
from lineal.core.trials import AgentKey, SweepRecord, TrialRecord, TrialState
from lineal.errors import Invalid, LinealError, RunNotFoundError, TrialsFailed, TrialStopped

POLL_SECONDS = 1.0
"""How often an agent asks again that was told to wait."""
KEYS_SHOWN = 10
"""Of a summary that lacks the sweep's metric."""
FLAPPING_FAILURES, FLAPPING_SECONDS = 3, 60.0
"""So many failures in the first so many seconds: something is wrong with all of them (SWP-9)."""


class Work(Protocol):
    """Carries out one trial; returns how it ended."""

    def __call__(self, trial: Trial) -> TrialState: ...


@dataclass(frozen=True)
class Done:
    """What an agent has carried out."""

    count: int
    failed: int


def agent(
    sweep_id: str,
    function: Callable[[], Any] | None = None,
    entity: str | None = None,
    project: str | None = None,
    count: int | None = None,
    forward_signals: bool = False,
    term_timeout: float | None = None,
    max_consecutive_failed_runs: int | None = None,
    *,
    settings: Settings | dict[str, Any] | None = None,
) -> None:
    """Carry out trials of a sweep until there are none left, or `count` of them.

    sweep_id: `[[entity/]project/]id`. function: called for each trial, calls `init` and reads
    `config`, and whose errors and `sys.exit` end that trial only; without it the sweep's `program`
    is started. forward_signals: pass Ctrl-C and SIGTERM on to the program, wait for it rather than
    ending it, and then end by that signal. term_timeout: seconds that the program gets for that
    before it is killed; default: as long as it takes.
    max_consecutive_failed_runs: failures one after the other that end this agent; default: any
    number. Raises NotFound for the sweep, Invalid where there is nothing to carry out or a number
    of trials is less than 1, TrialsFailed when 3 trials failed in the first minute, or the first
    5 all did (`agent_disable_flapping`, `agent_max_initial_failures`), or so many in a row.
    """
    most = max_consecutive_failed_runs
    for name, given in (("count", count), ("max_consecutive_failed_runs", most)):
        if given is not None and not isinstance(given, SupportsIndex):
            raise TypeError(f"agent({name}={given!r}): how many trials is a whole number")
    loaded = load({"entity": entity, "project": project}, base=settings)
    carry_out(
        loaded,
        sweep_id,
        function,
        project=project,
        count=count,
        forward_signals=forward_signals,
        term_timeout=term_timeout,
        max_consecutive_failed_runs=max_consecutive_failed_runs,
    )


def carry_out(
    settings: Settings,
    sweep_id: str,
    function: Callable[[], Any] | None = None,
    *,
    project: str | None = None,
    count: int | None = None,
    forward_signals: bool = False,
    term_timeout: float | None = None,
    max_consecutive_failed_runs: int | None = None,
) -> Done:
    """Do what `agent` does, and say how it went."""
    if count is not None and count < 1:
        raise Invalid(f"count={count} is no number of trials; leave it out to do all there are")
    most = max_consecutive_failed_runs
    if most is not None and most < 1:
        raise Invalid(
            f"max_consecutive_failed_runs={most} is no number of trials; leave it out to go on "
            "whatever fails"
        )
    term.configure(quiet=settings.quiet, silent=settings.silent)
    backend, record = find(settings, sweep_id, project=project)
    work: Work
    if function:
        work = _Function(function)
    else:
        work = Program(record, settings, forward_signals=forward_signals, term_timeout=term_timeout)
    return _Agent(backend, record, work, settings, max_failures_in_row=most).run(count)


class _Agent:
    """One agent at work."""

    def __init__(
        self,
        backend: Backend,
        sweep: SweepRecord,
        work: Work,
        settings: Settings,
        *,
        max_failures_in_row: int | None,
    ) -> None:
        self._backend = backend
        self._sweep = sweep
        self._work = work
        self._settings = settings
        self._view = AgentView(sweep)
        self._metric = sweeps.plan(sweep.document).metric
        self._began = time.monotonic()
        self._max_failures_in_row = max_failures_in_row
        self._done = self._failed = self._failed_in_row = 0
        self._signalled: int | None = None
        """By what signal the agent ends, once it was passed on."""

    def run(self, count: int | None) -> Done:
        name = f"{machine.host_name()}-{os.getpid()}"
        agent = self._backend.join_sweep(self._sweep.key, name=name, host=machine.host_name())
        try:
            while self._signalled is None and (count is None or self._done < count):
                answer = self._backend.next_trial(self._sweep.key, agent)
                if answer.trial is not None:
                    self._carry_out(answer.trial, agent)
                elif answer.waits:
                    self._view.waits(answer.reason)
                    time.sleep(POLL_SECONDS)
                else:
                    self._view.ended(answer.reason)
                    break
        finally:
            self._backend.leave_sweep(agent)
        if self._signalled is not None:
            signal.raise_signal(self._signalled)
        return Done(self._done, self._failed)

    def _carry_out(self, record: TrialRecord, agent: AgentKey) -> None:
        trial = Trial(self._backend, self._sweep, record)
        self._view.begins(record)
        stop_ticking = session.worker().every_tick(lambda: self._beat(trial, agent))
        began = time.monotonic()
        state: TrialState | None = None
        try:
            state = self._work(trial)
        finally:
            if state is None:  # what interrupts the agent itself says nothing of the trial
                state = trial.ended or TrialState.QUEUED
            stop_ticking()
            ended = self._backend.finish_trial(record.key, agent, state)
            self._view.ends(ended, time.monotonic() - began)
        if trial.exited is not None and ended.state is TrialState.QUEUED:
            raise trial.exited  # its run was preempted: this machine is about to go
        self._warn_without_result(ended)
        self._done += 1
        is_failed = ended.state is TrialState.FAILED
        self._failed += is_failed
        self._failed_in_row = self._failed_in_row + 1 if is_failed else 0
        self._signalled = trial.signalled
        if self._signalled is not None:
            return
        self._give_up_if_none_succeeds()
        self._give_up_if_all_fail()

    def _warn_without_result(self, trial: TrialRecord) -> None:
        """Say once that a trial went well and counts for nothing: no search would learn of it."""
        if (
            self._metric is None
            or trial.value is not None
            or trial.state is not TrialState.FINISHED
        ):
            return
        try:
            run = self._backend.run(self._sweep.entity, self._sweep.project, trial.run_id)
        except RunNotFoundError:
            there = "it started no run"
        else:
            keys = sorted(key for key in flat(run.summary) if not key.startswith("_"))
            there = f"its run's summary has {', '.join(keys[:KEYS_SHOWN]) or 'nothing'}"
        name = self._metric.name
        term.warn_once(
            f"Trial {trial.number} of sweep {self._sweep.path} has no result: {there}, and no "
            f"number called `{name}`, the sweep's metric. Log it with `run.log`; "
            f"`define_metric({name!r}, summary='none')` keeps it out. This is said once",
            key=f"no-result {self._sweep.path}",
        )

    def _beat(self, trial: Trial, agent: AgentKey) -> None:
        """Say that the trial goes on; must not raise."""
        try:
            beat = self._backend.beat_trial(trial.record.key, agent)
        except LinealError as error:
            term.warn_once(
                f"Sweep {self._sweep.path} cannot be reached at present: {error.message}",
                key="agent",
                again_seconds=300,
            )
            return
        if not beat.goes_on:
            trial.stop(beat.state, beat.reason)

    def _give_up_if_none_succeeds(self) -> None:
        most = self._max_failures_in_row
        if most is not None and self._failed_in_row >= most:
            raise TrialsFailed(
                f"The agent of sweep {self._sweep.path} gives up: {self._failed_in_row} trials in "
                f"a row failed (max_consecutive_failed_runs). See "
                f"`lineal sweep show {shlex.quote(self._sweep.path)}`"
            )

    def _give_up_if_all_fail(self) -> None:
        if self._settings.agent_disable_flapping:
            return
        is_early = time.monotonic() - self._began < FLAPPING_SECONDS
        if is_early and self._failed >= FLAPPING_FAILURES:
            why = f"{self._failed} trials failed in the first {FLAPPING_SECONDS:.0f} seconds"
        elif self._failed == self._done >= self._settings.agent_max_initial_failures:
            why = f"the first {self._failed} trials all failed"
        else:
            return
        raise TrialsFailed(
            f"The agent of sweep {self._sweep.path} gives up: {why}. See "
            f"`lineal sweep show {shlex.quote(self._sweep.path)}`; "
            "LINEAL_AGENT_DISABLE_FLAPPING=true goes on all the same"
        )


class _Function:
    """A trial that is a call of a Python function in this process."""

    def __init__(self, function: Callable[[], Any]) -> None:
        if not callable(function):
            raise Invalid(f"agent(function=…) needs a function, not {function!r}")
        self._function = function

    def __call__(self, trial: Trial) -> TrialState:
        session.set_trial(trial)
        exit_code = 0
        try:
            self._function()
        except TrialStopped:
            return trial.ended or TrialState.STOPPED
        except SystemExit as error:  # many a `main()` ends so; the agent goes on
            trial.exited = error
            exit_code = code_of(SystemExit, error)
            if not isinstance(error.code, (int, type(None))):
                sys.stderr.write(f"{error.code}\n")  # as Python does at the end of a program
        except Exception:  # noqa: BLE001 - one trial's failure must not end the sweep
            traceback.print_exc()
            exit_code = 1
        except BaseException as error:
            exit_code = code_of(type(error), error)
            raise
        finally:
            session.set_trial(None)
            _finish(trial, exit_code)
        return TrialState.FAILED if exit_code else trial.ended or TrialState.FINISHED


def _finish(trial: Trial, exit_code: int) -> None:
    """Finish what the function left open; its result is read from the run."""
    for run in trial.runs:
        try:
            run.finish(exit_code=exit_code)
        except LinealError as error:
            term.error(error.message)
