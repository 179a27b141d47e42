"""A copy of a version keeps its number where that was never given (docs/design/008-bundles.md)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lineal.core.access import Actor, Role
from lineal.core.full_names import ArtifactPath
from lineal.core.records import RunSpec, VersionRecord
from lineal.errors import Invalid
from lineal.service import artifacts, catalog, moving, runs
from lineal.service.instance import Instance
from tests.conftest import MovableClock
from tests.gc.databases import open_on
from tests.service.drafts import draft, log

OWNER = Actor("ana", Role.OWNER)


@pytest.fixture
def instance(url: str, tmp_path: Path, clock: MovableClock) -> Iterator[Instance]:
    opened = open_on(url, tmp_path / "home", clock)
    yield opened
    opened.close()


def copy(instance: Instance, folder: Path, text: str, **changes: object) -> VersionRecord:
    return log(instance, OWNER, folder, {"a.txt": text.encode()}, **changes)


def numbers(instance: Instance, folder: Path, *wanted: int | None) -> list[int]:
    return [
        copy(instance, folder, f"content {place}", number=number).number
        for place, number in enumerate(wanted)
    ]


def test_numbers_are_kept_in_any_order_and_counted_on_from_the_highest(instance, tmp_path):
    assert numbers(instance, tmp_path, 7, 3, None, 7, 8, 0) == [7, 3, 8, 9, 10, 0]


def test_latest_goes_to_the_highest_number(instance, tmp_path):
    path = ArtifactPath("ana", "vision", "data", "latest")
    for number, latest in ((5, 5), (3, 5), (9, 9)):
        copy(instance, tmp_path, f"content {number}", number=number)
        assert catalog.version(instance, OWNER, path).number == latest


def test_a_copy_takes_aliases_that_are_free(instance, tmp_path):
    copy(instance, tmp_path, "own", aliases=("prod",))
    copied = copy(instance, tmp_path, "copied", number=4, aliases=("prod", "good"))
    assert set(copied.aliases) == {"good", "latest"}
    again = copy(instance, tmp_path, "own", number=4, aliases=("good", "fine"))
    assert (again.number, set(again.aliases)) == (0, {"prod", "fine"})


def test_the_number_that_a_moved_collection_had_is_not_given_again(instance, tmp_path):
    run = runs.start(instance, OWNER, RunSpec("ana", "vision", "r")).run
    copy(instance, tmp_path, "moved", run=run.key)
    moving.move(instance, OWNER, run.key, "ana", "other", with_artifacts=True)
    assert copy(instance, tmp_path, "copied", number=0).number == 1


@pytest.mark.parametrize("number", [-1, 2**31])
def test_a_number_that_cannot_be_is_refused(instance, number):
    spec, segments = draft({"a.txt": b"a"}, number=number)
    with pytest.raises(Invalid, match="numbered from 0"):
        artifacts.begin(instance, OWNER, spec, segments)
