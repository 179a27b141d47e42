"""Sweeps: what handing out a trial costs, 16 agents at once, and how good the search is."""

from __future__ import annotations

import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks import timing
from benchmarks.child import Stopwatch
from benchmarks.results import Bench, Result

HAND_OUT_LIMIT_MS = 20
FINISHED_BEFORE = 1_000
AGENTS, TRIALS_EACH = 16, 100
TOGETHER_LIMIT_SECONDS = 60
SEARCH_TRIALS, SEEDS = 50, 20
NOISE = 1.1
"""Two medians of twenty random searches with the same sampler differ by some per cent."""

Function = Callable[[dict[str, float]], float]


def branin(at: dict[str, float]) -> float:
    """Branin-Hoo; x1 in [-5, 10], x2 in [0, 15], minimum 0.397887."""
    x, y = at["x1"], at["x2"]
    b, c, t = 5.1 / (4 * math.pi**2), 5 / math.pi, 1 / (8 * math.pi)
    return (y - b * x * x + c * x - 6) ** 2 + 10 * (1 - t) * math.cos(x) + 10


_A = ((10, 3, 17, 3.5, 1.7, 8), (0.05, 10, 17, 0.1, 8, 14),
      (3, 3.5, 1.7, 10, 17, 8), (17, 8, 0.05, 10, 0.1, 14))  # fmt: skip
_P = ((1312, 1696, 5569, 124, 8283, 5886), (2329, 4135, 8307, 3736, 1004, 9991),
      (2348, 1451, 3522, 2883, 3047, 6650), (4047, 8828, 8732, 5743, 1091, 381))  # fmt: skip
_C = (1.0, 1.2, 3.0, 3.2)


def hartmann6(at: dict[str, float]) -> float:
    """Hartmann's function of six numbers in [0, 1], minimum -3.32237."""
    x = [at[f"x{number}"] for number in range(1, 7)]
    return -sum(
        weight
        * math.exp(-sum(a * (xi - p / 10_000) ** 2 for a, p, xi in zip(row, at_, x, strict=True)))
        for weight, row, at_ in zip(_C, _A, _P, strict=True)
    )


FUNCTIONS: dict[str, tuple[Function, dict[str, tuple[float, float]]]] = {
    "Branin": (branin, {"x1": (-5.0, 10.0), "x2": (0.0, 15.0)}),
    "Hartmann-6": (hartmann6, {f"x{number}": (0.0, 1.0) for number in range(1, 7)}),
}


def by_lineal(watch: Stopwatch, name: str, seeds: int) -> list[float]:
    """Return the best value of each of some sweeps, driven through the service."""
    from lineal.core.trials import TrialState

    function, bounds = FUNCTIONS[name]
    found = []
    with watch:
        for _ in range(seeds):
            backend, sweep, agent = _sweep("bayes", bounds)
            best = math.inf
            for _ in range(SEARCH_TRIALS):
                trial = backend.next_trial(sweep.key, agent).trial
                value = function(trial.parameters)
                _result(backend, trial, value)
                backend.finish_trial(trial.key, agent, TrialState.FINISHED)
                best = min(best, value)
            found.append(best)
    return found


