"""What is logged again asks for bytes that `verify` found missing, even if a version has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from lineal.core.access import Actor
from lineal.core.digest import of_bytes
from lineal.errors import Conflict
from lineal.service import artifacts, transfers
from lineal.service.instance import Instance
from lineal.service.verify import verify
from tests.service.drafts import Files, draft, findings, log, send

FILES: Files = {f"{number:04}": b"%d" % number for number in range(4_000)}
"""Enough for several segments."""


def lose(instance: Instance, owner: Actor, data: bytes) -> None:
    wanted = of_bytes(data).removeprefix("sha256:")
    keys = [file.key for file in instance.store.walk() if file.key and wanted in file.key]
    assert len(keys) == 1
    instance.store.delete(keys)
    assert len(list(verify(instance, owner, repair=True))) == 1


@pytest.mark.parametrize("changes", [{}, {"0000": b"changed"}])
def test_a_draft_asks_for_lost_bytes_of_the_version_it_shares_segments_with(
    instance: Instance, owner: Actor, tmp_path: Path, changes: Files
) -> None:
    log(instance, owner, tmp_path, FILES, in_pack=True)
    lose(instance, owner, FILES["2000"])
    spec, segments = draft(FILES | changes, collection="another")
    assert len(segments) > 1
    begun = artifacts.begin(instance, owner, spec, segments)
    asked = {upload.digest for upload in transfers.missing_blobs(instance, owner, begun.draft)}
    assert asked == {of_bytes(data) for data in [FILES["2000"], *changes.values()]}
    with pytest.raises(Conflict, match=f"{len(asked)} of its segments and blobs are not stored"):
        artifacts.commit(instance, owner, begun.draft)
    send(instance, owner, begun.draft, FILES | changes, tmp_path)
    assert artifacts.commit(instance, owner, begun.draft).is_new
    assert findings(instance, owner) == []


def test_bytes_lost_from_a_draft_are_asked_for_once(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    spec, segments = draft({"a": b"1"})
    begun = artifacts.begin(instance, owner, spec, segments)
    uploads = list(transfers.missing_blobs(instance, owner, begun.draft))
    send(instance, owner, begun.draft, {"a": b"1"}, tmp_path)
    transfers.confirm(instance, owner, begun.draft, uploads)
    lose(instance, owner, b"1")
    assert list(transfers.missing_blobs(instance, owner, begun.draft)) == uploads
    with pytest.raises(Conflict, match="1 of its segments and blobs"):
        artifacts.commit(instance, owner, begun.draft)
