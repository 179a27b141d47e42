"""What `db.rows` says of rows is what the tables and the statements have."""

from __future__ import annotations

from datetime import datetime
from types import NoneType, UnionType
from typing import Union, get_args, get_origin, get_type_hints

import pytest
from sqlalchemy import select

from lineal.db import (
    blobs,
    collections,
    deletion,
    drafts,
    manifests,
    rows,
    runs,
    schema,
    sweeps,
    trials,
)
from lineal.db.column_types import Moment

UNIONS = (Union, UnionType)
WHERE_FROM = {
    rows.ProjectRow: (select(schema.projects), schema.projects),
    rows.CollectionRow: (select(schema.collections), schema.collections),
    rows.LogTargetRow: (collections._FIND_BY_NAMES._statement, schema.collections),
    rows.DraftRow: (drafts._BY_ID._statement, schema.drafts),
    rows.DraftToCommit: (drafts._TO_COMMIT._statement, schema.drafts),
    rows.TotalsRow: (manifests._TOTALS._statement, schema.manifests),
    rows.AwaitedBlob: (blobs._AWAITED._statement, schema.blobs),
    rows.RunRow: (runs._rows(), schema.runs),
    rows.SweepRow: (sweeps._LOCKED._statement, schema.sweeps),
    rows.NamedSweepRow: (sweeps._rows(), schema.sweeps),
    rows.TrialRow: (trials._TRIAL._statement, schema.trials),
    rows.DeletionRow: (deletion._listing(), schema.deletions),
}


def test_every_kind_of_row_is_held_against_something() -> None:
    kinds = {kind for name, kind in vars(rows).items() if name[0].isupper()}
    ours = {kind for kind in kinds if getattr(kind, "__module__", "") == rows.__name__}
    assert ours - {rows.BestTrialRow} == set(WHERE_FROM)  # which is part of a TrialRow


@pytest.mark.parametrize("row", WHERE_FROM, ids=lambda row: row.__name__)
def test_a_row_has_what_is_said_of_it(row: type) -> None:
    statement, table = WHERE_FROM[row]
    hints = get_type_hints(row)
    columns = [column.key for column in statement.exported_columns]
    assert sorted(hints) == sorted(columns)
    assert row is not rows.AwaitedBlob or list(hints) == columns  # which is unpacked
    for name in hints.keys() & set(table.c.keys()):
        said = get_args(hints[name]) if get_origin(hints[name]) in UNIONS else (hints[name],)
        column = table.c[name]
        assert (NoneType in said) == column.nullable, name
        python_type = datetime if isinstance(column.type, Moment) else column.type.python_type
        if python_type is not object:  # a JSON document
            types = {getattr(each, "__supertype__", each) for each in said} - {NoneType}
            assert types == {python_type}, name
