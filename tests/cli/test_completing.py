"""What a shell completes at Tab."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import lineal as sdk
from lineal.cli import completing
from lineal.cli.app import execute
from lineal.client import term


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    """Let this process speak again, which says nothing while it completes."""
    yield
    term.configure(quiet=False, silent=False)


@pytest.fixture
def names(lineal, photos) -> None:
    """Runs `demo/first`, `other/$(ls)` and those that logged demo/photos and demo/faces."""
    lineal("artifact", "put", str(photos), "-n", "demo/faces")
    for project, run_id in (("demo", "first"), ("other", "$(ls)")):
        sdk.init(project=project, id=run_id).finish()


def test_names_are_completed_with_their_project_and_alone_in_the_default_one(
    names, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = ["demo/faces", "demo/photos"]
    assert completing.artifacts("") == completing.artifacts("d") == both
    assert completing.artifacts("demo/p") == ["demo/photos"]
    assert completing.artifacts("ana/demo/p") == ["ana/demo/photos"]
    assert completing.artifacts("dem/") == completing.artifacts("bob/demo/") == []
    assert completing.artifacts("demo/.") == []
    assert "demo/first" in completing.runs("demo/")
    assert completing.runs("demo/fir") == ["demo/first"]
    assert completing.projects("") == ["demo", "other"]
    assert completing.places("demo") == ["demo", *both]
    assert completing.nodes("demo/fir") == ["demo/first"]
    monkeypatch.setenv("LINEAL_PROJECT", "demo")
    assert completing.artifacts("p") == ["photos"]
    assert completing.runs("fir") == ["first"]


def test_names_that_mean_something_to_a_shell_are_not_completed(names) -> None:
    assert completing.runs("other/") == []


def test_sweeps_are_completed(lineal) -> None:
    document = {"method": "grid", "parameters": {"a": {"values": [1]}}}
    sweep_id = sdk.sweep(document, project="demo")
    assert completing.sweeps("demo/") == [f"demo/{sweep_id}"]


def test_no_home_is_made_and_nothing_is_said_where_none_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LINEAL_HOME", str(tmp_path / "none"))
    assert completing.artifacts("") == completing.runs("") == completing.projects("") == []
    assert not (tmp_path / "none").exists()
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "lineal.db").write_text("not a database")
    assert completing.artifacts("") == []
    monkeypatch.setenv("LINEAL_PACK_FILES_UP_TO", "many")
    assert completing.artifacts("") == []
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("lineal artifact show demo/p", "demo/photos"),
        ("lineal artifact diff demo/photos demo/f", "demo/faces"),
        ("lineal artifact put photos --name demo/f", "demo/faces"),
        ("lineal run show demo/fir", "demo/first"),
        ("lineal project rm o", "other"),
        ("lineal retention show dem", "demo\ndemo/faces\ndemo/photos"),
        ("lineal lineage demo/fir", "demo/first"),
    ],
)
def test_the_shell_is_told(
    names,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    line: str,
    found: str,
) -> None:
    monkeypatch.setenv("_LINEAL_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(line.count(" ")))
    capsys.readouterr()
    with pytest.raises(SystemExit):
        execute([])
    assert capsys.readouterr().out.split() == found.split()
