"""Agents of sweeps, which carry out their trials."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, case, func, insert, select, update

from lineal.core.trials import AgentKey, AgentRecord, SweepKey
from lineal.db.prepared import Prepared
from lineal.db.schema import sweep_agents, trials

_CHANGE = Prepared(update(sweep_agents).where(sweep_agents.c.id == bindparam("agent")))


def add(connection: Connection, values: Mapping[str, Any]) -> AgentKey:
    statement = insert(sweep_agents).returning(sweep_agents.c.id)
    return AgentKey(connection.execute(statement, values).scalar_one())


def change(connection: Connection, agent: AgentKey, values: Mapping[str, Any]) -> None:
    _CHANGE.run(connection, agent=agent, **values)


def records(connection: Connection, sweep: SweepKey, alive_since: datetime) -> list[AgentRecord]:
    """Return the agents of a sweep, the oldest first."""
    is_alive = case(
        (sweep_agents.c.ended_at.is_not(None), 0),
        (sweep_agents.c.heartbeat_at < alive_since, 0),
        else_=1,
    )
    query = (
        select(sweep_agents, is_alive.label("is_alive"), func.count(trials.c.id).label("taken"))
        .outerjoin(trials, trials.c.agent_id == sweep_agents.c.id)
        .where(sweep_agents.c.sweep_id == sweep)
        .group_by(sweep_agents.c.id)
        .order_by(sweep_agents.c.id)
    )
    return [
        AgentRecord(
            AgentKey(row.id),
            row.name,
            row.host,
            bool(row.is_alive),
            row.created_at,
            row.heartbeat_at,
            row.taken,
        )
        for row in connection.execute(query)
    ]
