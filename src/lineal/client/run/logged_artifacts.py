"""The artifacts that a run logged, as long as somebody may have to wait for them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from lineal.client import term

if TYPE_CHECKING:
    from lineal.client.artifact.artifact import Artifact

REMEMBERED = 256
"""A run may log a million: stored artifacts beyond that are forgotten, and others waited for."""


class LoggedArtifacts:
    """Artifacts on their way or stored, and those that could not be; threads may share one."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a handler of a signal may log, too
        self._artifacts: list[Artifact] = []

    def add(self, artifact: Artifact) -> None:
        """Remember an artifact that was handed over.

        Of too many that are not stored yet half are waited for: each takes 100 KB until then.
        """
        with self._lock:
            if len(self._artifacts) >= REMEMBERED:
                self._artifacts = [a for a in self._artifacts if not _is_stored(a)]
            self._artifacts.append(artifact)
            count = len(self._artifacts)
            middle = self._artifacts[count // 2]
        if count >= REMEMBERED:
            middle._failure()

    def all(self) -> list[Artifact]:
        """Return those that were handed over, the oldest first."""
        with self._lock:
            return list(self._artifacts)

    def warn_of_failed(self) -> None:
        """Say of each that could not be stored why, once, unless `wait` raised that."""
        for artifact in self.all():
            failure = artifact._failure_to_tell()
            if failure is not None:
                term.warning(f"artifact {artifact.name} was not stored: {failure}")

    def waiting_count(self) -> int:
        """Return how many are on their way."""
        return sum(not artifact._is_over(0.0) for artifact in self.all())

    def clear(self) -> None:
        with self._lock:
            self._artifacts = []


def _is_stored(artifact: Artifact) -> bool:
    return artifact._is_over(0.0) and artifact._failure() is None
