"""The edges between runs and versions, and walks along them.

`used` points from a version to a run, `logged` from a run to a version. An edge that would close
a cycle is kept but marked, and never followed, so that what is followed stays a DAG (LIN-10).
Inside this module a node is one integer – a run its key, a version its id negated – so that one
recursive statement can alternate between the two and drop what it has seen.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from operator import itemgetter
from typing import NamedTuple

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Connection,
    and_,
    case,
    false,
    func,
    insert,
    literal,
    or_,
    select,
)

from lineal.core.lineage import RunEdge
from lineal.core.records import EdgeKind, Page, PageRequest, RunKey, VersionId
from lineal.db import schema
from lineal.db.engine import batches, listed, on_sqlite
from lineal.db.fields import number_field
from lineal.db.orders import fetch_page, parse_order
from lineal.db.prepared import Prepared
from lineal.db.schema import derivations, edges

SHALLOW = 12
"""Walks up to this depth carry the depth in each row, deeper ones only the node (see `_walk`)."""
PAIRS_MOST = 20_000
"""Pairs of a run and a version that are looked up one by one, in about 4 ms."""

FIRST_LOGGED = select(func.min(edges.c.id).label("edge_id")).where(edges.c.kind == EdgeKind.LOGGED)
"""The edge from the first producer: of one version, or grouped by them."""

# --- writing ------------------------------------------------------------------------------------


def add_used(
    connection: Connection, run: RunKey, version: VersionId, alias: str | None, now: datetime
) -> None:
    """Record that a run used a version; a second time changes nothing.

    alias: the text that was asked for (SEM-9). The edge is marked when the version descends from
    the run: a run that reads what it logged itself.
    """
    hold(connection, run)
    if _exists(connection, run, version, EdgeKind.USED):
        return
    closes = _has_followed(connection, run, EdgeKind.LOGGED) and _reaches(
        connection, run, version, downstream=True
    )
    _insert(connection, run, version, EdgeKind.USED, alias=alias, closes_cycle=closes, now=now)


def add_logged(
    connection: Connection,
    run: RunKey,
    version: VersionId,
    now: datetime,
    *,
    is_new_version: bool,
) -> None:
    """Record that a run logged a version; a second time changes nothing.

    The edge is marked when the run descends from the version: it read X and logged the same
    content again (LIN-10). A version made in this transaction has no other edge: nothing to ask.
    """
    closes = False
    if not is_new_version:
        hold(connection, run)
        if _exists(connection, run, version, EdgeKind.LOGGED):
            return
        closes = _has_followed(connection, run, EdgeKind.USED) and _reaches(
            connection, run, version, downstream=False
        )
    _insert(connection, run, version, EdgeKind.LOGGED, alias=None, closes_cycle=closes, now=now)


def add_derived(connection: Connection, version: VersionId, sources: Iterable[int]) -> None:
    """Record what a version that was just made took entries over from (LIN-11)."""
    rows = [{"version_id": version, "source_id": source} for source in sources]
    if rows:
        connection.execute(insert(derivations), rows)


def _insert(
    connection: Connection,
    run: RunKey,
    version: VersionId,
    kind: EdgeKind,
    *,
    alias: str | None,
    closes_cycle: bool,
    now: datetime,
) -> None:
    _ADD_EDGE.run(
        connection,
        run_id=run,
        version_id=version,
        kind=kind,
        alias=alias,
        closes_cycle=closes_cycle,
        created_at=now,
    )


_ADD_EDGE = Prepared(insert(edges))


def hold(connection: Connection, *keys: RunKey) -> None:
    """Let nobody else add edges to runs until the transaction ends (SQLite: already so).

    Else two could add the same one. Whoever deletes or moves a run locks it before collections, so
    that this is to be called before one is locked, too.
    """
    if on_sqlite(connection):
        return
    for some in batches(sorted(set(keys))):
        rows = select(schema.runs.c.id).where(schema.runs.c.id.in_(some)).order_by(schema.runs.c.id)
        connection.execute(rows.with_for_update(key_share=True)).all()


def _exists(connection: Connection, run: RunKey, version: VersionId, kind: EdgeKind) -> bool:
    same = (edges.c.run_id == run) & (edges.c.version_id == version) & (edges.c.kind == kind)
    return connection.execute(select(edges.c.id).where(same)).first() is not None


def _has_followed(connection: Connection, run: RunKey, kind: EdgeKind) -> bool:
    mine = (edges.c.run_id == run) & (edges.c.kind == kind) & _followed()
    return connection.execute(select(edges.c.id).where(mine).limit(1)).first() is not None


def _reaches(connection: Connection, run: RunKey, version: VersionId, *, downstream: bool) -> bool:
    """Say whether a walk from the run finds the version; it stops when it does.

    Both questions start from the run: a version that is logged again may be a data set that half
    of all runs descend from, while a run that logs has a pipeline's worth of ancestors.
    """
    walk = _walk(run, downstream=downstream, depth=None)
    return connection.execute(select(1).where(walk.c.node == -version).limit(1)).first() is not None


# --- walking ------------------------------------------------------------------------------------


def _followed() -> ColumnElement[bool]:
    return edges.c.closes_cycle == false()


def _kinds(downstream: bool) -> tuple[EdgeKind, EdgeKind]:
    """Return the kind of edge that leaves a run, and the kind that leaves a version."""
    return (EdgeKind.LOGGED, EdgeKind.USED) if downstream else (EdgeKind.USED, EdgeKind.LOGGED)


def _walk(root: int, *, downstream: bool, depth: int | None) -> CTE:
    """Build the recursive walk from a node; rows (node, depth) come nearest first.

    UNION drops rows seen before. With a depth in the row a node may come back once per depth it
    is reached at – fine for a few levels, ruinous for a hundred – so that deep walks
    (`depth=None`) leave it at 0, and each node comes once.
    """
    from_run, from_version = _kinds(downstream)
    walk = select(literal(root, BigInteger).label("node"), literal(0).label("depth")).cte(
        "downstream" if downstream else "upstream", recursive=True
    )
    # One reference to the walk and two indexable alternatives: PostgreSQL allows no second
    # reference, and both databases look each alternative up in its own index.
    leaves = or_(
        and_(edges.c.run_id == walk.c.node, edges.c.kind == from_run.value),
        and_(edges.c.version_id == -walk.c.node, edges.c.kind == from_version.value),
    )
    neighbour = case((walk.c.node > 0, -edges.c.version_id), else_=edges.c.run_id)
    step = select(neighbour, walk.c.depth + (0 if depth is None else 1)).where(leaves, _followed())
    if depth is not None:
        step = step.where(walk.c.depth < depth)
    return walk.union(step)


class Edge(NamedTuple):
    """One edge; `run` is a run's key, `version` a version's id. A tuple, for there are many."""

    id: int
    run: int
    version: int
    kind: str
    alias: str | None
    closes_cycle: bool


def reachable(
    connection: Connection, root: int, *, downstream: bool, depth: int, limit: int
) -> set[int]:
    """Return nodes reachable from the root, itself included, in one bounded statement.

    Up to SHALLOW steps these are the nodes within `depth`; a deeper walk may return farther ones
    too. Either way at most the `limit + 1` nearest.
    """
    is_shallow = depth <= SHALLOW
    walk = _walk(root, downstream=downstream, depth=depth if is_shallow else None)
    # In a bipartite graph a node is reached at depths of one parity only.
    times_seen = depth // 2 + 1 if is_shallow else 1
    rows = connection.execute(select(walk.c.node).limit((limit + 1) * times_seen)).all()
    nearest = list(dict.fromkeys([node for (node,) in rows]))
    return set(nearest[: limit + 1])


def reachable_derived(
    connection: Connection, root: int, *, downstream: bool, depth: int, limit: int
) -> set[int]:
    """Return what `reachable` does, derived-from edges followed as well: level by level.

    One statement would need two references to the walk, which PostgreSQL does not allow.
    """
    seen = {root: None}
    last = [root]
    for _ in range(depth):
        found = [
            *_neighbours(connection, last, downstream=downstream),
            *(
                target if downstream else source
                for source, target in derived(connection, last, downstream=downstream)
            ),
        ]
        last = [node for node in dict.fromkeys(found) if node not in seen]
        seen.update(dict.fromkeys(last))
        if not last or len(seen) > limit:  # else what leaves a hundred thousand nodes is read
            break
    return set(list(seen)[: limit + 1])


def _neighbours(connection: Connection, nodes: list[int], *, downstream: bool) -> list[int]:
    """Return where the followed edges lead that leave some nodes, the oldest edge first."""
    from_run, from_version = _kinds(downstream)
    runs = listed(connection, [node for node in nodes if node > 0])
    versions = listed(connection, [-node for node in nodes if node < 0])
    of_runs = select(edges.c.id, -edges.c.version_id).where(
        edges.c.run_id.in_(runs), edges.c.kind == from_run.value, _followed()
    )
    of_versions = select(edges.c.id, edges.c.run_id).where(
        edges.c.version_id.in_(versions), edges.c.kind == from_version.value, _followed()
    )
    found = [*connection.execute(of_runs), *connection.execute(of_versions)]
    return [node for _, node in sorted(found)]


def derived(
    connection: Connection, nodes: Iterable[int], *, downstream: bool
) -> list[tuple[int, int]]:
    """Return (source, target) of the derived-from edges that leave some nodes."""
    versions = listed(connection, [-node for node in nodes if node < 0])
    leaves = derivations.c.source_id if downstream else derivations.c.version_id
    wanted = select(-derivations.c.source_id, -derivations.c.version_id)
    order = (derivations.c.version_id, derivations.c.source_id)
    rows = connection.execute(wanted.where(leaves.in_(versions)).order_by(*order))
    return [(source, target) for source, target in rows]


def count_onward(connection: Connection, nodes: Iterable[int], *, downstream: bool) -> int:
    """Count the edges that a walk would follow out of some nodes, wherever they lead."""
    from_run, from_version = _kinds(downstream)
    wanted = list(nodes)
    ends = (
        (edges.c.run_id, from_run, [node for node in wanted if node > 0]),
        (edges.c.version_id, from_version, [-node for node in wanted if node < 0]),
    )
    return sum(
        connection.execute(
            select(func.count())
            .select_from(edges)
            .where(column.in_(listed(connection, ids)), edges.c.kind == kind.value, _followed())
        ).scalar_one()
        for column, kind, ids in ends
        if ids
    )


def edges_among(connection: Connection, nodes: Iterable[int]) -> list[Edge]:
    """Return all edges with both ends in a set of nodes, marked ones too, the oldest first."""
    wanted = set(nodes)
    runs = sorted(node for node in wanted if node > 0)
    versions = sorted(-node for node in wanted if node < 0)
    of_runs = edges.c.run_id.in_(listed(connection, runs))
    of_versions = edges.c.version_id.in_(listed(connection, versions))
    # Pair by pair: one of few nodes may have a hundred thousand edges that lead elsewhere.
    near = [of_runs, of_versions]
    if len(runs) * len(versions) > PAIRS_MOST:
        # From the smaller side: a run touches few versions, a version may touch thousands of runs.
        near = [of_runs if len(runs) <= 2 * len(versions) else of_versions]
    columns = (
        edges.c.id,
        edges.c.run_id,
        edges.c.version_id,
        edges.c.kind,
        edges.c.alias,
        edges.c.closes_cycle,
    )
    rows = connection.execute(select(*columns).where(*near)).all()
    found = [Edge._make(row) for row in rows if row[1] in wanted and -row[2] in wanted]
    found.sort(key=itemgetter(0))
    return found


# --- lists --------------------------------------------------------------------------------------


def runs_of(
    connection: Connection, version: VersionId, kind: EdgeKind, page: PageRequest
) -> Page[RunKey]:
    """Return the runs that used or logged a version, the oldest edge first.

    Deleted runs are left out.
    """
    query = select(edges.c.run_id).where(_live_runs(version, kind))
    rows, cursor, total = fetch_page(connection, query, _OLDEST_EDGE_FIRST, page)
    return Page(tuple(RunKey(row.run_id) for row in rows), cursor, total)


def versions_of(
    connection: Connection, run: RunKey, kind: EdgeKind, page: PageRequest
) -> Page[VersionId]:
    """Return what a run used or logged, the oldest edge first.

    Deleted versions are left out.
    """
    query = select(edges.c.version_id).where(_live_versions(run, kind))
    rows, cursor, total = fetch_page(connection, query, _OLDEST_EDGE_FIRST, page)
    return Page(tuple(VersionId(row.version_id) for row in rows), cursor, total)


def loggers(connection: Connection, version: VersionId) -> list[RunKey]:
    """Return all live runs that logged a version, the oldest edge first."""
    query = select(edges.c.run_id).where(_live_runs(version, EdgeKind.LOGGED)).order_by(edges.c.id)
    return [RunKey(run) for run in connection.scalars(query)]


def edges_of_run(connection: Connection, run: RunKey, kind: EdgeKind) -> list[RunEdge]:
    """Return the edges to what a run used or logged and is live, the oldest first."""
    query = select(edges.c.version_id, edges.c.alias, edges.c.closes_cycle)
    rows = connection.execute(query.where(_live_versions(run, kind)).order_by(edges.c.id))
    return [RunEdge(VersionId(version), alias, closes) for version, alias, closes in rows]


_OLDEST_EDGE_FIRST = parse_order("+id", {"id": number_field(edges.c.id)}, None)


def _live_runs(version: VersionId, kind: EdgeKind) -> ColumnElement[bool]:
    runs = schema.runs
    is_live = select(1).where(runs.c.id == edges.c.run_id, runs.c.deleted_at.is_(None)).exists()
    return and_(edges.c.version_id == version, edges.c.kind == kind.value, is_live)


def _live_versions(run: RunKey, kind: EdgeKind) -> ColumnElement[bool]:
    versions = schema.versions
    is_live = (
        select(1)
        .where(versions.c.id == edges.c.version_id, versions.c.deleted_at.is_(None))
        .exists()
    )
    return and_(edges.c.run_id == run, edges.c.kind == kind.value, is_live)
