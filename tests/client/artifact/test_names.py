"""Names, types, aliases, tags and metadata of versions (NAM, ALI, TAG, MET)."""

from __future__ import annotations

import math
from typing import Any

import pytest
from tests.client.artifact.conftest import draft

import lineal
from lineal.client.artifact.artifact import Artifact
from lineal.errors import (
    Conflict,
    Invalid,
    NotFound,
)

# --- names and types (NAM) ----------------------------------------------------------------------


def test_a_name_has_one_type_in_a_project(run: lineal.Run, logged: Artifact) -> None:
    other = Artifact("data", "model")
    other.add_bytes(b"x", "x")
    with pytest.raises(ValueError, match=r"`dataset`, not `model`"):
        run.log_artifact(other).wait()
    run._artifacts.clear()  # its failure was looked at


def test_a_name_keeps_its_type_when_its_artifact_was_deleted(
    run: lineal.Run, logged: Artifact, api: lineal.Api
) -> None:
    api.artifact_collection("dataset", "data").delete()
    with pytest.raises(ValueError, match=r"`dataset`, not `model`, also now that it is deleted;"):
        run.log_artifact(Artifact("data", "model"))


@pytest.mark.parametrize(
    "name", ["data", "data:latest", "data:v0", "vision/data:v0", "ana/vision/data:latest"]
)
def test_every_form_of_a_name_leads_to_the_version(
    run: lineal.Run, logged: Artifact, name: str
) -> None:
    assert run.use_artifact(name).qualified_name == "ana/vision/data:v0"


def test_a_digest_leads_to_the_version(run: lineal.Run, logged: Artifact) -> None:
    assert run.use_artifact(f"data:{logged.digest}").version == "v0"


@pytest.mark.parametrize("name", ["a/b/c/d:v0", "data:", "", "//data"])
def test_what_is_no_artifact_name_is_a_value_error(run: lineal.Run, name: str) -> None:
    with pytest.raises(ValueError, match=r"artifact|Cannot read"):
        run.use_artifact(name)


def test_an_absent_version_names_what_is_there(run: lineal.Run, logged: Artifact) -> None:
    with pytest.raises(NotFound, match=r"`prod` in ana/vision/data .*Aliases there: latest"):
        run.use_artifact("data:prod")
    with pytest.raises(NotFound, match="did you mean data"):
        run.use_artifact("dat:latest")


# --- aliases (ALI) ------------------------------------------------------------------------------


def test_latest_always_moves_to_the_new_version(run: lineal.Run) -> None:
    first = run.log_artifact(draft({"n": b"1"})).wait()
    second = run.log_artifact(draft({"n": b"2"}), aliases=["prod"]).wait()
    assert first.aliases == ["latest"]
    assert sorted(second.aliases) == ["latest", "prod"]
    assert run.use_artifact("data:v0").aliases == []


def test_an_alias_is_on_one_version_of_a_collection(run: lineal.Run, api: lineal.Api) -> None:
    run.log_artifact(draft({"n": b"1"}), aliases="prod")
    run.log_artifact(draft({"n": b"2"}), aliases="prod").wait()
    assert [("prod" in each.aliases) for each in api.artifacts(name="data")] == [True, False]


@pytest.mark.parametrize("alias", ["a/b", "a:b", "", "v3", "v0", "x" * 129])
def test_a_bad_alias_is_a_value_error_at_once(run: lineal.Run, alias: str) -> None:
    artifact = draft()
    with pytest.raises(ValueError, match=r"[Aa]lias"):
        run.log_artifact(artifact, aliases=[alias])
    assert artifact.is_draft()
    assert run.log_artifact(artifact).wait().version == "v0"


def test_latest_falls_back_when_its_version_is_deleted(run: lineal.Run) -> None:
    first = run.log_artifact(draft({"n": b"1"})).wait()
    second = run.log_artifact(draft({"n": b"2"})).wait()
    second.delete(delete_aliases=True)
    assert run.use_artifact("data:latest").version == first.version


def test_latest_taken_away_by_hand_falls_back_to_the_newest(
    run: lineal.Run, logged: Artifact
) -> None:
    logged.aliases.remove("latest")
    logged.save()
    assert run.use_artifact("data:latest").version == "v0"


