"""`include` and `exclude` mean what they mean in `.gitignore`, and the same everywhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.client.artifact.conftest import content, paths

import lineal
from lineal.client.artifact.artifact import Artifact

DEEP = "sub/deep/d.txt"


@pytest.mark.parametrize(
    ("patterns", "left"),
    [
        ({"exclude": "sub/*"}, ["a.txt", "b.log", "skip/e.txt"]),
        ({"exclude": ["sub/*", "!sub/c.txt"]}, ["a.txt", "b.log", "skip/e.txt", "sub/c.txt"]),
        ({"exclude": "**/deep/*"}, ["a.txt", "b.log", "skip/e.txt", "sub/c.txt"]),
        ({"exclude": ["*", "!*/", "!*.txt"]}, ["a.txt", "skip/e.txt", "sub/c.txt", DEEP]),
        ({"exclude": ["!*.txt", "sub/"]}, ["a.txt", "b.log", "skip/e.txt"]),
        ({"include": "sub/*"}, ["sub/c.txt", DEEP]),
        ({"include": ["sub/*", "!sub/deep/"]}, ["sub/c.txt"]),
        ({"include": "*.txt", "exclude": "/sub/"}, ["a.txt", "skip/e.txt"]),
    ],
)
def test_a_pattern_leaves_the_same_of_a_folder_a_reference_and_a_version(
    run: lineal.Run, folder: Path, tmp_path: Path, patterns: dict[str, str], left: list[str]
) -> None:
    added, referred, whole = (Artifact("data", "dataset") for _ in range(3))
    added.add_dir(folder, **patterns)
    referred.add_reference(folder.as_uri(), **patterns)
    whole.add_dir(folder)
    target = run.log_artifact(whole).wait().download(tmp_path / "target", **patterns)
    assert paths(added) == paths(referred) == sorted(content(target)) == left
