"""Programs that import `wandb`, in a Python of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[2] / "src"
Started = subprocess.CompletedProcess[str]
Start = Callable[..., Started]


@pytest.fixture
def start() -> Start:
    """Run a Python with these arguments; fails the test unless it ends with the code expected."""

    def run(*arguments: str, code: int = 0, **environment: str) -> Started:
        done = subprocess.run(
            [sys.executable, *arguments],
            env={**os.environ, "PYTHONPATH": str(SOURCES), **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return done

    return run


@pytest.fixture
def as_wandb(start: Start) -> Start:
    """Run a program by `lineal as-wandb`."""

    def run(program: str, code: int = 0) -> Started:
        return start("-m", "lineal", "as-wandb", sys.executable, "-c", program, code=code)

    return run