def test_compare_and_swap_moves_an_alias_only_from_where_it_was(run: lineal.Run) -> None:
    first = run.log_artifact(draft({"n": b"1"})).wait()
    second = run.log_artifact(draft({"n": b"2"})).wait()
    first.move_alias("best", expected_version=None)
    with pytest.raises(Conflict, match=r"`best` of ana/vision/data is on v0, not on none"):
        second.move_alias("best", expected_version=None)
    second.move_alias("best", expected_version="v0")
    assert run.use_artifact("data:best").version == "v1"


@pytest.mark.parametrize("expected", ["none", "latest", "0", 0])
def test_an_alias_is_expected_on_a_version_or_none(
    logged: Artifact, api: lineal.Api, expected: Any
) -> None:
    with pytest.raises(Invalid, match=f"expected on {expected!r}, which is no version such as"):
        logged.move_alias("best", expected_version=expected)
    assert "best" not in api.artifact("data:v0").aliases


def test_moving_an_alias_leaves_unsaved_changes_alone(logged: Artifact, api: lineal.Api) -> None:
    logged.metadata["reviewed"] = True
    logged.tags.append("checked")
    logged.aliases.append("stable")
    logged.move_alias("best")
    assert api.artifact("data:best").metadata == {"rows": 3}
    logged.save()
    found = api.artifact("data:best")
    assert found.metadata == {"rows": 3, "reviewed": True}
    assert found.tags == ["checked"]
    assert sorted(found.aliases) == ["best", "latest", "stable"]


def test_every_move_of_an_alias_is_kept(run: lineal.Run) -> None:
    for number in range(3):
        run.log_artifact(draft({"n": bytes([number])}), aliases=["prod"]).wait()
    history = run.use_artifact("data").alias_history("prod")
    assert [(move.before, move.after) for move in history] == [
        (None, "v0"),
        ("v0", "v1"),
        ("v1", "v2"),
    ]


# --- tags and metadata (TAG, MET) ---------------------------------------------------------------


def test_tags_are_given_when_logging_without_doubles(run: lineal.Run) -> None:
    artifact = run.log_artifact(draft(), tags=["one", "two words", "one"]).wait()
    assert sorted(artifact.tags) == ["one", "two words"]


@pytest.mark.parametrize("tag", ["", " x", "x ", "a,b", "a/b", "é!"])
def test_a_bad_tag_is_a_value_error(run: lineal.Run, tag: str) -> None:
    with pytest.raises(ValueError, match="Tag"):
        run.log_artifact(draft(), tags=[tag])


def test_metadata_is_copied_as_json() -> None:
    numpy = pytest.importorskip("numpy")
    original = {"n": numpy.float32(0.5), "a": numpy.array([1, 2]), "nan": float("nan"), "t": (1,)}
    artifact = draft(metadata=original)
    assert artifact.metadata == {"n": 0.5, "a": [1, 2], "nan": None, "t": [1]}
    original["n"] = 7
    assert artifact.metadata["n"] == 0.5


@pytest.mark.parametrize("value", [float("inf"), -float("inf")])
def test_infinities_are_refused_in_metadata(value: float) -> None:
    with pytest.raises(ValueError, match="infinities"):
        draft(metadata={"deep": [{"x": value}]})
    with pytest.raises(ValueError, match="infinities"):
        draft().metadata = {"x": value}


@pytest.mark.parametrize("metadata", [[1], "text", 3])
def test_metadata_is_an_object(metadata: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="metadata"):
        draft(metadata=metadata)


@pytest.mark.parametrize("description", [3, b"bytes"])
def test_a_description_is_text(description: Any) -> None:
    with pytest.raises(TypeError, match="description must be text, not a"):
        draft(description=description)
    with pytest.raises(TypeError, match="description must be text, not a"):
        draft().description = description


def test_metadata_may_have_many_keys_but_not_many_megabytes(run: lineal.Run) -> None:
    many = {f"key{number}": number for number in range(1_000)}
    assert run.log_artifact(draft(metadata=many)).wait().metadata == many
    large = run.log_artifact(draft({"x": b"x"}, metadata={"text": "x" * (1 << 20)}))
    with pytest.raises(ValueError, match="at most 1048576"):
        large.wait()
    run._artifacts.clear()  # its failure was looked at


def test_the_infinity_that_is_refused_is_named() -> None:
    with pytest.raises(ValueError, match=r"`fold\.1\.loss` is -inf\. Keep None or the text '-inf'"):
        Artifact("a", "dataset", metadata={"fold": [{"loss": 1.0}, {"loss": -math.inf}]})
