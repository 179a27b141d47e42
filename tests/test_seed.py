"""The snippets of the text the project started from, run as written (section 20, SEED-1…SEED-7).

SEED-7 has its misprint corrected. SEED-4 and SEED-5 are of a real sweep that trains real models.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import lineal as wandb
from lineal.cli import digits
from lineal.client import session
from tests import seed_world

SOURCE = str(Path(__file__).parents[1] / "src")


@pytest.fixture(autouse=True)
def quiet_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("LINEAL_DISABLE_GIT", "true")
    seed_world.make_files()
    yield
    wandb.finish()
    session.close()


def script(text: str) -> subprocess.CompletedProcess[str]:
    Path("snippet.py").write_text("import lineal as wandb\n" + text)
    return subprocess.run(
        [sys.executable, "snippet.py"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": SOURCE},
    )


# --- SEED-1: log to a run that exists -----------------------------------------------------------


def test_seed_1_attaches_an_artifact_to_a_finished_run():
    seed_world.make_existing_run()

    with wandb.init(id="existing_run_id", resume="allow") as run:
        artifact = wandb.Artifact("artifact_name", "artifact_type")
        artifact.add_file("my_data/file.txt")
        run.log_artifact(artifact)

    found = wandb.Api().run(f"{run.project}/existing_run_id")
    assert [each.name for each in found.logged_artifacts()] == ["artifact_name:v0"]
    assert list(found.logged_artifacts()[0].manifest.entries) == ["file.txt"]
    assert found.state == "finished"
    assert found.summary["loss"] == 1.0


def test_seed_1_says_whether_it_resumed_or_created(capsys):
    seed_world.make_existing_run()
    capsys.readouterr()
    wandb.init(id="existing_run_id", resume="allow").finish()
    assert "resumed" in capsys.readouterr().err.lower()
    wandb.init(id="mistyped", resume="allow").finish()
    assert "created" in capsys.readouterr().err.lower()


def test_seed_1_warns_when_the_id_exists_in_another_project(capsys):
    with wandb.init(id="existing_run_id", project="elsewhere"):
        pass
    capsys.readouterr()
    wandb.init(id="existing_run_id", resume="allow", project="here").finish()
    assert "elsewhere/existing_run_id" in capsys.readouterr().err


# --- SEED-2 and SEED-3: walk the graph ----------------------------------------------------------


def test_seed_2_walks_from_an_artifact():
    seed_world.make_graph()

    api = wandb.Api()

    artifact = api.artifact("project/artifact:alias")

    # up the graph from an artifact:
    producer_run = artifact.logged_by()
    # down the graph from an artifact:
    consumer_runs = artifact.used_by()

    # down the graph from a run:
    next_artifacts = consumer_runs[0].logged_artifacts()
    # up the graph from a run:
    previous_artifacts = producer_run.used_artifacts()

    assert producer_run.id == "producer"
    assert [run.id for run in consumer_runs] == ["run_id"]
    assert [each.name for each in next_artifacts] == ["next:v0"]
    assert [each.name for each in previous_artifacts] == ["previous:v0"]
    assert len(next_artifacts) == 1


def test_seed_2_explains_itself_when_no_run_used_the_artifact():
    with wandb.init(project="project") as run:
        seed_world.log(run, "unused", "dataset")
    consumer_runs = wandb.Api().artifact("project/unused:latest").used_by()
    assert isinstance(consumer_runs, list)
    with pytest.raises(IndexError, match="unused"):
        consumer_runs[0]


def test_seed_3_walks_from_a_run():
    seed_world.make_graph(entity="entity")

    api = wandb.Api()

    run = api.run("entity/project/run_id")

    # down the graph from a run:
    produced_artifacts = run.logged_artifacts()
    # up the graph from a run:
    consumed_artifacts = run.used_artifacts()

    # up the graph from an artifact:
    earlier_run = consumed_artifacts[0].logged_by()
    # down the graph from an artifact:
    consumer_runs = produced_artifacts[0].used_by()

    assert earlier_run.id == "producer"
    assert [run.id for run in consumer_runs] == ["later"]


# --- SEED-4 and SEED-5: models of many runs -----------------------------------------------------


def test_seed_4_needs_no_run_and_touches_nothing(home):
    wandb.Artifact(name="sweep_name", type="model")
    assert not home.exists()


def test_seed_4_says_nothing_about_an_empty_draft_at_exit():
    done = script('wandb.Artifact(name="sweep_name", type="model")\n')
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_seed_4_warns_once_about_content_that_was_never_logged():
    done = script(
        'model = wandb.Artifact(name="sweep_name", type="model")\n'
        'model.add_file("my_data/file.txt")\n'
    )
    assert done.returncode == 0
    assert done.stderr.count("sweep_name") == 1


def test_seed_4_and_5_version_the_models_of_a_sweep_and_find_the_best(capsys, tmp_path):
    images, split = str(tmp_path / "images"), str(tmp_path / "split")
    digits.write_images(images)
    digits.split_images(images, split, seed=1)
    recipes = {recipe.name: recipe for recipe in digits.RECIPES[:3]}

    def train():
        with wandb.init() as run:
            recipe = recipes[run.config.recipe]
            model, _ = digits.train(recipe, split, 1, run.log)
            artifact = wandb.Artifact(name="sweep_name", type="model")
            artifact.add_bytes(pickle.dumps(model), f"{recipe.name}.pickle")
            run.log_artifact(artifact)

    document = {"method": "grid", "parameters": {"recipe": {"values": list(recipes)}}}
    sweep_id = wandb.sweep(document, entity="entity", project="project")
    wandb.agent(sweep_id, train, entity="entity", project="project")

    api = wandb.Api()
    sweep = api.sweep(f"entity/project/{sweep_id}")
    runs = sorted(sweep.runs, key=lambda run: run.summary.get("val_acc", 0), reverse=True)
    best_run = runs[0]
    for artifact in best_run.logged_artifacts():
        artifact_path = artifact.download()
        print(artifact_path)

    accuracies = [run.summary["val_acc"] for run in sweep.runs]
    assert len(accuracies) == 3
    assert best_run.summary["val_acc"] == max(accuracies) > 0.5
    printed = capsys.readouterr().out.splitlines()
    assert Path(printed[-1], f"{best_run.config['recipe']}.pickle").exists()
    versions = api.artifacts(name="entity/project/sweep_name")
    assert [version.version for version in versions] == ["v2", "v1", "v0"]
    assert {version.sweep_id for version in versions} == {sweep_id}


# --- SEED-6: save code --------------------------------------------------------------------------


def test_seed_6_logs_code_in_the_active_run():
    with wandb.init(project="project", settings={"program": "train.py"}) as run:
        code_artifact = wandb.Artifact(type="code")
        code_artifact.add_file("./train.py")
        wandb.log_artifact(code_artifact)

    (logged,) = wandb.Api().run(f"project/{run.id}").logged_artifacts()
    assert logged.type == "code"
    assert logged.name == "source-project-train:v0"
    assert list(logged.manifest.entries) == ["train.py"]


def test_seed_6_makes_a_run_where_there_is_none():
    assert wandb.run is None

    code_artifact = wandb.Artifact(type="code")
    code_artifact.add_file("./train.py")
    wandb.log_artifact(code_artifact)

    assert wandb.run is None
    producer = code_artifact.wait().logged_by()
    assert producer.state == "finished"


def test_seed_6_runs_as_a_script():
    done = script(
        'code_artifact = wandb.Artifact(type="code")\n'
        'code_artifact.add_file("./train.py")\n'
        "wandb.log_artifact(code_artifact)\n"
    )
    assert done.returncode == 0, done.stderr
    (collection,) = wandb.Api().artifact_collections(_only_project(), "code")
    assert collection.name.startswith("source-")
    assert collection.name.endswith("-snippet")


def _only_project() -> str:
    (project,) = wandb.Api().projects()
    return project.name


# --- SEED-7: what a reference recorded ----------------------------------------------------------


def test_seed_7_reads_extra_of_every_entry():
    seed_world.make_my_table()
    run = wandb.init(project="project")
    found = {}

    artifact = run.use_artifact("my_table:latest")
    for entry in artifact.manifest.entries.values():
        versionID = entry.extra.get("versionID")
        etag = entry.extra.get("etag")
        found[entry.path] = (versionID, etag, entry.version_id, entry.etag)

    run.finish()
    assert set(found) == {"rows.csv", "elsewhere.csv"}
    assert set(found.values()) == {(None, None, None, None)}
