"""People with a home each, and bundles between them, for tests."""

from __future__ import annotations

from pathlib import Path

import lineal
from lineal.client import session
from lineal.client.artifact.artifact import committed
from lineal.client.backend import Backend
from lineal.client.offline import bundles
from lineal.client.offline.bundle_copy import Carried
from lineal.config import Settings, load
from lineal.core.full_names import ArtifactPath
from lineal.core.records import (
    EdgeKind,
    PageRequest,
    VersionQuery,
    VersionRecord,
)


class Home:
    """The instance of one person on one machine."""

    def __init__(self, root: Path, user: str) -> None:
        self.values = {"home": str(root), "username": user, "console": "off"}
        self.user = user

    @property
    def settings(self) -> Settings:
        return load(self.values)

    @property
    def backend(self) -> Backend:
        return session.open_backend(self.settings)

    def run(self, **options: object) -> lineal.Run:
        return lineal.init(**{"project": "vision", "settings": self.values, **options})

    def log(
        self, text: str, name: str = "data", id: str | None = None, **options: object
    ) -> VersionRecord:
        with self.run(id=id) as run:
            return self._logged(run, text, name, **options)

    def _logged(self, run: lineal.Run, text: str, name: str, **options: object) -> VersionRecord:
        artifact = lineal.Artifact(name, "dataset", description="all", metadata={"rows": 3})
        artifact.add_bytes(text.encode(), "a.txt")
        logged = run.log_artifact(artifact, **options).wait()
        return self.version(logged.name)

    def version(
        self, name: str, project: str = "vision", entity: str | None = None
    ) -> VersionRecord:
        collection, _, alias = name.partition(":")
        return self.backend.version(
            ArtifactPath(entity or self.user, project, collection, alias or "latest")
        )

    def versions(self, name: str = "data") -> list[VersionRecord]:
        query = VersionQuery(self.user, "vision", name)
        return list(self.backend.versions(query, PageRequest(size=100)).items)

    def content(self, version: VersionRecord, folder: Path) -> dict[str, bytes]:
        root = Path(committed(self.backend, version).download(root=str(folder)))
        return {
            str(path.relative_to(root)): path.read_bytes()
            for path in root.rglob("*")
            if path.is_file()
        }

    def export(self, *names: str, to: str = "bundle", **options: bool) -> list[Carried]:
        return self.export_records(*map(self.version, names), to=to, **options)

    def export_records(
        self, *versions: VersionRecord, to: str = "bundle", **options: bool
    ) -> list[Carried]:
        return bundles.export(self.backend, versions, to, settings=self.settings, **options)

    def import_(self, folder: str = "bundle", **options: str) -> list[Carried]:
        return bundles.import_(folder, self.backend, settings=self.settings, **options)

    def state(self) -> list[object]:
        """Everything that a second import must not change."""
        found: list[object] = []
        for version in self.versions():
            runs = self.backend.runs_of(version.id, EdgeKind.LOGGED, PageRequest()).items
            found += [version, [run._replace(heartbeat_at=None) for run in runs]]
        return found


def many(artifact: lineal.Artifact) -> None:
    for number in range(150):
        artifact.add_bytes(b"content %d\n" % number, f"{number}.txt")
