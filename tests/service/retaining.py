"""Logging versions and looking at which are left, for the tests of what may go."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lineal.core.access import Actor
from lineal.core.records import PageRequest, VersionQuery, VersionRecord
from lineal.service import catalog
from lineal.service.instance import Instance
from tests.service import drafts

FIRST = PageRequest()
DAY = 86_400
Log = Callable[..., VersionRecord]


@pytest.fixture
def log(instance: Instance, owner: Actor, tmp_path: Path) -> Log:
    """Log a version of ana/vision/data with these files, or this text."""

    def logged(content: str | dict[str, str], **changes: Any) -> VersionRecord:
        texts = {"a": content} if isinstance(content, str) else content
        files = {name: text.encode() for name, text in texts.items()}
        return drafts.log(instance, owner, tmp_path, files, **changes)

    return logged


def live(instance: Instance, actor: Actor, name: str = "data") -> list[int]:
    found = catalog.versions(instance, actor, VersionQuery("ana", "vision", name), FIRST)
    return sorted(version.number for version in found.items)
