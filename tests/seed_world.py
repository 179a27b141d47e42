"""What the placeholder names of the seed's snippets refer to, so that they can run as written."""

from __future__ import annotations

import os

import lineal as wandb


def make_files() -> None:
    """Make the local files that the snippets add."""
    os.makedirs("my_data", exist_ok=True)
    with open("my_data/file.txt", "w") as file:
        file.write("content")
    with open("train.py", "w") as file:
        file.write("print('training')\n")


def make_existing_run() -> None:
    with wandb.init(id="existing_run_id") as run:
        run.log({"loss": 1.0})


def log(run: wandb.Run, name: str, type: str, aliases: list[str] | None = None) -> None:
    """Log an artifact with one file that holds its name."""
    artifact = wandb.Artifact(name, type)
    with artifact.new_file(f"{name}.txt") as file:
        file.write(name)
    run.log_artifact(artifact, aliases=aliases).wait()


def make_graph(entity: str | None = None) -> None:
    """Make previous → producer → artifact:alias → run_id → next → later, in `project`."""
    with wandb.init(entity=entity, project="project", id="first") as run:
        log(run, "previous", "dataset")
    with wandb.init(entity=entity, project="project", id="producer") as run:
        run.use_artifact("previous:latest")
        log(run, "artifact", "dataset", aliases=["alias"])
    with wandb.init(entity=entity, project="project", id="run_id") as run:
        run.use_artifact("artifact:alias")
        log(run, "next", "model")
    with wandb.init(entity=entity, project="project", id="later") as run:
        run.use_artifact("next:latest")


def make_trained_runs(entity: str | None = None) -> None:
    """Make runs whose `val_acc` is a number, missing, and not a number; `good` is the best."""
    for run_id, val_acc in (("poor", 0.5), ("good", 0.9), ("broken", float("nan"))):
        with wandb.init(entity=entity, project="project", id=run_id) as run:
            run.summary["val_acc"] = val_acc
            log(run, f"model-{run_id}", "model")
    with wandb.init(entity=entity, project="project", id="silent"):
        pass


def make_my_table(project: str = "project") -> None:
    """Log `my_table` with a stored file and a `file://` reference."""
    with open("elsewhere.csv", "w") as file:
        file.write("1,2\n")
    with wandb.init(project=project) as run:
        artifact = wandb.Artifact("my_table", "dataset")
        with artifact.new_file("rows.csv") as file:
            file.write("1,2\n")
        artifact.add_reference(f"file://{os.path.abspath('elsewhere.csv')}")
        run.log_artifact(artifact)
