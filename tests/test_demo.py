"""`lineal demo` in a process of its own, as a newcomer runs it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import lineal
from lineal.cli import digits
from lineal.client import session
from lineal.errors import UsageError

SOURCE = str(Path(__file__).parents[1] / "src")
SECONDS = 60


def demo() -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from lineal.cli import main; main()", "demo"],
        capture_output=True,
        text=True,
        # others use the cores, too: threads for such small matrices mostly wait for each other
        env={**os.environ, "PYTHONPATH": SOURCE, "OPENBLAS_NUM_THREADS": "1"},
        timeout=3 * SECONDS,
    )


def test_demo_makes_a_project_and_adds_versions_when_run_again():
    started = time.monotonic()
    first = demo()
    took = time.monotonic() - started
    assert first.returncode == 0, first.stderr
    assert first.stderr == ""
    assert took < SECONDS
    _assert_tells_what_happened(first.stdout)
    _assert_can_be_typed(first.stdout)
    _assert_best_can_be_traced()
    second = demo()
    assert second.returncode == 0, second.stderr
    assert "same images" in second.stdout
    api = lineal.Api()
    assert len(api.artifacts(name="demo/digits")) == 1
    assert len(api.artifacts(name="demo/digits-split")) == 2
    assert len(api.artifacts(name="demo/digits-model")) == 2 * len(digits.RECIPES)
    assert len(api.runs("demo")) == 2 * (len(digits.RECIPES) + 3)
    assert {run.state for run in api.runs("demo")} == {"finished"}
    assert os.listdir(".") == []
    session.close()


def _assert_tells_what_happened(printed: str) -> None:
    for recipe in digits.RECIPES:
        assert recipe.name in printed
    assert "digits-model:v" in printed


def _assert_can_be_typed(printed: str) -> None:
    suggested = printed.partition("try next\n")[2].splitlines()
    assert len(suggested) == 3
    for line in suggested:
        command = line.strip().partition("  ")[0]
        shown = subprocess.run(
            ["sh", "-c", command],
            check=False,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": SOURCE},
        )
        assert (shown.returncode, shown.stderr) == (0, ""), command
        assert shown.stdout or ">" in command
    assert Path("digits.svg").read_text().startswith("<svg")
    os.remove("digits.svg")


def _assert_best_can_be_traced() -> None:
    api = lineal.Api()
    best = api.artifact("demo/digits-model:best")
    top = api.runs("demo", filters={"jobType": "train"}, order="-summary_metrics.val_acc")[0]
    assert best.logged_by().id == top.id
    assert best.metadata["val_acc"] == top.summary["val_acc"] > 0.9
    names = {node.label for node in best.upstream().nodes}
    assert {"digits:v0", "digits-split:v0"} <= names
    (evaluation,) = best.used_by()[0].logged_artifacts()
    assert evaluation.type == "evaluation"


@pytest.mark.parametrize("recipe", digits.RECIPES, ids=lambda recipe: recipe.name)
def test_recipe_learns_to_read_digits(recipe, tmp_path_factory):
    folder = _split_digits(tmp_path_factory)
    seen = []
    model, metrics = digits.train(recipe, folder, 0, seen.append)
    assert len(seen) == recipe.epochs
    assert metrics == seen[-1]
    assert metrics["val_acc"] > 0.75
    assert digits.evaluate(model, os.path.join(folder, "test"))["test_acc"] > 0.75


def _split_digits(tmp_path_factory: pytest.TempPathFactory) -> str:
    target = tmp_path_factory.getbasetemp() / "split-digits"
    if not target.exists():
        source = tmp_path_factory.mktemp("digits")
        assert digits.write_images(str(source)) == 1797
        counts = digits.split_images(str(source), str(target), seed=0)
        assert sum(counts.values()) == 1797
    return str(target)


def test_split_is_the_same_for_the_same_seed(tmp_path):
    for name in "abc":
        for digit in "01":
            os.makedirs(tmp_path / "images" / digit, exist_ok=True)
            (tmp_path / "images" / digit / f"{name}.png").write_text(name + digit)
    for target in ("one", "two"):
        digits.split_images(str(tmp_path / "images"), str(tmp_path / target), seed=3)
    one, two = (
        sorted(str(path.relative_to(tmp_path / target)) for path in (tmp_path / target).rglob("*"))
        for target in ("one", "two")
    )
    assert one == two


def test_missing_scikit_learn_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(UsageError, match=r"pip install 'lineal\[demo\]'"):
        digits.require()
