"""A sweep that a transaction has locked: only then are its trials handed out and ended."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import Connection

from lineal.core import sweeps as rules
from lineal.core.sweeps import Plan
from lineal.core.trials import SweepKey
from lineal.service.instance import Instance

if TYPE_CHECKING:
    from lineal.db.rows import SweepRow


class LockedSweep(NamedTuple):
    """A sweep's row, which nobody else changes until the transaction ends, and what it says."""

    instance: Instance
    connection: Connection
    row: SweepRow
    """As `db.sweeps.lock` returned it; it does not follow what this transaction changes."""
    plan: Plan

    @classmethod
    def of(cls, instance: Instance, connection: Connection, row: SweepRow) -> LockedSweep:
        return cls(instance, connection, row, rules.plan(row.document))

    @property
    def key(self) -> SweepKey:
        return SweepKey(self.row.id)

    def now(self) -> datetime:
        return self.instance.clock.now()