def by_optuna(watch: Stopwatch, name: str, seeds: int) -> list[float]:
    """Do the same with Optuna alone."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    function, bounds = FUNCTIONS[name]

    def objective(trial: Any) -> float:
        return function({key: trial.suggest_float(key, *ends) for key, ends in bounds.items()})

    found = []
    with watch:
        for _ in range(seeds):
            study = optuna.create_study(sampler=optuna.samplers.TPESampler())
            study.optimize(objective, n_trials=SEARCH_TRIALS)
            found.append(study.best_value)
    return found


def hand_out(watch: Stopwatch, finished: int) -> list[float]:
    """Return the milliseconds that each of 20 trials took to be handed out, after so many."""
    from lineal.core.trials import TrialState

    _, bounds = FUNCTIONS["Branin"]
    backend, sweep, agent = _sweep("bayes", bounds)
    for _ in range(finished):
        trial = backend.next_trial(sweep.key, agent).trial
        _result(backend, trial, branin(trial.parameters))
        backend.finish_trial(trial.key, agent, TrialState.FINISHED)
    taken = []
    with watch:
        for _ in range(20):
            began = time.perf_counter()
            backend.next_trial(sweep.key, agent)
            taken.append((time.perf_counter() - began) * 1000)
    return taken


def _sweep(method: str, bounds: dict[str, tuple[float, float]]) -> tuple[Any, Any, Any]:
    from lineal.client import session
    from lineal.config import load
    from lineal.core.trials import SweepSpec

    backend = session.open_backend(load())
    document = {
        "method": method,
        "metric": {"name": "value"},
        "parameters": {key: {"min": low, "max": high} for key, (low, high) in bounds.items()},
    }
    sweep = backend.create_sweep(SweepSpec(backend.entity, "bench", document))
    return backend, sweep, backend.join_sweep(sweep.key, name="bench", host="here")


def _result(backend: Any, trial: Any, value: float) -> None:
    """Leave a run with a result, as cheaply as can be."""
    from lineal.core.records import RunPatch, RunSpec

    run = backend.start_run(RunSpec(backend.entity, "bench", trial.run_id)).run
    backend.update_run(run.key, RunPatch(summary={"value": value}))


AGENT = """
import sys
import lineal

def nothing():
    with lineal.init(settings={"quiet": True}) as run:
        run.log({"value": run.config["x"]})

lineal.agent(sys.argv[1], nothing, count=int(sys.argv[2]))
"""


def together(watch: Stopwatch, agents: int, trials: int) -> dict[str, Any]:
    """Have many agent processes work on one sweep; returns what became of its trials."""
    import lineal
    from lineal.client.sweep import sweep as sweeps
    from lineal.config import load

    count = agents * trials
    document = {
        "method": "random",
        "metric": {"name": "value"},
        "parameters": {"x": {"min": 0.0, "max": 1.0}},
        "run_cap": count,
    }
    path = f"bench/{lineal.sweep(document, project='bench')}"
    with watch:
        processes = [
            subprocess.Popen([sys.executable, "-c", AGENT, path, str(count)], env=os.environ)
            for _ in range(agents)
        ]
        codes = [process.wait() for process in processes]
    trials_of = sweeps.all_trials(*sweeps.find(load(), path))
    return {
        "codes": codes,
        "numbers": sorted(trial.number for trial in trials_of),
        "states": sorted({str(trial.state) for trial in trials_of}),
        "runs": len({trial.run_id for trial in trials_of}),
    }


def measure(bench: Bench) -> Iterator[Result]:
    folder = bench.folder("sweeps")
    finished = bench.size(FINISHED_BEFORE, 20)
    timed, _ = timing.child(hand_out, finished, folder=folder, home=bench.new_path("home"))
    yield Result(
        f"hand out a trial after {finished:,} finished ones",
        statistics.median(timed.value),
        "ms",
        HAND_OUT_LIMIT_MS,
        timed,
    )
    agents, each = bench.size(AGENTS, 2), bench.size(TRIALS_EACH, 3)
    timed, _ = timing.child(together, agents, each, folder=folder, home=bench.new_path("home"))
    outcome = timed.value
    assert outcome["numbers"] == list(range(agents * each)), "a trial was lost or given twice"
    assert (outcome["states"], outcome["runs"]) == (["finished"], agents * each), outcome
    yield Result(
        f"{agents} agents x {each} trials of an empty function",
        timed.wall_seconds,
        "s",
        TOGETHER_LIMIT_SECONDS,
        timed,
    )
    seeds = bench.size(SEEDS, 2)
    for name in FUNCTIONS:
        ours, _ = timing.child(by_lineal, name, seeds, folder=folder, home=bench.new_path("home"))
        theirs, _ = timing.child(by_optuna, name, seeds, folder=folder)
        best, yardstick = statistics.median(ours.value), statistics.median(theirs.value)
        yield Result(
            f"bayes on {name}, {SEARCH_TRIALS} trials, median best of {seeds}",
            best,
            "",
            yardstick * NOISE if yardstick > 0 else yardstick / NOISE,
            ours,
            theirs,
            f"Optuna used directly: {yardstick:.4g}; the limit is that, and {NOISE - 1:.0%} for "
            "chance",
        )
