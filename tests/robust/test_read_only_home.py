"""A home that cannot be written: reading works, writing says what to set."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import lineal
from lineal.client import session
from lineal.errors import Unavailable
from tests.robust import workers

NOBODY = 65534
ROOT = Path(__file__).parents[2]

READ_ONLY_MOUNT = """
import os, subprocess, sys
home = os.environ["LINEAL_HOME"]
subprocess.run(["mount", "--bind", home, home], check=True)
subprocess.run(["mount", "-o", "remount,bind,ro", home], check=True)
"""
OTHER_USER = ""
NOT_ALL_MIGHTY = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search,-fowner,-chown"]
"""Root without these is refused what others are refused."""
TELL = """
import json, sys, traceback
import lineal
from lineal.errors import LinealError
def work():
{body}
try:
    answer = work()
    print(json.dumps({{"answer": answer}}))
except LinealError as error:
    print(json.dumps({{"error": type(error).__name__, "message": str(error)}}))
"""


def child(setup: str, body: str) -> dict[str, Any]:
    """Run code in a process that may not write the home; a mount namespace keeps mounts there."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to make a home read-only for a child")
    text = setup + TELL.format(body="\n".join(f"    {line}" for line in body.splitlines()))
    command = [sys.executable, "-c", text]
    command = [*(["unshare", "--mount"] if setup else NOT_ALL_MIGHTY), *command]
    if shutil.which(command[0]) is None:
        pytest.skip(f"needs {command[0]}")
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if command[0] in done.stderr:
        pytest.skip(f"this container does not allow {command[0]}")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


@pytest.fixture
def filled_home() -> str:
    with workers.start(id="run1") as run:
        run.log({"loss": 1.0})
        run.log_artifact(workers.draft("content")).wait()
    session.close()
    return os.environ["LINEAL_HOME"]


@pytest.fixture(params=["read-only mount", "other owner"])
def setup(request: pytest.FixtureRequest, filled_home: str) -> Iterator[str]:
    """What a child does before the test's code; the home is another user's or read-only there."""
    if request.param == "read-only mount":
        yield READ_ONLY_MOUNT
        return
    if os.geteuid() != 0:
        pytest.skip("needs root, to give the home to another user")
    everything = [filled_home, *(str(path) for path in Path(filled_home).rglob("*"))]
    for path in everything:
        os.chown(path, NOBODY, NOBODY)
        os.chmod(path, 0o755 if os.path.isdir(path) else 0o644)
    yield OTHER_USER
    for path in everything:
        if os.path.exists(path):
            os.chown(path, 0, 0)


def test_starting_a_run_says_which_variable_to_set(setup: str, filled_home: str) -> None:
    told = child(setup, 'lineal.init(project="vision")')
    assert told["error"] == "Unavailable"
    assert "LINEAL_HOME" in told["message"]
    assert filled_home in told["message"]


def test_adding_a_file_says_which_variable_to_set(setup: str, filled_home: str) -> None:
    told = child(setup, 'lineal.Artifact("data", "dataset").add_bytes(b"x", "x")')
    assert told["error"] == "Unavailable"
    assert "LINEAL_HOME" in told["message"]


def test_making_a_draft_of_an_immutable_file_needs_no_home(setup: str, filled_home: str) -> None:
    body = """
artifact = lineal.Artifact("data", "dataset")
artifact.add_file("/etc/passwd", policy="immutable")
return artifact.digest
"""
    assert child(setup, body)["answer"].startswith("sha256:")


def test_nothing_is_damaged_by_the_attempt(setup: str, filled_home: str) -> None:
    child(setup, 'lineal.init(project="vision")')
    artifact = lineal.Api({"project": "vision"}).artifact("data:latest")
    assert Path(artifact.file()).read_text() == "content"


READ = """
import os, tempfile
api = lineal.Api({"project": "vision"})
artifact = api.artifact("data:latest")
with tempfile.TemporaryDirectory() as folder:
    artifact.download(folder)
    artifact.verify(folder)
    text = "".join(open(os.path.join(folder, name)).read() for name in os.listdir(folder))
return [artifact.version, text, artifact.logged_by().id, len(artifact.lineage().nodes)]
"""


def test_a_home_that_may_only_be_read_is_read(setup: str, filled_home: str) -> None:
    assert child(setup, READ) == {"answer": ["v0", "content", "run1", 2]}


