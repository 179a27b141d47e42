"""`lineal demo`: a whole small project with real data and real models, done through the SDK.

One run makes a dataset, one splits it, a sweep of nine trains models on it, and one picks the best
model and evaluates it. Everything here is what a user would write; nothing has a shorter way in.
"""

from __future__ import annotations

import json
import os
import pickle
import shlex
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from typing import Any

import lineal
from lineal.cli import digits, output
from lineal.cli.connect import connect
from lineal.core.ids import new_id

PROJECT = "demo"


@dataclass(frozen=True)
class Demo:
    """One go of the demo: where it works, and what tells its runs from those of another go."""

    folder: str
    group: str
    seed: int

    def path(self, *parts: str) -> str:
        return os.path.join(self.folder, *parts)

    def run(self, name: str, job_type: str, config: dict[str, Any] | None = None) -> lineal.Run:
        return lineal.init(
            project=PROJECT,
            name=name,
            job_type=job_type,
            group=self.group,
            config=config,
            id=new_id(),  # whatever id the environment may ask for: these are many runs
            resume="never",
            mode="online",
            settings={"quiet": True},
        )


def demo() -> None:
    """Make a small project: real data, nine trained models, the best one.

    Trains on scikit-learn's handwritten digits, in project `demo`; takes less than a minute.
    Doing it again adds versions: the split is drawn anew each time.
    """
    digits.require()
    connection = connect()
    output.data(f"Project {PROJECT} in {connection.backend.url}")
    goes = _goes_before()
    with tempfile.TemporaryDirectory(prefix="lineal-demo-") as folder:
        this = Demo(folder, group=f"demo-{goes + 1}", seed=goes)
        make_dataset(this)
        data = split(this)
        output.heading(f"a sweep of {len(digits.RECIPES)} runs trains models on {data}")
        output.data(_line("model", "run", "val_acc", "took", "logged as"), bold=True)
        sweep = lineal.sweep(_SWEEP, project=PROJECT)
        lineal.agent(f"{PROJECT}/{sweep}", lambda: train(this, data), settings={"quiet": True})
        best = evaluate_best(this, data, sweep)
    output.heading("where the best model came from")
    output.tree(str(best.lineage("upstream")))
    output.heading("try next")
    program = _as_typed()
    for command, meaning in (
        (f"artifact ls {PROJECT}/digits-model", "all models, and which one is `best`"),
        (f"sweep show {PROJECT}/{sweep}", "the sweep, its trials, the best first"),
        (
            f"lineage {PROJECT}/digits:latest -f svg > digits.svg",
            "all made from the data, for any browser",
        ),
    ):
        output.data(f"  {program} {command:<48}  {meaning}")


def _as_typed() -> str:
    """Return what calls this program from here: after `make demo` no shell finds it by name."""
    if shutil.which("lineal") is not None:
        return "lineal"
    if os.path.basename(sys.argv[0]) == "lineal":
        return shlex.quote(sys.argv[0])
    return f"{shlex.quote(sys.executable)} -m lineal"


def _goes_before() -> int:
    """Return how often the demo ran here before: each go splits the data once."""
    api = lineal.Api()
    if not api.artifact_collection_exists(f"{PROJECT}/digits-split", "dataset"):
        return 0
    return len(api.runs(PROJECT, filters={"jobType": "split"}))


def make_dataset(this: Demo) -> None:
    with this.run("make-dataset", "make-dataset") as run:
        count = digits.write_images(this.path("digits"))
        artifact = lineal.Artifact(
            "digits",
            "dataset",
            description="Handwritten digits of 8 by 8 pixels, one folder per digit",
            metadata={"images": count, "source": "scikit-learn, load_digits"},
        )
        artifact.add_dir(this.path("digits"))
        logged = run.log_artifact(artifact).wait()
        is_old = (logged.logged_by() or run).id != run.id
        unchanged = " (same images as before, so the same version)" if is_old else ""
        output.heading("one run makes a dataset, one splits it")
        output.data(f"make-dataset  {count:,} images → {logged.name}{unchanged}")


def split(this: Demo) -> str:
    """Share the images out anew; returns the name of the version."""
    with this.run("split", "split", {"seed": this.seed, **digits.SPLIT}) as run:
        source = run.use_artifact("digits:latest")
        folder = source.download(root=this.path("downloaded"))
        counts = digits.split_images(folder, this.path("split"), this.seed)
        artifact = lineal.Artifact(
            "digits-split", "dataset", metadata={"seed": this.seed, "images": counts}
        )
        artifact.add_dir(this.path("split"))
        logged = run.log_artifact(artifact).wait()
        parts = ", ".join(f"{part} {count:,}" for part, count in counts.items())
        output.data(f"split         {source.name} → {logged.name} ({parts})")
        return logged.name


_SWEEP = {
    "name": "models",
    "method": "grid",
    "metric": {"name": "val_acc", "goal": "maximize"},
    "parameters": {"recipe": {"values": [recipe.name for recipe in digits.RECIPES]}},
}


def train(this: Demo, data: str) -> None:
    """Train the model that the sweep chose and log it as the next version of `digits-model`."""
    started = time.monotonic()
    with this.run("train", "train") as run:
        recipe = next(each for each in digits.RECIPES if each.name == run.config.recipe)
        run.name = recipe.name
        run.config.update(recipe.config)
        folder = run.use_artifact(data).download(root=this.path("training"))
        model, metrics = digits.train(recipe, folder, this.seed, run.log)
        file = this.path("model.pickle")
        with open(file, "wb") as stream:
            pickle.dump(model, stream)
        artifact = lineal.Artifact(
            "digits-model", "model", metadata={"model": recipe.model, **metrics}
        )
        artifact.add_file(file)
        logged = run.log_artifact(artifact).wait()
        took = output.duration(time.monotonic() - started)
        output.data(_line(recipe.name, run.id, f"{metrics['val_acc']:.3f}", took, logged.name))


def _line(model: str, run: str, val_acc: str, took: str, version: str) -> str:
    return f"{model:<12}  {run:<8}  {val_acc:>7}  {took:>6}  {version}"


def evaluate_best(this: Demo, data: str, sweep: str) -> lineal.Artifact:
    """Find the sweep's best model by `val_acc`, test it, log the result, and call it `best`."""
    with this.run("evaluate", "evaluate") as run:
        found = lineal.Api().sweep(f"{PROJECT}/{sweep}")
        best_run, best_model = found.best_run(), found.best_artifact("model")
        assert best_run is not None
        assert best_model is not None
        best = run.use_artifact(best_model)
        with open(
            os.path.join(best.download(root=this.path("best")), "model.pickle"), "rb"
        ) as file:
            model = pickle.load(file)  # noqa: S301 - the bytes we wrote, checked by their digest
        folder = run.use_artifact(data).download(root=this.path("testing"), include=["test/**"])
        result = digits.evaluate(model, os.path.join(folder, "test"))
        run.summary["test_acc"] = result["test_acc"]
        artifact = lineal.Artifact(
            "digits-evaluation", "evaluation", metadata={"test_acc": result["test_acc"]}
        )
        with artifact.new_file("evaluation.json") as file:
            json.dump(result, file)
        logged = run.log_artifact(artifact).wait()
        best.aliases.append("best")
        best.save()
        output.data(
            f"\nThe best by val_acc is {best_run.name}: {best.name} is now also called `best`"
            f"\nOn images that no model has seen its accuracy is {result['test_acc']:.3f} "
            f"→ {logged.name}"
        )
    return best
