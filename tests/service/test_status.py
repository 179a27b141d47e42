"""What is where, and how much of it."""

from __future__ import annotations

from pathlib import Path

from lineal.core.access import Actor
from lineal.files.folders import make_folders
from lineal.service import artifacts, catalog, deletion
from lineal.service.instance import Instance
from lineal.service.status import status
from tests.conftest import MovableClock
from tests.service.drafts import ONE, draft, log


def test_files_in_folders_of_any_depth_are_counted(
    instance: Instance, owner: Actor, deep: str
) -> None:
    folder = f"{instance.home.runs}/{deep}"
    make_folders(folder)
    Path(folder, "a").write_bytes(b"12345")
    Path(instance.home.root, "note").write_bytes(b"123")
    sizes = status(instance, owner).sizes
    assert sizes["runs"] == 5
    assert sizes["home"] == 3 + sum(size for name, size in sizes.items() if name != "home")


def test_only_what_is_live_is_counted(
    instance: Instance, owner: Actor, clock: MovableClock, tmp_path: Path
) -> None:
    log(instance, owner, tmp_path, {"a": b"1"})
    log(instance, owner, tmp_path, {"a": b"2"}, project="nlp")
    log(instance, owner, tmp_path, {"a": b"3"}, collection="old")
    artifacts.begin(instance, owner, *draft(ONE, collection="old"))
    before = status(instance, owner).counts
    assert (before["projects"], before["collections"], before["drafts"]) == (2, 3, 1)
    deletion.delete_project(instance, owner, "ana", "nlp")
    old = catalog.collection(instance, owner, "ana", "vision", "old")
    deletion.delete_collection(instance, owner, old.id)
    clock.move(days=4)  # longer than a draft may take
    after = status(instance, owner).counts
    live = ("projects", "collections", "versions", "drafts")
    assert [after[name] for name in live] == [1, 1, 1, 0]
