"""The benchmarks run; what they measure is no test's business, the machine may be busy."""

from __future__ import annotations

import importlib
import json
import math
import pkgutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from benchmarks import cases
from benchmarks.__main__ import NAMES
from benchmarks.results import Result, table
from benchmarks.timing import Taken

ROOT = Path(__file__).parent.parent
QUICK = [
    "imports",
    "hello",
    "steps",
    "large_file",
    "medium_files",
    "pictures",
    "small_files",
    "download",
    "manifest",
    "gc",
]
"""Those that take a second or two with small inputs."""


def run(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *args],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_benchmark_can_be_named_and_measured():
    assert {module.name for module in pkgutil.iter_modules(cases.__path__)} == set(NAMES)
    assert all(
        hasattr(importlib.import_module(f"{cases.__name__}.{name}"), "measure") for name in NAMES
    )


def test_quick_benchmarks_run_and_leave_nothing_behind(tmp_path: Path):
    report = tmp_path / "report.json"
    work = tmp_path / "disk"
    work.mkdir()
    done = run(*QUICK, "--quick", "--json", str(report), "--dir", str(work))
    assert done.returncode == 0, done.stderr
    results: list[dict[str, Any]] = json.loads(report.read_text())
    assert {result["case"] for result in results} == set(QUICK)
    for result in results:
        assert math.isfinite(result["measured"])  # differences may be negative, on a busy machine
        assert result["what"] in done.stdout
    assert list(work.iterdir()) == []


def test_unknown_benchmark_is_refused_with_the_known_names(tmp_path: Path):
    done = run("large", "--dir", str(tmp_path))
    assert done.returncode == 2
    assert "large_file" in done.stderr


@pytest.mark.parametrize(("measured", "verdict"), [(1.2, "ok"), (1.3, "OVER")])
def test_table_says_what_is_over_its_limit(measured: float, verdict: str):
    result = Result("copy", measured, "x", 1.2, Taken(1.3, 1.1, 0), Taken(1.0, 0.9, 0))
    line = table([("large_file", result)], judges=True).splitlines()[1]
    assert line.endswith(verdict)
    assert "1.300 s (1.100)" in line
