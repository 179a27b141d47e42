"""`lineal run diff`: what two runs did differently."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import lineal as sdk
from lineal.cli import changes

NOTHING = {"added": {}, "removed": {}, "changed": {}}


def logged(number, **settings):
    config = {"lr": 0.1 * number, "model": {"depth": number, "name": "cnn"}, "seed": 1}
    with sdk.init(project="demo", config=config, **settings) as run:
        data = sdk.Artifact("data", "dataset", metadata={"number": number})
        with data.new_file("a.txt") as file:
            file.write(str(number))
        sdk.Api().run(run.path).log_artifact(data).wait()
        run.use_artifact(f"data:v{number - 1}")
        run.log({"loss": 1 / number, "_hidden": number})
    return "/".join(run.path.split("/")[1:])


def test_what_differs_is_told_by_part(lineal):
    one, two = logged(1, tags=["b", "a"]), logged(2, tags=["a", "b"], job_type="train")
    found = lineal("run", "diff", one, two, "--json").json
    assert found["before"] == f"ana/{one}"
    assert found["after"] == f"ana/{two}"
    assert found["run"] == NOTHING | {"added": {"job_type": "train"}}
    assert found["config"]["changed"] == {
        "lr": {"before": 0.1, "after": 0.2},
        "model.depth": {"before": 1, "after": 2},
    }
    assert found["summary"]["changed"] == {"loss": {"before": 1.0, "after": 0.5}}
    assert found["used"]["changed"] == {"ana/demo/data": {"before": "v0", "after": "v1"}}
    assert found["machine"] == NOTHING
    lines = lineal("run", "diff", one, two).lines
    assert lines[0].startswith(f"ana/{one} (")
    assert lines[1:] == [
        "+ run.job_type = train",
        "~ config.lr = 0.1 → 0.2",
        "~ config.model.depth = 1 → 2",
        "~ summary.loss = 1 → 0.5",
        "~ used.ana/demo/data = v0 → v1",
        *(["same: machine, packages"] if "packages" in found else ["same: machine"]),
    ]


def test_packages_are_compared_where_both_runs_kept_them(lineal):
    known = []
    for requirements in ("numpy==1.26.4\nold==1\n", "numpy==2.0.0\nnew @ file:///x\n", None):
        with sdk.init(project="demo", settings={"disable_requirements": True}) as run:
            if requirements is not None:
                Path("requirements.txt").write_text(requirements)
                run.save("requirements.txt", policy="now")
        known.append(f"demo/{run.id}")
    found = lineal("run", "diff", *known[:2], "--json").json
    assert found["packages"] == {
        "added": {"new @ file:///x": ""},
        "removed": {"old": "1"},
        "changed": {"numpy": {"before": "1.26.4", "after": "2.0.0"}},
    }
    assert "packages" not in lineal("run", "diff", *known[1:], "--json").json
    assert '+ packages.new @ file:///x = ""\n' in lineal("run", "diff", *known[:2]).out


def test_changes_that_were_not_committed_count(lineal, tmp_path, monkeypatch):
    tree = tmp_path / "tree"
    tree.mkdir()
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@b.c")
    (tree / "train.py").write_text("1\n")
    for words in (("init", "-q"), ("add", "."), ("commit", "-qm", "first")):
        subprocess.run([*git, *words], cwd=tree, check=True)
    monkeypatch.chdir(tree)
    known = []
    for text in ("1\n", "2\n", "3\n"):
        (tree / "train.py").write_text(text)
        with sdk.init(project="demo") as run:
            known.append(f"demo/{run.id}")
    first = lineal("run", "diff", known[0], known[1], "--json").json["run"]
    assert list(first["added"]) == ["uncommitted"]
    second = lineal("run", "diff", known[1], known[2], "--json").json["run"]
    assert list(second["changed"]) == ["uncommitted"]


def test_the_same_run_differs_in_nothing(lineal):
    one = logged(1)
    assert lineal("run", "diff", one, one).lines[1].startswith("same: run, config, summary")
    assert "No run ana/demo/none" in lineal("run", "diff", one, "demo/none", fails=True).err


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (0.1, 0.1000001, "0.1 → 0.1000001"),
        (1, "1", "1 → '1'"),
        (None, "", 'null → ""'),
        ([], {}, "[] → {}"),
        (0, False, "0 → False"),
        ("a\nb", "a b", "a\\nb → a b"),
    ],
)
def test_a_change_is_told_so_that_it_can_be_seen(old, new, told):
    assert list(changes.between({"x": old}, {"x": new}).changed) == ["x"]
    assert changes.change(old, new) == told


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (1, 1.0),
        ([1, {"a": 2}], [1.0, {"a": 2.0}]),
        (float("nan"), float("nan")),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    ],
)
def test_what_is_no_change(old, new):
    assert changes.between({"x": old}, {"x": new}).is_empty
