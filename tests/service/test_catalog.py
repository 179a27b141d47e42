"""Finding versions and collections by name, and changing what is written on them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from lineal.core.access import Actor, Role
from lineal.core.full_names import ArtifactPath
from lineal.core.records import (
    CollectionId,
    CollectionPatch,
    CollectionQuery,
    Introduction,
    MembershipId,
    PageRequest,
    RunSpec,
    VersionId,
    VersionPatch,
    VersionQuery,
)
from lineal.core.retention import selection_from_json
from lineal.errors import (
    Conflict,
    Denied,
    Exists,
    Gone,
    Invalid,
    NotFound,
)
from lineal.service import artifacts, catalog, deletion, finding, lineage, retention, runs
from lineal.service.instance import Instance
from tests.service.drafts import draft, findings, log, path, send


def test_an_alias_moves_and_every_move_is_kept(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    first = log(instance, owner, tmp_path, {"a": b"1"}, aliases=("prod", "best"))
    second = log(instance, owner, tmp_path, {"a": b"2"}, aliases=("prod",))
    collection = catalog.collection(instance, owner, "ana", "vision", "data")
    history = catalog.alias_history(instance, owner, collection.id, "prod")
    assert [(move.before, move.after) for move in history] == [(None, "v0"), ("v0", "v1")]
    assert {move.alias for move in history} == {"prod"}
    every = catalog.alias_history(instance, owner, collection.id, None)
    assert sorted(move.alias for move in every) == ["best", "latest", "latest", "prod", "prod"]
    assert catalog.version_by_id(instance, owner, first.id).aliases == ("best",)
    assert catalog.version_by_id(instance, owner, second.id).aliases == ("latest", "prod")


def test_nobody_knows_links_or_aliases_of_what_never_was(instance: Instance, owner: Actor) -> None:
    with pytest.raises(NotFound, match="No version 99"):
        catalog.links(instance, owner, VersionId(99))
    with pytest.raises(NotFound, match="No collection 99"):
        catalog.alias_history(instance, owner, CollectionId(99), None)


def test_compare_and_swap_refuses_a_moved_alias_and_changes_nothing(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    log(instance, owner, tmp_path, {"a": b"1"}, aliases=("prod",))
    second = log(instance, owner, tmp_path, {"a": b"2"})
    patch = VersionPatch(aliases_added=("prod",), expected_version={"prod": None})
    with pytest.raises(Conflict, match="is on v0, not on none"):
        catalog.update_version(instance, owner, second.membership_id, patch)
    moved = catalog.update_version(
        instance, owner, second.membership_id, patch._replace(expected_version={"prod": "v0"})
    )
    assert "prod" in moved.aliases


def test_a_link_numbers_by_itself_and_shares_the_bytes(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    log(instance, owner, tmp_path, {"a": b"1"})
    second = log(instance, owner, tmp_path, {"a": b"2"})
    target = ArtifactPath("ana", "registry", "detector")
    link = catalog.link_version(instance, owner, second.id, target, ["prod"])
    assert (link.path, link.source_number, link.is_link) == ("ana/registry/detector:v0", 1, True)
    assert link.aliases == ("latest", "prod")
    again = catalog.link_version(instance, owner, second.id, target, ["next"])
    assert again.number == 0
    with pytest.raises(Exists):
        log(instance, owner, tmp_path, {"a": b"3"}, project="registry", collection="detector")
    with pytest.raises(Conflict, match="linked as ana/registry/detector:v0"):
        deletion.delete_version(instance, owner, second.membership_id, delete_aliases=True)
    catalog.unlink_version(instance, owner, link.membership_id)
    assert catalog.links(instance, owner, second.id) == []
    deletion.delete_version(instance, owner, second.membership_id, delete_aliases=True)


def test_a_portfolio_holds_links_to_one_type(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    target = ArtifactPath("ana", "registry", "detector")
    catalog.link_version(
        instance, owner, log(instance, owner, tmp_path, {"a": b"1"}).id, target, []
    )
    other = log(instance, owner, tmp_path, {"a": b"2"}, collection="model", type="model")
    with pytest.raises(Invalid, match=r"ana/registry/detector .*`dataset`, not `model`"):
        catalog.link_version(instance, owner, other.id, target, [])
    with pytest.raises(Exists, match="ana/vision/data holds versions of its own"):
        catalog.link_version(instance, owner, other.id, path("latest"), [])
    assert catalog.links(instance, owner, other.id) == []


def test_links_of_a_deleted_project_are_not_listed(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    version = log(instance, owner, tmp_path, {"a": b"1"})
    for project in ("first", "second"):
        target = ArtifactPath("ana", project, "detector")
        catalog.link_version(instance, owner, version.id, target, [])
    deletion.delete_project(instance, owner, "ana", "first")
    assert [link.project for link in catalog.links(instance, owner, version.id)] == ["second"]


def test_a_version_belongs_to_the_sweep_of_the_run_that_logged_it_first(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    swept, other = (
        runs.start(instance, owner, RunSpec("ana", "vision", name, sweep_id=sweep)).run.key
        for name, sweep in (("a", "s"), ("b", None))
    )
    first = log(instance, owner, tmp_path, {"a": b"1"})
    lineage.use(instance, owner, swept, first.id, alias=None)
    assert catalog.version_by_id(instance, owner, first.id).sweep_id is None
    for keys, sweep in (((swept, other), "s"), ((other, swept), None)):
        versions = [log(instance, owner, tmp_path, {"b": str(keys).encode()}, run=k) for k in keys]
        assert [version.sweep_id for version in versions] == [sweep] * 2


def test_what_is_in_another_project_or_deleted_is_neither_named_nor_in_the_way(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    log(instance, owner, tmp_path, {"a": b"1"})
    log(instance, owner, tmp_path, {"a": b"1"}, project="other", collection="dato", type="model")
    gone = log(instance, owner, tmp_path, {"a": b"1"}, collection="dat", type="table")
    found = catalog.collection(instance, owner, "ana", "vision", gone.collection)
    deletion.delete_collection(instance, owner, found.id)
    with pytest.raises(NotFound) as raised:
        catalog.version(instance, owner, path("latest", "dats"))
    assert "did you mean data" in raised.value.message
    assert not re.search(r"\bdato?\b", raised.value.message)
    assert catalog.artifact_types(instance, owner, "ana", "vision") == ["dataset"]
    data = catalog.collection(instance, owner, "ana", "vision", "data")
    with pytest.raises(Exists, match="was deleted, and keeps its name"):
        catalog.update_collection(instance, owner, data.id, CollectionPatch(name="dat"))
    patch = CollectionPatch(name="dato", tags=("b", "a"))
    renamed = catalog.update_collection(instance, owner, data.id, patch)
    assert (renamed.name, renamed.tags) == ("dato", ("a", "b"))


def test_a_name_leads_to_the_last_collection_that_had_it(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    def rename(collection: str, name: str) -> None:
        found = catalog.collection(instance, owner, "ana", "vision", collection)
        catalog.update_collection(instance, owner, found.id, CollectionPatch(name=name))

    log(instance, owner, tmp_path, {"a": b"1"}, collection="one")
    log(instance, owner, tmp_path, {"a": b"2"}, collection="two")
    rename("one", "first")
    assert catalog.collection(instance, owner, "ana", "vision", "one").name == "first"
    rename("two", "one")
    assert catalog.collection(instance, owner, "ana", "vision", "one").name == "one"
    rename("one", "second")
    assert catalog.collection(instance, owner, "ana", "vision", "one").name == "second"
    rename("second", "one")
    rename("first", "two")
    assert catalog.collection(instance, owner, "ana", "vision", "two").name == "two"
    assert findings(instance, owner) == []


def test_a_removed_link_takes_no_alias(instance: Instance, owner: Actor, tmp_path: Path) -> None:
    version = log(instance, owner, tmp_path, {"a": b"1"})
    target = ArtifactPath("ana", "registry", "detector")
    link = catalog.link_version(instance, owner, version.id, target, [])
    catalog.unlink_version(instance, owner, link.membership_id)
    patch = VersionPatch(aliases_added=("prod",))
    with pytest.raises(Gone, match=r"ana/registry/detector:v0 was removed on .*data:v0 again"):
        catalog.update_version(instance, owner, link.membership_id, patch)
    assert findings(instance, owner) == []
    again = catalog.link_version(instance, owner, version.id, target, [])
    moved = catalog.update_version(instance, owner, again.membership_id, patch)
    assert (moved.number, moved.aliases) == (1, ("latest", "prod"))
    # by the first handle it cannot be taken off what holds the alias now
    catalog.unlink_version(instance, owner, link.membership_id)
    assert catalog.version(instance, owner, target._replace(ref="prod")).number == 1


def test_a_removed_link_puts_latest_back_only_if_it_had_it(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    target = ArtifactPath("ana", "registry", "detector")
    links = [
        catalog.link_version(
            instance, owner, log(instance, owner, tmp_path, {"a": text}).id, target, []
        )
        for text in (b"0", b"1", b"2", b"3")
    ]

    def aliases() -> dict[int, tuple[str, ...]]:
        query = VersionQuery("ana", "registry", "detector")
        found = catalog.versions(instance, owner, query, PageRequest()).items
        return {version.number: version.aliases for version in found}

    catalog.unlink_version(instance, owner, links[3].membership_id)
    assert aliases() == {0: (), 1: (), 2: ("latest",)}
    patch = VersionPatch(aliases_removed=("latest",))
    catalog.update_version(instance, owner, links[2].membership_id, patch)
    catalog.unlink_version(instance, owner, links[1].membership_id)
    assert aliases() == {0: (), 2: ()}


def test_a_missing_alias_is_named_with_those_that_are_there(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    log(instance, owner, tmp_path, {"a": b"1"}, aliases=("best",))
    with pytest.raises(NotFound, match=r"`prod` in ana/vision/data \(you are ana\).*best, latest"):
        catalog.version(instance, owner, path("prod"))
    with pytest.raises(NotFound, match="did you mean data"):
        catalog.version(instance, owner, path("latest", "dat"))
    with pytest.raises(NotFound, match="`lineal artifact ls ana/vision` lists: "):
        catalog.version(instance, owner, path("latest", "model"))
    log(instance, owner, tmp_path, {"a": b"1"}, collection="run-1-t", type="run_table")
    log(instance, owner, tmp_path, {"a": b"1"}, collection="source-a-b", type="code")
    with pytest.raises(NotFound, match=r"lists: data, source-a-b, run-1-t$"):
        catalog.version(instance, owner, path("latest", "model"))


def test_of_many_names_only_the_newest_are_compared_with_a_missing_one(
    instance: Instance, owner: Actor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "NEAR_MISSES_MOST", 2)
    for name in ("data", "model", "report"):
        log(instance, owner, tmp_path, {"a": b"1"}, collection=name)
    with pytest.raises(NotFound, match="did you mean model"):
        catalog.version(instance, owner, path("latest", "modl"))
    with pytest.raises(NotFound, match=r"lists: report, model$"):
        catalog.version(instance, owner, path("latest", "dat"))


def test_a_missing_number_is_named_with_those_that_are_there(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    for number in range(6):
        log(instance, owner, tmp_path, {"a": bytes([number])})
    with pytest.raises(NotFound, match=r"`v9` .* Versions there: v5, v4, v3, v2, v1 …\. Aliases"):
        catalog.version(instance, owner, path("v9"))


def test_an_alias_may_look_like_a_digest(instance: Instance, owner: Actor, tmp_path: Path) -> None:
    first = log(instance, owner, tmp_path, {"a": b"1"}, aliases=("0f" * 16, "0f" * 32))
    second = log(instance, owner, tmp_path, {"a": b"2"})
    for ref in ("0f" * 16, "0f" * 32):
        assert catalog.version(instance, owner, path(ref)).id == first.id
    for ref in (second.digest, second.digest.removeprefix("sha256:")):
        assert catalog.version(instance, owner, path(ref)).id == second.id


def test_a_message_names_latest_also_where_it_falls_back(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    version = log(instance, owner, tmp_path, {"a": b"1"})
    patch = VersionPatch(aliases_removed=("latest",))
    assert catalog.update_version(instance, owner, version.membership_id, patch).aliases == ()
    assert catalog.version(instance, owner, path("latest")).number == 0
    with pytest.raises(NotFound, match="Aliases there: latest"):
        catalog.version(instance, owner, path("prod"))
    deletion.delete_version(instance, owner, version.membership_id, delete_aliases=True)
    with pytest.raises(NotFound, match="It has no live version; `lineal artifact restore ana/"):
        catalog.version(instance, owner, path("latest"))


def test_a_deleted_collection_says_so_whatever_version_is_asked_for(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    version = log(instance, owner, tmp_path, {"a": b"1"})
    found = catalog.collection(instance, owner, "ana", "vision", "data")
    deletion.delete_collection(instance, owner, found.id)
    for ref in ("latest", "prod", "v7"):
        with pytest.raises(
            Gone, match=r"ana/vision/data was deleted by .* restore ana/vision/data"
        ):
            catalog.version(instance, owner, path(ref))
    with pytest.raises(Gone, match="Version ana/vision/data:v0 was deleted by"):
        catalog.version(instance, owner, path("v0"))
    log(instance, owner, tmp_path, {"a": b"2"})
    assert catalog.version(instance, owner, path("latest")).number == version.number + 1


def test_a_collection_tells_what_latest_means(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    def latest() -> str | None:
        return catalog.collection(instance, owner, "ana", "vision", "data").latest

    first = log(instance, owner, tmp_path, {"a": b"1"})
    second = log(instance, owner, tmp_path, {"a": b"2"})
    assert latest() == "v1"
    log(instance, owner, tmp_path, {"a": b"1"})
    assert latest() == "v0" == f"v{catalog.version(instance, owner, path('latest')).number}"
    patch = VersionPatch(aliases_removed=("latest",))
    catalog.update_version(instance, owner, first.membership_id, patch)
    assert latest() == "v1" == f"v{catalog.version(instance, owner, path('latest')).number}"
    for version in (first, second):
        deletion.delete_version(instance, owner, version.membership_id, delete_aliases=True)
    assert latest() is None


def test_to_an_outsider_what_is_there_and_what_is_not_look_the_same(
    instance: Instance, owner: Actor, stranger: Actor, tmp_path: Path
) -> None:
    log(instance, owner, tmp_path, {"a": b"1"})
    messages = []
    for name in ("data", "nothing"):
        with pytest.raises(NotFound) as caught:
            catalog.version(instance, stranger, path("latest", name))
        messages.append(caught.value.message.replace(name, "X"))
    assert messages[0] == messages[1]


def test_a_viewer_may_read_but_not_write(instance: Instance, owner: Actor, tmp_path: Path) -> None:
    version = log(instance, owner, tmp_path, {"a": b"1"})
    viewer = Actor("vic", Role.VIEWER)
    assert catalog.version(instance, viewer, path("latest")).id == version.id
    with pytest.raises(Denied, match="vic"):
        log(instance, viewer, tmp_path, {"a": b"2"})
    with pytest.raises(Denied):
        deletion.delete_version(instance, viewer, version.membership_id, delete_aliases=True)


@hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    pages=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    order=st.sampled_from([None, "+version_index", "-created_at", "+updatedAt", "+size"]),
)
def test_pages_of_versions_are_the_whole_list(
    instance: Instance, owner: Actor, tmp_path: Path, pages: Sequence[int], order: str | None
) -> None:
    for n in range(5):
        log(instance, owner, tmp_path, {"a": b"%d" % (n % 4), "n": b"x" * (n % 3)})
    query = VersionQuery("ana", "vision", "data", order=order)
    whole = catalog.versions(instance, owner, query, PageRequest(size=100))
    assert whole.total == len(whole.items)
    found: list[MembershipId] = []
    cursor, turn = None, 0
    while True:
        page = catalog.versions(
            instance, owner, query, PageRequest(pages[turn % len(pages)], cursor)
        )
        found += [version.membership_id for version in page.items]
        cursor, turn = page.cursor, turn + 1
        if cursor is None:
            break
    assert found == [version.membership_id for version in whole.items]


def test_nobody_sees_a_collection_before_its_first_version(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    files = {"a": b"1"}
    spec, segments = draft(files)
    begun = artifacts.begin(instance, owner, spec, segments)
    assert catalog.artifact_types(instance, owner, "ana", "vision") == []
    with pytest.raises(NotFound, match="none is there yet"):
        catalog.collection(instance, owner, "ana", "vision", "data")
    with pytest.raises(NotFound, match="none is there yet"):
        catalog.version(instance, owner, path("v0"))
    other, _ = draft(files, type="model")
    with pytest.raises(Invalid, match="which it got from a draft that was begun before"):
        artifacts.begin(instance, owner, other, segments)
    send(instance, owner, begun.draft, files, tmp_path)
    artifacts.commit(instance, owner, begun.draft)
    query = CollectionQuery("ana", "vision")
    (shown,) = catalog.collections(instance, owner, query, PageRequest()).items
    assert shown == catalog.collection(instance, owner, "ana", "vision", "data")
    assert findings(instance, owner) == []


def test_an_old_name_leads_on_until_something_is_logged_to_it(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    log(instance, owner, tmp_path, {"a": b"1"}, collection="one")
    renamed = catalog.collection(instance, owner, "ana", "vision", "one")
    catalog.update_collection(instance, owner, renamed.id, CollectionPatch(name="first"))
    files = {"a": b"2"}
    spec, segments = draft(files, collection="one")
    begun = artifacts.begin(instance, owner, spec, segments)
    assert catalog.version(instance, owner, path("v0", "one")).collection == "first"
    with pytest.raises(Exists, match="one has a draft, and may have versions soon"):
        catalog.update_collection(instance, owner, renamed.id, CollectionPatch(name="one"))
    send(instance, owner, begun.draft, files, tmp_path)
    artifacts.commit(instance, owner, begun.draft)
    assert catalog.version(instance, owner, path("latest", "one")).path == "ana/vision/one:v1"


def test_what_is_said_first_of_a_new_collection_stays(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    policy = {"keep_last": 3}
    said = Introduction("Pictures", ("raw",), 3600, policy)
    for each in (said, Introduction(), Introduction("Photos", (), 60, {"keep_last": 1})):
        spec, segments = draft({"a": b"1"}, introduction=each)
        artifacts.begin(instance, owner, spec, segments)
    log(instance, owner, tmp_path, {"a": b"1"}, introduction=Introduction("Late"))
    found = catalog.collection(instance, owner, "ana", "vision", "data")
    assert (found.description, found.tags, found.ttl_seconds) == ("Pictures", ("raw",), 3600)
    applies = retention.policy(instance, owner, "ana", "vision", "data")
    assert applies.selection == selection_from_json(policy)


@pytest.mark.parametrize(
    "wrong", [{"tags": ("a,b",)}, {"ttl_seconds": -1}, {"policy": {"keep": 1}}, {"policy": {}}]
)
def test_nothing_wrong_is_said_of_a_new_collection(
    instance: Instance, owner: Actor, wrong: dict[str, Any]
) -> None:
    spec, segments = draft({"a": b"1"}, introduction=Introduction(**wrong))
    with pytest.raises(Invalid):
        artifacts.begin(instance, owner, spec, segments)
