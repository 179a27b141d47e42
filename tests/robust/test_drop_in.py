"""`import lineal as wandb` in scripts of their own, driven by W&B's environment variables."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def script(
    text: str, folder: Path, code: int = 0, **environment: str
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "import lineal as wandb\n" + text],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), **environment},
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done


def test_environment_variables_of_wandb_are_read(tmp_path: Path) -> None:
    text = """
with wandb.init() as run:
    artifact = wandb.Artifact("data", "dataset")
    artifact.add_bytes(b"x", "x")
    run.log_artifact(artifact).wait()
    print(run.path, run.name, run.group, run.job_type, sorted(run.tags), run.notes)
    print(artifact.download())
"""
    done = script(
        text,
        tmp_path,
        WANDB_PROJECT="vision",
        WANDB_ENTITY="team",
        WANDB_RUN_ID="abc",
        WANDB_NAME="first try",
        WANDB_RUN_GROUP="g",
        WANDB_JOB_TYPE="train",
        WANDB_TAGS="a,b",
        WANDB_NOTES="n",
        WANDB_ARTIFACT_DIR="fetched",
        WANDB_SILENT="true",
    )
    assert done.stdout.splitlines() == [
        "team/vision/abc first try g train ['a', 'b'] n",
        str(tmp_path / "fetched" / "data:v0"),
    ]
    assert done.stderr == ""


def test_our_own_variables_win(tmp_path: Path) -> None:
    done = script(
        "print(wandb.init().project)", tmp_path, WANDB_PROJECT="theirs", LINEAL_PROJECT="ours"
    )
    assert done.stdout == "ours\n"


def test_errors_are_caught_under_wandbs_names(tmp_path: Path) -> None:
    text = """
try:
    wandb.Api().artifact("nothing/there:v0")
except wandb.errors.CommError as error:
    print(type(error).__name__)
try:
    wandb.log({"a": 1})
except wandb.errors.Error as error:
    print(type(error).__name__)
try:
    wandb.Artifact("data", "dataset").version
except AttributeError as error:
    print(type(error).__name__)
"""
    done = script(text, tmp_path)
    assert done.stdout.split() == ["ProjectNotFound", "UsageError", "ArtifactNotLoggedError"]


def test_a_script_that_ends_without_finish_loses_nothing(tmp_path: Path) -> None:
    text = """
run = wandb.init(project="vision", id="quiet")
artifact = wandb.Artifact("data", "dataset")
for number in range(50):
    artifact.add_bytes(bytes([number]) * 1000, str(number))
wandb.log_artifact(artifact)
"""
    script(text, tmp_path)
    look = """
run = wandb.Api().run("vision/quiet")
print(run.state, [each.name for each in run.logged_artifacts()])
"""
    assert script(look, tmp_path).stdout == "finished ['data:v0']\n"


def test_a_script_that_raises_fails_its_run_and_keeps_its_artifacts(tmp_path: Path) -> None:
    text = """
with wandb.init(project="vision", id="sad") as run:
    artifact = wandb.Artifact("data", "dataset")
    artifact.add_bytes(b"x", "x")
    run.log_artifact(artifact)
    raise SystemError("boom")
"""
    assert "boom" in script(text, tmp_path, code=1).stderr
    look = """
run = wandb.Api().run("vision/sad")
print(run.state, [each.name for each in run.logged_artifacts()])
"""
    assert script(look, tmp_path).stdout == "failed ['data:v0']\n"


def test_a_failed_artifact_at_exit_is_named(tmp_path: Path) -> None:
    text = """
import os
wandb.init(project="vision")
open("f", "w").write("x")
artifact = wandb.Artifact("doomed", "dataset")
artifact.add_file("f", policy="immutable")
os.remove("f")
wandb.log_artifact(artifact)
"""
    done = script(text, tmp_path, code=120)
    assert "doomed" in done.stderr
    assert "f does not exist" in done.stderr


def test_a_draft_with_content_that_was_never_logged_is_named_and_an_empty_one_is_not(
    tmp_path: Path,
) -> None:
    text = """
for name in ("empty", "forgotten"):
    artifact = wandb.Artifact(name, "dataset")
    try:
        artifact.add_reference("s3://")
        artifact.add_file("absent")
    except ValueError:
        pass
artifact.add_bytes(b"x", "x")
more = [wandb.Artifact("again", "dataset") for _ in range(3)]
for artifact in more:
    artifact.add_bytes(b"x", "x")
"""
    done = script(text, tmp_path)
    assert "artifact forgotten has content but was never logged; nothing" in done.stderr
    assert done.stderr.count("again has content") == 1
    assert "artifact again has content but was never logged, 3 times; nothing" in done.stderr
    assert "empty" not in done.stderr


@pytest.mark.parametrize("mode", ["disabled", "offline"])
def test_other_modes_take_the_same_calls(tmp_path: Path, mode: str) -> None:
    text = """
with wandb.init(project="vision") as run:
    run.log({"loss": 1})
    artifact = wandb.Artifact("data", "dataset")
    artifact.add_bytes(b"x", "x")
    run.log_artifact(artifact)
    run.summary["best"] = 1
print("done")
"""
    assert script(text, tmp_path, WANDB_MODE=mode).stdout == "done\n"
