"""`kill -9` at any step of a sweep: the next sweep ends where an undisturbed one does."""

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


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[str]:
    """Prefer memory: a killed process loses nothing the kernel has, so no disk need be flushed."""
    shared = "/dev/shm" if os.access("/dev/shm", os.W_OK) else str(tmp_path)
    made = tempfile.mkdtemp(prefix="lineal-gc-kill-", dir=shared)
    yield made
    shutil.rmtree(made)


def test_a_sweep_killed_at_any_step_is_finished_by_the_next(folder: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.gc.kill", folder],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "LINEAL_HOME": folder, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
    )
    assert done.returncode == 0, done.stderr
    outcomes = [json.loads(line) for line in done.stdout.splitlines()]
    problems = [(each["step"], each["at"], each["problem"]) for each in outcomes if each["problem"]]
    assert problems == [], done.stderr
    killed = {each["at"] for each in outcomes if each["is_killed"]}
    assert not outcomes[-1]["is_killed"], "the last attempt must have run to its end"
    for what in (
        "INSERT INTO deletions",
        "UPDATE versions SET",
        "UPDATE drafts SET",
        "DELETE FROM run_files",
        "DELETE FROM manifests",
        "DELETE FROM segments",
        "UPDATE blobs SET",
        "unlink",
        "DELETE FROM blobs",
        "COMMIT",
    ):
        assert what in killed
