"""Lines that a run logs, for tests of the file where they wait and of what comes of them."""

from __future__ import annotations

import json

from lineal.client.backend import Backend
from lineal.client.run.spool import Spool, Writer
from lineal.core.records import RunRecord, Stream


def writer(run: RunRecord, name: str = "w1") -> Writer:
    return Writer(run.entity, run.project, run.run_id, run.key, name)


def row(step: int) -> bytes:
    return json.dumps({"_step": step}).encode()


def stored(backend: Backend, run: RunRecord) -> list[int]:
    """Return the steps that the database has."""
    return [json.loads(line)["_step"] for line in backend.read_lines(run.key, Stream.HISTORY)]


def move(backend: Backend, run: RunRecord, lines: Spool) -> None:
    batches = lines.pending()
    backend.append_lines(run.key, batches)
    lines.moved(batches)
