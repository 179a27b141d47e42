"""Links carried along with the versions that they lead to (CLI-2, REG-3)."""

from __future__ import annotations

import pytest
from tests.client.bundling import Home

import lineal
from lineal.client.artifact.artifact import committed
from lineal.core.full_names import ArtifactPath
from lineal.core.records import VersionRecord


def link(home: Home, name: str, to: str = "registry/Best Net", *aliases: str) -> None:
    committed(home.backend, home.version(name)).link(to, list(aliases))


def linked(home: Home, ref: str = "latest", project: str = "registry") -> VersionRecord:
    return home.backend.version(ArtifactPath(home.user, project, "Best_Net", ref))


@pytest.fixture
def exported(ana: Home) -> Home:
    """Two links, of which the second is in the bundle, by the name of the link."""
    for text in ("a", "b"):
        ana.log(text)
        link(ana, "data", "registry/Best Net", "prod")
    ana.export_records(linked(ana, "prod"))
    return ana


def test_a_link_arrives_under_its_name_and_number_with_its_aliases(exported, bob):
    version, there = bob.import_()
    assert (version.target.path, there.target.path) == (
        "bob/vision/data:v1",
        "bob/registry/Best_Net:v1",
    )
    assert there.target == linked(bob, "prod") == linked(bob)
    assert there.target.id == version.target.id
    assert bob.backend.collection("bob", "registry", "Best_Net").display_name == "Best Net"
    assert [*bob.backend.verify()] == []
    before = bob.state()
    assert [each.target for each in bob.import_()] == [version.target, there.target]
    assert bob.state() == before


def test_what_was_not_named_by_its_link_comes_without_it(exported, bob):
    exported.export("data:v0")
    assert {each.target.path for each in bob.import_()} == {
        "bob/vision/data:v0",
        "bob/vision/data:v1",
        "bob/registry/Best_Net:v1",
    }


def test_the_latest_link_is_the_same(ana, bob):
    for text in ("a", "b"):
        ana.log(text)
        link(ana, "data")
    link(ana, "data:v0", "registry/Best Net", "prod")  # the latest once more
    ana.export_records(linked(ana, "v0"), linked(ana, "v1"))
    bob.import_()
    assert (linked(bob).number, linked(bob, "prod").number) == (0, 0)
    link(bob, "data:v1")
    bob.import_()
    assert linked(bob).number == 1


def test_an_alias_of_another_link_there_stays(exported, bob):
    bob.log("own", "other")
    link(bob, "other", "registry/Best Net", "prod")
    _, there = bob.import_()
    assert (there.target.number, there.aliases_elsewhere) == (1, ("prod",))
    assert linked(bob, "prod").source_collection == "other"
    assert linked(bob).source_collection == "data"


def test_a_name_that_is_of_something_else_there_is_said(exported, bob, capsys):
    with bob.run(project="registry") as run:
        run.log_artifact(lineal.Artifact("Best_Net", "dataset")).wait()
    (version,) = bob.import_()
    assert version.target.path == "bob/vision/data:v1"
    said = capsys.readouterr().err
    assert "the link ana/registry/Best_Net:v1 does not come along: " in said


def test_another_project_takes_what_was_logged_and_links_stay_where_they_are(exported, bob):
    found = [each.target.path for each in bob.import_(project="elsewhere")]
    assert found == ["bob/elsewhere/data:v1", "bob/registry/Best_Net:v1"]


def test_upstream_of_a_link_is_that_of_its_version(ana, bob):
    ana.log("raw", "raw")
    with ana.run() as run:
        run.use_artifact("raw:v0")
        ana._logged(run, "made", "data")
    link(ana, "data")
    ana.export_records(linked(ana), upstream=True)
    assert [each.target.path for each in bob.import_()] == [
        "bob/vision/raw:v0",
        "bob/vision/data:v0",
        "bob/registry/Best_Net:v0",
    ]
