"""The process in which one piece of work is measured; started by `timing.child`."""

from __future__ import annotations

import importlib
import json
import resource
import sys
import time


class Stopwatch:
    """Measures what happens in `with watch:`; several times add up."""

    def __init__(self) -> None:
        self.wall_seconds = 0.0
        self.cpu_seconds = 0.0

    def __enter__(self) -> Stopwatch:
        self._began = time.perf_counter(), _cpu_seconds()
        return self

    def __exit__(self, *_: object) -> None:
        wall, cpu = self._began
        self.wall_seconds += time.perf_counter() - wall
        self.cpu_seconds += _cpu_seconds() - cpu


def _cpu_seconds() -> float:
    usages = (
        resource.getrusage(resource.RUSAGE_SELF),
        resource.getrusage(resource.RUSAGE_CHILDREN),
    )
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _peak_bytes() -> int:
    """Return the peak of this program; `ru_maxrss` also counts the parent before `exec`."""
    with open("/proc/self/status", encoding="ascii") as file:
        line = next(line for line in file if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def main(name: str, args: str, report: str) -> None:
    module, _, function = name.partition(":")
    watch = Stopwatch()
    value = getattr(importlib.import_module(module), function)(watch, *json.loads(args))
    taken = {
        "wall_seconds": watch.wall_seconds,
        "cpu_seconds": watch.cpu_seconds,
        "peak_bytes": _peak_bytes(),
        "value": value,
    }
    with open(report, "w", encoding="utf-8") as file:
        json.dump(taken, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
