"""What tests of stores put into them: files, and packs of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from lineal import packs


@pytest.fixture
def source(tmp_path: Path) -> Callable[[bytes], str]:
    numbers = iter(range(1000))

    def write(data: bytes) -> str:
        path = tmp_path / f"source{next(numbers)}"
        path.write_bytes(data)
        return str(path)

    return write


@pytest.fixture
def pack(tmp_path: Path) -> Callable[[list[bytes]], str]:
    numbers = iter(range(1000))

    def write(contents: list[bytes]) -> str:
        writer = packs.Writer(str(tmp_path / f"pack{next(numbers)}"))
        for data in contents:
            writer.add(hashlib.sha256(data).digest(), data)
        writer.seal()
        return writer.path

    return write
