"""Measuring: fresh processes, pairs taken in turn, medians.

Everything measured runs in a process of its own, so that no case inherits the memory, caches or
threads of the one before. Yardstick and work alternate (A B A B …): what else happens on the
machine hits both, and the median of the ratios is steadier than either of its sides.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
_OWN_SETTINGS = ("LINEAL_", "WANDB_")


@dataclass(frozen=True)
class Taken:
    """What one piece of work took."""

    wall_seconds: float
    cpu_seconds: float
    """User and system together, children included."""
    peak_bytes: int
    """The most memory that was resident at any time."""
    value: Any = None
    """What the work returned, if it ran Python."""


@dataclass(frozen=True)
class Pairs:
    """Yardstick and work, as often as they were taken in turn."""

    yardsticks: Sequence[Taken]
    works: Sequence[Taken]

    @property
    def ratio(self) -> float:
        return statistics.median(
            work.wall_seconds / yardstick.wall_seconds
            for yardstick, work in zip(self.yardsticks, self.works, strict=True)
        )

    @property
    def difference_seconds(self) -> float:
        return statistics.median(
            work.wall_seconds - yardstick.wall_seconds
            for yardstick, work in zip(self.yardsticks, self.works, strict=True)
        )

    @property
    def yardstick(self) -> Taken:
        return median(self.yardsticks)

    @property
    def work(self) -> Taken:
        return median(self.works)


def median(taken: Sequence[Taken]) -> Taken:
    """Return the medians of wall and CPU time, and the highest peak."""
    return Taken(
        statistics.median(each.wall_seconds for each in taken),
        statistics.median(each.cpu_seconds for each in taken),
        max(each.peak_bytes for each in taken),
    )


def paired(runs: int, yardstick: Callable[[int], Taken], work: Callable[[int], Taken]) -> Pairs:
    """Take yardstick and work in turn, `runs` times each; both are told which turn it is.

    What either left to be written is on disk before the other begins: Lineal flushes the file
    system before it commits, and must not pay for what `cp` left behind. (Not waited for where
    there is one turn only: that is no measurement.)
    """
    settle = os.sync if runs > 1 else lambda: None
    yardsticks, works = [], []
    for turn in range(runs):
        settle()
        yardsticks.append(yardstick(turn))
        settle()
        works.append(work(turn))
    return Pairs(yardsticks, works)


def command(argv: Sequence[str], *, home: str | None = None, cwd: str | None = None) -> Taken:
    """Run a command and measure all of it, from its start to its end."""
    started = time.perf_counter()
    process = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env=_environment(home),
        cwd=cwd,
    )
    _, status, usage = os.wait4(process.pid, 0)
    wall_seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(argv)} ended with {process.returncode}")
    return Taken(wall_seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def python(source: str, *args: str, home: str | None = None, cwd: str | None = None) -> Taken:
    """Run Python source in a fresh interpreter and measure all of it."""
    return command([sys.executable, "-c", source, *args], home=home, cwd=cwd)


def child(
    work: Callable[..., Any],
    *args: Any,
    folder: str,
    home: str | None = None,
    interpreter: str = sys.executable,
) -> tuple[Taken, Taken]:
    """Run a function of a benchmark in a fresh process; returns (what it timed, all of it).

    work: a module's function; its first argument is a `Stopwatch`, the others are JSON, as is
    what it returns (the value of the first result). folder: exists; the working directory.
    """
    report = os.path.join(folder, f"report-{time.time_ns()}.json")
    name = f"{work.__module__}:{work.__qualname__}"
    argv = [interpreter, "-m", "benchmarks.child", name, json.dumps(args), report]
    whole = command(argv, home=home, cwd=folder)
    with open(report, encoding="utf-8") as file:
        timed = Taken(**json.load(file))
    return timed, Taken(whole.wall_seconds, whole.cpu_seconds, timed.peak_bytes, timed.value)


def _environment(home: str | None) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(_OWN_SETTINGS)}
    kept |= {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", "LINEAL_SILENT": "true"}
    return kept if home is None else kept | {"LINEAL_HOME": home, "TRACKIO_DIR": home}
