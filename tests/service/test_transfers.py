"""Who is told where bytes are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from lineal.blobs.local import LocalStore
from lineal.core.access import Actor
from lineal.core.digest import Key, of_bytes
from lineal.core.records import VersionId
from lineal.db import gc as gc_db
from lineal.errors import Conflict, Gone, IntegrityError, NotFound
from lineal.service import artifacts, transfers
from lineal.service.instance import Instance
from tests.conftest import MovableClock
from tests.service.drafts import draft, log, send


def test_a_digest_opens_only_the_versions_it_belongs_to(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    first = log(instance, owner, tmp_path, {"a": b"1"})
    second = log(instance, owner, tmp_path, {"b": b"2"}, collection="other")
    mine, foreign = of_bytes(b"1"), of_bytes(b"2")
    found = transfers.locate(instance, owner, first.id, [mine, foreign])
    assert list(found) == [mine]
    heads = transfers.manifest(instance, owner, second.id).segments
    with pytest.raises(NotFound):
        transfers.read_segments(instance, owner, first.id, heads)


def test_of_a_version_that_is_unknown_or_released_there_is_no_manifest(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    with pytest.raises(NotFound, match="No version 99"):
        transfers.manifest(instance, owner, VersionId(99))
    version = log(instance, owner, tmp_path, {"a": b"1"})
    with instance.database.writing() as connection:
        gc_db.release_at_once(connection, [version.id], instance.clock.now())
    with pytest.raises(Gone, match="ana/vision/data:v0 was released"):
        transfers.manifest(instance, owner, version.id)


class Meanwhile(LocalStore):
    """A store in which something else happens once while files are made durable."""

    def __init__(self, root: str, happens: Callable[[], object]) -> None:
        super().__init__(root)
        self._happens = [happens]

    def sync(self, keys: Sequence[Key]) -> list[int | None]:
        sizes = super().sync(keys)
        while self._happens:
            self._happens.pop()()
        return sizes


@pytest.mark.parametrize("is_committed", [False, True])
def test_what_a_draft_sent_before_it_was_opened_anew_is_not_counted_as_sent(
    instance: Instance, owner: Actor, clock: MovableClock, tmp_path: Path, is_committed: bool
) -> None:
    spec, segments = draft({"a": b"1"})
    begun = artifacts.begin(instance, owner, spec, segments)
    send(instance, owner, begun.draft, {"a": b"1"}, tmp_path)
    sent = list(transfers.missing_blobs(instance, owner, begun.draft))

    def opened_anew() -> None:
        clock.move(hours=73)
        assert artifacts.begin(instance, owner, spec, segments).draft == begun.draft

    meanwhile = replace(instance, store=Meanwhile(instance.home.blobs, opened_anew))
    if is_committed:
        with pytest.raises(Conflict, match="1 of its segments and blobs are not stored"):
            artifacts.commit(meanwhile, owner, begun.draft)
    else:
        transfers.confirm(meanwhile, owner, begun.draft, sent)
    [upload] = transfers.missing_blobs(instance, owner, begun.draft)
    assert upload.digest == sent[0].digest
    assert upload.key != sent[0].key


@pytest.mark.parametrize("is_committed", [False, True])
def test_a_draft_that_expires_while_its_files_are_made_durable_is_over(
    instance: Instance, owner: Actor, clock: MovableClock, tmp_path: Path, is_committed: bool
) -> None:
    begun = artifacts.begin(instance, owner, *draft({"a": b"1"}))
    send(instance, owner, begun.draft, {"a": b"1"}, tmp_path)
    sent = list(transfers.missing_blobs(instance, owner, begun.draft))
    store = Meanwhile(instance.home.blobs, lambda: clock.move(hours=73))
    meanwhile = replace(instance, store=store)
    call = partial(transfers.confirm, sent=sent)
    with pytest.raises(Gone, match="expired"):
        (artifacts.commit if is_committed else call)(meanwhile, owner, begun.draft)


def test_segments_and_bytes_are_taken_once_and_whole_or_not_at_all(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    spec, segments = draft({"a": b"1"})
    begun = artifacts.begin(instance, owner, spec)
    damaged = segments[0]._replace(lines=segments[0].lines.replace(b"a", b"b"))
    with pytest.raises(IntegrityError):
        transfers.put_segments(instance, owner, begun.draft, [damaged])
    for _ in range(2):
        transfers.put_segments(instance, owner, begun.draft, segments)
    [upload] = transfers.missing_blobs(instance, owner, begun.draft)
    send(instance, owner, begun.draft, {"a": b"1"}, tmp_path)
    for size in (0, 2):
        with pytest.raises(Conflict, match="was not sent whole"):
            transfers.confirm(instance, owner, begun.draft, [upload._replace(size=size)])
    assert list(transfers.missing_blobs(instance, owner, begun.draft)) == [upload]
    transfers.confirm(instance, owner, begun.draft, [upload])
    assert list(transfers.missing_blobs(instance, owner, begun.draft)) == []
    version = artifacts.commit(instance, owner, begun.draft).version
    transfers.put_segments(instance, owner, begun.draft, segments)  # an answer that was lost
    assert version is not None
    assert transfers.manifest(instance, owner, version.id).digest == spec.manifest.digest


def test_what_is_missing_is_listed_once_in_however_many_pages(
    instance: Instance, owner: Actor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfers, "PAGE_BLOBS", 2)
    monkeypatch.setattr(artifacts, "INLINE_UPLOADS", 4)
    log(instance, owner, tmp_path, {"a": b"0"})
    files = {f"f{number}": b"%d" % number for number in range(5)}
    begun = artifacts.begin(instance, owner, *draft(files))
    listed = [upload.digest for upload in transfers.missing_blobs(instance, owner, begun.draft)]
    assert sorted(listed) == sorted(of_bytes(data) for data in files.values() if data != b"0")
    assert begun.uploads is None, "there may be more than are named at once"
    del files["f0"]  # which was stored before
    few = artifacts.begin(instance, owner, *draft(files))
    assert few.uploads == tuple(transfers.missing_blobs(instance, owner, few.draft))


def test_a_blob_remembers_the_version_that_stored_it_first(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    first = log(instance, owner, tmp_path, {"a": b"1"})
    second = log(instance, owner, tmp_path, {"b": b"1", "c": b"2"}, collection="other")
    one, two = of_bytes(b"1"), of_bytes(b"2")
    births = transfers.births(instance, owner, second.id, [one, two])
    assert births == {one: first.id, two: second.id}
    assert transfers.births(instance, owner, first.id, [one, two]) == {one: first.id}
