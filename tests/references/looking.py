"""Logging references and looking at what became of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import lineal
from lineal.client import references
from lineal.client.references import checking
from lineal.client.references.scheme import State
from tests.references.places import Place, WebPlace

VERSIONED = ("s3, versioned", "gcs, versioned", "azure, snapshots")
BEFORE, AFTER = b"before" * 100, b"after, and longer" * 100


def logged(*uris: str, **how: Any) -> Any:
    artifact = lineal.Artifact("refs", "dataset")
    for uri in uris:
        artifact.add_reference(uri, **how)
    with lineal.init(project="p") as run:
        run.log_artifact(artifact).wait()
    return lineal.Api().artifact("p/refs:latest")


def state(artifact: Any) -> State:
    found = list(checking.check(references.opened(60.0), iter(artifact._contents)))
    return found[0][1].state if found else State.FRESH  # bytes that are stored here


def content(artifact: Any, tmp_path: Path) -> bytes:
    folder = artifact.download(root=str(tmp_path / f"out{os.urandom(4).hex()}"))
    (path,) = (each for each in Path(folder).rglob("*") if each.is_file())
    return path.read_bytes()


def is_unchecked(place: Place) -> bool:
    return isinstance(place, WebPlace) and not place.has_etags
