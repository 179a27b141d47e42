"""Host, system, Python, processor, memory, GPU; and how the program was called."""

from __future__ import annotations

import os
import shutil
import sys
from typing import Any

from lineal.config import working_folder

NVIDIA_TIMEOUT_SECONDS = 5.0
"""`nvidia-smi` hangs for minutes on a sick driver."""
NVIDIA_QUERY = "name,memory.total,driver_version"


def host_name() -> str:
    return os.uname().nodename


def describe(host: str | None = None) -> dict[str, Any]:
    """Return what is known of the machine, under the names W&B uses; host: its name, if given."""
    system = os.uname()
    found: dict[str, Any] = {
        "os": f"{system.sysname}-{system.release}-{system.machine}",
        "host": host or system.nodename,
        "username": os.environ.get("USER") or os.environ.get("USERNAME"),
        "python": sys.version.split()[0],
        "executable": sys.executable,
        "cpu_count": _usable_cpus(),
        "cpu_count_logical": os.cpu_count(),
        "memory": {"total": _memory_bytes()},
    }
    gpus = _gpus()
    if gpus:
        found.update(gpu=gpus[0]["name"], gpu_count=len(gpus), gpu_nvidia=gpus)
    slurm = {name: value for name, value in os.environ.items() if name.startswith("SLURM_JOB")}
    if slurm:
        found["slurm"] = slurm
    return found


def program(settings_program: str | None) -> str | None:
    """Return the main script as it was named, None in an interactive session."""
    if settings_program:
        return settings_program
    main = sys.modules.get("__main__")
    path = getattr(main, "__file__", None)
    spec = getattr(main, "__spec__", None)
    if path is None or (spec is not None and "ipykernel" in str(spec.name)):
        return None
    if not os.path.isabs(path):
        return str(path)
    return os.path.relpath(path, working_folder())


def call(settings_program: str | None) -> dict[str, Any]:
    """Return how the program was started: its path, arguments and folder."""
    return {
        "program": program(settings_program),
        "args": sys.argv[1:],
        "root": working_folder(),
    }


def _usable_cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return None


def _gpus() -> list[dict[str, str]]:
    """Ask NVIDIA's tool, if it is there: name, memory and driver of each GPU."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    import subprocess  # 4 ms, and few machines have the tool

    try:
        answer = subprocess.run(
            [tool, f"--query-gpu={NVIDIA_QUERY}", "--format=csv,noheader"],
            capture_output=True,
            timeout=NVIDIA_TIMEOUT_SECONDS,
            text=True,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return []
    rows = [line.split(", ") for line in answer.stdout.splitlines()]
    return [
        dict(zip(("name", "memory_total", "driver"), row, strict=True))
        for row in rows
        if len(row) == NVIDIA_QUERY.count(",") + 1
    ]
