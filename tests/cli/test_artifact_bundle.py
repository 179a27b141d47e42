"""`lineal artifact export` and `import`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lineal.client import session


@pytest.fixture
def move(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[], None]:
    """Go to another machine: from the call on there is another, empty home."""

    def go() -> None:
        session.close()
        monkeypatch.setenv("LINEAL_HOME", str(tmp_path / "elsewhere"))

    return go


def test_a_version_is_carried_to_another_home(lineal, photos, move):
    answer = lineal("artifact", "export", "demo/photos", "--to", "bundle")
    assert "demo/photos:v0" in answer.out
    assert "`lineal artifact import bundle`" in answer.err
    move()
    assert "demo/photos:v0" in lineal("artifact", "import", "bundle").out
    lineal("artifact", "get", "demo/photos:raw", "--root", "out")
    assert Path("out", "cats", "b.txt").read_text() == "second\n"
    (run,) = lineal("run", "ls", "demo", "--json").json
    assert run["job_type"] == "cli_put"
    assert lineal("verify", "--json").json == []


def test_every_version_is_carried_and_what_differs_is_said(lineal, photos, move):
    (photos / "a.txt").write_text("changed\n")
    lineal("artifact", "put", str(photos), "-n", "demo/photos", "-a", "prod")
    lineal("artifact", "export", "demo/photos", "--all", "--to", "bundle")
    move()
    Path("own.txt").write_text("own")
    for _ in range(2):
        lineal("artifact", "put", "own.txt", "-n", "demo/photos", "-a", "prod")
    first, second = lineal("artifact", "import", "bundle", "--json").json
    assert (first["source"][-2:], first["version"][-2:]) == ("v0", "v1")
    assert (second["aliases_elsewhere"], second["files"]) == (["prod"], 2)
    shown = lineal("artifact", "import", "bundle").out
    assert "was v0" in shown
    assert "prod: on another version there" in shown


def test_a_whole_project_is_carried(lineal, photos, move):
    for text in ("one", "two"):
        Path("own.txt").write_text(text)
        lineal("artifact", "put", "own.txt", "-n", "demo/own")
        lineal("artifact", "put", "own.txt", "-n", f"other/{text}")
    lineal("artifact", "link", "other/one", "demo/linked")
    lineal("artifact", "export", "demo", "--all", "--to", "bundle")
    move()
    carried = lineal("artifact", "import", "bundle", "--json").json
    names = [each["version"] for each in carried]
    own = ["ana/demo/own:v0", "ana/demo/own:v1", "ana/demo/photos:v0"]
    assert sorted(names) == ["ana/demo/linked:v0", *own, "ana/other/one:v0"]


def test_a_project_without_versions_has_nothing_to_carry(lineal, photos):
    Path("own.txt").write_text("text")
    lineal("artifact", "put", "own.txt", "-n", "other/own")
    lineal("artifact", "rm", "other/own", "--all", "--yes")
    answer = lineal("artifact", "export", "other", "--all", "--to", "bundle", fails=True)
    assert "Project ana/other has no versions to export" in answer.err
    assert not Path("bundle").exists()


def test_a_name_with_a_version_and_all_contradict_each_other(lineal, photos):
    answer = lineal("artifact", "export", "demo/photos:v0", "--all", "--to", "bundle", fails=True)
    assert "`--all` exports all of them" in answer.err
    assert not Path("bundle").exists()


@pytest.mark.parametrize("words", [["export", "demo/none", "--to", "b"], ["import", "none"]])
def test_what_is_not_there_is_named(lineal, photos, words):
    answer = lineal("artifact", *words, fails=True)
    assert answer.code == 4
    assert "none" in answer.err
    assert not Path("b").exists()
