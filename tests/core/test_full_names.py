"""Full names: what is left out comes from the settings (NAM-5, NAM-6, API-7)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineal.core import full_names
from lineal.core.full_names import ArtifactPath
from lineal.errors import Invalid

PART = st.from_regex(r"[A-Za-z0-9_\-]{1,8}", fullmatch=True)
REF = PART | st.from_regex(r"sha256:[0-9a-f]{64}", fullmatch=True) | st.just("team/best")


@given(path=st.builds(ArtifactPath, PART, PART, PART, REF, st.none()))
def test_full_artifact_path_is_read_back(path: ArtifactPath) -> None:
    assert full_names.artifact_path(str(path), "other", "other") == path
    assert full_names.artifact_path(f"lineal-artifact://{path}", "other", "other") == path


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("data", "ana/vision/data:latest"),
        ("data:v3", "ana/vision/data:v3"),
        ("nlp/data:best", "ana/nlp/data:best"),
        ("acme/nlp/data", "acme/nlp/data:latest"),
        ("wandb-artifact://acme/nlp/data:v0", "acme/nlp/data:v0"),
    ],
)
def test_missing_parts_come_from_the_settings(text: str, full: str) -> None:
    assert str(full_names.artifact_path(text, "ana", "vision")) == full


def test_missing_project_is_uncategorized() -> None:
    assert full_names.artifact_path("data", "ana", None).project == "uncategorized"
    assert full_names.project_path(None, "ana", None) == ("ana", "uncategorized")
    assert full_names.run_path("r1", "ana", None) == ("ana", "uncategorized", "r1")


@pytest.mark.parametrize("text", ["", "a/b/c/d:v1", "a//b", "/a", "a/", "data:", ":v1", None])
def test_what_is_no_artifact_path_is_refused(text: Any) -> None:
    with pytest.raises(Invalid):
        full_names.artifact_path(text, "ana", "vision")


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("r1", ("ana", "vision", "r1")),
        ("nlp/r1", ("ana", "nlp", "r1")),
        ("acme/nlp/r1", ("acme", "nlp", "r1")),
        ("/acme/nlp/runs/r1", ("acme", "nlp", "r1")),
    ],
)
def test_run_path_is_read(text: str, full: tuple[str, str, str]) -> None:
    assert full_names.run_path(text, "ana", "vision") == full


@pytest.mark.parametrize("text", ["", "/", "a/b/c/d", None])
def test_what_is_no_run_path_is_refused(text: Any) -> None:
    with pytest.raises(Invalid):
        full_names.run_path(text, "ana", "vision")


def test_project_path_is_read() -> None:
    assert full_names.project_path("acme/nlp", "ana", "vision") == ("acme", "nlp")
    assert full_names.project_path("nlp", "ana", "vision") == ("ana", "nlp")
    with pytest.raises(Invalid):
        full_names.project_path("a/b/c", "ana", "vision")
