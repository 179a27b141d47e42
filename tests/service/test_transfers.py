"""Who is told where bytes are."""

from __future__ import annotations

from pathlib import Path

import pytest

from lineal.core.access import Actor
from lineal.core.digest import of_bytes
from lineal.errors import (
    NotFound,
)
from lineal.service import transfers
from lineal.service.instance import Instance
from tests.service.drafts import log


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


def test_a_blob_remembers_the_version_that_stored_it_first(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    first = log(instance, owner, tmp_path, {"a": b"1"})
    second = log(instance, owner, tmp_path, {"b": b"1", "c": b"2"}, collection="other")
    one, two = of_bytes(b"1"), of_bytes(b"2")
    births = transfers.births(instance, owner, second.id, [one, two])
    assert births == {one: first.id, two: second.id}
    assert transfers.births(instance, owner, first.id, [one, two]) == {one: first.id}
