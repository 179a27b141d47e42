"""Deleting and linking versions, and the lineage they tell (DEL, REG, LIN)."""

from __future__ import annotations

import pytest
from tests.client.artifact.conftest import draft

import lineal
from lineal.client.artifact.artifact import Artifact
from lineal.errors import (
    CommError,
    Exists,
    Gone,
    UsageError,
)

# --- deleting and linking -----------------------------------------------------------------------


def test_a_version_with_aliases_is_deleted_only_on_request(logged: Artifact) -> None:
    with pytest.raises(CommError, match=r"has aliases \(latest\)"):
        logged.delete()
    logged.delete(delete_aliases=True)
    assert logged.state == "DELETED"


def test_a_deleted_version_is_gone_by_name_and_its_number_stays_taken(
    run: lineal.Run, logged: Artifact
) -> None:
    logged.delete(delete_aliases=True)
    with pytest.raises(Gone, match="was deleted by ana"):
        run.use_artifact("data:v0")
    assert run.log_artifact(draft({"a.txt": b"a"})).wait().version == "v1"


def test_deleting_a_link_only_unlinks(
    logged: Artifact, run: lineal.Run, capsys: pytest.CaptureFixture[str]
) -> None:
    link = logged.link("released")
    link.delete()
    assert "only the link is removed" in capsys.readouterr().err
    assert run.use_artifact("data:v0").state == "COMMITTED"
    assert logged.linked_artifacts == []


def test_a_link_tells_when_it_was_made(logged: Artifact) -> None:
    logged.link("released").unlink()
    link = logged.link("released")
    assert (link.version, logged.linked_at) == ("v1", None)
    assert link.linked_at is not None
    assert logged.created_at < link.linked_at
    for found in (lineal.Api().artifact("vision/released"), *logged.linked_artifacts):
        assert found.linked_at == link.linked_at
    assert link.source_artifact.linked_at is None


def test_a_linked_version_cannot_be_deleted(logged: Artifact) -> None:
    logged.link("released")
    with pytest.raises(CommError, match="is linked as ana/vision/released:v0"):
        logged.delete(delete_aliases=True)


def test_only_links_can_be_unlinked(logged: Artifact) -> None:
    with pytest.raises(ValueError, match="is not a link; use delete"):
        logged.unlink()
    logged.link("released").unlink()
    assert logged.linked_artifacts == []


def test_a_link_leads_to_a_collection_not_to_a_version(logged: Artifact) -> None:
    with pytest.raises(ValueError, match=r"released:v1 names a version, .*its aliases"):
        logged.link("released:v1")


@pytest.mark.parametrize("scheme", ["lineal-artifact://", "wandb-artifact://"])
def test_a_collection_to_link_to_may_be_named_with_a_scheme(logged: Artifact, scheme: str) -> None:
    link = logged.link(f"{scheme}ana/elsewhere/released")
    assert link.qualified_name == "ana/elsewhere/released:v0"


@pytest.mark.parametrize(("words", "name"), [("My Model", "My_Model"), ("Été", "_t_-adca3dd5")])
def test_a_link_to_words_leads_to_a_collection_that_is_shown_so(
    logged: Artifact, words: str, name: str
) -> None:
    link = logged.link(f"registry/{words}", aliases=["prod"])
    assert link.qualified_name == f"ana/registry/{name}:v0"
    assert link.collection.display_name == words
    assert logged.link(f"registry/{words}").name == link.name
    assert lineal.Api().artifact(f"registry/{words}:prod").id == link.id
    assert lineal.Api().artifact_collection("dataset", f"registry/{words}").name == name


def test_words_do_not_lead_to_a_collection_that_is_shown_otherwise(logged: Artifact) -> None:
    logged.link("registry/My_Model")
    with pytest.raises(Exists, match=r"'My Model' would be .*ana/registry/My_Model"):
        logged.link("registry/My Model")
    collection = lineal.Api().artifact_collection("dataset", "registry/My_Model")
    assert len(collection.artifacts()) == 1
    collection.display_name = "My Model"
    collection.save()
    assert logged.link("registry/My Model").name == "My_Model:v0"


@pytest.mark.parametrize("target", ["a?b/links", "a?b/vision/links", f"{'p' * 129}/links"])
def test_no_link_makes_a_project_that_could_not_be_named(logged: Artifact, target: str) -> None:
    with pytest.raises(ValueError, match=r"'a\?b' m|longer than 128"):
        logged.link(target)
    assert logged.linked_artifacts == []


def test_a_draft_that_cannot_be_linked_so_is_not_stored(run: lineal.Run) -> None:
    artifact = draft()
    with pytest.raises(ValueError, match="names a version"):
        artifact.link("released:v0")
    assert artifact.is_draft()


def test_linking_a_draft_logs_it_first(run: lineal.Run) -> None:
    artifact = draft()
    assert artifact.link("elsewhere/released").qualified_name == "ana/elsewhere/released:v0"
    assert artifact.version == "v0"


def test_logging_a_version_of_another_project_is_refused(logged: Artifact) -> None:
    lineal.finish()
    with (
        lineal.init(project="elsewhere") as other,
        pytest.raises(UsageError, match="another project"),
    ):
        other.log_artifact(logged)


# --- lineage from an artifact -------------------------------------------------------------------


def test_the_run_that_logged_it_is_known(logged: Artifact) -> None:
    maker = logged.logged_by()
    assert maker is not None
    assert maker.id == "train"
    assert logged.used_by() == []


def test_upstream_and_downstream_are_graphs(run: lineal.Run, logged: Artifact) -> None:
    lineal.finish()
    with lineal.init(id="next") as consumer:
        consumer.use_artifact("data:v0")
        made = consumer.log_artifact(draft({"m": b"m"}, "made")).wait()
    assert "ana/vision/data:v0" in {node.name for node in made.upstream().nodes}
    assert "ana/vision/made:v0" in {node.name for node in logged.downstream().nodes}
