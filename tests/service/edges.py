"""Runs that use and log versions without bytes, for the tests of lineage."""

from __future__ import annotations

from itertools import count

from lineal.client.embedded.backend import EmbeddedBackend
from lineal.core.digest import of_bytes
from lineal.core.lineage import Direction, LineageGraph, LineageQuery
from lineal.core.manifest import Entry, build_segments, manifest_head
from lineal.core.records import DraftSpec, RunKey, RunSpec, VersionId, VersionRecord

numbers = count()
UP = LineageQuery(direction=Direction.UPSTREAM)
DOWN = LineageQuery(direction=Direction.DOWNSTREAM)


def start(backend: EmbeddedBackend, run_id: str, job_type: str | None = None) -> RunKey:
    spec = RunSpec(entity="ana", project="vision", run_id=run_id, job_type=job_type)
    return backend.start_run(spec).run.key


def log(
    backend: EmbeddedBackend,
    run: RunKey | None,
    name: str,
    content: str = "",
    type: str = "dataset",
    sources: tuple[VersionId, ...] = (),
    project: str = "vision",
) -> VersionRecord:
    """Log a version that holds one reference: a version without bytes to move."""
    text = content or str(next(numbers))
    entry = Entry("data", of_bytes(text.encode()), 0, ref=f"file:///data/{text}")
    segments = list(build_segments([entry]))
    spec = DraftSpec(
        client_id=f"draft-{next(numbers)}",
        entity="ana",
        project=project,
        collection=name,
        type=type,
        manifest=manifest_head([segment.head for segment in segments]),
        run=run,
        sources=sources,
    )
    begun = backend.begin(spec, segments)
    version = begun.version or backend.commit(begun.draft).version
    assert version is not None
    return version


def use(backend: EmbeddedBackend, run: RunKey, version: VersionRecord) -> None:
    backend.use(run, version.id, alias=None)


def derive(
    backend: EmbeddedBackend, run: RunKey | None, name: str, *sources: VersionRecord
) -> VersionRecord:
    """Log a version that took entries over from others."""
    return log(backend, run, name, sources=tuple(source.id for source in sources))


def around_run(backend: EmbeddedBackend, run: RunKey, query: LineageQuery) -> LineageGraph:
    return backend.lineage(f"run:{run}", query)


def around(backend: EmbeddedBackend, version: VersionRecord, query: LineageQuery) -> LineageGraph:
    return backend.lineage(f"version:{version.id}", query)


def labels(graph: LineageGraph) -> list[str]:
    return [node.name.rpartition("/")[2] for node in graph.nodes]


def marked(graph: LineageGraph) -> list[tuple[str, str]]:
    return [(edge.source, edge.target) for edge in graph.edges if edge.is_relogged]


def pipeline(backend: EmbeddedBackend) -> tuple[RunKey, VersionRecord, RunKey, VersionRecord]:
    make = start(backend, "make")
    data = log(backend, make, "data")
    train = start(backend, "train", job_type="train")
    use(backend, train, data)
    return make, data, train, log(backend, train, "model", type="model")
