"""One offline run on its way from its folder to a backend.

Everything is copied under names that make it idempotent, and what fails never stops the rest.
"""

from __future__ import annotations

import os

from lineal.client import term
from lineal.client.backend import Backend
from lineal.client.offline import intents, run_records
from lineal.client.offline.contributing import Waiting
from lineal.client.offline.intents import Removed
from lineal.client.offline.run_records import RunRecords
from lineal.client.offline.run_versions import RunVersions
from lineal.client.offline.sync_job import Job
from lineal.core.lineage import Direction, LineageQuery, run_node
from lineal.core.records import RunRecord

TOLD_MOST = 10
"""Versions named in a line."""


def copy(source: Backend, job: Job, left: Removed) -> list[Waiting]:
    """Copy a run; returns what it contributed to versions that it did not finish.

    left: what a killed process had taken out, and could not note any more.
    """
    noted = [*intents.read(job.folder), left]
    run = source.run(job.about.entity, job.about.project, job.about.run_id)
    versions = RunVersions(source, job, noted, run)
    there = run_records.started(job, run)
    job.result.run = str(job.where)
    records = RunRecords(source, job, run, there)
    records.copy_lines()
    records.copy_files()
    waiting = versions.copy(there)
    _tell_deleted(source, job, run)
    removed = [each for each in noted if isinstance(each, Removed)]
    records.finish(versions.config_there(), removed)
    return waiting


def _tell_deleted(source: Backend, job: Job, run: RunRecord) -> None:
    """Say which versions stay behind, since the run or its user deleted them in the folder."""
    near = source.lineage(run_node(run.key), LineageQuery(Direction.DOWNSTREAM, depth=1))
    gone = sorted(node.label for node in near.nodes if node.is_deleted)
    if gone:
        more = f" and {len(gone) - TOLD_MOST} more" if len(gone) > TOLD_MOST else ""
        term.info(
            f"not copied, as they were deleted in {os.path.relpath(job.folder)}: "
            f"{', '.join(gone[:TOLD_MOST])}{more}"
        )
