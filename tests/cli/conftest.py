"""The command line as a test sees it: words in; exit code, stdout and stderr out."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lineal.cli.app import execute
from lineal.client import session


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


Command = Callable[..., Answer]


@pytest.fixture
def lineal(capsys: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """Run `lineal …` in this process; fails the test on an error unless told `fails=True`."""

    def run(*words: str, fails: bool = False) -> Answer:
        capsys.readouterr()
        code = execute(words)
        captured = capsys.readouterr()
        answer = Answer(code, captured.out, captured.err)
        assert (code != 0) == fails, answer
        return answer

    yield run
    session.close()


@pytest.fixture
def photos(lineal: Command) -> Path:
    """A folder that is logged as demo/photos:v0."""
    folder = Path("photos")
    (folder / "cats").mkdir(parents=True)
    for name, text in (("a.txt", "first\n"), ("cats/b.txt", "second\n")):
        (folder / name).write_text(text)
        os.utime(folder / name, (0, 0))  # old enough for the digest cache
    lineal("artifact", "put", str(folder), "-n", "demo/photos", "-a", "raw", "--tag", "holiday")
    return folder


@pytest.fixture
def damage(home: Path) -> Callable[[bytes], None]:
    """Turn the stored bytes of a file round, as a failing disk would."""

    def reverse(content: bytes) -> None:
        blobs = [path for path in (home / "blobs").rglob("*") if path.is_file()]
        (blob,) = (path for path in blobs if path.read_bytes() == content)
        blob.chmod(0o600)
        blob.write_bytes(content[::-1])

    return reverse