def test_a_copy_without_the_folders_of_writers_is_read(setup: str, filled_home: str) -> None:
    for name in ("staging", "spool", "cache"):
        shutil.rmtree(os.path.join(filled_home, name))
    assert child(setup, READ) == {"answer": ["v0", "content", "run1", 2]}
    told = child(setup, 'lineal.Artifact("data", "dataset").add_bytes(b"x", "x")')
    assert "LINEAL_HOME" in told["message"]


@pytest.mark.parametrize("has_shared_memory", [True, False], ids=["whole", "copied without -shm"])
def test_what_a_killed_process_left_in_the_log_is_read(
    filled_home: str, has_shared_memory: bool
) -> None:
    body = """
import os
run = lineal.init(project="vision", settings={"silent": True})
artifact = lineal.Artifact("data", "dataset")
artifact.add_bytes(b"newer", "file.txt")
run.log_artifact(artifact).wait()
print(json.dumps({"answer": None}), flush=True)
os._exit(0)
"""
    child("", body)
    log = Path(filled_home, "lineal.db-wal")
    assert log.stat().st_size > 0
    if not has_shared_memory:
        Path(filled_home, "lineal.db-shm").unlink()
    told = child(READ_ONLY_MOUNT, READ)
    assert told["answer"][:2] == ["v1", "newer"]
    assert log.stat().st_size > 0


def test_changing_a_home_that_may_only_be_read_says_so(setup: str, filled_home: str) -> None:
    told = child(setup, 'lineal.Api({"project": "vision"}).artifact("data:v0").delete()')
    assert told["error"] == "Unavailable"
    assert "its folder may only be read. Set LINEAL_HOME" in told["message"]


def test_an_offline_run_uses_what_a_home_has_that_may_only_be_read(
    setup: str, filled_home: str, tmp_path: Path
) -> None:
    body = f"""
with lineal.init(project="vision", mode="offline", dir={str(tmp_path)!r}) as run:
    return run.use_artifact("data:latest").version
"""
    assert child(setup, body) == {"answer": "v0"}


@pytest.mark.parametrize("is_killed", [False, True], ids=["finished", "killed"])
def test_an_offline_run_is_synced_from_a_medium_that_may_only_be_read(
    tmp_path: Path, is_killed: bool
) -> None:
    body = f"""
import os
run = lineal.init(project="vision", id="run1", mode="offline", dir={str(tmp_path)!r})
artifact = lineal.Artifact("data", "dataset")
artifact.add_bytes(b"content", "file.txt")
run.log_artifact(artifact).wait()
run.log({{"loss": 0.5}})
if not {is_killed}:
    run.finish()
print(json.dumps({{"answer": run.sync_dir}}), flush=True)
os._exit(0)
"""
    folder = child("", body)["answer"]
    sync = f"""
from lineal.client import session
from lineal.client.offline import sync
from lineal.config import load
settings = load()
backend = session.open_backend(settings)
result, = sync.sync([{folder!r}], backend, settings=settings)
return [result.line_count, {{name: str(error) for name, error in result.failures.items()}}]
"""
    medium = READ_ONLY_MOUNT.replace('os.environ["LINEAL_HOME"]', repr(folder))
    for _ in range(2):
        assert child(medium, sync)["answer"] == [1, {}]
    run = lineal.Api({"project": "vision"}).run("run1")
    assert run.state == ("crashed" if is_killed else "finished")
    assert [row["loss"] for row in run.scan_history()] == [0.5]
    assert [each.name for each in run.logged_artifacts()] == ["data:v0"]


def test_a_home_of_an_older_lineal_that_may_only_be_read_says_so(
    setup: str, filled_home: str
) -> None:
    with closing(sqlite3.connect(os.path.join(filled_home, "lineal.db"))) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
        connection.commit()
    told = child(setup, 'lineal.Api({"project": "vision"}).artifact("data:latest")')
    assert told["error"] == "Unavailable"
    assert "of another Lineal (revision 0001" in told["message"]


def test_a_home_that_is_a_file_says_which_variable_to_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("LINEAL_HOME", str(tmp_path / "file"))
    with pytest.raises(Unavailable, match="LINEAL_HOME"):
        lineal.init()
    with pytest.raises(Unavailable, match="LINEAL_HOME"):
        lineal.Artifact("data", "dataset").add_bytes(b"x", "x")
