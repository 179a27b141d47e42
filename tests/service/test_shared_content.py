"""What is asked of all content looks once at what many versions share."""

from __future__ import annotations

from pathlib import Path

from lineal.core.access import Actor
from lineal.db import checks, storage
from lineal.service.instance import Instance
from tests.service.drafts import log
from tests.service.steps import steps

FILES = {f"{number:03}": b"%d" % number for number in range(300)}


def test_content_of_many_versions_is_checked_once(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    def taken() -> int:
        return steps(instance, lambda connection: list(checks.violations(connection)))

    log(instance, owner, tmp_path, FILES, in_pack=True)
    before = taken()
    for number in range(20):
        log(instance, owner, tmp_path, FILES, collection=f"copy{number}")
    assert taken() < 2 * before


def test_content_of_many_collections_is_added_up_once(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    now = instance.clock.now()

    def taken() -> int:
        scope = storage.Scope(project=1)
        return steps(
            instance, lambda connection: storage.sums(connection, scope, cutoff=now, now=now)
        )

    log(instance, owner, tmp_path, FILES, in_pack=True)
    before = taken()
    for number in range(20):
        log(instance, owner, tmp_path, FILES, collection=f"copy{number}")
    assert taken() < 2 * before
