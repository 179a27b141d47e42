"""`kill -9` at any point of logging: nothing visible is half, and the same call completes it.

What is done and what is asserted after each death is in kill.py.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = [sys.executable, "-W", "error", "-m", "tests.robust.kill"]

SCENARIOS = {
    "folder": 1,
    "first": 6,
    "known": 4,
    "immutable": 4,
    "draft": 4,
    "unchanged": 4,
    "distributed": 6,
}
"""Each with the distance of the steps tried; what is common to all is tried in full once."""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[str]:
    """Prefer memory: a killed process loses nothing the kernel has, so no disk need be flushed."""
    shared = "/dev/shm" if os.access("/dev/shm", os.W_OK) else str(tmp_path)
    made = tempfile.mkdtemp(prefix="lineal-kill-", dir=shared)
    yield made
    shutil.rmtree(made)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_killed_at_any_step_nothing_is_half_and_the_same_call_completes_it(
    scenario: str, folder: str
) -> None:
    done = subprocess.run(
        [*PROGRAM, folder, scenario, str(SCENARIOS[scenario])],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "LINEAL_HOME": folder, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
    )
    assert done.returncode == 0, done.stderr
    outcomes = [json.loads(line) for line in done.stdout.splitlines()]
    problems = [(each["step"], each["at"], each["problem"]) for each in outcomes if each["problem"]]
    assert problems == []
    assert not outcomes[-1]["is_killed"], "the last attempt must have run to its end"
    kinds = {each["at"].split()[0] for each in outcomes if each["is_killed"]}
    if SCENARIOS[scenario] == 1:  # deaths in files, statements and commits were all tried
        assert {"open", "os.mkdir", "os.rename", "INSERT", "UPDATE", "COMMIT"} <= kinds
    assert len(outcomes) >= 5
