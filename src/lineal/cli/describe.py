"""Records as the JSON that `--json` prints; the keys are part of what scripts rely on."""

from __future__ import annotations

from typing import Any

from lineal.client.references import known_size
from lineal.core.manifest import Diff, Entry
from lineal.core.records import (
    AliasMove,
    CollectionRecord,
    ProjectRecord,
    RunFileRecord,
    RunRecord,
    VersionRecord,
)
from lineal.core.trials import SweepRecord, TrialRecord, TrialState


def project(record: ProjectRecord) -> dict[str, Any]:
    return {
        "name": f"{record.entity}/{record.name}",
        "ttl_seconds": record.ttl_seconds,
        "protected_aliases": list(record.protected_aliases),
        "created_at": record.created_at,
    }


def collection(record: CollectionRecord) -> dict[str, Any]:
    return {
        "name": record.path,
        "display_name": record.display_name,
        "type": record.type,
        "kind": str(record.kind),
        "latest": record.latest,
        "versions": record.version_count,
        "size": record.size_bytes,
        "aliases": list(record.aliases),
        "tags": list(record.tags),
        "description": record.description,
        "created_at": record.created_at,
        "updated_at": record.updated_at,
    }


def version(record: VersionRecord) -> dict[str, Any]:
    return {
        "name": record.path,
        "source": record.source_path,
        "version": f"v{record.number}",
        "type": record.type,
        "state": str(record.state),
        "aliases": list(record.aliases),
        "tags": list(record.tags),
        "digest": record.digest,
        "size": record.size_bytes,
        "files": record.entry_count,
        "description": record.description,
        "metadata": record.metadata,
        "created_at": record.created_at,
        "updated_at": record.updated_at,
    }


def entry(record: Entry) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "path": record.path,
        "digest": record.digest,
        "size": known_size(record),
    }
    if record.ref is not None:
        shown["ref"] = record.ref
    if record.extra:
        shown["extra"] = dict(record.extra)
    return shown


def diff(change: Diff) -> dict[str, Any]:
    def pairs(changes: tuple[tuple[Entry, Entry], ...]) -> list[dict[str, Any]]:
        return [{"before": entry(before), "after": entry(after)} for before, after in changes]

    return {
        "added": [entry(record) for record in change.added],
        "removed": [entry(record) for record in change.removed],
        "changed": pairs(change.changed),
        "renamed": pairs(change.renamed),
    }


def alias_move(move: AliasMove) -> dict[str, Any]:
    return {
        "moved_at": move.moved_at,
        "alias": move.alias,
        "before": move.before,
        "after": move.after,
        "actor": move.actor,
    }


def run(record: RunRecord) -> dict[str, Any]:
    return {
        "path": record.path,
        "id": record.run_id,
        "name": record.name,
        "state": str(record.state),
        "job_type": record.job_type,
        "group": record.group,
        "sweep": record.sweep_id,
        "tags": list(record.tags),
        "notes": record.notes,
        "user": record.user,
        "host": record.host,
        "program": record.program,
        "commit": record.git_commit,
        "config": record.config,
        "summary": record.summary,
        "steps": record.history_count,
        "runtime": record.runtime_seconds,
        "exit_code": record.exit_code,
        "created_at": record.created_at,
        "finished_at": record.finished_at,
    }


def run_file(record: RunFileRecord) -> dict[str, Any]:
    return {
        "name": record.path,
        "size": record.size,
        "digest": record.digest,
        "updated_at": record.updated_at,
    }


def sweep(record: SweepRecord) -> dict[str, Any]:
    return {
        "path": record.path,
        "id": record.sweep_id,
        "entity": record.entity,
        "project": record.project,
        "name": record.name,
        "description": record.description,
        "state": record.state.value,
        "config": record.document,
        "user": record.user,
        "created_at": record.created_at,
        "updated_at": record.updated_at,
        "trials": {state.value: record.trial_counts.get(state, 0) for state in TrialState},
        "best_run": record.best_run_id,
        "best_value": record.best_value,
    }


def trial(record: TrialRecord) -> dict[str, Any]:
    return {
        "number": record.number,
        "run": record.run_id,
        "state": record.state.value,
        "attempt": record.attempt,
        "value": record.value,
        "parameters": record.parameters,
        "is_prior": record.is_prior,
        "created_at": record.created_at,
        "ended_at": record.ended_at,
    }
